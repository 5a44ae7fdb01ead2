"""Worker threads for synchronous user code.

They are daemons: the standard library's executor joins its threads at exit, so one tool that hangs would keep the
interpreter from ending. A thread cannot be stopped from outside; who times a call out must still wait for its thread.
"""

import asyncio
import contextlib
import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(slots=True, eq=False)
class _Call:
    """A function on its way to a thread. Whoever waits for it in place holds `awaited`, and finds `done` there."""

    future: ThreadFuture
    context: contextvars.Context
    function: Callable[[], Any]
    awaited: "threading.Lock | None" = None
    done: "_Done | None" = None


class Threads:
    """As many threads as calls that take their time; an idle one is used again and ends after ten seconds.

    While calls wait, a thread is on its way to them: one that was sent, or comes back from user code. It sends another
    before it enters user code itself. So a thousand calls that return at once share a few threads, and one that hangs
    holds up nobody.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._idle: list[threading.Lock] = []  # each is released to send its thread to work
        self._coming = 0  # threads that are on their way
        self._done: dict[asyncio.AbstractEventLoop, list[_Done]] = {}

    def run(self, function: Callable[[], Any], *, patience: float = 0.0) -> ThreadFuture:
        """Call a function in a thread.

        Args:
            function: what to call; the caller's context variables are copied.
            patience: seconds for which the loop is held up to see it return. Where the loop has nothing else to do,
                that spares a quick call the loop's wake-up.

        Returns:
            A future of the running loop with the function's result or error.
        """
        call = _Call(ThreadFuture(loop=asyncio.get_running_loop()), contextvars.copy_context(), function)
        if patience > 0:
            call.awaited = threading.Lock()
            call.awaited.acquire()
        with self._lock:
            if self._coming == 0:
                self._send()
            self._calls.append(call)
        if call.awaited is not None:
            self._await(call, call.awaited, patience)
        return call.future

    def _await(self, call: _Call, awaited: threading.Lock, patience: float) -> None:
        awaited.acquire(timeout=patience)
        with self._lock:
            call.awaited = None
        if call.done is not None:
            _finish(*call.done)

    def _send(self) -> None:
        if self._idle:
            self._idle.pop().release()
        else:
            threading.Thread(target=self._serve, name="agentkit-tool", daemon=True).start()
        self._coming += 1

    def _serve(self) -> None:
        sent = threading.Lock()
        sent.acquire()
        while True:
            self._work(sent)
            if not self._is_sent_again(sent):
                return

    def _work(self, sent: threading.Lock) -> None:
        """Do calls until none waits; from then on the thread is an idle one."""
        while (call := self._take(sent)) is not None:
            try:
                result, error = call.context.run(call.function), None
            except BaseException as raised:  # noqa: BLE001  it belongs to whoever awaits the future
                result, error = None, raised
            self._hand_over(call, (call.future, result, error))

    def _take(self, sent: threading.Lock) -> _Call | None:
        with self._lock:
            self._coming -= 1
            if not self._calls:
                self._idle.append(sent)
                return None
            call = self._calls.popleft()
            if self._calls and self._coming == 0:
                with contextlib.suppress(RuntimeError):  # no more threads: this one comes back for them
                    self._send()
            return call

    def _is_sent_again(self, sent: threading.Lock) -> bool:
        """Wait to be needed; False when nobody did for too long."""
        if sent.acquire(timeout=_IDLE_SECONDS):
            return True
        with self._lock:
            if sent in self._idle:
                self._idle.remove(sent)
                return False
        return sent.acquire()  # somebody sent it while it was giving up

    def _hand_over(self, call: _Call, done: "_Done") -> None:
        """Give a result to its loop; those that come before it looks share one wake-up. The thread is coming back."""
        loop = call.future.get_loop()
        with self._lock:
            self._coming += 1
            if call.awaited is not None:
                call.done = done
                call.awaited.release()
                return
            waiting = self._done.setdefault(loop, [])
            first = not waiting
            waiting.append(done)
        if first:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(self._take_over, loop)

    def _take_over(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            waiting = self._done.pop(loop)
        for future, result, error in waiting:
            _finish(future, result, error)


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

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=threads.__init__)  # the parent's threads are not there
