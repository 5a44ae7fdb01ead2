"""A thread that describes spans and hands them to whatever exports them: no run waits for an exporter."""

import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue

MOST = 10_000
"""Ended spans that may wait; what comes beyond them is let go, with a warning: memory is the program's."""

PATIENCE = 5.0
"""Seconds that the end of the program waits for the thread."""


class Later:
    """Does small pieces of work in their order, in a daemon thread of this process."""

    def __init__(self) -> None:
        self._queue: Queue[Callable[[], None]] = Queue(MOST)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.lost = 0

    def do(self, work: Callable[[], None]) -> None:
        """Have something done; never waits."""
        if self._thread is None:
            self._start()
        try:
            self._queue.put_nowait(work)
        except Full:
            self.lost += 1
            if self.lost == 1:
                warnings.warn(
                    f"the exporter of this program's spans does not keep up: {MOST} of agentkit's wait for it, and "
                    "more are let go; give its tracer provider a BatchSpanProcessor, or use export= of ak.open_log",
                    stacklevel=2,
                )

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="agentkit-live", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        while True:
            work = self._queue.get()
            with suppress(Exception):  # an exporter's error is its own
                work()
            self._queue.task_done()

    def flush(self, timeout: float = PATIENCE) -> bool:
        """Wait until everything is done, for so many seconds at most; whether it is."""
        end = time.monotonic() + timeout
        while self._queue.unfinished_tasks:
            if time.monotonic() >= end:
                return False
            time.sleep(0.005)
        return True


later = Later()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=later.__init__)  # the parent's thread is not there
