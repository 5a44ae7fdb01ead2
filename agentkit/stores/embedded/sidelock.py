"""The lock beside the DuckDB file: many readers or one writer, among agentkit's own processes and threads.

DuckDB's own lock is a POSIX record lock: it belongs to the process and is lost when any descriptor of that file closes.
This one is a `flock`, which belongs to the open file; each holder opens its own, so it works between threads too.
"""

import contextlib
import errno
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path

from agentkit.errors import LogBusy
from agentkit.stores.embedded.locks import try_lock, unlock

if sys.platform == "win32":
    try_share = try_lock  # msvcrt has no shared lock: readers take turns
else:
    import fcntl

    def try_share(fd: int) -> bool:
        """Lock an open file together with other readers; False when a writer has it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_held: set[int] = set()


def _close_inherited() -> None:
    """A forked child shares its parent's open files, and would keep the parent's locks for as long as it lives."""
    for fd in _held:
        os.close(fd)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


@contextlib.contextmanager
def hold(path: Path, *, shared: bool, timeout: float) -> Generator[None, None, None]:
    """Hold the lock for a `with` block.

    Args:
        path: the lock's file; it is made and never removed.
        shared: together with other readers, or alone.
        timeout: how many seconds to wait for it; 0 tries once.

    Raises:
        LogBusy: others have it for longer than that.
    """
    take = try_share if shared else try_lock
    deadline, pause = time.monotonic() + timeout, 0.0005
    fd = _opened(path)
    _held.add(fd)
    try:
        while not take(fd):
            if time.monotonic() >= deadline:
                raise LogBusy(f"{path}: other agentkit processes read or fold the log for more than {timeout} s")
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        try:
            yield
        finally:
            if fd in _held:
                unlock(fd)
    finally:
        if fd in _held:
            _held.discard(fd)
            os.close(fd)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        return os.open(path, os.O_RDONLY)  # a log that is only readable, by its permissions or its file system
