"""No daemon thread is inside DuckDB when the interpreter ends.

The interpreter ends such a thread by unwinding its stack as soon as it comes back for the GIL; DuckDB's frames do not
let themselves be unwound, and the process aborts. So who goes in says so; once the process ends, daemon threads stay
out, and those that are in are waited for.
"""

import atexit
import contextlib
import os
import threading
from collections.abc import Generator

from agentkit.errors import LogBusy

PATIENCE = 10.0
"""Seconds that the end of the process waits for a query."""


class _Doorkeeper:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[threading.Thread, int] = {}
        self._closed = False

    @contextlib.contextmanager
    def inside(self) -> Generator[None, None, None]:
        thread = threading.current_thread()
        with self._changed:
            depth = self._inside.get(thread, 0)
            if self._closed and thread.daemon and not depth:
                raise LogBusy("this process is ending, so its background threads ask the log nothing more")
            self._inside[thread] = depth + 1
        try:
            yield
        finally:
            with self._changed:
                if depth:
                    self._inside[thread] = depth
                else:
                    self._inside.pop(thread, None)
                    self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not any(thread.daemon for thread in self._inside), PATIENCE)

    def become_child(self) -> None:
        here = threading.current_thread()  # of the parent's threads this one alone is there
        inside = {here: self._inside[here]} if here in self._inside else {}
        self.__init__()
        self._inside = inside


_doorkeeper = _Doorkeeper()
inside = _doorkeeper.inside
"""Decorates a function that uses DuckDB: for as long as it runs, this thread is inside. It may call others of the kind.

A connection goes through DuckDB once more when its last name is gone: a `with` block within the function is too short.

Raises:
    LogBusy: the process ends, and this is one of its daemon threads.
"""

atexit.register(_doorkeeper.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_doorkeeper.become_child)
