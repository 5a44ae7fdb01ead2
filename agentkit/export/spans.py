"""From a run to OpenTelemetry spans: a pure function. The same log gives the same spans, byte for byte."""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agentkit.errors import ConfigError
from agentkit.events import ErrorInfo, Event
from agentkit.export.attributes import base, span_name
from agentkit.export.content import Content, ContentMode
from agentkit.export.ids import span_id, trace_id
from agentkit.export.nodes import Node
from agentkit.export.profiles import OTLP, Profile, profile_named
from agentkit.export.recorded import Recorded, gather, of_events
from agentkit.export.tree import tree
from agentkit.runner.run import Run

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event as SpanEvent
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Link, SpanContext, Status

SCOPE = "agentkit"
"""The instrumentation scope's name. Langfuse drops what begins with "langfuse-sdk" and came from elsewhere."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Service:
    """Who sends the spans: OpenTelemetry's resource.

    Args:
        name: `service.name`.
        version: `service.version`; the release of agentkit where it is left out.
        environment: `deployment.environment.name`, for example "production".
    """

    name: str = "agentkit"
    version: str | None = None
    environment: str | None = None

    def attributes(self) -> dict[str, str]:
        """The resource's attributes."""
        from agentkit import __version__

        found = {"service.name": self.name, "service.version": self.version or __version__}
        return found if self.environment is None else {**found, "deployment.environment.name": self.environment}


def to_spans(
    run: "Run | Recorded | Iterable[Event]",
    profile: "Profile | str" = OTLP,
    *,
    content: "Content | ContentMode" = "redacted",
    service: Service | None = None,
) -> "list[ReadableSpan]":
    """The spans of a run and of all that it called, one trace.

    Ids and times come from the log alone, so doing it again gives the same spans: one an attempt, one a decision, one
    an approval. Costs are on model calls only.

    Args:
        run: a run; or what `gather` read of one; or its events, those of the runs that it called after them.
        profile: for which system: "otlp", "langfuse" or "langsmith".
        content: how much of what was said leaves: "full", "redacted" or "none".
        service: who sends them.

    Returns:
        OpenTelemetry's spans, a parent before what is within it.

    Raises:
        ConfigError: the extra `otel` is not installed, there is no such profile, or the events are no run's.
        LogCorrupt: the events do not follow each other; those of a fork need the run itself.

    Example:
        >>> spans = to_spans(run)                                       # doctest: +SKIP
        >>> [span.name for span in spans]                               # doctest: +SKIP
        ['invoke_agent support', 'chat gpt-5-mini', 'decision', 'execute_tool find_order', …]
    """
    need_opentelemetry()
    chosen = profile_named(profile) if isinstance(profile, str) else profile
    how = content if isinstance(content, Content) else Content(content)
    recorded = recorded_of(run)
    return spans_of(tree(recorded, prompts=how.mode != "none"), chosen, how, service or Service())


def recorded_of(run: "Run | Recorded | Iterable[Event]") -> Recorded:
    """What is exported of a run, whatever it was given as."""
    if isinstance(run, Recorded):
        return run
    return gather(run.store, run.run_id) if isinstance(run, Run) else of_events(run)


def need_opentelemetry() -> None:
    """Make sure that the packages are there.

    Raises:
        ConfigError: they are not; how to install them.
    """
    try:
        importlib.import_module("opentelemetry.exporter.otlp.proto.common.trace_encoder")
        importlib.import_module("opentelemetry.sdk.trace")
    except ImportError as error:
        raise ConfigError(f"exporting needs the extra otel: pip install 'jupyter-agentkit[otel]' ({error})") from error


def spans_of(nodes: Iterable[Node], profile: Profile, content: Content, service: Service) -> "list[ReadableSpan]":
    """Nodes as spans of one target.

    Args:
        nodes: of one trace.
        profile: the target's.
        content: what may leave.
        service: who sends them.
    """
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    resource = Resource(service.attributes())
    scope = InstrumentationScope(SCOPE)
    return [_span(node, profile, content, resource, scope) for node in nodes]


def _span(node: Node, profile: Profile, content: Content, resource: Any, scope: Any) -> "ReadableSpan":
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanKind

    attributes = base(node, content) | profile.extras(node, content)
    for name in profile.without(node):
        attributes.pop(name, None)
    return ReadableSpan(
        span_name(node),
        context=_context(node.run.root_run_id, node.run.run_id, node.opened.seq),
        parent=_parent(node),
        resource=resource,
        attributes=attributes,
        events=_events(node, content),
        links=_links(node),
        kind=SpanKind.CLIENT if node.kind == "model" else SpanKind.INTERNAL,
        status=_status(node, content),
        start_time=nanoseconds(node.start),
        end_time=nanoseconds(node.end or node.start),
        instrumentation_scope=scope,
    )


def nanoseconds(moment: datetime) -> int:
    """A time as integer nanoseconds since 1970; never by way of a float, which would lose some."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


def _context(root: str, run_id: str, seq: int) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags

    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace_id(root), span_id(run_id, seq), is_remote=False, trace_flags=sampled)


def _parent(node: Node) -> "SpanContext | None":
    """The span it is within; of a run that is exported without its caller, the call that the caller's export has."""
    if node.parent is not None:
        return _context(node.run.root_run_id, node.parent.run.run_id, node.parent.opened.seq)
    return _context(node.run.root_run_id, *node.run.caller) if node.run.caller is not None else None


def _links(node: Node) -> "tuple[Link, ...]":
    """A fork or a follow-up is a trace of its own, and points at the run that it began with."""
    from opentelemetry.trace import Link, SpanContext, TraceFlags

    origin = node.run.origin if node.kind == "run" else None
    if origin is None:
        return ()
    flags = TraceFlags(TraceFlags.SAMPLED)
    context = SpanContext(trace_id(origin.run_id), span_id(origin.run_id, 1), is_remote=True, trace_flags=flags)
    return (Link(context, {"agentkit.origin.kind": origin.kind}),)


def _events(node: Node, content: Content) -> "tuple[SpanEvent, ...]":
    from opentelemetry.sdk.trace import Event as SpanEvent

    found = [SpanEvent(one.name, dict(one.facts), nanoseconds(one.ts)) for one in node.happenings]
    if node.error is not None:
        found.append(SpanEvent("exception", _exception(node.error, content), nanoseconds(node.end or node.start)))
    return tuple(found)


def _exception(error: ErrorInfo, content: Content) -> dict[str, str]:
    said = {"exception.message": error.message, "exception.stacktrace": error.traceback}
    texts = {name: content.text(value) for name, value in said.items()}
    return {"exception.type": error.type, **{name: text for name, text in texts.items() if text is not None}}


def _status(node: Node, content: Content) -> "Status":
    from opentelemetry.trace import Status, StatusCode

    if node.error is not None:
        message = content.text(node.error.message)
        return Status(StatusCode.ERROR, f"{node.error.type}: {message}" if message else node.error.type)
    is_outcome = node.closed is not None and node.kind != "approval"
    return Status(StatusCode.OK if is_outcome else StatusCode.UNSET)
