"""The future of an append, for stores with a thread that writes: those that share a sync end together."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future

DONE: "Future[None]" = Future()
"""What everybody gets who has nothing to wait for."""
DONE.set_result(None)


def failed(error: Exception) -> "Future[None]":
    """The future of an append that cannot be made any more."""
    future: Future[None] = Future()
    future.set_exception(error)
    return future


class Acknowledgement(Future[None]):
    """Done when an append is on disk.

    A thousand runs of one event loop wait for the same sync. Were each future to wake the loop by itself, the journal's
    thread would lose the interpreter's lock a thousand times on the way. So what `asyncio.wrap_future` asks to be told
    is told in the loop's own thread, all in one go; who blocks in `result()` is woken at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio._get_running_loop()  # noqa: SLF001  the documented one raises where there is none
        self._callbacks: list[Callable[[Future[None]], object]] = []

    def cancel(self) -> bool:
        """Refuse: what is queued is written, and a waiter that gives up cannot change that."""
        return False

    def add_done_callback(self, fn: "Callable[[Future[None]], object]") -> None:
        """Call `fn(self)` when done: in the loop that made this future where several end at once, else anywhere."""
        self._callbacks.append(fn)
        if self.done():
            self.tell()

    def tell(self) -> None:
        """Call what waits to be called; each is called once, whoever comes first."""
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:  # another thread took the last one
                return
            callback(self)


def acknowledge(outcomes: "Iterable[tuple[Acknowledgement, Exception | None]]") -> None:
    """End futures: what waits in threads goes on, and each event loop is woken once.

    Args:
        outcomes: futures with the error that they end in, None for success.
    """
    by_loop: dict[asyncio.AbstractEventLoop | None, list[Acknowledgement]] = {}
    for future, problem in outcomes:
        if problem is None:
            future.set_result(None)
        else:
            future.set_exception(problem)
        by_loop.setdefault(future.loop, []).append(future)
    for loop, futures in by_loop.items():
        if loop is None or len(futures) == 1:
            _tell(futures)
            continue
        try:
            loop.call_soon_threadsafe(_tell, futures)
        except RuntimeError:  # the loop was closed: whoever still waits is not in it
            _tell(futures)


def _tell(futures: list[Acknowledgement]) -> None:
    for future in futures:
        future.tell()
