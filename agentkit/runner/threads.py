"""Worker threads for synchronous user code.

They are daemons: the standard library's executor joins its threads at exit, so one tool that hangs would keep the
interpreter from ending. A thread cannot be stopped from outside; who times a call out must still wait for its thread.
"""

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any

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


class Threads:
    """As many threads as calls at once; an idle one is used again and ends after ten seconds."""

    def __init__(self) -> None:
        self._idle: list[queue.SimpleQueue[Callable[[], None] | None]] = []
        self._lock = threading.Lock()

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
            loop.call_soon_threadsafe(_finish, future, result, error)

        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue[Callable[[], None] | None]()
            threading.Thread(target=self._serve, args=(inbox,), name="agentkit-tool", daemon=True).start()
        inbox.put(work)
        return future

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
    elif isinstance(error, StopIteration):  # a future cannot hold one
        future.set_exception(RuntimeError(f"StopIteration: {error}"))
    else:
        future.set_exception(error)


threads = Threads()
