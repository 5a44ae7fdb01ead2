"""Worker threads for synchronous user code.

They are daemons: the standard library's executor joins its threads at exit, so one tool that hangs would keep the
interpreter from ending. A thread cannot be stopped from outside; who times a call out must still wait for its thread.
"""

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

_IDLE_SECONDS = 10.0


class ThreadFuture(asyncio.Future[Any]):
    """The result of a call in a thread. It cannot be cancelled, as the thread cannot be stopped.

    So a task that is cancelled while it awaits one gets the cancellation when the thread is back, and finds here what
    it brought.
    """

    def cancel(self, msg: Any | None = None) -> bool:
        """Refuse."""
        del msg
        return False


_Done: TypeAlias = "tuple[ThreadFuture, Any, BaseException | None]"


class Threads:
    """As many threads as calls at once; an idle one is used again and ends after ten seconds."""

    def __init__(self) -> None:
        self._idle: list[queue.SimpleQueue[Callable[[], None] | None]] = []
        self._lock = threading.Lock()
        self._done: dict[asyncio.AbstractEventLoop, list[_Done]] = {}

    def run(self, function: Callable[[], Any]) -> "ThreadFuture":
        """Call a function in a thread.

        Args:
            function: what to call; the caller's context variables are copied.

        Returns:
            A future of the running loop with the function's result or error.
        """
        loop = asyncio.get_running_loop()
        future = ThreadFuture(loop=loop)
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result, error = context.run(function), None
            except BaseException as raised:  # noqa: BLE001  it belongs to whoever awaits the future
                result, error = None, raised
            self._hand_over(loop, (future, result, error))

        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue[Callable[[], None] | None]()
            threading.Thread(target=self._serve, args=(inbox,), name="agentkit-tool", daemon=True).start()
        inbox.put(work)
        return future

    def _hand_over(self, loop: asyncio.AbstractEventLoop, done: "_Done") -> None:
        """Give a result to its loop; those that come before it looks share one wake-up."""
        with self._lock:
            waiting = self._done.setdefault(loop, [])
            first = not waiting
            waiting.append(done)
        if first:
            loop.call_soon_threadsafe(self._take_over, loop)

    def _take_over(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            waiting = self._done.pop(loop)
        for future, result, error in waiting:
            _finish(future, result, error)

    def _serve(self, inbox: "queue.SimpleQueue[Callable[[], None] | None]") -> None:
        while True:
            try:
                work = inbox.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        return
                continue  # somebody took this thread while it was giving up
            if work is None:
                return
            work()
            del work
            with self._lock:
                self._idle.append(inbox)


def _finish(future: ThreadFuture, result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration | GeneratorExit | asyncio.CancelledError):  # these steer a coroutine
        future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
    else:
        future.set_exception(error)


threads = Threads()
