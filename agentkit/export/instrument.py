"""Live tracing with the OpenTelemetry that a program has set up already: `ak.instrument()`.

A run's spans are begun and ended as it goes, by the process's tracer provider, so that it sits in the trace of
whoever began it, and everything that its tools do sits in it. Their ids are those that the exporter gives, so that a
later export of the same run merges with them, where two things hold: the provider is OpenTelemetry's own SDK, whose
tracers let the ids be chosen; and the run began outside of any trace, since within one the trace's id is the caller's.
"""

import atexit
import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

from agentkit.events import Commented, Event, RunResumed, RunStarted
from agentkit.export.content import Content, ContentMode
from agentkit.export.ids import span_id, trace_id
from agentkit.export.later import later
from agentkit.export.live_spans import Live, LiveRun
from agentkit.export.log_ids import choose_ids
from agentkit.export.nodes import Node
from agentkit.export.profiles import Profile, profile_named
from agentkit.export.spans import need_opentelemetry
from agentkit.runner import observe
from agentkit.runner.driver import Driver

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider

SCOPE = "agentkit"

TRACEPARENT = "TRACEPARENT"
"""The variable in which a program is told the trace that it was started in, as W3C Trace Context writes it."""


def instrument(
    tracer_provider: "TracerProvider | None" = None,
    *,
    profile: str = "otlp",
    content: ContentMode = "redacted",
) -> "Instrumentation":
    """Emit the spans of every run of this process as they happen, to the OpenTelemetry that is set up in it.

    A run that is begun within a span is part of that trace; one begun outside of any is part of the trace that the
    variable TRACEPARENT names, or of one of its own. A tool runs in the context of its span: what is instrumented
    there, an HTTP client say, sits below it and sends its `traceparent` on. Nothing here can fail a run, and no run
    waits for an exporter. Called again, it takes the place of the call before.

    Args:
        tracer_provider: where the spans go; the process's own by default, whenever that is set up.
        profile: for which system the spans are described: "otlp", "langfuse" or "langsmith".
        content: how much of what was said leaves: "full", "redacted" or "none".

    Returns:
        What ends it: `.stop()`, or the end of a `with` block.

    Raises:
        ConfigError: OpenTelemetry is not installed, or there is no such profile.

    Example:
        >>> ak.instrument()                                     # doctest: +SKIP
        >>> with tracer.start_as_current_span("handle ticket"):  # doctest: +SKIP
        ...     agent.run("Order A-1042 arrived broken").result()
    """
    need_opentelemetry()
    made = Instrumentation(tracer_provider, profile_named(profile), content)
    before, observe.watch.observer = observe.watch.observer, made
    if isinstance(before, Instrumentation):
        before.flush()
    return made


class Instrumentation:
    """Watches every run of the process, and has its spans made: what `ak.instrument()` gives.

    Args:
        provider: makes the tracer; None is the process's own.
        profile: for which system they are described.
        content: how much they say.
    """

    def __init__(self, provider: "TracerProvider | None", profile: Profile, content: ContentMode) -> None:
        self._provider = provider
        self._profile = profile
        self._content: ContentMode = content
        self._runs: WeakKeyDictionary[Driver, LiveRun] = WeakKeyDictionary()
        self._of: dict[str, LiveRun] = {}  # those that execute
        self._began = False

    def stop(self) -> None:
        """Emit no more, after what has ended is handed over."""
        if observe.watch.observer is self:
            observe.watch.observer = None
        self.flush()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until the spans that have ended were handed to the provider, for so many seconds; whether they were."""
        return later.flush(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # what the runner asks --------------------------------------------------------------------------------------------

    def traceparent(self) -> str | None:
        """The trace that whoever starts a run here is in."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, _here())
        return carrier.get("traceparent")

    def on_event(self, driver: Driver, event: Event) -> None:
        """Begin and end what the event begins and ends; a run is followed from its beginning or its resumption on."""
        run = self._runs.get(driver)
        if run is None and isinstance(event.body, RunStarted | RunResumed):
            run = self._runs[driver] = self._meet(driver, event)
        if run is None or isinstance(event.body, Commented):  # what people say of a run is none of its spans
            return
        if isinstance(event.body, RunResumed) and (caller := self._caller(driver, run.started)) is not None:
            run.move_below(caller[1])
        self._of[event.run_id] = run
        run.take(event, driver.live_state if driver.has_state else None)
        if not run.goes_on:
            self._of.pop(event.run_id, None)
        if run.ended:
            self._runs.pop(driver, None)

    @contextmanager
    def within(self, run_id: str, step: str) -> Generator[None]:
        """The context of a step's span, for what is done in it."""
        from opentelemetry import context
        from opentelemetry.trace import set_span_in_context

        run = self._of.get(run_id)
        span = run.by_step.get(step) if run is not None else None
        if span is None:
            yield
            return
        token = context.attach(set_span_in_context(span))
        try:
            yield
        finally:
            context.detach(token)

    # a run that was not seen before ----------------------------------------------------------------------------------

    def _meet(self, driver: Driver, event: Event) -> LiveRun:
        is_new = isinstance(event.body, RunStarted)
        started = event if is_new else driver.store.read(driver.run_id, until=1)[0]
        caller = self._caller(driver, started)
        live = self._live(driver)
        past = [] if is_new else driver.store.read(driver.run_id, until=event.seq - 1)
        is_first = not is_new and not any(map(_is_executed, past))  # who submitted it began no span
        around = (
            _here() if is_new else _recorded(started, driver.root.run_id, chosen=live.ids.are_chosen and not is_first)
        )
        run = LiveRun(live, started, driver.root.run_id, caller, around)
        if is_first:
            run.take(started, None)
        run.catch_up(one for one in past[is_first:] if not isinstance(one.body, Commented))
        return run

    def _caller(self, driver: Driver, started: Event) -> "tuple[Node, Span] | None":
        above = self._runs.get(driver.parent) if driver.parent is not None else None
        assert isinstance(started.body, RunStarted), "a run's first event is run_started"
        return above.node_of(started.body.parent_step or "") if above is not None else None

    def _live(self, driver: Driver) -> Live:
        from opentelemetry import trace

        provider = self._provider or trace.get_tracer_provider()
        if not self._began:
            self._began = True
            self._look_at(isinstance(provider, trace.ProxyTracerProvider))
        tracer = provider.get_tracer(SCOPE)
        content = Content(self._content, driver.redactor)
        return Live(tracer, choose_ids(tracer), self._profile, content, later.do)

    @staticmethod
    def _look_at(nobody: bool) -> None:
        """Once: see that somebody takes the spans, and that the last ones are handed over before that one's own end."""
        if nobody:
            warnings.warn(
                "ak.instrument(): no tracer provider is set up in this process, so the spans go nowhere; set one up "
                "(opentelemetry.trace.set_tracer_provider), or export from the log: ak.open_log(export=[…])",
                stacklevel=2,
            )
        atexit.unregister(later.flush)
        atexit.register(later.flush)  # what is registered last is done first, and a provider registers when it is made


def _is_executed(event: Event) -> bool:
    """Whether it begins an activation; of a run that was submitted, the first event begins none."""
    body = event.body
    return isinstance(body, RunStarted | RunResumed) and not body.submitted


def _here() -> "Context":
    """The context of whoever starts a run: what is current, else what the environment says."""
    from opentelemetry import context, trace

    current = context.get_current()
    told = os.environ.get(TRACEPARENT)
    if told is None or trace.get_current_span(current).get_span_context().is_valid:
        return current
    return _extracted(told)


def _extracted(traceparent: str) -> "Context":
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})


def _recorded(started: Event, root_run_id: str, *, chosen: bool) -> "Context":
    """The context of a run that another process began: the trace that it is part of, or its own first span."""
    from opentelemetry import trace
    from opentelemetry.context import Context

    assert isinstance(started.body, RunStarted), "a run's first event is run_started"
    if started.body.traceparent is not None:
        return _extracted(started.body.traceparent)
    if not chosen:
        return Context()
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    first = trace.SpanContext(trace_id(root_run_id), span_id(started.run_id, 1), is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(first), Context())
