"""Live tracing: a run's spans as they happen, in its caller's trace, with its tools' spans below its own."""

import subprocess
import sys
import threading
import time
import warnings

import pytest
from opentelemetry import trace
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from small_agents import SOON, paused

import agentkit as ak
from agentkit.export.spans import to_spans
from agentkit.runner import observe
from agentkit.runner.engine import engine
from agentkit.runner.watch import watch
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


class Traced:
    """A process with OpenTelemetry set up, and what it exported."""

    def __init__(self, **options):
        self.exported = InMemorySpanExporter()
        self.provider = TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exported))
        self.tracer = self.provider.get_tracer("the program's own")

    @property
    def spans(self):
        assert observe.watch.observer.flush(SOON)
        return self.exported.get_finished_spans()

    def tree(self):
        """The names as nested lists, in the order in which they began."""
        below = {}
        for span in sorted(self.spans, key=lambda span: span.start_time):
            below.setdefault(span.parent and span.parent.span_id, []).append(span)

        def nested(parent):
            return [(span.name, nested(span.context.span_id)) for span in below.get(parent, [])]

        return nested(None)

    def named(self, name):
        return next(span for span in self.spans if span.name == name)


@pytest.fixture
def traced(monkeypatch):
    monkeypatch.delenv("TRACEPARENT", raising=False)
    traced = Traced()
    with ak.instrument(traced.provider, content="full"):
        yield traced
    assert observe.watch.observer is None


@ak.tool
def lookup(what: str) -> dict:
    """Look something up. Returns what is known of it.

    Args:
        what: a word.
    """
    return {"about": what}


def agent(*turns, tools=(lookup,), **options):
    return ak.Agent("support", ScriptedModel(turns), "Be brief.", tools=tools, **options)


def test_a_run_of_its_own_has_the_spans_that_the_exporter_gives_it(traced, log):
    """Ids, times, names, parents, attributes: a later export of it merges with what was seen live."""
    run = agent(call("lookup", what="a", why="to know"), "done").run("hi", log=log)
    run.result(SOON)

    def plain(span):
        return (
            span.name,
            span.context.trace_id,
            span.context.span_id,
            span.parent and span.parent.span_id,
            span.start_time,
            span.end_time,
            span.kind,
            {name: tuple(value) if isinstance(value, list) else value for name, value in span.attributes.items()},
            [(event.name, event.timestamp) for event in span.events],
            span.status.status_code,
        )

    live = sorted(map(plain, traced.spans), key=lambda span: span[2])
    later = sorted(map(plain, to_spans(run, content="full")), key=lambda span: span[2])
    assert live == later
    assert len(live) == 6


def test_a_run_begun_within_a_span_is_part_of_that_trace(traced, log):
    """And so is every run of a batch."""
    with traced.tracer.start_as_current_span("handle ticket") as outer:
        agent("done").run("hi", log=log).result(SOON)
        ak.Agent("many", FunctionModel(lambda _request: "x")).map(["a", "b"], log=log).result(SOON)
    many = ("invoke_agent many", [("chat function", []), ("decision", [])])
    ((name, below),) = traced.tree()
    assert name == "handle ticket"
    assert [child[0] for child in below] == ["invoke_agent support", "invoke_agent many", "invoke_agent many"]
    assert many[1] == below[1][1] == below[2][1]
    assert {span.context.trace_id for span in traced.spans} == {outer.get_span_context().trace_id}


def test_what_a_tool_does_is_below_its_span_and_its_traceparent_goes_out(traced, log):
    """In a thread and in a coroutine alike: the context of the span is attached while the tool runs."""
    sent = {}

    @ak.tool
    def ask_shop(order: str) -> str:
        """Ask the shop. Returns its answer.

        Args:
            order: the order's number.
        """
        with traced.tracer.start_as_current_span("GET /orders"):
            inject(sent)
        return "sent"

    @ak.tool
    async def ask_courier(order: str) -> str:
        """Ask the courier. Returns its answer.

        Args:
            order: the order's number.
        """
        with traced.tracer.start_as_current_span("GET /parcels"):
            return "there"

    tools = [ask_shop, ask_courier]
    agent([call("ask_shop", order="1"), call("ask_courier", order="1")], "ok", tools=tools).run("?", log=log).result(
        SOON
    )
    for tool, request in (("ask_shop", "GET /orders"), ("ask_courier", "GET /parcels")):
        assert traced.named(request).parent.span_id == traced.named(f"execute_tool {tool}").context.span_id
    request = traced.named("GET /orders").context
    assert sent["traceparent"] == f"00-{request.trace_id:032x}-{request.span_id:016x}-03"


def test_the_request_to_a_model_is_below_its_span(traced, log):
    """An instrumented HTTP client shows which attempt it served."""

    def answer(_request):
        with traced.tracer.start_as_current_span("POST /chat/completions"):
            return "hello"

    ak.Agent("support", FunctionModel(answer)).run("hi", log=log).result(SOON)
    assert traced.named("POST /chat/completions").parent.span_id == traced.named("chat function").context.span_id


def test_a_sub_agent_s_run_is_below_the_call_that_began_it(traced, log):
    """One trace, however deep."""
    helper = ak.Agent("helper", ScriptedModel(["42"]), "You know numbers.")
    agent(call("helper", task="which?"), "ok", tools=[helper]).run("?", log=log).result(SOON)
    child, tool = traced.named("invoke_agent helper"), traced.named("execute_tool helper")
    assert child.parent.span_id == tool.context.span_id
    assert len({span.context.trace_id for span in traced.spans}) == 1


def test_a_pipeline_s_steps_asks_and_items_are_a_tree(traced, log):
    """As the exporter has them."""
    pipeline = ak.Pipeline("triage", input={"texts": list[str]}, model=FunctionModel(lambda _request: "calm"))

    @pipeline.step(each="texts")
    def mood(texts: str, ctx: ak.Context) -> str:
        return ctx.ask(texts)

    run = pipeline.run(texts=["a", "b"], log=log)
    run.result(SOON)
    of_log = {(span.name, span.context.span_id, span.parent and span.parent.span_id) for span in to_spans(run)}
    assert {(span.name, span.context.span_id, span.parent and span.parent.span_id) for span in traced.spans} == of_log
    assert len(of_log) == 8


def gated():
    @ak.tool(approve=True)
    def pay(amount: float) -> dict:
        """Pay. Returns the receipt.

        Args:
            amount: how much, in USD.
        """
        return {"paid": amount}

    return pay


def test_a_run_that_pauses_is_seen_at_once_and_goes_on_in_the_same_trace(traced, log):
    """Its span ends with the pause; the answer's span is as long as the person took."""
    run = agent(call("pay", amount=5.0), "ok", tools=[gated()]).run("?", log=log)
    paused(run)
    assert [span.name for span in traced.spans if span.name.startswith("invoke")] == ["invoke_agent support"]
    first = traced.named("invoke_agent support")
    assert first.attributes["agentkit.left"] == "paused"
    run.approve()
    run.result(SOON)
    second = [span for span in traced.spans if span.name == "invoke_agent support"][1]
    assert second.parent.span_id == first.context.span_id
    approval = traced.named("approval pay")
    assert approval.attributes["agentkit.approval.verdict"] == "approve"
    assert approval.start_time < first.end_time < approval.end_time
    assert traced.named("execute_tool pay").parent.span_id == second.context.span_id


def test_what_people_say_of_a_run_is_none_of_its_spans(traced, log):
    """While it waits, too: what comes later is as if nobody had said anything."""
    run = agent(call("pay", amount=5.0), "ok", tools=[gated()]).run("?", log=log)
    paused(run)
    before = len(traced.spans)
    run.comment("asked the supplier", "tool/pay/1")
    assert len(traced.spans) == before
    run.approve()
    run.result(SOON)
    run.comment("good")
    names = [span.name for span in traced.spans]
    assert (names.count("invoke_agent support"), names.count("execute_tool pay")) == (2, 1)


def test_a_call_that_waits_for_a_child_run_has_a_span_before_and_after(traced, log):
    """A sub-agent that pauses for a person pauses those above it, and each goes on below its caller."""
    helper = ak.Agent("helper", ScriptedModel([call("pay", amount=1.0), "paid"]), "You pay.", tools=[gated()])
    run = agent(call("helper", task="pay"), "ok", tools=[helper]).run("?", log=log)
    paused(run)
    run.approve()
    run.result(SOON)
    calls = [span for span in traced.spans if span.name == "execute_tool helper"]
    helpers = [span for span in traced.spans if span.name == "invoke_agent helper"]
    assert [span.attributes.get("agentkit.left") for span in (calls[0], calls[-1])] == ["paused", None]
    assert [span.parent.span_id for span in helpers] == [calls[0].context.span_id, calls[-1].context.span_id]
    assert len({span.context.trace_id for span in traced.spans}) == 1


def test_a_run_that_another_process_began_goes_on_in_its_caller_s_trace(traced, tmp_path):
    """The log remembers the trace: here the process that began it is gone."""
    log = ak.open_log(tmp_path / "log")
    with traced.tracer.start_as_current_span("handle ticket") as outer:
        run = agent(call("pay", amount=5.0), tools=[gated()]).run("?", log=log)
        paused(run)
    engine().call(lambda: watch.forget(run._driver))
    run._store.unwatch(run.run_id)
    observe.watch.observer._runs.clear()
    again = ak.Agent("support", ScriptedModel(["ok"]), "Be brief.", tools=[gated()])
    other = log.run(run.run_id)
    other.approve()
    assert other.result(SOON) == "ok"
    del again
    second = [span for span in traced.spans if span.name == "invoke_agent support"][1]
    assert second.parent.span_id == outer.get_span_context().span_id
    assert traced.named("approval pay").parent.span_id == second.context.span_id
    assert traced.named("execute_tool pay").parent.span_id == second.context.span_id
    log.close()


def test_the_trace_may_come_from_the_environment(traced, log, monkeypatch):
    """A job that CI started is part of CI's trace."""
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    agent("done").run("hi", log=log).result(SOON)
    run = traced.named("invoke_agent support")
    assert (f"{run.context.trace_id:032x}", f"{run.parent.span_id:016x}") == ("ab" * 16, "cd" * 8)


def test_a_failed_attempt_and_a_failed_run_are_errors(traced, log):
    """With the exception as OpenTelemetry writes it."""
    model = ScriptedModel([RuntimeError("no luck")])
    run = ak.Agent("support", model, retry=ak.Retry(max_attempts=1)).run("hi", log=log)
    with pytest.raises(ak.RunFailed):
        run.result(SOON)
    for name in ("chat scripted", "invoke_agent support"):
        span = traced.named(name)
        assert span.status.status_code is trace.StatusCode.ERROR
        assert [event.name for event in span.events][-1] == "exception"


def test_without_content_nothing_that_was_said_leaves(monkeypatch, log):
    """Names, times, tokens and kinds of errors do."""
    traced = Traced()
    with ak.instrument(traced.provider, content="none"):
        agent(call("lookup", what="secretword"), "secretword").run("secretword", log=log).result(SOON)
        shown = str([(span.name, dict(span.attributes), span.events, span.status) for span in traced.spans])
    assert "secretword" not in shown
    assert "gen_ai.usage.input_tokens" in shown


class Broken(SpanExporter):
    """An exporter that raises, or hangs."""

    def __init__(self, hangs):
        self.hangs = hangs
        self.called = threading.Event()

    def export(self, spans):
        self.called.set()
        if self.hangs is None:
            raise RuntimeError("no backend")
        self.hangs.wait()


@pytest.mark.parametrize("hangs", [False, True])
def test_an_exporter_that_raises_or_hangs_costs_a_run_nothing(log, hangs):
    """The run ends while the exporter is still at its first span."""
    go_on = threading.Event()
    exporter = Broken(go_on if hangs else None)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with ak.instrument(provider) as live:
        assert agent(call("lookup", what="a"), "done").run("hi", log=log).result(SOON) == "done"
        assert exporter.called.wait(SOON)
        assert live.flush(0.05) is not hangs or not hangs
        go_on.set()
        assert live.flush(SOON)


def test_a_watcher_that_raises_everywhere_costs_a_run_nothing(log, monkeypatch):
    """Whatever is wrong with us, the run's result is the run's."""

    class Watcher:
        def __getattr__(self, name):
            raise RuntimeError(name)

    monkeypatch.setattr(observe.watch, "observer", Watcher())
    assert agent(call("lookup", what="a"), "done").run("hi", log=log).result(SOON) == "done"


def test_a_sampler_s_no_is_respected(log):
    """And the tools still run in a context that says so."""
    traced = Traced(sampler=ALWAYS_OFF)
    with ak.instrument(traced.provider):
        agent(call("lookup", what="a"), "done").run("hi", log=log).result(SOON)
        assert traced.spans == ()


def test_another_kind_of_provider_gives_its_own_ids(log):
    """Through the API alone, ids cannot be chosen: the run says which it is in its attributes."""

    class Tracer:
        __slots__ = ("_inner",)

        def __init__(self, inner):
            self._inner = inner

        def start_span(self, *given, **options):
            return self._inner.start_span(*given, **options)

    class Provider:
        def __init__(self, inner):
            self._inner = inner

        def get_tracer(self, *given):
            return Tracer(self._inner.get_tracer(*given))

    traced = Traced()
    with ak.instrument(Provider(traced.provider)):
        run = agent("done").run("hi", log=log)
        run.result(SOON)
        live = traced.named("invoke_agent support")
    assert live.attributes["agentkit.event.id"] == f"{run.run_id}/1"
    assert live.context.span_id != to_spans(run)[0].context.span_id
    assert traced.exported.get_finished_spans()[0].parent.span_id == live.context.span_id


def test_where_no_provider_is_set_up_it_says_so_once(log):
    """Spans that go nowhere are not what anybody wanted."""
    with ak.instrument():
        with pytest.warns(UserWarning, match="no tracer provider is set up"):
            agent("done").run("hi", log=log).result(SOON)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            agent("done").run("hi", log=log).result(SOON)


def test_without_opentelemetry_the_hint_says_what_to_install():
    """Also where only its API is there."""
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "import agentkit as ak\n"
        "try:\n    ak.instrument()\n"
        "except ak.ConfigError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'jupyter-agentkit[otel]'" in done.stdout


def test_a_program_s_last_spans_are_there_when_it_ends(tmp_path):
    """It does not have to flush."""
    code = (
        "import agentkit as ak\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))\n"
        "trace.set_tracer_provider(provider)\n"
        "ak.instrument()\n"
        "from agentkit.testing import ScriptedModel\n"
        "ak.Agent('support', ScriptedModel(['x'])).run('hi', log='memory:').result(20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert '"name": "invoke_agent support"' in done.stdout


def test_stopped_it_is_over(traced, log):
    """What runs after that is nobody's business."""
    observe.watch.observer.stop()
    agent("done").run("hi", log=log).result(SOON)
    time.sleep(0.05)
    assert traced.exported.get_finished_spans() == ()
