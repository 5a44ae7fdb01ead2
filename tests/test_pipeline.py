"""Pipelines: steps wired by name, run in order, each recorded."""

import threading
from typing import Any

import pytest
from pydantic import BaseModel, Field

import agentkit as ak
from agentkit.testing import FunctionModel, RecordedModel, ScriptedModel, call


class Facts(BaseModel):
    amount: float = Field(alias="theAmount", serialization_alias="theAmount", validation_alias="theAmount")
    refund: bool = True


class Receipt(BaseModel):
    key: str


@pytest.fixture
def log():
    return ak.open_log("memory:")


def types(run):
    return [(event.type, event.step) for event in run.events()]


def test_steps_are_wired_by_the_names_of_their_parameters(log):
    """Each step gets inputs and results as the types it declares, and the last one's result is the run's."""
    pipeline = ak.Pipeline("triage", input={"ticket": str})

    @pipeline.step
    def facts(ticket: str) -> Facts:
        return Facts(theAmount=len(ticket))

    @pipeline.step
    def twice(facts: Facts) -> float:
        assert isinstance(facts, Facts)
        return 2 * facts.amount

    assert pipeline.run(ticket="broken", log=log).result(timeout=10) == 12.0


def test_the_order_in_which_steps_are_written_does_not_matter(log):
    """A step may need one that is defined later, as cells of a notebook are."""
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step
    def last(first: int) -> int:
        return first + 1

    @pipeline.step
    def first(x: int) -> int:
        return x * 10

    assert list(pipeline.definition.steps) == ["first", "last"]
    assert pipeline.run(x=4, log=log).result(timeout=10) == 41


def test_a_step_stays_the_function_it_was():
    """It can be called and tested as before."""
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step
    def double(x: int) -> int:
        return 2 * x

    assert double(21) == 42


def test_a_cell_executed_again_replaces_its_step_and_keeps_the_rest(log):
    """The step is replaced, not duplicated, and keeps its place."""
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step
    def a(x: int) -> int:
        return x

    @pipeline.step
    def b(a: int) -> int:
        return a + 1

    def again():
        @pipeline.step
        def a(x: int) -> int:
            return x * 100

    again()
    assert list(pipeline.definition.steps) == ["a", "b"]
    assert pipeline.run(x=1, log=log).result(timeout=10) == 101


def test_independent_steps_run_concurrently(log):
    """Two steps that need each other's presence, not results, meet."""
    pipeline = ak.Pipeline("p", input={"x": int})
    meet = threading.Barrier(2, timeout=10)

    @pipeline.step
    def left(x: int) -> int:
        meet.wait()
        return x

    @pipeline.step
    def right(x: int) -> int:
        meet.wait()
        return x + 1

    assert pipeline.run(x=1, log=log).result(timeout=20) == {"left": 1, "right": 2}


def test_a_step_that_is_not_to_run_is_skipped_and_so_is_what_cannot_do_without_it(log):
    """A dependent that takes None gets None; one that does not is skipped, visibly."""
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step(when=lambda x: x > 10)
    def big(x: int) -> int:
        return x

    @pipeline.step
    def needs(big: int) -> int:
        return big

    @pipeline.step
    def takes(big: int | None) -> str:
        return f"got {big}"

    run = pipeline.run(x=1, log=log)
    assert run.result(timeout=10) == {"needs": None, "takes": "got None"}
    skipped = [
        (event.step, event.body.because, event.body.on) for event in run.events() if event.type == "step_skipped"
    ]
    assert skipped == [("big", "when", None), ("needs", "needs", "big")]


def test_a_fan_out_keeps_the_order_and_one_failed_item_does_not_lose_the_others(log):
    """The failed one's place says what happened to it."""
    pipeline = ak.Pipeline("p", input={"numbers": list[int]})

    @pipeline.step(each="numbers", concurrency=3, on_error="collect")
    def inverse(number: int) -> float:
        return 1 / number

    @pipeline.step
    def told(inverse: list[float | ak.Failed]) -> list[str]:
        return [one.type if isinstance(one, ak.Failed) else f"{one:g}" for one in inverse]

    run = pipeline.run(numbers=[1, 2, 0, 4], log=log)
    assert run.result(timeout=10) == ["1", "0.5", "ZeroDivisionError", "0.25"]
    assert ("step_started", "inverse[3]") in types(run)


def test_a_fan_out_that_is_to_fail_says_which_item_did(log):
    """The run fails with the first one's error, and the others' results stay recorded."""
    pipeline = ak.Pipeline("p", input={"numbers": list[int]})

    @pipeline.step(each="numbers", concurrency=1)
    def inverse(number: int) -> float:
        return 1 / number

    run = pipeline.run(numbers=[1, 0, 2], log=log)
    with pytest.raises(ak.RunFailed, match=r"inverse: 1 of 3 items failed, the first: inverse\[1\]: ZeroDivisionError"):
        run.result(timeout=10)
    assert run.state.calls["inverse[0]"].result == 1.0


def test_a_gated_step_waits_for_a_person_and_runs_once(log):
    """The predicate sees typed arguments; its verdict is recorded; an approved step runs."""
    pipeline = ak.Pipeline("p", input={"amount": float})
    paid = []

    @pipeline.step
    def facts(amount: float) -> Facts:
        return Facts(theAmount=amount)

    @pipeline.step(writes=True, approve=lambda asked: asked.args["facts"].amount > 50)
    def pay(facts: Facts, ctx: ak.Context) -> Receipt:
        paid.append(facts.amount)
        return Receipt(key=ctx.idempotency_key)

    assert pipeline.run(amount=10, log=log).result(timeout=10).key
    run = pipeline.run(amount=60, log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    assert paid == [10]
    run.approve(edit={"facts": {"theAmount": 55}})
    assert run.result(timeout=10).key
    assert paid == [10, 55]


@pytest.mark.parametrize(
    ("on_reject", "output"), [("skip", {"after": "None"}), (lambda reason: f"no: {reason}", {"after": "no: too much"})]
)
def test_what_a_no_leads_to_is_planned(log, on_reject, output):
    """`on_reject` skips the step or gives its result; without it the run ends."""
    pipeline = ak.Pipeline("p", input={"x": int}, output=["after"])

    @pipeline.step(approve=True, on_reject=on_reject)
    def pay(x: int) -> str:
        return "paid"

    @pipeline.step
    def after(pay: str | None) -> str:
        return str(pay)

    run = pipeline.run(x=1, log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    run.reject(reason="too much")
    assert run.result(timeout=10) == output["after"]


def test_a_rejected_step_ends_its_run(log):
    """The step is `rejected`, and so says the run."""
    pipeline = ak.Pipeline("p", input={"x": int})
    pipeline.step(approve=True)(lambda_named("pay"))
    run = pipeline.run(x=1, log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    run.reject(reason="too much")
    with pytest.raises(ak.RunFailed, match="pay: too much"):
        run.result(timeout=10)
    assert run.state.calls["pay"].outcome == "rejected"


def lambda_named(name):
    def step(x: int) -> int:
        return x

    step.__name__ = name
    return step


def test_an_ask_is_validated_asked_again_and_recorded(log):
    """A step asks a model as an agent does: refused answers go back, and every call is an event of the run."""
    model = ScriptedModel(['{"key": 1}', '{"key": "k"}'])
    pipeline = ak.Pipeline("p", input={"x": int}, model=model)

    @pipeline.step
    def receipt(x: int, ctx: ak.Context) -> Receipt:
        return ctx.ask(f"Receipt for {x}", output=Receipt)

    run = pipeline.run(x=1, log=log)
    assert run.result(timeout=10) == Receipt(key="k")
    assert run.usage.model_calls == 2
    assert [step for kind, step in types(run) if kind == "model_requested"] == [
        "receipt/ask/1/model/1",
        "receipt/ask/1/model/2",
    ]


def test_an_item_whose_ask_fails_says_whether_the_model_was_refused_or_could_not_be_asked(log):
    """What stands for it has the type of the model's error: only one of them is about the item."""

    def respond(request):
        if request.messages[0].content == "1":
            raise ak.AgentKitError("set SOME_KEY")
        return "no number"

    pipeline = ak.Pipeline("p", input={"numbers": list[int]}, model=FunctionModel(respond), max_reasks=1)

    @pipeline.step(each="numbers", on_error="collect")
    def asked(number: int, ctx: ak.Context) -> int:
        return ctx.ask(str(number), output=int)

    failed = pipeline.run(numbers=[1, 2], log=log).result(timeout=10)
    assert [one.type for one in failed] == ["AgentKitError", "TooManyReasks"]


def test_an_async_step_awaits_what_it_asks_and_calls(log):
    """`ak.AsyncContext` is the context of an `async def`."""

    @ak.tool
    def add(a: int, b: int) -> int:
        """Add two numbers and return their sum as a number."""
        return a + b

    pipeline = ak.Pipeline("p", input={"x": int}, model=FunctionModel(lambda _request: "5"))

    @pipeline.step
    async def total(x: int, ctx: ak.AsyncContext) -> int:
        said = await ctx.ask("a number", output=int)
        return await ctx.call(add, a=x, b=said)

    assert pipeline.run(x=1, log=log).result(timeout=10) == 6


def test_a_gated_call_inside_a_step_parks_it_and_what_was_done_before_is_used_again(log):
    """The step is entered again on resume: nothing is asked or done a second time."""
    reads, writes, entered = [], [], []

    @ak.tool
    def look(order: str) -> dict:
        """Look up one order and return what is known of it."""
        reads.append(order)
        return {"order": order}

    @ak.tool(writes=True, approve=True)
    def refund(order: str, amount: float) -> Receipt:
        """Refund part of an order and return the receipt."""
        writes.append(amount)
        return Receipt(key=order)

    pipeline = ak.Pipeline("p", input={"x": int}, model=ScriptedModel(["7"]))

    @pipeline.step
    def pay(x: int, ctx: ak.Context) -> Receipt:
        entered.append(x)
        amount = ctx.ask("how much?", output=float)
        order = ctx.call(look, order="A-1")
        return ctx.call(refund, order=order["order"], amount=amount)

    run = pipeline.run(x=1, log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    run.approve()
    assert run.result(timeout=10) == Receipt(key="A-1")
    assert (reads, writes, entered) == (["A-1"], [7.0], [1, 1])


def test_every_question_of_a_fan_out_is_there_at_once(log):
    """An item that waits for a person keeps no other from being asked about: concurrency counts what works."""
    pipeline = ak.Pipeline("p", input={"numbers": list[int]})

    @pipeline.step(each="numbers", concurrency=2)
    def said(number: int, ctx: ak.Context) -> str:
        return ctx.call(ak.ask_person, question=f"which is {number}?")

    run = pipeline.run(numbers=list(range(5)), log=log)
    with pytest.raises(ak.RunPaused) as paused:
        run.result(timeout=10)
    assert sorted(asked.prompt for asked in paused.value.pending) == [f"which is {number}?" for number in range(5)]
    for asked in paused.value.pending:
        run.answer(asked.id, asked.prompt[9])
    assert run.result(timeout=10) == ["0", "1", "2", "3", "4"]


def test_a_person_can_be_asked_about_words_that_hold_a_secret(log):
    """The secret is hidden in the question; only a call that would need it is refused."""
    pipeline = ak.Pipeline("p", input={"words": str})

    @pipeline.step
    def said(words: str, ctx: ak.Context) -> str:
        return ctx.call(ak.ask_person, question=f"what is {words}?")

    run = pipeline.run(words="http://me:pass@host/x", log=log)
    with pytest.raises(ak.RunPaused) as paused:
        run.result(timeout=10)
    assert ":pass@" not in paused.value.pending[0].prompt
    run.answer(paused.value.pending[0].id, "an address")
    assert run.result(timeout=10) == "an address"


def test_a_failed_step_is_tried_again_and_its_writes_are_not_done_twice(log):
    """On a retry recorded writes are used again; what only reads is done anew."""
    reads, writes = [], []

    @ak.tool
    def look(order: str) -> int:
        """Look up one order and return what is known of it."""
        reads.append(order)
        return len(reads)

    @ak.tool(writes=True)
    def put(order: str) -> str:
        """Write down one order and return its place there."""
        writes.append(order)
        return "there"

    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step(retry=ak.Retry(max_attempts=3, initial=0.01))
    def work(x: int, ctx: ak.Context) -> int:
        seen = ctx.call(look, order="A")
        ctx.call(put, order="A")
        if ctx.attempt < 3:
            raise ValueError("not yet")
        return seen

    run = pipeline.run(x=1, log=log)
    assert run.result(timeout=10) == 3
    assert writes == ["A"]


def test_agents_tools_and_pipelines_are_steps(log):
    """Each does its work in a run of its own, or as the call it is."""

    @ak.tool
    def shout(text: str) -> str:
        """Return the text in capital letters, for a headline."""
        return text.upper()

    inner = ak.Pipeline("inner", input={"text": str})

    @inner.step
    def doubled(text: str) -> str:
        return text * 2

    agent = ak.Agent("namer", ScriptedModel(["Ada"]), "Name it.")
    outer = ak.Pipeline("outer", input={"topic": str}, output="shout")
    outer.step(agent)
    outer.step(inner, needs={"text": "namer"})
    outer.step(shout, needs={"text": "inner"})
    run = outer.run(topic="x", log=log)
    assert run.result(timeout=10) == "ADAADA"
    assert [child.state.name for child in run.children()] == ["namer", "inner"]
    assert run.usage.model_calls == 1


def test_a_cached_step_uses_another_runs_result_and_says_so(log):
    """The same input and source bring the recorded result."""
    calls = []
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step(cache=True)
    def slow(x: int) -> int:
        calls.append(x)
        return x * 2

    first = pipeline.run(x=3, log=log)
    assert first.result(timeout=10) == 6
    second = pipeline.run(x=3, log=log)
    assert second.result(timeout=10) == 6
    assert pipeline.run(x=4, log=log).result(timeout=10) == 8
    assert calls == [3, 4]
    assert second.state.calls["slow"].cached_from == first.run_id


# forks ----------------------------------------------------------------------------------------------------------------


def three_steps(done):
    pipeline = ak.Pipeline("three", input={"x": int, "y": (int, 1)})

    @pipeline.step
    def a(x: int) -> int:
        done.append("a")
        return x * 10

    @pipeline.step
    def b(a: int, y: int) -> int:
        done.append("b")
        return a + y

    @pipeline.step
    def c(b: int) -> str:
        done.append("c")
        return f"c{b}"

    return pipeline


def test_a_fork_does_a_step_and_what_needs_it_again(log):
    """What came before is shared; the parent stays as it was."""
    done = []
    run = three_steps(done).run(x=1, log=log)
    assert run.result(timeout=10) == "c11"
    assert run.fork(at="b").result(timeout=10) == "c11"
    assert done == ["a", "b", "c", "b", "c"]


def test_a_fork_with_another_input_does_again_what_needs_it(log):
    """Only that: the rest is shared."""
    done = []
    run = three_steps(done).run(x=1, log=log)
    run.result(timeout=10)
    assert run.fork(input={"y": 5}).result(timeout=10) == "c15"
    assert done == ["a", "b", "c", "b", "c"]


def test_a_fork_without_a_place_does_again_what_changed(log):
    """A cell executed again with other code, then `run.fork()`; where nothing changed, it says so."""
    done = []
    pipeline = three_steps(done)
    run = pipeline.run(x=1, log=log)
    run.result(timeout=10)
    with pytest.raises(ak.ForkError, match=r"nothing of run .* failed, and no step or input changed"):
        run.fork()

    @pipeline.step
    def b(a: int, y: int) -> int:
        done.append("new b")
        return a - y

    assert run.fork().result(timeout=10) == "c9"
    assert done == ["a", "b", "c", "new b", "c"]


def test_a_failed_run_is_forked_from_what_failed(log):
    """Of a fan-out only the items that failed, and those that had not begun, are done again."""
    broken, done = threading.Event(), []  # an event has no value that a digest of the step follows
    broken.set()
    pipeline = ak.Pipeline("p", input={"numbers": list[int]})

    @pipeline.step(each="numbers", concurrency=1)
    def work(number: int) -> int:
        done.append(number)
        if number == 2 and broken.is_set():
            raise ValueError("broken")
        return number

    @pipeline.step
    def total(work: list[int]) -> int:
        return sum(work)

    run = pipeline.run(numbers=[1, 2, 3], log=log)
    with pytest.raises(ak.RunFailed):
        run.result(timeout=10)
    broken.clear()
    fork = run.fork()
    assert fork.result(timeout=10) == 6
    assert done == [1, 2, 2, 3]
    assert fork.fork(at="work[0]").result(timeout=10) == 6
    assert done == [1, 2, 2, 3, 1]


def test_a_fork_asks_before_a_write_that_its_parent_did(log):
    """The person sees what became of it there."""
    paid = []
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step
    def amount(x: int) -> int:
        return x

    @pipeline.step(writes=True)
    def pay(amount: int) -> str:
        paid.append(amount)
        return "paid"

    run = pipeline.run(x=1, log=log)
    run.result(timeout=10)
    fork = run.fork(at="amount")
    with pytest.raises(ak.RunPaused):
        fork.result(timeout=10)
    (asked,) = fork.pending
    assert (asked.because, asked.shows[0]["outcome"]) == ("parent_did_it", {"result": "paid"})
    fork.reject(reason="it is paid")
    with pytest.raises(ak.RunFailed):
        fork.result(timeout=10)
    assert paid == [1]


def test_a_fork_names_what_there_is_to_fork_at(log):
    """A step that is not there is answered with those that are."""
    run = three_steps([]).run(x=1, log=log)
    run.result(timeout=10)
    with pytest.raises(ak.ForkError, match="three has no step 'd': a, b, c"):
        run.fork(at="d")
    with pytest.raises(ak.ForkError, match=r"z: .*\(inputs: x, y\)"):
        run.fork(input={"z": 1})


def test_an_agents_own_budget_holds_in_a_pipeline(log):
    """Its step fails where it is used up; the pipeline's own budget pauses the run, and can be raised."""

    @ak.tool
    def look(what: str) -> dict:
        """Look something up and return what is known of it there."""
        return {"what": what}

    def endless():
        return FunctionModel(lambda request: call("look", what=str(len(request.messages))))

    agent = ak.Agent("digger", endless(), "Dig.", tools=[look], budget=ak.Budget(model_calls=3))
    pipeline = ak.Pipeline("p", input={"topic": str})
    pipeline.step(agent)
    run = pipeline.run(topic="x", log=log)
    with pytest.raises(ak.RunFailed, match="digger used up its own budget of 3 model calls"):
        run.result(timeout=10)
    assert run.usage.model_calls == 3

    run = pipeline.run(topic="x", log=log, budget=ak.Budget(model_calls=2))
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    assert [asked.kind for asked in run.pending] == ["budget"]
    run.cancel()


def test_a_recorded_run_answers_for_its_models(log):
    """`RecordedModel` gives each ask its recorded answer."""
    pipeline = ak.Pipeline("p", input={"words": list[str]}, model=FunctionModel(lambda request: str(len(str(request)))))

    @pipeline.step(each="words")
    def count(word: str, ctx: ak.Context) -> int:
        return ctx.ask(word, output=int)

    run = pipeline.run(words=["a", "bbb"], log=log)
    recorded = ak.Pipeline("p", input={"words": list[str]}, model=RecordedModel(run.result(10) and run.events()))
    recorded.step(each="words")(count)
    assert recorded.run(words=["a", "bbb"], log=log).result(timeout=10) == run.output


def test_a_step_says_how_far_it_is(log):
    """Live, and not in the log."""
    told, go_on = threading.Event(), threading.Event()
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step
    def slow(x: int, ctx: ak.Context) -> int:
        ctx.progress(3, 10)
        told.set()
        assert go_on.wait(10)
        return x

    run = pipeline.run(x=1, log=log)
    assert told.wait(10)
    assert run.progress == {"slow": (3, 10)}
    assert "slow · running · 3 of 10" in str(run.trace)
    go_on.set()
    assert run.result(timeout=10) == 1
    assert run.progress == {}


# what a newcomer met --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each", [None, "xs"])
def test_a_result_that_is_not_of_its_declared_type_fails_the_step_that_gave_it(log, each):
    """Not the next one, and not whoever reads the output."""
    pipeline = ak.Pipeline("p", input={"xs": list[int]})

    @pipeline.step(each=each, needs=None if each else {"x": "xs"})
    def said(x: Any) -> int:
        return "hello"

    run = pipeline.run(xs=[1], log=log)
    with pytest.raises(
        ak.RunFailed, match="said returned 'hello', and its annotation says int: Input should be a valid"
    ):
        run.result(timeout=10)


def test_an_error_says_where_in_the_users_code_it_was_raised(log):
    """File, line and function, without the frames of agentkit; in the tree and in the error."""
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step
    def price(x: int) -> int:
        return {}["k"]

    run = pipeline.run(x=1, log=log)
    with pytest.raises(ak.RunFailed) as raised:
        run.result(timeout=10)
    assert raised.value.error.context["at"].startswith("test_pipeline.py:")
    assert raised.value.error.context["at"].endswith(", in price")
    assert "in price" in str(run.trace)


def test_a_fork_does_a_cached_step_again(log):
    """Who names the step wants it done."""
    done = []
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step(cache=True)
    def slow(x: int) -> int:
        done.append(x)
        return x

    run = pipeline.run(x=3, log=log)
    run.result(timeout=10)
    assert run.fork(at="slow").result(timeout=10) == 3
    assert done == [3, 3]


def test_a_forks_fan_out_took_what_the_fork_took(log):
    """Not the time since its parent began."""
    pipeline = ak.Pipeline("p", input={"xs": list[int]})

    @pipeline.step(each="xs")
    def work(x: int) -> int:
        return x

    run = pipeline.run(xs=[1, 2], log=log)
    run.result(timeout=10)
    fork = run.fork(at="work[1]")
    fork.result(timeout=10)
    assert fork.state.calls["work"].started >= fork.state.started_at


def test_a_steps_result_is_had_by_its_name(log):
    """As its type; of a fan-out the list; where there is none, what there is instead."""
    pipeline = ak.Pipeline("p", input={"xs": list[float]})

    @pipeline.step(each="xs")
    def facts(x: float) -> Facts:
        return Facts(theAmount=x)

    @pipeline.step
    def count(facts: list[Facts]) -> int:
        return len(facts)

    run = pipeline.run(xs=[1.0, 2.0], log=log)
    run.result(timeout=10)
    assert run["facts"] == [Facts(theAmount=1.0), Facts(theAmount=2.0)]
    assert (run["facts[1]"].amount, run["count"]) == (2.0, 2)
    with pytest.raises(ak.ConfigError, match="no result of 'fact'; it has those of: facts, count"):
        _ = run["fact"]
