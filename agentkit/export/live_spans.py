"""One run's spans as they happen: begun where the event is recorded, described and ended in a thread of their own."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from agentkit.events import Event, RunPausedEvent, RunResumed, RunStarted
from agentkit.export.attributes import span_name
from agentkit.export.content import Content
from agentkit.export.handlers import handle
from agentkit.export.ids import span_id, trace_id
from agentkit.export.nodes import Node
from agentkit.export.profiles import Profile
from agentkit.export.recorded import Recorded
from agentkit.export.spans import Service, nanoseconds, spans_of
from agentkit.export.walk import Walk
from agentkit.state import State

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from agentkit.export.log_ids import LogIds


@dataclass(frozen=True)
class Live:
    """What the spans of every run are made with.

    Args:
        tracer: begins them.
        ids: gives them the log's ids, where the tracer lets us choose.
        profile: for which system they are described.
        content: what they may say.
        later: has something done in the thread that describes and ends spans.
    """

    tracer: "Tracer"
    ids: "LogIds"
    profile: Profile
    content: Content
    later: Callable[[Callable[[], None]], None]


class LiveRun:
    """The spans of one run that executes here.

    A run that pauses ends its span: the process may be gone before anybody answers. Resumed, it begins another one,
    in the same trace. So does a call that waits for a child run which paused.

    Args:
        live: what spans are made with.
        started: the run's first event.
        root_run_id: the run at the top of those that called this one.
        caller: the node, and its span, of the call that began it; None for a run that a person began.
        around: the context that the run's own span is begun in.
    """

    def __init__(
        self, live: Live, started: Event, root_run_id: str, caller: "tuple[Node, Span] | None", around: "Context"
    ) -> None:
        self.started = started
        self.goes_on = True  # executing, as far as its events say
        self.ended = False
        self._live = live
        self._around = _below(caller[1]) if caller is not None else around
        self._spans: dict[Node, Span] = {}
        self._left: list[Node] = []  # ended with a pause, without an outcome
        self._asked: list[Node] = []
        self.by_step: dict[str, Span] = {}
        above = caller[0] if caller is not None else None
        self.walk = Walk(
            Recorded((started,), root_run_id=root_run_id), above, above.run.root_name if above else None, prompts=False
        )

    def catch_up(self, events: Iterable[Event]) -> None:
        """Know what happened in another process, without a span for it."""
        for event in events:
            self.walk.take(event)
            handle(self.walk, event)
            self.walk.took(event)
        nodes, self.walk.nodes = self.walk.nodes, []
        open_ = [node for node in nodes if node.end is None and node is not self.walk.root]
        self._asked = [node for node in open_ if node.kind == "approval"]
        self._left = [node for node in open_ if node.kind != "approval"]

    def take(self, event: Event, state: State | None) -> None:
        """One event more.

        Args:
            event: it.
            state: the run's, with the event; None at its beginning.
        """
        self.walk.see(event, state)
        handle(self.walk, event)
        self.walk.took(event)
        new, self.walk.nodes = self.walk.nodes, []
        if isinstance(event.body, RunStarted):
            self._begin(self.walk.root, event, self._around)
            self._stay()
        elif isinstance(event.body, RunResumed):
            self._go_on(event)
        for node in new:
            self._take(node)
        self._end_closed()
        if isinstance(event.body, RunPausedEvent):
            self._leave_all("paused", event.ts)
        self.ended = self.walk.root.end is not None
        self.goes_on = not self.ended and not isinstance(event.body, RunPausedEvent)

    def move_below(self, span: "Span") -> None:
        """The run is resumed within a call that has another span now."""
        self._around = _below(span)

    def node_of(self, step: str) -> "tuple[Node, Span] | None":
        """The call at a step, and its span."""
        node = self.walk.newest(step)
        span = self._spans.get(node) if node is not None else None
        return (node, span) if node is not None and span is not None else None

    # beginning -------------------------------------------------------------------------------------------------------

    def _take(self, node: Node) -> None:
        if node.kind == "run":
            return
        if node.kind == "approval" and node.end is None:
            self._asked.append(node)
        else:
            self._begin(node, node.opened, self._within(node), at=node.start)

    def _stay(self) -> None:
        """Resumed, a run that is in nobody's trace goes on below its first span."""
        from opentelemetry.trace import get_current_span

        if not get_current_span(self._around).get_span_context().is_valid:
            self._around = _below(self._spans[self.walk.root])

    def _begin(self, node: Node, event: Event, context: "Context", *, at: datetime | None = None) -> None:
        from opentelemetry.trace import SpanKind

        with self._live.ids.chosen(trace_id(node.run.root_run_id), span_id(event.run_id, event.seq)):
            span = self._live.tracer.start_span(
                span_name(node),
                context=context,
                kind=SpanKind.CLIENT if node.kind == "model" else SpanKind.INTERNAL,
                start_time=nanoseconds(at or event.ts),
            )
        self._spans[node] = span
        if node.step is not None and node.end is None:
            self.by_step[node.step] = span

    def _within(self, node: Node) -> "Context":
        """The context of the span that a node is within; the run's own where that one has ended."""
        above = self._spans.get(node.parent) if node.parent is not None else None
        span = above or self._spans.get(self.walk.root)
        return _below(span) if span is not None else self._around

    def _go_on(self, event: Event) -> None:
        self._leave_all("interrupted", event.ts)
        self._begin(self.walk.root, event, self._around)
        left, self._left = self._left, []
        for node in left:
            self._begin(node, event, self._within(node))

    # ending ----------------------------------------------------------------------------------------------------------

    def _end_closed(self) -> None:
        for node in [node for node in self._asked if node.end is not None]:
            self._asked.remove(node)
            self._begin(node, node.opened, self._within(node), at=node.start)
        for node in [node for node in self._spans if node.end is not None]:
            self._end(node)
        self._left = [node for node in self._left if node.end is None]

    def _leave_all(self, why: str, at: datetime) -> None:
        for node in list(self._spans):
            if node is not self.walk.root:
                self._left.append(node)
            self._end(node, left=(why, at))

    def _end(self, node: Node, *, left: tuple[str, datetime] | None = None) -> None:
        span = self._spans.pop(node)
        if node.step is not None and self.by_step.get(node.step) is span:
            del self.by_step[node.step]
        said = node
        if left is not None:
            facts = {**node.facts, "agentkit.left": left[0]}
            said = replace(node, end=left[1], facts=facts, happenings=list(node.happenings))
        self._live.later(lambda: describe(span, said, self._live))


def describe(span: "Span", node: Node, live: Live) -> None:
    """Say on a span what a node is, as the exporter would, and end it."""
    made = spans_of([node], live.profile, live.content, Service())[0]
    with suppress(Exception):  # whatever becomes of the words, a span that was begun is ended
        if span.is_recording():
            span.set_attributes(dict(made.attributes or {}))
            for happened in made.events:
                span.add_event(happened.name, happened.attributes, happened.timestamp)
            for link in made.links:
                span.add_link(link.context, link.attributes)
            span.set_status(made.status)
    span.end(made.end_time)


def _below(span: "Span") -> "Context":
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span)
