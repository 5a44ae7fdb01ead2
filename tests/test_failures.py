"""What a failing model does to a run: retries, fallbacks, budgets, garbage, a log that breaks."""

import asyncio
import pickle
import threading

import pytest
from small_agents import SOON, bodies, lookup

import agentkit as ak
from agentkit.errors import EncodingError, LogUnwritable, ModelError, PipelineError, RunClaimed
from agentkit.events import ModelFailed, RetryScheduled, RunFailedEvent
from agentkit.log import Log
from agentkit.messages import AssistantMessage, ModelResponse, ToolCall
from agentkit.stores.memory import MemoryStore
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

AT_ONCE = ak.Retry(initial=0)


def overloaded(**more):
    return ModelError("overloaded", **{"kind": "rate_limit", "retryable": True, **more})


def test_a_retryable_error_is_tried_again(log):
    """Each attempt is an event of its own; the wait is recorded before it begins."""
    model = ScriptedModel([overloaded(), TimeoutError("slow"), ConnectionError("gone"), "ok"])
    run = ak.Agent("a", model, retry=AT_ONCE).run("hi", log=log)
    assert run.result(SOON) == "ok"
    assert [body.kind for body in bodies(run, ModelFailed)] == ["rate_limit", "timeout", "other"]
    assert len(bodies(run, RetryScheduled)) == 3
    assert run.usage.model_calls == 4


def test_retry_after_is_honoured(log):
    """The wait is never shorter than what the provider asked for."""
    run = ak.Agent("a", ScriptedModel([overloaded(retry_after=0.15), "ok"]), retry=AT_ONCE).run("hi", log=log)
    assert run.result(SOON) == "ok"
    (scheduled,) = bodies(run, RetryScheduled)
    assert scheduled.delay >= 0.15
    answered = run.events()[-2].ts
    assert answered >= scheduled.due


def test_a_run_that_waits_for_a_retry_says_so(log):
    """Its status is `waiting`."""
    waiting = threading.Event()
    run = ak.Agent("a", ScriptedModel([overloaded(retry_after=60)]), retry=AT_ONCE).run("hi", log=log)
    while run.status != "waiting":
        waiting.wait(0.005)
    run.cancel()
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)


def test_an_error_that_stays_is_not_tried_again(log):
    """The run fails with what the provider said."""
    model = ScriptedModel([ModelError("no such key", kind="auth")])
    run = ak.Agent("a", model, retry=AT_ONCE).run("hi", log=log)
    with pytest.raises(ak.RunFailed, match="no such key") as failed:
        run.result(SOON)
    assert failed.value.error.context["attempts"] == 1
    assert failed.value.usage.model_calls == 1


def test_fallback_models_are_tried_in_order(log):
    """Each gets its own attempts; the answer says who gave it."""
    first = ScriptedModel([overloaded(), overloaded()], name="first")
    second = ScriptedModel([ModelError("bad", kind="bad_request")], name="second")
    third = ScriptedModel(["ok"], name="third")
    agent = ak.Agent("a", first, fallback=[second, third], retry=ak.Retry(max_attempts=2, initial=0))
    run = agent.run("hi", log=log)
    assert run.result(SOON) == "ok"
    assert [event.name for event in run.events() if event.type == "model_failed"] == ["first", "first", "second"]
    assert run.state.models["model/1"].name == "third"
    for model in (first, second, third):
        model.assert_consumed()


def test_when_all_models_failed_the_error_says_how_each_did(log):
    """All of it is in the error: which model, what it said, how often."""
    first = ScriptedModel([overloaded(), overloaded()], name="first")
    second = ScriptedModel([ModelError("no such model", kind="bad_request")], name="second")
    agent = ak.Agent("a", first, fallback=[second], retry=ak.Retry(max_attempts=2, initial=0))
    run = agent.run("hi", log=log)
    with pytest.raises(ak.RunFailed) as failed:
        run.result(SOON)
    context = failed.value.error.context
    assert context["attempts"] == 3
    assert [(tried["model"], tried["message"]) for tried in context["tried"]] == [
        ("first", "overloaded"),
        ("first", "overloaded"),
        ("second", "no such model"),
    ]
    assert failed.value.usage.model_calls == 3


@pytest.mark.parametrize(
    "error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), ZeroDivisionError("no")]
)
def test_whatever_a_model_raises_is_a_failed_attempt(log, error):
    """The process and the other runs go on."""

    def think(_request):
        raise error

    run = ak.Agent("a", FunctionModel(think)).run("hi", log=log)
    with pytest.raises(ak.RunFailed, match=type(error).__name__):
        run.result(SOON)
    assert ak.Agent("b", ScriptedModel(["fine"])).run("hi", log=log).result(SOON) == "fine"


def test_a_model_that_returns_no_response_failed(log):
    """An adapter's mistake is the run's error, with what it returned."""

    class Broken:
        name = "broken"

        async def respond(self, request, *, on_text=None):
            return None

        def price(self, input_tokens, output_tokens):
            return 0.0

    with pytest.raises(ak.RunFailed, match="NoneType"):
        ak.Agent("a", Broken()).run("hi", log=log).result(SOON)


def answer(text=None, *calls):
    return ModelResponse(message=AssistantMessage(text=text, tool_calls=calls))


def test_an_empty_answer_is_refused(log):
    """Neither text nor calls: the model is asked again."""
    model = ScriptedModel([answer(), answer("  "), "ok"])
    assert ak.Agent("a", model).run("hi", log=log).result(SOON) == "ok"


def test_equal_call_ids_are_told_apart(log):
    """Each result goes to its own call, also where the model gave no id at all."""
    calls = [ToolCall(id=id_, name="lookup", arguments={"what": what}) for id_, what in zip("1 1", "abc", strict=True)]
    calls[1] = calls[1].model_copy(update={"id": ""})
    model = ScriptedModel([answer(None, *calls), "ok"])
    run = ak.Agent("a", model, tools=[lookup], decisions="off").run("hi", log=log)
    assert run.result(SOON) == "ok"
    results = {message.call_id: message.content for message in run.state.messages if message.role == "tool"}
    assert sorted(results.values()) == ["about a", "about b", "about c"]


def test_odd_text_is_cleaned(log):
    """NUL, lone surrogates and NaN, which no log can hold, become what it can."""
    odd = ToolCall(id="1", name="lookup", arguments={"what": "a\0b\ud800"})
    nan = ToolCall(id="2", name="lookup\0", arguments={"what": float("nan")})
    model = ScriptedModel([answer("\0x", odd, nan), "o\0k"])
    run = ak.Agent("a", model, tools=[lookup], decisions="off").run("hi", log=log)
    assert run.result(SOON) == "o\ufffdk"
    assert run.state.calls["tool/lookup/1"].arguments == {"what": "a\ufffdb?"}


@pytest.mark.parametrize("arguments", ["{not json", ["a"], 7, None])
def test_arguments_that_are_no_object_are_told(log, arguments):
    """Whatever the model wrote, it is told what is wrong with it."""
    model = ScriptedModel([answer(None, ToolCall(id="1", name="lookup", arguments=arguments)), "ok"])
    run = ak.Agent("a", model, tools=[lookup]).run("hi", log=log)
    assert run.result(SOON) == "ok"
    (told,) = [message.content for message in run.state.messages if message.role == "tool"]
    assert told["error"]["type"] == "InvalidArguments"


def test_a_validator_that_breaks_is_told_as_well(log):
    """An error of a type's own validator does not end the run."""
    from typing import Annotated

    from pydantic import AfterValidator

    def explode(value):
        raise RuntimeError("validators should not do this")

    @ak.tool
    def odd(what: Annotated[str, AfterValidator(explode)]) -> str:
        """Take something odd and look at it. Returns it.

        Args:
            what: a word.
        """
        return what

    model = ScriptedModel([call("odd", what="x"), "ok"])
    run = ak.Agent("a", model, tools=[odd], decisions="off").run("hi", log=log)
    assert run.result(SOON) == "ok"


class BrittleStore(MemoryStore):
    """Refuses to make anything durable once `broken` is set."""

    broken = False

    def append(self, claim, events, *, durable=True):
        done = super().append(claim, events, durable=durable)
        if self.broken and durable:
            from concurrent.futures import Future

            done = Future()
            done.set_exception(LogUnwritable("no space left on device"))
        return done


def test_a_full_disk_stops_the_step_that_needed_it(log):
    """The call is not made, and the run's error says why."""
    store = BrittleStore("brittle")
    ran = []

    @ak.tool(writes=True)
    def send(text: str) -> dict:
        """Send a text to somebody. Returns nothing much.

        Args:
            text: what to send.
        """
        ran.append(text)
        return {}

    def think(_request):
        store.broken = True
        return call("send", text="x")

    run = ak.Agent("a", FunctionModel(think), tools=[send], decisions="off").run("hi", log=Log(store))
    with pytest.raises(LogUnwritable, match="no space left"):
        run.result(SOON)
    assert ran == []
    assert run.status == "interrupted"
    assert not bodies(run, RunFailedEvent)
    store.broken = False
    run.cancel()
    assert run.status == "cancelled"


def test_a_log_that_is_full_from_the_start(log):
    """No model is asked before its request is on disk."""
    store = BrittleStore("brittle-too")
    store.broken = True
    model = ScriptedModel(["never"])
    run = ak.Agent("a", model).run("hi", log=Log(store))
    with pytest.raises(LogUnwritable):
        run.result(SOON)
    assert model.requests == []


@pytest.mark.parametrize("levels", [150, 185, 250, 3000])
def test_what_is_nested_too_deeply_is_told_and_the_log_stays_readable(log, levels):
    """Whether the model wrote it or a tool returned it."""

    def nest():
        value = {}
        for _ in range(levels):
            value = {"a": value}
        return value

    @ak.tool
    def deep(what: dict) -> dict:
        """Take something deep and return something deep. Returns it.

        Args:
            what: anything.
        """
        return nest()

    calls = [call("deep", what=nest()), call("deep", what={})]
    run = ak.Agent("a", ScriptedModel([calls, "ok"]), tools=[deep], decisions="off").run("hi", log=log)
    assert run.result(SOON) == "ok"
    assert log.run(run.run_id).output == "ok"


@pytest.mark.parametrize(
    "error",
    [
        RunClaimed("a run", "process 7"),
        EncodingError("result.price", "is NaN"),
        PipelineError("triage", ["no step gives 'kind'"]),
        overloaded(retry_after=2.0),
        ak.ToolError("no such order", order_id="A-1"),
        ak.RunFailed("it failed", run_id="a run", usage=ak.Usage(input_tokens=3)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_reaches_another_process_whole(error):
    """A pool of processes hands it on: with its message, and with what it knows."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
