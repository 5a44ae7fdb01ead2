"""Locks that die with their process, and writes that outlive the machine: the parts that differ between systems.

POSIX: `flock`, which belongs to the open file, so the kernel gives it back when the last descriptor of it closes.
Windows: `msvcrt.locking` of one byte far behind the end, which does not keep others from reading. `filelock` was the
alternative: it is larger than this and knows no durable sync.
"""

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

from agentkit.errors import LogBusy

BINARY = getattr(os, "O_BINARY", 0)  # Windows would write two bytes for a newline

if sys.platform == "win32":
    import msvcrt

    _BYTE = 1 << 40

    def try_lock(fd: int) -> bool:
        """Lock an open file for this process alone; False when somebody else has it."""
        os.lseek(fd, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(fd: int) -> None:
        """Give a lock back."""
        os.lseek(fd, _BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

    def sync(fd: int) -> None:
        """Wait until what was written to a file is on disk."""
        os.fsync(fd)

    def sync_folder(path: Path) -> None:  # NTFS journals its directories
        """Wait until a folder's names are on disk."""

else:
    import fcntl

    def try_lock(fd: int) -> bool:
        """Lock an open file for this process alone; False when somebody else has it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(fd: int) -> None:
        """Give a lock back."""
        fcntl.flock(fd, fcntl.LOCK_UN)

    def sync(fd: int) -> None:
        """Wait until what was written to a file is on disk."""
        if sys.platform == "darwin":
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # there, fsync leaves the data in the disk's own cache
        else:
            os.fdatasync(fd)

    def sync_folder(path: Path) -> None:
        """Wait until a folder's names are on disk."""
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def lock(fd: int, *, timeout: float = 30.0) -> bool:
    """Lock an open file for this process alone, waiting for it; False when it took longer than `timeout` seconds."""
    deadline, pause = time.monotonic() + timeout, 0.0002
    while not try_lock(fd):
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    return True


class FileLock:
    """A lock between processes, and between the threads of this one.

    Args:
        path: the lock's file; it is made and never removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = threading.Lock()
        self._fd: int | None = None

    @contextlib.contextmanager
    def hold(self, *, timeout: float) -> Generator[int]:
        """Hold the lock for a `with` block.

        Args:
            timeout: how many seconds to wait for it; 0 tries once.

        Yields:
            The lock file's descriptor.

        Raises:
            LogBusy: somebody else has it for longer than that.
        """
        if not self._thread.acquire(timeout=timeout):
            raise LogBusy(f"{self.path}: another thread of this process holds it for more than {timeout} s")
        try:
            fd = self._open()
            if not lock(fd, timeout=timeout):
                raise LogBusy(f"{self.path}: another process holds it; end that process, or wait for it")
            try:
                yield fd
            finally:
                unlock(fd)
        finally:
            self._thread.release()

    def close(self) -> None:
        """Close the lock's file; the next `hold` opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        return self._fd


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it; a disk that takes only a part raises for the rest."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_durably(fd: int, data: bytes) -> None:
    """Append to a file opened with `O_APPEND`, and wait until it is on disk.

    Linux does both in one call, which spares the journal's thread one wait for the interpreter's lock: 20 of the 60
    microseconds that handing an append to another thread costs. gVisor and old kernels do not know the flag.
    """
    view = memoryview(data)
    if hasattr(os, "RWF_DSYNC"):
        try:
            while view:
                view = view[os.pwritev(fd, [view], 0, os.RWF_DSYNC) :]  # the offset does not count for such a file
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
                raise
        else:
            return
    write_all(fd, view)
    sync(fd)
