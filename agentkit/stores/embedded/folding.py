"""Moves closed segments into the table, in the background, and unlinks them in a later fold."""

import contextlib
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit import failpoints
from agentkit.errors import LogCorrupt, LogError
from agentkit.ids import new_id
from agentkit.stores.embedded import segment
from agentkit.stores.embedded.locks import FileLock, try_lock

if TYPE_CHECKING:
    from agentkit.stores.embedded.warehouse import Warehouse

FAIL_POINTS = ("folding.locked", "folding.announced", "folding.unlinked", "folding.taken", "folding.recorded")
_AT_ONCE = 16  # segments in one transaction: about 16 MB of rows in memory


class Folding:
    """Folds one log; of all its processes, the one that gets `fold.lock` does.

    Args:
        folder: the log's.
        warehouse: opens the table when there is something to fold.
    """

    def __init__(self, folder: Path, warehouse: "Callable[[], Warehouse]") -> None:
        self._folder = folder
        self._warehouse = warehouse
        self._lock = FileLock(folder / "fold.lock")
        self._folded: set[str] = set()  # in the table, not unlinked yet
        self._damaged: set[str] = set()

    def due(self) -> int:
        """How many closed segments wait to be folded."""
        return len([path for path in self._closed() if path.name not in self._folded | self._damaged])

    def fold(self, *, timeout: float = 0.0) -> bool:
        """Fold what is closed; False when it was put off.

        Args:
            timeout: seconds to wait for another fold to end.
        """
        try:
            with self.alone(timeout=timeout):
                self.fold_closed()
        except (LogError, OSError):  # a foreign tool has the file, or the disk is full: the segments stay
            return False
        return True

    @contextlib.contextmanager
    def alone(self, *, timeout: float) -> Generator[None]:
        """Keep every other process from folding for a `with` block.

        Raises:
            LogBusy: another one folds for longer than `timeout` seconds.
        """
        with self._lock.hold(timeout=timeout) as fd:
            failpoints.hit("folding.locked")
            self._announce(fd)
            failpoints.hit("folding.announced")
            yield

    def fold_closed(self) -> None:
        """Unlink what an earlier fold took, then fold what is closed; inside `alone` only.

        Raises:
            LogBusy: a foreign tool keeps the table's file open.
        """
        closed = self._closed()
        if not closed:
            return
        done = self._warehouse().ingested()
        for path in closed:
            if path.name in done:
                with contextlib.suppress(OSError):  # Windows keeps what a reader has open: the next fold's work
                    path.unlink()
                failpoints.hit("folding.unlinked")
        fresh = [path for path in closed if path.name not in done | self._damaged]
        self._folded = set()
        for start in range(0, len(fresh), _AT_ONCE):
            self._take(fresh[start : start + _AT_ONCE])

    def open_segments(self) -> list[Path]:
        """The segments that a living process still writes."""
        closed = set(self._closed())
        return [path for path in (self._folder / "journal").glob(segment.PATTERN) if path not in closed]

    def sweep(self, lives: Callable[[str], bool]) -> None:
        """Remove segments that were never written to, begun by processes that are dead.

        Args:
            lives: whether a process does. It is asked once its segment was seen: a process lives before it has one, so
                one that starts in this moment is never taken for dead.
        """
        for path in (self._folder / "journal").iterdir():
            process = path.name.lstrip(".").partition(".")[0]
            with contextlib.suppress(FileNotFoundError):  # it was renamed, or folded, since
                unused = path.suffix == ".tmp" or (path.match(segment.PATTERN) and path.stat().st_size == 0)
                if unused and not lives(process):
                    path.unlink()

    def close(self) -> None:
        """Close the lock's file; also in a forked child, where it is the parent's."""
        self._lock.close()

    def _take(self, segments: list[Path]) -> None:
        failpoints.hit("folding.taken")
        try:
            self._folded.update(self._warehouse().fold(segments))
        except LogCorrupt:
            if len(segments) == 1:  # it stays for a person to look at: reading its runs says where the damage is
                self._damaged.add(segments[0].name)
                return
            for path in segments:
                self._take([path])
        failpoints.hit("folding.recorded")

    def _announce(self, fd: int) -> None:
        """Write which fold this is, before anything changes: readers compare it to know whether the table can have."""
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, new_id().encode())

    def _closed(self) -> list[Path]:
        """The segments whose writer closed them or died: nobody has them locked."""
        found: list[Path] = []
        for path in sorted((self._folder / "journal").glob(segment.PATTERN)):
            try:
                fd = os.open(path, os.O_RDWR)
            except OSError:  # unlinked meanwhile, or not ours to write
                continue
            try:
                if try_lock(fd) and os.fstat(fd).st_size > 0:
                    found.append(path)
            finally:
                os.close(fd)
        return found
