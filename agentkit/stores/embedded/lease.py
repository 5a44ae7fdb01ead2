"""Who executes a run: a small file a run, believed only while the process it names is alive.

A process is alive as long as the kernel holds its lock on `<process>.alive`. So a claim ends with its process, a
stopped process keeps its claims, and a thousand runs need one descriptor. Everything here happens under one short lock
between all processes of the log, which is what makes look-then-write of a lease safe.
"""

import contextlib
import os
import platform
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from agentkit import failpoints
from agentkit.errors import RunClaimed
from agentkit.store import ClaimActivity, Holder
from agentkit.stores.embedded.locks import BINARY, FileLock, try_lock, write_all

FAIL_POINTS = ("lease.locked", "lease.read", "lease.written", "lease.released")
_PATIENCE = 30.0  # seconds; the lock is held for microseconds, unless its holder was stopped just then
_SIZE = 512  # bytes
_holder = TypeAdapter(Holder)


class Leases:
    """The folder of leases, as one process uses it.

    Args:
        folder: `lease/` of the log.
        process: this process's name in the log.
    """

    def __init__(self, folder: Path, process: str) -> None:
        self._folder = folder
        self._process = process
        self._lock = FileLock(folder / ".lock")
        self._alive: int | None = None
        self._spares: list[Path] = []

    def take(self, run_id: str, activity: ClaimActivity = "executing") -> Holder | None:
        """Become the run's executor, or the one who notes something in it.

        Returns:
            What the lease said before: who had the run last, living or not.

        Raises:
            RunClaimed: a living process executes it, or notes something in it.
        """
        with self._locked():
            found = self._read(run_id)
            failpoints.hit("lease.read")
            if found and found.activity != "watching" and self._is_other(found) and self._lives(found.process):
                raise RunClaimed(run_id, str(found))
            self._write(run_id, activity, own=found is not None and not self._is_other(found))
            failpoints.hit("lease.written")
        return found

    def give_back(self, run_id: str, *, watch: bool) -> None:
        """Stop executing a run, or watching it; with `watch`, go on as the one who watches."""
        with self._locked():
            found = self._read(run_id)
            if found is None or self._is_other(found):
                return
            if watch:
                with contextlib.suppress(OSError):  # a full disk must not keep the run claimed
                    self._write(run_id, "watching", own=True)
                    return
            self._remove(run_id)
        failpoints.hit("lease.released")

    def unwatch(self, run_id: str) -> None:
        """Stop watching a run; does nothing where this process does not."""
        if (found := self._read(run_id)) and found.activity == "watching" and not self._is_other(found):
            self.give_back(run_id, watch=False)

    def holder(self, run_id: str) -> Holder | None:
        """The living process that the run's lease names."""
        with self._locked():
            found = self._read(run_id)
            return found if found and (not self._is_other(found) or self._lives(found.process)) else None

    def live(self) -> None:
        """Be known as a process that lives, before anything is kept in its name."""
        with self._locked():
            self._live()

    def lives(self, process: str) -> bool:
        """Whether a process of this log lives."""
        with self._locked():
            return process == self._process or self._lives(process)

    def sweep(self) -> None:
        """Remove what dead processes left, one file at a time: who is stopped in here must not stop the others long."""
        living = {self._process}
        for path in self._folder.glob("*.alive"):
            with self._locked():
                if path.stem in living or self._lives(path.stem):
                    living.add(path.stem)
                else:
                    path.unlink(missing_ok=True)
        for path in self._folder.iterdir():
            if path.name != ".lock" and path.suffix != ".alive":
                self._sweep_lease(path, living)

    def _sweep_lease(self, path: Path, living: set[str]) -> None:
        found = self._read(path.name)
        if found is not None and found.process in living:
            return
        with self._locked():
            found = self._read(path.name)
            if found is None or not self._lives(found.process):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Die, as far as the log is concerned."""
        if self._alive is not None:
            with self._locked():
                for path in (*self._spares, self._folder / f"{self._process}.alive"):
                    path.unlink(missing_ok=True)
            os.close(self._alive)
            self._alive = None
        self._lock.close()

    def forget(self) -> None:
        """In a forked child: close the inherited descriptors. The parent's own keep its locks."""
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None
        self._lock.close()

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        with self._lock.hold(timeout=_PATIENCE):
            failpoints.hit("lease.locked")
            yield

    def _is_other(self, holder: Holder) -> bool:
        return holder.process != self._process

    def _lives(self, process: str) -> bool:
        """Whether somebody holds a process's lock. Only under the lock: two who look at once would see each other."""
        try:
            fd = os.open(self._folder / f"{process}.alive", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not try_lock(fd)
        finally:
            os.close(fd)

    def _live(self) -> None:
        """Take this process's own lock, once."""
        if self._alive is None:
            fd = os.open(self._folder / f"{self._process}.alive", os.O_RDWR | os.O_CREAT, 0o644)
            try_lock(fd)
            self._alive = fd

    def _read(self, run_id: str) -> Holder | None:
        try:
            return _holder.validate_json((self._folder / run_id).read_bytes())
        except (FileNotFoundError, ValidationError):  # a process that died while it wrote a lease holds nothing
            return None

    def _write(self, run_id: str, activity: Literal["executing", "noting", "watching"], *, own: bool) -> None:
        """Write a lease: onto one that is this process's already, else a spare file that then gets its name, else anew.

        Files are kept for the next lease instead of being removed: ext4 takes 0.6 ms to find an inode for a new file
        when a thousand were removed in the last seconds, and a rename 0.02 ms. For the same reason a lease has a fixed
        size: a file that was truncated is written out to the disk as soon as it is closed.
        """
        self._live()
        holder = Holder(self._process, os.getpid(), platform.node(), datetime.now(UTC), activity)
        path = self._folder / run_id
        spare = self._spares.pop() if self._spares and not own else None
        written = spare or path
        fd = os.open(written, os.O_WRONLY | os.O_CREAT | BINARY, 0o644)
        try:
            write_all(fd, to_json(holder).ljust(_SIZE))
        finally:
            os.close(fd)
        if spare is not None:
            spare.rename(path)

    def _remove(self, run_id: str) -> None:
        spare = self._folder / f".{run_id}.spare"
        (self._folder / run_id).rename(spare)
        self._spares.append(spare)
