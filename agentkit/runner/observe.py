"""Who watches every run that executes in this process: live tracing. Nobody, unless `ak.instrument()` was called."""

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from agentkit.events import Event

if TYPE_CHECKING:
    from agentkit.runner.driver import Driver


class Observer(Protocol):
    """Watches runs; what it raises is nobody's concern, and what it takes is every step's."""

    def traceparent(self) -> str | None:
        """The trace that whoever starts a run here is in, as W3C Trace Context writes it."""
        ...

    def on_event(self, driver: "Driver", event: Event) -> None:
        """Be told of an event that was recorded; of a run's first one in the thread that started it."""
        ...

    def within(self, run_id: str, step: str) -> AbstractContextManager[None]:
        """What surrounds the work of a step: user code, and the request to a model's provider."""
        ...


class _Watch:
    """Who watches; one at most."""

    observer: Observer | None = None


watch = _Watch()


def traceparent() -> str | None:
    """The trace that a run which begins here is part of; None where nobody watches, or there is none."""
    if watch.observer is not None:
        with contextlib.suppress(Exception):
            return watch.observer.traceparent()
    return None


def tell(driver: "Driver", event: Event) -> None:
    """Tell whoever watches of an event."""
    if watch.observer is not None:
        with contextlib.suppress(Exception):  # a broken exporter must not stop a run
            watch.observer.on_event(driver, event)


def within(run_id: str, step: str) -> AbstractContextManager[None]:
    """What surrounds the work of a step."""
    if watch.observer is not None:
        with contextlib.suppress(Exception):
            return watch.observer.within(run_id, step)
    return contextlib.nullcontext()
