"""The ledger of exports: a file of JSON lines that all processes append to, and that DuckDB reads as it is.

It is not folded: a line for each run that was sent is little, and what is in the table could not be written while
another program keeps that open.
"""

import contextlib
import os
import re
import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import to_json

from agentkit import failpoints
from agentkit.errors import LogBusy
from agentkit.store import Exported
from agentkit.stores.embedded import sidelock
from agentkit.stores.embedded.journal import unwritable
from agentkit.stores.embedded.locks import BINARY, sync, sync_folder, write_all, write_durably

FAIL_POINTS = ("ledger.locked", "ledger.written")

FILE = "ledger.jsonl"
_PATIENCE = 10.0  # seconds for another process that appends a few lines


class FileLedger:
    """The ledger of an embedded log.

    Args:
        folder: `exports/` of the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._forget()

    @contextlib.contextmanager
    def turn(self, target: str, *, timeout: float) -> Generator[None]:
        """Be the only one who exports to a target; see `Ledger.turn`."""
        self._prepare()
        with contextlib.ExitStack() as held:
            try:
                path = self._folder / f"{re.sub(r'[^A-Za-z0-9@.-]', '_', target)}.lock"
                held.enter_context(sidelock.hold(path, shared=False, timeout=timeout))
            except LogBusy as error:
                raise LogBusy(f"another process exports to {target} for more than {timeout} s; let it end") from error
            yield

    def read(self, target: str) -> Mapping[str | None, Exported]:
        """The newest line of each run; see `Ledger.read`."""
        with self._lock:
            self._catch_up()
            return dict(self._lines.get(target, {}))

    def write(self, lines: Sequence[Exported]) -> None:
        """Add lines, durably; see `Ledger.write`."""
        data = b"".join(to_json(line, exclude_none=True) + b"\n" for line in lines)
        try:
            self._prepare()
            with self._alone():
                failpoints.hit("ledger.locked")
                self._append(data)
        except OSError as error:
            raise unwritable(self._path, error) from error
        failpoints.hit("ledger.written")

    def remove(self, run_ids: Iterable[str]) -> None:
        """Forget runs that are removed from the log."""
        gone = set(run_ids)
        if not self._path.exists():
            return
        with self._alone():
            lines = _sound(self._path.read_bytes())
            kept = b"".join(to_json(line, exclude_none=True) + b"\n" for line in lines if line.run_id not in gone)
            temporary = self._folder / f".{FILE}.{os.getpid()}.tmp"
            with temporary.open("wb") as file:
                file.write(kept)
                file.flush()
                sync(file.fileno())
            temporary.replace(self._path)
            sync_folder(self._folder)

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return sidelock.hold(self._folder / "ledger.lock", shared=False, timeout=_PATIENCE)

    def _append(self, data: bytes) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o644)
        try:
            end = os.lseek(fd, 0, os.SEEK_END)
            if end and (os.lseek(fd, end - 1, os.SEEK_SET), os.read(fd, 1))[1] != b"\n":
                write_all(fd, b"\n")  # a line that its writer's death tore stays alone
            write_durably(fd, data)
            if end == 0:
                sync_folder(self._folder)
        finally:
            os.close(fd)

    def _prepare(self) -> None:
        if not self._folder.is_dir():  # an older agentkit made the log
            try:
                self._folder.mkdir(exist_ok=True)
            except OSError as error:
                raise unwritable(self._folder, error) from error

    def _forget(self) -> None:
        self._lines: dict[str, dict[str | None, Exported]] = {}
        self._file: tuple[int, int] | None = None  # device and inode of the file that was read
        self._scanned = 0

    def _catch_up(self) -> None:
        """Read what was appended since the last look; all of it where the file is another one."""
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if self._file != (status.st_dev, status.st_ino) or status.st_size < self._scanned:
                    self._forget()
                    self._file = (status.st_dev, status.st_ino)
                file.seek(self._scanned)
                data = file.read()
        except FileNotFoundError:
            self._forget()
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._scanned += len(whole)
        for line in _sound(whole):
            of_target = self._lines.setdefault(line.target, {})
            if line.run_id is not None or None not in of_target:
                of_target[line.run_id] = line


def _sound(data: bytes) -> Iterable[Exported]:
    """The lines that are whole: one that a death tore was never acknowledged, and its run is sent again."""
    for line in data.splitlines():
        with contextlib.suppress(ValidationError):
            yield Exported.model_validate_json(line)
