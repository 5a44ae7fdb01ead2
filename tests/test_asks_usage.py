"""`ctx.ask` as a user meets it: what an answer can be, what goes wrong, what it cost, what was asked."""

# ruff: noqa: ISC004  a long message on two lines

import asyncio
import base64
import dataclasses
import enum
import threading
from typing import Literal

import pytest
from pydantic import BaseModel

import agentkit as ak
from agentkit import registry
from agentkit.errors import AskFailed, ModelError, ModelNotFound
from agentkit.messages import MediaPart, Usage
from agentkit.testing import FunctionModel, RecordedModel, ScriptedModel


class Facts(BaseModel):
    amount: float


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int


def asking(model=None, /, prompt="what?", log="memory:", **options):
    """The run of a pipeline whose only step asks once."""
    pipeline = ak.Pipeline("asking", input={"x": int}, model=model)

    def facts(x: int, ctx: ak.Context):
        return ctx.ask(prompt, **options)

    pipeline.step(facts)
    return pipeline.run(x=1, log=log)


# what an answer can be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "said", "answer"),
    [
        (str, "hello", "hello"),
        (int, "5", 5),
        (bool, "true", True),
        (Facts, '{"amount": 5}', Facts(amount=5)),
        (list[Facts], '[{"amount": 5}]', [Facts(amount=5)]),
        (dict, '{"a": 1}', {"a": 1}),
        (dict[str, Facts], '{"a": {"amount": 5}}', {"a": Facts(amount=5)}),
        (Point, '{"x": 5}', Point(5)),
        (Facts | None, "null", None),
        (Literal["left", "right"], '"left"', "left"),
        (Literal["left", "right"], " left\n", "left"),
        (Literal["left"], "left", "left"),
        (Colour, '"red"', Colour.RED),
        (Colour, "red", Colour.RED),
    ],
)
def test_an_answer_is_of_the_type_that_was_asked_for(output, said, answer):
    """Whatever pydantic can validate; a choice among texts may come without its quotation marks."""
    got = []
    pipeline = ak.Pipeline("asking", input={"x": int}, model=ScriptedModel([said]))

    @pipeline.step
    def facts(x: int, ctx: ak.Context) -> None:
        got.append(ctx.ask("what?", output=output))

    pipeline.run(x=1, log="memory:").result(timeout=20)
    assert got == [answer]
    assert type(got[0]) is type(answer)


def test_a_choice_that_is_none_of_them_is_asked_for_again():
    """A word that is no choice goes back to the model, with what was wrong."""
    model = ScriptedModel(["up", "left"])
    assert asking(model, output=Literal["left", "right"]).result(timeout=20) == "left"
    assert "Invalid JSON" in str(model.requests[1].messages[-1].content)


@pytest.mark.parametrize("output", [5, "Facts", threading.Lock])
def test_what_no_answer_can_be_is_refused_before_anybody_is_asked(output):
    """The error names it and says what to give."""
    model = ScriptedModel([])
    with pytest.raises(ak.RunFailed, match=r"facts: ctx\.ask: output=.* has no JSON schema .*; give str or a pydantic"):
        asking(model, output=output).result(timeout=20)
    assert model.requests == []


# options --------------------------------------------------------------------------------------------------------------

TAKES = "(it takes: output, checks, fallback, instructions, max_reasks, model, retry, settings)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outptu": int}, f"ctx.ask knows no 'outptu'; did you mean 'output'? {TAKES}"),
        (
            {"temperature": 0},
            f"ctx.ask knows no 'temperature'; a provider's own goes into settings={{'temperature': …}} {TAKES}",
        ),
        ({"model": 5}, "5 is no model: give a name, or an object with `name`, `respond` and `price`"),
        ({"fallback": "openai/a"}, "ctx.ask: fallback='openai/a'; give a list of models: fallback=['openai/a']"),
        ({"checks": [5]}, "ctx.ask: a check is a function of the answer, not 5"),
        (
            {"checks": len},
            "ctx.ask: checks=<built-in function len>; give a list of functions of the answer, for example "
            "checks=[lambda answer: answer.amount > 0]",
        ),
        ({"retry": 3}, "ctx.ask: retry=3; give a policy, for example ak.Retry(max_attempts=3)"),
        (
            {"max_reasks": None},
            "ctx.ask: max_reasks=None; give how often in a row the model may be told that its answer is wrong",
        ),
        ({"instructions": 5}, "ctx.ask: instructions=5; give a text"),
        ({"settings": 0.5}, "ctx.ask: settings=0.5; give the provider's own, for example settings={'temperature': 0}"),
        (
            {"settings": {"api_key": "k"}},
            "ctx.ask: settings hold 'api_key', and they go to the log; give the provider's key in its environment "
            "variable, for example OPENAI_API_KEY",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_option_that_cannot_be_is_refused_before_anybody_is_asked(options, message):
    """The run fails with what to write instead."""
    model = ScriptedModel([])
    with pytest.raises(ak.RunFailed) as raised:
        asking(model, **options).result(timeout=20)
    assert str(raised.value) == f"ConfigError: facts: {message}"
    assert model.requests == []


def test_options_reach_the_model():
    """Instructions are the system prompt; settings go over the pipeline's own."""
    model = ScriptedModel(["yes"])
    pipeline = ak.Pipeline("asking", input={"x": int}, model=model, settings={"temperature": 0.5, "seed": 1})

    @pipeline.step
    def facts(x: int, ctx: ak.Context) -> str:
        return ctx.ask("what?", instructions="Be brief.", settings={"temperature": 0})

    pipeline.run(x=1, log="memory:").result(timeout=20)
    (request,) = model.requests
    assert (request.instructions, dict(request.parameters)) == ("Be brief.", {"temperature": 0, "seed": 1})


def test_a_check_has_the_model_try_again():
    """What it raises, or that it said no, goes back; the limit is the ask's own."""
    model = ScriptedModel(['{"amount": -1}', '{"amount": 5}'])
    assert asking(model, output=Facts, checks=[lambda facts: facts.amount > 0]).result(timeout=20) == {"amount": 5.0}
    stubborn = ScriptedModel(['{"amount": -1}'])
    with pytest.raises(ak.RunFailed, match="facts: the model was refused 1 times in a row"):
        asking(stubborn, output=Facts, checks=[lambda facts: facts.amount > 0], max_reasks=0).result(timeout=20)


def test_a_fallback_is_asked_when_the_first_model_failed_for_good(log):
    """Where all fail, the error tells what each said, to the step's code and to who reads the run."""
    first, second = ScriptedModel([ModelError("no")] * 2, name="first"), ScriptedModel(["yes"], name="second")
    assert asking(first, fallback=[second]).result(timeout=20) == "yes"
    run = asking(first, fallback=[ScriptedModel([ModelError("neither")], name="second")], log=log)
    with pytest.raises(ak.RunFailed, match="ModelError: facts: neither") as raised:
        run.result(timeout=20)
    assert [(tried["model"], tried["message"]) for tried in raised.value.error.context["tried"]] == [
        ("first", "no"),
        ("second", "neither"),
    ]


def test_a_step_can_catch_what_no_model_could_answer():
    """`AskFailed` is an error like any other; the step goes on with what it knows."""
    pipeline = ak.Pipeline("asking", input={"x": int}, model=ScriptedModel([ModelError("down")]))

    @pipeline.step
    def facts(x: int, ctx: ak.Context) -> str:
        try:
            return ctx.ask("what?")
        except AskFailed as error:
            return f"unknown: {error}"

    assert pipeline.run(x=1, log="memory:").result(timeout=20) == "unknown: down"


def test_an_image_goes_along():
    """`ak.media` in a list, as an agent takes it; the log holds it, and so does the prompt."""
    model = ScriptedModel(["a dot"])
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
    run = asking(model, prompt=["What is this?", ak.media(base64.b64decode(picture), media_type="image/png")])
    assert run.result(timeout=20) == "a dot"
    text, image = model.requests[0].messages[0].content
    assert text.text == "What is this?"
    assert isinstance(image, MediaPart)
    assert image.data == picture
    assert run.prompt("facts/ask/1").exact


# several at one time --------------------------------------------------------------------------------------------------


def slowly(request):
    async def answer():
        await asyncio.sleep(0 if "quick" in str(request.messages[0].content) else 0.2)
        if "bad" in str(request.messages[0].content):
            raise ModelError("down")
        return str(request.messages[0].content).upper()

    return answer()


def gathering(prompts, *, wait=True):
    """The run of an async step that asks all at one time."""
    pipeline = ak.Pipeline("asking", input={"x": int}, model=FunctionModel(slowly, price_usd=0.25))

    @pipeline.step
    async def facts(x: int, ctx: ak.AsyncContext) -> list[str]:
        asked = [asyncio.ensure_future(ctx.ask(prompt)) for prompt in prompts]
        await asyncio.sleep(0.05)
        return list(await asyncio.gather(*asked)) if wait else []

    @pipeline.step
    async def after(facts: list[str]) -> list[str]:
        await asyncio.sleep(0.4)
        return facts

    return pipeline.run(x=1, log="memory:")


def test_an_async_step_asks_several_at_one_time():
    """Each has its path and its prompt, and the answers are in order."""
    run = gathering(["a", "b", "a"])
    assert run.result(timeout=20) == ["A", "B", "A"]
    assert [run.prompt(f"facts/ask/{number}").exact for number in (1, 2, 3)] == [True] * 3


def test_an_ask_that_fails_ends_those_beside_it():
    """The step fails with the first error; a call that was under way is recorded as lost, with its estimate."""
    run = gathering(["quick and bad", "slow"])
    with pytest.raises(ak.RunFailed, match=r"^ModelError: facts: down"):
        run.result(timeout=20)
    lost = [event for event in run.events() if event.type == "model_failed" and event.body.lost]
    assert [(event.step, event.cost_usd) for event in lost] == [("facts/ask/2/model/1", 0.25)]


def test_an_ask_that_nobody_waits_for_ends_with_its_step():
    """The step's result stands; what was forgotten neither goes on nor disturbs the run."""
    run = gathering(["slow"], wait=False)
    assert run.result(timeout=20) == []
    types = [event.type for event in run.events() if (event.step or "").startswith("facts")]
    assert types == ["step_started", "ask_started", "model_requested", "model_failed", "step_succeeded"]


def test_a_thread_that_outlives_its_step_cannot_ask():
    """What it would ask belongs to nothing; the error says to wait."""
    pipeline = ak.Pipeline("asking", input={"x": int}, model=ScriptedModel([]))
    kept, may_ask, said = [], threading.Event(), []

    def later():
        may_ask.wait(10)
        try:
            kept[0].ask("what?")
        except ak.ConfigError as error:
            said.append(str(error))

    thread = threading.Thread(target=later)

    @pipeline.step
    def facts(x: int, ctx: ak.Context) -> int:
        kept.append(ctx)
        thread.start()
        return x

    run = pipeline.run(x=1, log="memory:")
    assert run.result(timeout=20) == 1
    may_ask.set()
    thread.join(10)
    assert said == [
        "facts has ended: wait for what it asks and calls before its function returns (in an `async def`, await it)"
    ]


def test_those_beside_an_ask_that_waits_for_budget_are_not_lost():
    """Reached, the run pauses; answers that were being paid for are kept, and used when it goes on."""
    pipeline = ak.Pipeline("asking", input={"x": int}, model=FunctionModel(slowly), budget=ak.Budget(model_calls=2))

    @pipeline.step
    async def facts(x: int, ctx: ak.AsyncContext) -> list[str]:
        return list(await asyncio.gather(*(ctx.ask(prompt) for prompt in ("a", "b", "c"))))

    run = pipeline.run(x=1, log="memory:")
    with pytest.raises(ak.RunPaused):
        run.result(timeout=20)
    run.resume(budget=ak.Budget(model_calls=3))
    assert run.result(timeout=20) == ["A", "B", "C"]
    assert run.usage.model_calls == 3


# which model ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def default(monkeypatch):
    """What `ak.default_model()` does in an ask, and the threads it did it in."""
    made = {"choose": lambda: "chosen", "threads": []}

    def choose():
        made["threads"].append(threading.current_thread().name)
        return made["choose"]()

    load = registry.load
    monkeypatch.setattr(registry, "load", lambda target: choose if target == registry.DEFAULT_MODEL else load(target))
    return made


def test_a_model_of_the_asks_own_goes_before_the_pipelines():
    """And the pipeline's before the default."""
    own = ScriptedModel(["own"])
    assert asking(ScriptedModel([]), model=own).result(timeout=20) == "own"


def test_without_a_model_the_default_is_chosen_once_a_run_and_in_a_thread(default):
    """It looks around, and may fetch weights for minutes: no other run waits for it, nor does it choose per item."""
    default["choose"] = lambda: FunctionModel(lambda _request: "yes")
    pipeline = ak.Pipeline("asking", input={"xs": list[int]})

    @pipeline.step(each="xs")
    def facts(x: int, ctx: ak.Context) -> str:
        return ctx.ask(f"{x}?")

    assert pipeline.run(xs=list(range(20)), log="memory:").result(timeout=20) == ["yes"] * 20
    assert default["threads"] == ["agentkit-tool"]


def test_without_any_model_the_ask_says_how_to_name_one(default):
    """It is the ask that fails: whether a step asks is known when it does. The next run looks again."""

    def nothing():
        raise ModelNotFound("no model is here")

    default["choose"] = nothing
    with pytest.raises(ak.RunFailed) as raised:
        asking().result(timeout=20)
    assert str(raised.value) == (
        "ModelNotFound: facts: no model is named, by Pipeline(model=…) or ctx.ask(model=…), and there is no default: "
        "no model is here"
    )
    default["choose"] = lambda: FunctionModel(lambda _request: "yes")
    assert asking().result(timeout=20) == "yes"


def test_an_ask_outside_of_a_step_says_where_it_works():
    """A tool that an agent calls has a context, and no ask."""

    @ak.tool
    def look(order: str, ctx: ak.Context) -> dict:
        """Look up one order and return what is known of it.

        Args:
            order: the order's number, for example "A-1042".
        """
        return {"is": ctx.ask("what?")}

    from agentkit.testing import call

    agent = ak.Agent("a", ScriptedModel([call("look", order="A"), "done"]), tools=[look])
    run = agent.run("go", log="memory:")
    run.result(timeout=20)
    (failed,) = [event.body.error for event in run.events() if event.type == "tool_failed"]
    assert failed.message == "ctx.ask works in a step of a pipeline; tool/look/1 is a tool's call by an agent"


# what was asked, and what it cost -------------------------------------------------------------------------------------


def priced(turns):
    return ScriptedModel(turns, usage=Usage(input_tokens=100, output_tokens=10, cost_usd=0.25), price_usd=0.25)


@pytest.fixture
def asked(log):
    """A run of two steps: `facts` asks three times (once refused, once failed and tried again), `total` not at all."""
    flaky = ModelError("busy", retryable=True)
    model = priced(['{"amount": "much"}', '{"amount": 5}', flaky, "yes", "no"])
    pipeline = ak.Pipeline("asked", input={"x": int}, model=model, retry=ak.Retry(initial=0.001))

    @pipeline.step
    def facts(x: int, ctx: ak.Context) -> Facts:
        first = ctx.ask("How much?", output=Facts, instructions="Be exact.")
        ctx.ask(["Sure?", {"facts": first}])
        ctx.ask(first)
        return first

    @pipeline.step
    def total(facts: Facts) -> float:
        return facts.amount

    run = pipeline.run(x=1, log=log)
    assert run.result(timeout=20) == 5
    return run, model


def test_the_prompt_of_an_asks_model_call_is_rebuilt_exactly(asked):
    """Every call's, by its path, and it is what the model was given; the path of an ask is that of its last call."""
    run, model = asked
    paths = ["facts/ask/1/model/1", "facts/ask/1/model/2", "facts/ask/2/model/1", "facts/ask/3/model/1"]
    rebuilt = [run.prompt(path) for path in paths]
    assert all(prompt.exact for prompt in rebuilt)
    given = model.requests
    assert [prompt.request for prompt in rebuilt] == [given[0], given[1], given[3], given[4]]
    assert run.prompt("facts/ask/1").request == given[1]
    assert [message.role for message in run.prompt("facts/ask/1").request.messages] == ["user", "assistant", "user"]


def test_a_model_call_that_is_not_there_is_told_with_those_that_are(asked):
    """The message lists the paths."""
    run, _ = asked
    with pytest.raises(ak.ConfigError, match="no model call 'facts/ask/9'; it has: facts/ask/1/model/1, facts/ask/1/m"):
        run.prompt("facts/ask/9")


def test_the_prompt_is_the_same_from_another_process(asked, log):
    """Of the log alone, without the pipeline."""
    run, model = asked
    assert log.run(run.run_id).prompt("facts/ask/1/model/2").request == model.requests[1]


def test_what_asks_cost_is_in_the_run_and_in_sql(asked, log):
    """Each attempt is counted once, wherever it is looked up; a failed one cost nothing here."""
    run, _ = asked
    assert (run.cost, run.usage.model_calls, run.usage.input_tokens) == (1.0, 5, 400)
    one = {"run": run.run_id}
    row = next(iter(log.sql("SELECT cost_usd, model_calls, input_tokens FROM runs WHERE run_id = $run", **one)))
    assert tuple(row) == (1.0, 5, 400)
    by_step = log.sql(
        "SELECT split_part(step, '/', 1) AS step, sum(cost_usd) AS usd, count(*) AS calls FROM costs "
        "WHERE run_id = $run GROUP BY 1",
        **one,
    )
    assert [tuple(row) for row in by_step] == [("facts", 1.0, 5)]
    calls = log.sql("SELECT step, attempt, status, error FROM model_calls WHERE run_id = $run ORDER BY seq", **one)
    assert [tuple(row) for row in calls] == [
        ("facts/ask/1/model/1", 1, "ok", None),
        ("facts/ask/1/model/2", 1, "ok", None),
        ("facts/ask/2/model/1", 1, "error", "busy"),
        ("facts/ask/2/model/1", 2, "ok", None),
        ("facts/ask/3/model/1", 1, "ok", None),
    ]


def test_steps_asks_and_model_calls_are_rows_of_one_view(asked, log):
    """Each with its kind, its status and how often it was tried."""
    run, _ = asked
    steps = log.sql(
        "SELECT step, kind, status, attempts, cost_usd FROM steps WHERE run_id = $run ORDER BY step", run=run.run_id
    )
    assert [tuple(row) for row in steps] == [
        ("facts", "step", "ok", 1, 0.0),
        ("facts/ask/1", "ask", "ok", 1, 0.0),
        ("facts/ask/1/model/1", "model", "ok", 1, 0.25),
        ("facts/ask/1/model/2", "model", "ok", 1, 0.25),
        ("facts/ask/2", "ask", "ok", 1, 0.0),
        ("facts/ask/2/model/1", "model", "ok", 2, 0.25),
        ("facts/ask/3", "ask", "ok", 1, 0.0),
        ("facts/ask/3/model/1", "model", "ok", 1, 0.25),
        ("total", "step", "ok", 1, 0.0),
    ]


def test_what_a_check_refused_is_found(asked, log):
    """The errors of a run: the refused answer, the busy model."""
    run, _ = asked
    errors = log.sql("SELECT type, step, name FROM errors WHERE run_id = $run ORDER BY seq", run=run.run_id)
    assert [tuple(row) for row in errors] == [
        ("checked", "facts/ask/1/model/1", "output"),
        ("model_failed", "facts/ask/2/model/1", "scripted"),
    ]


def test_a_price_that_is_unknown_is_no_number(log):
    """One call without a price leaves the sum unknown, in the run and in SQL."""
    unknown = ScriptedModel(["yes"], usage=Usage(input_tokens=1, output_tokens=1, cost_usd=None), price_usd=None)
    run = asking(unknown, log=log)
    run.result(timeout=20)
    assert run.cost is None
    assert next(iter(log.sql("SELECT cost_usd FROM runs WHERE run_id = $run", run=run.run_id)))[0] is None


def test_a_recorded_run_answers_the_same_asks(asked):
    """Its events are a model that gives each ask its answer again."""
    run, _ = asked
    recorded = RecordedModel(run.events())
    request = run.prompt("facts/ask/3").request
    assert asyncio.run(recorded.respond(request)).message.text == "no"


def test_asks_of_a_fan_out_share_one_header(log):
    """Of 50 items the first holds instructions and schema; the others name them, and every prompt is exact."""
    pipeline = ak.Pipeline("fan", input={"xs": list[int]}, model=FunctionModel(lambda _request: '{"amount": 1}'))

    @pipeline.step(each="xs")
    def facts(x: int, ctx: ak.Context) -> Facts:
        return ctx.ask(f"How much is {x}?", output=Facts, instructions="Be exact. " * 50)

    run = pipeline.run(xs=list(range(50)), log=log)
    assert len(run.result(timeout=60)) == 50
    begun = [event.body for event in run.events() if event.type == "ask_started"]
    assert [body.header is not None for body in begun] == [True] + [False] * 49
    assert len({body.header_sha256 for body in begun}) == 1
    assert max(len(body.model_dump_json()) for body in begun[1:]) < 500
    assert run.prompt("facts[49]/ask/1").exact
    assert run.prompt("facts[49]/ask/1").request.instructions.startswith("Be exact.")
    dearest = log.sql(
        "SELECT step, count(*) AS calls FROM model_calls WHERE run_id = $run AND step LIKE 'facts[%' GROUP BY step",
        run=run.run_id,
    )
    assert len(dearest) == 50
