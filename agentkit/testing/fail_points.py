"""Arming the fail points of the durable steps: stop, kill or fail a process exactly there."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from agentkit import failpoints, registry

_MODULES = (
    "agentkit.runner.activation",
    "agentkit.runner.driver",
)


class FailPoints:
    """Counts the fail points that are reached, and does something at one of them.

    Args:
        at: the point's name; None only counts.
        nth: at which time it is reached, from 1.
        action: what to do there: "kill" sends SIGKILL to this process, "count" nothing, a function is called.

    Example:
        >>> with FailPoints() as points:
        ...     failpoints.hit("tool.started")
        >>> points.reached["tool.started"]
        1
    """

    def __init__(self, at: str | None = None, *, nth: int = 1, action: "str | Callable[[], None]" = "count") -> None:
        self.at = at
        self.nth = nth
        self.action = action
        self.reached: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        failpoints.arm(self._hit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failpoints.arm(None)

    def _hit(self, name: str) -> None:
        with self._lock:
            self.reached[name] += 1
            here = name == self.at and self.reached[name] == self.nth
        if not here:
            return
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif callable(self.action):
            self.action()


def all_fail_points() -> tuple[str, ...]:
    """The names of all fail points of the runner, sorted: what a test of the failure table has to reach."""
    names: set[str] = set()
    for module in _MODULES:
        names.update(registry.load(f"{module}:FAIL_POINTS"))  # type: ignore[arg-type]
    return tuple(sorted(names))


@contextmanager
def blocked_at(name: str, *, nth: int = 1) -> Generator[tuple[threading.Event, threading.Event]]:
    """Stop whoever reaches a fail point: forces a schedule of a race.

    Args:
        name: the point.
        nth: at which time it is reached, from 1.

    Yields:
        Two events: one that is set when somebody is there, and one to set to let them go on.
    """
    there, go_on = threading.Event(), threading.Event()

    def stop() -> None:
        there.set()
        go_on.wait(60)

    with FailPoints(name, nth=nth, action=stop):
        try:
            yield there, go_on
        finally:
            go_on.set()
