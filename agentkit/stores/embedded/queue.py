"""The queue of an embedded log: a small file a run, in the folder that says what it waits for.

`ready/<digest of its name>/<run>` waits for a worker, `taken/<process>/<run>` has one, `asleep/<run>` waits to be
woken, `due/<milliseconds>.<digest>.<run>` for that time. So a change is a rename, which a killed process has done or
has not, and a take lists names and opens only the files of what it takes: ids sort by the time at which they were made.
All of it happens under one short lock between all processes of the log. The folder is made for the first run.
"""

import contextlib
import hashlib
import heapq
import math
import os
import time
from collections.abc import Collection, Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from agentkit import failpoints
from agentkit.errors import LogCorrupt, LogError, LogUnwritable
from agentkit.store import Taken
from agentkit.stores.embedded.journal import unwritable
from agentkit.stores.embedded.lease import Leases
from agentkit.stores.embedded.locks import BINARY, FileLock, sync, sync_folder, write_all
from agentkit.stores.names import checked_run_id

FAIL_POINTS = (
    "queue.locked",
    "queue.written",
    "queue.placed",
    "queue.synced",
    "queue.chosen",
    "queue.taken",
    "queue.freed",
    "queue.back",
    "queue.woken",
)

_PATIENCE = 30.0  # seconds; the lock is held for milliseconds, unless its holder was stopped just then
_LONG = 1e9  # seconds
_run = TypeAdapter(Taken)


class FileQueue:
    """The queue, as one process uses it; see `Queue`.

    Args:
        folder: `queue/` of the log.
        process: this process's name in the log.
        leases: the log's: they know which processes live.
    """

    def __init__(self, folder: Path, process: str, leases: Leases) -> None:
        self._folder = folder
        self._process = process
        self._leases = leases
        self._lock = FileLock(folder / ".lock")
        self._mine = folder / "taken" / process
        self._closed = False

    def put(self, run_id: str, name: str) -> None:
        """A run is ready from now on; see `Queue.put`."""
        run = Taken(checked_run_id(run_id), name, datetime.now(UTC))
        folder = self._ready(name)
        try:
            _make(self._folder)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        with self._alone():
            _make(folder.parent)
            _make(folder)
            if next(self._places(run_id), None) is None:
                self._write(folder / run_id, run)
            failpoints.hit("queue.placed")
            sync_folder(folder)
        failpoints.hit("queue.synced")

    def take(self, names: Collection[str], limit: int) -> list[Taken]:
        """Take runs that are ready; see `Queue.take`."""
        if not self._folder.is_dir():
            return []
        with self._alone():
            self._free()
            self._rouse()
            runs = [_read(path) for path in self._first(names, limit)]
            if runs:
                failpoints.hit("queue.chosen")
                self._take(runs)
        return runs

    def put_back(self, run_id: str, *, after: float | None, forgive: bool = True) -> None:
        """Let go of a run that this process took; see `Queue.put_back`."""
        path = self._mine / checked_run_id(run_id)
        if not path.exists():  # where nobody took anything there may be no folder for the lock
            return
        with self._alone():
            if path.exists():
                run = self._found_again(path) if forgive else _read(path)
                failpoints.hit("queue.back")
                _move(path, self._bed(run, after))

    def wake(self, run_id: str) -> bool:
        """Have a run that is asleep ready at once; see `Queue.wake`. Durable: nobody may wake it again."""
        checked_run_id(run_id)
        if not self._folder.is_dir():
            return False
        with self._alone():
            places = list(self._places(run_id))
            for path in places:
                run = self._found_again(path)
                if path.parent.name in {"asleep", "due"}:
                    _move(path, self._ready(run.name) / run_id)
                    failpoints.hit("queue.woken")
                    sync_folder(self._ready(run.name))
                    sync_folder(path.parent)
        return bool(places)

    def remove(self, run_id: str) -> None:
        """Forget a run; see `Queue.remove`."""
        checked_run_id(run_id)
        if self._folder.is_dir():
            with self._alone():
                for path in self._places(run_id):
                    path.unlink()

    def close(self) -> None:
        """Have ready what this process took, and take nothing more."""
        self._closed = True  # who has the lock now is waited for, who gets it later is refused
        if self._folder.is_dir():
            with contextlib.suppress(LogError), self._held():  # what is left is ready as that of a process that died is
                for run_id in _in(self._mine):
                    _move(self._mine / run_id, self._ready(_read(self._mine / run_id).name) / run_id)
                _remove(self._mine)
        self._lock.close()

    def forget(self) -> None:
        """In a forked child: close the inherited descriptor."""
        self._lock.close()

    @contextlib.contextmanager
    def _alone(self) -> Generator[None]:
        with self._held():
            if self._closed:
                raise LogUnwritable(f"{self._folder.parent}: this log was closed in this process; open it again")
            yield

    @contextlib.contextmanager
    def _held(self) -> Generator[None]:
        try:
            with self._lock.hold(timeout=_PATIENCE):
                failpoints.hit("queue.locked")
                yield
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def _free(self) -> None:
        """Have ready what processes had that died. Who dies in here leaves a run twice; the next writes the same."""
        for process in _in(self._folder / "taken"):
            if process != self._process and not self._leases.lives(process):
                theirs = self._folder / "taken" / process
                for run_id in _in(theirs):
                    run = _read(theirs / run_id)
                    self._write(self._ready(run.name) / run_id, replace(run, lost=run.lost + 1))
                    failpoints.hit("queue.freed")
                    (theirs / run_id).unlink()
                _remove(theirs)

    def _rouse(self) -> None:
        """Have ready what slept until now."""
        now = f"{math.floor(time.time() * 1000):015}"
        for name in _in(self._folder / "due"):
            if name[:15] <= now:
                _, digest, run_id = name.split(".")
                _move(self._folder / "due" / name, self._folder / "ready" / digest / run_id)

    def _first(self, names: Collection[str], limit: int) -> list[Path]:
        """The files of the runs that are ready and were submitted first."""
        folders = [self._ready(name) for name in set(names)]
        found = ((run_id, folder) for folder in folders for run_id in heapq.nsmallest(limit, _in(folder)))
        return [folder / run_id for run_id, folder in heapq.nsmallest(limit, found)]

    def _take(self, runs: list[Taken]) -> None:
        self._leases.live()
        self._mine.mkdir(parents=True, exist_ok=True)
        try:
            for run in runs:
                (self._ready(run.name) / run.run_id).rename(self._mine / run.run_id)
                failpoints.hit("queue.taken")
        except BaseException:  # nobody is told that they are taken
            for run in runs:
                with contextlib.suppress(OSError):
                    (self._mine / run.run_id).rename(self._ready(run.name) / run.run_id)
            raise

    def _places(self, run_id: str) -> Iterator[Path]:
        """Where a run is: in one place, or in two where a process died in the midst of freeing it."""
        ready, taken, due = (self._folder / name for name in ("ready", "taken", "due"))
        paths = [self._folder / "asleep" / run_id]
        paths += [parent / name / run_id for parent in (ready, taken) for name in _in(parent)]
        paths += [due / name for name in _in(due) if name.endswith(run_id)]
        return (path for path in paths if path.exists())

    def _bed(self, run: Taken, after: float | None) -> Path:
        """Where a run sleeps for so many seconds, or until it is woken."""
        if after is None:
            return self._folder / "asleep" / run.run_id
        if after <= 0:
            return self._ready(run.name) / run.run_id
        due = math.ceil((time.time() + min(after, _LONG)) * 1000)
        return self._folder / "due" / f"{due:015}.{_digest(run.name)}.{run.run_id}"

    def _ready(self, name: str) -> Path:
        return self._folder / "ready" / _digest(name)

    def _found_again(self, path: Path) -> Taken:
        """A run that somebody tells of: what was lost before does not count any more."""
        run = _read(path)
        if run.lost:
            with contextlib.suppress(OSError):  # a full disk must not keep the run from going its way
                self._write(path, replace(run, lost=0))
        return run

    def _write(self, path: Path, run: Taken) -> None:
        """Write a run's file, whole or not at all, and so that its bytes are on disk before its name is."""
        new = self._folder / ".new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o644)
        try:
            write_all(fd, to_json(run))
            sync(fd)
        finally:
            os.close(fd)
        failpoints.hit("queue.written")
        new.replace(path)


def _make(folder: Path) -> None:
    """Make a folder so that its name is on disk."""
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def _move(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    path.replace(to)


def _in(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208  a path for each of ten thousand names costs several times that
    except FileNotFoundError:
        return []
    return [name for name in names if name[0] != "."]  # a desktop leaves its own files wherever somebody looks


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # as above, or it was never there
        folder.rmdir()


def _read(path: Path) -> Taken:
    try:
        return _run.validate_json(path.read_bytes())
    except ValidationError as error:
        raise LogCorrupt(f"{path}: is no run of the queue ({error.error_count()} errors); remove that file") from error


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
