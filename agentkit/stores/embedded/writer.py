"""One journal segment being written: never to be taken for a closed one, and cut back after a failure."""

import contextlib
import os
import sys
import time
from pathlib import Path

from agentkit import failpoints
from agentkit.stores.embedded.locks import BINARY, lock, sync_folder, write_durably

FAIL_POINTS = (
    "segment.created",
    "segment.locked",
    "segment.renamed",
    "segment.placed",
    "segment.awaited",
    "segment.written",
    "segment.closed",
)


class SegmentWriter:
    """A segment of this process.

    Whoever folds takes the segments that nobody has locked. A segment therefore gets its lock under a temporary name,
    which a fold does not look at, and its own name after that.

    Args:
        folder: `journal/` of the log.
        process: this process's name in the log.
    """

    def __init__(self, folder: Path, process: str) -> None:
        name = f"{process}.{time.time_ns()}"
        self.path = folder / f"{name}.jsonl"
        # Windows does not rename an open file; there it is enough that a fold leaves empty segments alone
        temporary = self.path if sys.platform == "win32" else folder / f".{name}.tmp"
        self.size = 0
        self._fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | BINARY, 0o644)
        try:
            failpoints.hit("segment.created")
            lock(self._fd)
            failpoints.hit("segment.locked")
            temporary.rename(self.path)
            failpoints.hit("segment.renamed")
            sync_folder(folder)
        except OSError:
            os.close(self._fd)
            for path in (temporary, self.path):
                path.unlink(missing_ok=True)
            raise
        failpoints.hit("segment.placed")

    def write(self, data: bytes) -> None:
        """Append lines and wait until they are on disk.

        Raises:
            OSError: they are not, or only some; `abandon` the segment then.
        """
        failpoints.hit("segment.awaited")
        write_durably(self._fd, data)
        failpoints.hit("segment.written")
        self.size += len(data)

    def abandon(self) -> None:
        """Close the segment after a failed write, cut back to what was acknowledged.

        After a failed sync the kernel may call the lost pages clean, and a second sync of this file would succeed
        without them ("fsyncgate"); so it is never written or synced again.
        """
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self.size)
        with contextlib.suppress(OSError):
            self.close()

    def close(self) -> None:
        """Close the segment and with that give its lock back: from now on it can be folded."""
        os.close(self._fd)
        if self.size == 0:
            with contextlib.suppress(OSError):
                self.path.unlink()
        failpoints.hit("segment.closed")

    def forget(self) -> None:
        """In a forked child: close the inherited descriptor; the parent's own keeps the lock."""
        os.close(self._fd)
