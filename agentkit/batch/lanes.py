"""Doing the same to many things, several at a time: whoever waits for a disk at the same time shares the wait."""

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Job: TypeAlias = Callable[[], Any]  # what it returns is dropped

_LANES = 8
"""Threads. With two processors 1, 4, 8, 16 submit 165, 267, 321, 263 runs a second to a folder on a disk, and 121, 211,
243, 233 to PostgreSQL beside it."""


def side_by_side(things: Iterable[T], begin: Callable[[T], Job | None]) -> bool:
    """Take things one after the other, and do what each needs in several threads, this one among them.

    Args:
        things: read lazily, in turns.
        begin: called with each, in their order; gives what is left to be done with it, which need not be in order.
            None ends all of it.

    Returns:
        Whether all were taken; what was begun is done then.

    Raises:
        BaseException: the first that reading, `begin` or a job raised; nothing was taken after it.
    """
    lanes = _Lanes(things, begin)
    threads = [
        threading.Thread(target=partial(contextvars.copy_context().run, lanes.work), name="agentkit-map")
        for _ in range(_LANES - 1)
    ]
    for thread in threads:
        thread.daemon = threading.current_thread().daemon
        with contextlib.suppress(RuntimeError):  # the interpreter ends, and takes no new thread any more
            thread.start()
    lanes.work()
    for thread in threads:
        if thread.ident is not None:
            thread.join()
    if lanes.errors:
        raise lanes.errors[0]
    return lanes.exhausted


class _Lanes:
    def __init__(self, things: Iterable[Any], begin: Callable[[Any], Job | None]) -> None:
        self.errors: list[BaseException] = []
        self.exhausted = False
        self._things = iter(things)
        self._begin = begin
        self._over = False
        self._turn = threading.Lock()

    def work(self) -> None:
        """Take and do, until nothing is left or something went wrong."""
        try:
            while (job := self._next()) is not None:
                job()
        except BaseException as error:  # noqa: BLE001  whoever began all this is told
            self.errors.append(error)
            self._over = True

    def _next(self) -> Job | None:
        with self._turn:
            if self._over:
                return None
            for thing in self._things:
                job = self._begin(thing)
                self._over = job is None
                return job
            self.exhausted = self._over = True
            return None
