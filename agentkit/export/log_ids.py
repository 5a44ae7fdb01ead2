"""Gives live spans the ids that the log gives them, where the tracer lets us choose."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.id_generator import IdGenerator


class LogIds:
    """An id generator of OpenTelemetry's SDK that gives the ids of the moment, and its predecessor's otherwise.

    Only the tracer that agentkit has for itself is given one: other people's spans are none of our business.

    Args:
        other: what made ids before; None where the tracer has no generator, and nothing can be chosen.
    """

    def __init__(self, other: "IdGenerator | None") -> None:
        self._other = other
        self._now = threading.local()

    @contextmanager
    def chosen(self, trace: int, span: int) -> Generator[None]:
        """The ids of the span that is begun within: the trace's counts only where the span has no parent."""
        self._now.ids = (trace, span)
        try:
            yield
        finally:
            self._now.ids = None

    @property
    def are_chosen(self) -> bool:
        """Whether the spans get the log's ids."""
        return self._other is not None

    @property
    def _ids(self) -> tuple[int, int] | None:
        return getattr(self._now, "ids", None)

    def generate_trace_id(self) -> int:
        """The SDK's word for it."""
        return self._ids[0] if self._ids is not None else self._asked.generate_trace_id()

    def generate_span_id(self) -> int:
        """The SDK's word for it."""
        return self._ids[1] if self._ids is not None else self._asked.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """A digest's bits are as evenly spread as random ones, which is what a sampler needs."""
        return True

    @property
    def _asked(self) -> "IdGenerator":
        assert self._other is not None, "a tracer without a generator asks for no ids"
        return self._other


def choose_ids(tracer: Any) -> LogIds:  # a tracer of the SDK, or of anybody else
    """Have a tracer of the SDK take its ids from the log."""
    other = getattr(tracer, "id_generator", None)
    if isinstance(other, LogIds):
        return other
    ids = LogIds(other)
    if other is not None:
        tracer.id_generator = ids
    return ids
