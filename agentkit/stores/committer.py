"""The thread that writes what was appended: woken once for all that comes before it looks."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


class Committer:
    """Calls a function each time that somebody woke it; begins when it is first woken.

    Args:
        name: of the thread.
        lock: orders appends.
        work: writes all that waits, and lets nothing but an interrupt out.
    """

    def __init__(self, name: str, lock: threading.Lock, work: Callable[[], None]) -> None:
        self._name = name
        self._lock = lock
        self._work = work
        self._wake = threading.Lock()  # released to wake the thread; a lock is the cheapest thing that can
        self._wake.acquire()
        self._thread: threading.Thread | None = None
        self._settling: list[Future[None]] = []
        self._over = False
        self.awake = False

    def wake(self) -> None:
        """Have it work soon. Called under the lock that orders appends."""
        if not self.awake:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
            self.awake = True
            self._wake.release()

    def settle(self, timeout: float | None = None) -> None:
        """Wait until all that waits now was written, or has failed.

        The thread does it, not the caller: Ctrl-C ends the wait, and what other runs appended is written all the same.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            TimeoutError: it took longer.
        """
        if self._over:
            self._work()
            return
        done: Future[None] = Future()
        try:
            with self._lock:
                self.wake()
                self._settling.append(done)
        except RuntimeError:  # the interpreter ends, and takes no new thread any more
            self._work()
        else:
            done.result(timeout)

    def stop(self) -> None:
        """End the thread."""
        self._over = True
        if self._thread is not None:
            with self._lock:
                self.wake()

    def _run(self) -> None:
        while not self._over:
            self._wake.acquire()
            self.awake = False  # from here on, an append wakes this thread again
            with self._lock:
                settling, self._settling = self._settling, []
            try:
                self._work()
            finally:
                for done in settling:
                    done.set_result(None)
