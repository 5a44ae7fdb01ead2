"""One background thread with an event loop that executes every run of the process.

So a run behaves the same in a script, in a notebook and inside an async program, and goes on while a cell is busy;
nobody's loop is patched. fsspec and dask drive their loops the same way.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Engine:
    """A thread and its loop. Runs use `engine()`; a process has one.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str = "agentkit") -> None:
        self.executing = 0  # activations
        self.loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lock = threading.Lock()
        self._arriving: list[Coroutine[Any, Any, Any]] = []
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,), name=name, daemon=True)
        self.thread.start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(started.set)
        while True:
            with contextlib.suppress(SystemExit, KeyboardInterrupt):  # one that got past a task must not stop every run
                self.loop.run_forever()

    @property
    def here(self) -> bool:
        """Whether the caller is on the loop's thread, where waiting would stop every run."""
        return threading.current_thread() is self.thread

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start a coroutine from any thread and keep it until it ends."""
        if self.here:
            self._spawn(coroutine)
            return
        with self._lock:
            self._arriving.append(coroutine)
            first = len(self._arriving) == 1
        if first:  # those that come before the loop looks share its wake-up
            self.loop.call_soon_threadsafe(self._spawn_arriving)

    def _spawn_arriving(self) -> None:
        with self._lock:
            arriving, self._arriving = self._arriving, []
        for coroutine in arriving:
            self._spawn(coroutine)

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def call(self, function: Callable[[], T]) -> T:
        """Run a short function on the loop's thread and return what it returns: the way to look at live state."""
        if self.here:
            return function()
        done = threading.Event()
        box: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                box.append(function())
            except BaseException as error:  # noqa: BLE001  it is raised again where the caller waits
                failed.append(error)
            finally:
                done.set()

        self.loop.call_soon_threadsafe(run)
        while not done.wait(0.2):  # in slices, so that interrupting the kernel works
            pass
        if failed:
            raise failed[0]
        return box[0]


def is_being_cancelled() -> bool:
    """Whether the running task was told to stop; user code can raise `CancelledError` of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class PerProcess:
    """An engine that is made when it is first asked for, one a process: a forked child gets one of its own.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._made: Engine | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    @property
    def made(self) -> Engine | None:
        """This process's, if it was asked for already."""
        return self._made

    def get(self) -> Engine:
        """This process's."""
        found = self._made
        if found is None:
            with self._lock:
                found = self._made
                if found is None:
                    found = self._made = Engine(self._name)
        return found

    def _forget(self) -> None:
        self._made = None  # the parent's thread is not here
        self._lock = threading.Lock()  # and may have held it


_engine = PerProcess("agentkit")


def engine() -> Engine:
    """The process's engine; a forked child gets one of its own."""
    return _engine.get()
