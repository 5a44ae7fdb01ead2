"""The thread that writes what was appended: woken once for all that comes before it looks."""

import threading
from collections.abc import Callable


class Committer:
    """Calls a function each time that somebody woke it; begins when it is first woken.

    Args:
        name: of the thread.
        work: writes all that waits.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._wake = threading.Lock()  # released to wake the thread; a lock is the cheapest thing that can
        self._wake.acquire()
        self._thread: threading.Thread | None = None
        self.awake = False

    def wake(self) -> None:
        """Have it work soon. Called under the lock that orders appends."""
        if not self.awake:
            self.awake = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._wake.release()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            self.awake = False  # from here on, an append wakes this thread again
            self._work()
