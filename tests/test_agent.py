"""An agent and its runs: what is written in a notebook, and what comes back."""

import asyncio
import threading
import time

import pytest
from pydantic import BaseModel
from small_agents import bodies, lookup

import agentkit as ak
from agentkit.errors import ConfigError, EncodingError
from agentkit.events import Checked, Decided, RunStarted
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

SOON = 20  # seconds until a test that hangs says so


class Resolution(BaseModel):
    summary: str
    refunded: float


class Receipt(BaseModel):
    refund_id: str
    amount: float


class Gateway:
    def __init__(self):
        self.refunds = []

    def refund(self, order_id, amount, key):
        self.refunds.append((order_id, amount, key))
        return Receipt(refund_id=f"R-{len(self.refunds)}", amount=amount)


@ak.tool
def find_order(order_id: str) -> dict:
    """Look up one order. Returns its items, status and total in USD.

    Args:
        order_id: the order's number, for example "A-1042".
    """
    return {"order_id": order_id, "status": "broken", "total": 80.0}


def test_the_snippet(log):
    """The first page of the design, word for word: a read, a gated write, a person's yes, a typed output."""
    gateway = Gateway()

    @ak.tool(writes=True, approve=lambda call: call.args["amount"] > 50)
    def refund(order_id: str, amount: float, ctx: ak.Context) -> Receipt:
        """Refund part of an order to its payment method. Returns the receipt.

        Args:
            order_id: the order's number, for example "A-1042".
            amount: how much to refund, in USD.
        """
        return gateway.refund(order_id, amount, key=ctx.idempotency_key)

    model = ScriptedModel(
        [
            call("find_order", order_id="A-1042", why="to see what was ordered"),
            call("refund", order_id="A-1042", amount=80, why="it arrived broken"),
            Resolution(summary="refunded", refunded=80),
        ]
    )
    support = ak.Agent(
        "support",
        model=model,
        instructions="Help with orders. Be brief.",
        tools=[find_order, refund],
        output=Resolution,
        budget=ak.Budget(usd=0.50, model_calls=20),
    )
    run = support.run("Order A-1042 arrived broken", log=log)
    with pytest.raises(ak.RunPaused) as paused:
        run.result(SOON)
    (asked,) = paused.value.pending
    assert (asked.name, asked.arguments) == ("refund", {"order_id": "A-1042", "amount": 80.0})
    assert asked.why == "it arrived broken"
    assert gateway.refunds == []
    run.approve(comment="fine")
    assert run.result(SOON) == Resolution(summary="refunded", refunded=80)
    assert len(gateway.refunds) == 1
    assert run.output == Resolution(summary="refunded", refunded=80)
    assert (run.status, run.usage.model_calls, run.usage.tool_calls) == ("succeeded", 3, 2)
    model.assert_consumed()


def test_run_returns_at_once(log):
    """A run goes on in the background: the call that started it does not wait for the model."""
    go = threading.Event()

    async def slow(_request):
        await asyncio.to_thread(go.wait, SOON)
        return "done"

    run = ak.Agent("slow", FunctionModel(slow)).run("hi", log=log)
    assert run.status == "running"
    assert run.output is None
    go.set()
    assert run.result(SOON) == "done"


def test_result_gives_up_waiting_and_the_run_goes_on(log):
    """A timeout of `result` is the caller's, not the run's."""
    go = threading.Event()

    async def slow(_request):
        await asyncio.to_thread(go.wait, SOON)
        return "done"

    run = ak.Agent("slow", FunctionModel(slow)).run("hi", log=log)
    with pytest.raises(TimeoutError, match=run.run_id):
        run.result(0.05)
    go.set()
    assert run.result(SOON) == "done"


def test_a_run_is_awaited_in_an_async_program(log):
    """`await run` gives the output, or raises what `result` raises."""

    async def program():
        good = await ak.Agent("a", ScriptedModel(["yes"])).run("hi", log=log)
        with pytest.raises(ak.RunFailed):
            await ak.Agent("b", ScriptedModel([ValueError("no")])).run("hi", log=log)
        return good

    assert asyncio.run(program()) == "yes"


def test_waiting_inside_an_async_tool_is_refused(log):
    """Blocking the thread that executes every run would stop them all: the error says to await."""
    inner = ak.Agent("inner", ScriptedModel(["deep"] * 2))

    @ak.tool
    async def ask_blocking() -> str:
        """Ask another agent, the wrong way. Returns its answer."""
        return inner.run("hi", log=log).result(SOON)

    @ak.tool
    async def ask_awaiting() -> str:
        """Ask another agent. Returns its answer."""
        return await inner.run("hi", log=log)

    model = ScriptedModel([call("ask_blocking"), call("ask_awaiting"), "ok"])
    run = ak.Agent("outer", model, tools=[ask_blocking, ask_awaiting], decisions="off").run("hi", log=log)
    assert run.result(SOON) == "ok"
    refused, answered = [message for message in run.state.messages if message.role == "tool"]
    assert "await" in refused.content["error"]["message"]
    assert answered.content == "deep"


def test_wait_says_how_to_answer_where_nobody_can_be_asked(log):
    """Without a terminal `wait` raises what `result` raises."""
    agent = ak.Agent("asks", ScriptedModel([call("ask_person", question="Which?")]), tools=[ak.ask_person])
    with pytest.raises(ak.RunPaused, match=r"run[.]answer"):
        agent.run("hi", log=log).wait(SOON)


def test_deps_reach_tools_and_never_the_log(log):
    """`deps=` is what tools get as `ctx.deps`."""

    @ak.tool
    def whoami(ctx: ak.Context) -> str:
        """Who is asking. Returns a name."""
        return ctx.deps["name"]

    agent = ak.Agent("deps", ScriptedModel([call("whoami"), "ok"]), tools=[whoami], decisions="off")
    run = agent.run("hi", deps={"name": "ada", "password": "hunter2!"}, log=log)
    run.result(SOON)
    assert run.state.calls["tool/whoami/1"].result == "ada"
    assert not any(b"hunter2!" in event.encode() for event in run.events())


def test_tags_session_and_user_are_recorded(log):
    """They are what runs are found by."""
    run = ak.Agent("a", ScriptedModel(["ok"])).run("hi", tags=["eval", "b"], session="s-1", user="ada", log=log)
    run.result(SOON)
    (started,) = bodies(run, RunStarted)
    assert (started.tags, started.session, started.user) == (("eval", "b"), "s-1", "ada")


def test_a_check_has_the_model_try_again(log):
    """What a check raises is what the model is told; a check with a second parameter gets the tool results."""
    seen = []

    def short(output):
        if len(output) > 5:
            raise ValueError("too long")

    async def grounded(output, results):
        seen.append(results)

    model = ScriptedModel([call("lookup", what="x"), "much too long", "ok"])
    agent = ak.Agent("checked", model, tools=[lookup], checks=[short, grounded], decisions="off")
    run = agent.run("hi", log=log)
    assert run.result(SOON) == "ok"
    assert "too long" in model.requests[-1].messages[-1].content
    assert seen == [[{"tool": "lookup", "result": "about x"}]]
    assert [(body.passed, body.error and body.error.message) for body in bodies(run, Checked)] == [
        (False, "too long"),
        (True, None),
        (True, None),
    ]


def test_a_check_may_raise_anything(log):
    """SystemExit in a check refuses the answer; it does not stop the other runs."""

    def leave(output):
        raise SystemExit(3)

    run = ak.Agent("leaves", ScriptedModel(["a", "b"]), checks=[leave], max_reasks=1).run("hi", log=log)
    with pytest.raises(ak.RunFailed):
        run.result(SOON)
    assert ak.Agent("other", ScriptedModel(["fine"])).run("hi", log=log).result(SOON) == "fine"


def test_a_wrong_output_is_told_with_field_paths(log):
    """A structured answer that does not validate comes back to the model with the path of each problem."""
    model = ScriptedModel(['{"summary": 3}', Resolution(summary="s", refunded=1)])
    run = ak.Agent("typed", model, output=Resolution).run("hi", log=log)
    assert run.result(SOON).refunded == 1
    (refused, *_rest) = bodies(run, Checked)
    assert {problem["path"] for problem in refused.error.context["errors"]} == {"summary", "refunded"}
    assert "refunded" in model.requests[-1].messages[-1].content


def test_reasks_are_counted_in_a_row(log):
    """After `max_reasks` wrong answers in a row the run fails, and says what was wrong the last time."""
    model = ScriptedModel(["not json"] * 4)
    run = ak.Agent("typed", model, output=Resolution).run("hi", log=log)
    with pytest.raises(ak.RunFailed, match="max_reasks=3") as failed:
        run.result(SOON)
    assert failed.value.error.type == "TooManyReasks"
    assert failed.value.usage.model_calls == 4
    model.assert_consumed()


def test_wrong_arguments_are_told_and_not_run(log):
    """The model gets the path of what is wrong; a good call in between starts the count again."""
    model = ScriptedModel(
        [
            call("lookup", wat="x"),
            call("lookup", what=[]),
            call("lookup", what="good"),
            call("nothing_like_it"),
            call("lookup", what={}),
            "ok",
        ]
    )
    run = ak.Agent("wrong", model, tools=[lookup], max_reasks=2, decisions="off").run("hi", log=log)
    assert run.result(SOON) == "ok"
    told = [message.content for message in run.state.messages if message.role == "tool"]
    assert told[0]["error"]["context"]["errors"][0]["path"] in {"wat", "what"}
    assert told[2] == "about good"
    assert told[3]["error"]["context"]["tools"] == ["lookup"]


def test_decisions_are_recorded_with_their_reasons(log):
    """What was chosen, why, instead of what, and what was offered: the reasons never reach the tool."""
    model = ScriptedModel([call("lookup", what="x", why="to know", instead_of="guessing"), "ok"])
    run = ak.Agent("decides", model, tools=[lookup, find_order]).run("hi", log=log)
    run.result(SOON)
    chosen, answered = bodies(run, Decided)
    assert (chosen.action, chosen.why, chosen.instead_of) == ("lookup", "to know", "guessing")
    assert chosen.offered == ("lookup", "find_order")
    assert answered.action == "answer"
    assert run.state.calls["tool/lookup/1"].arguments == {"what": "x"}
    assert "why" in model.requests[0].tools[0].parameters["required"]


def test_decisions_off_offers_no_reasons(log):
    """Then the tool's schema is what the model sees, and the choice is fixed in `run_started`."""
    model = ScriptedModel([call("lookup", what="x"), "ok"])
    run = ak.Agent("decides", model, tools=[lookup], decisions="off").run("hi", log=log)
    run.result(SOON)
    assert "why" not in model.requests[0].tools[0].parameters["properties"]
    assert bodies(run, RunStarted)[0].config["decisions"] is False
    assert bodies(run, Decided) == []


def test_a_tool_keeps_its_own_why(log):
    """A parameter named `why` is the tool's when the tool has one."""
    seen = []

    @ak.tool
    def log_visit(why: str) -> str:
        """Write a visit down. Returns nothing much.

        Args:
            why: the visit's purpose.
        """
        seen.append(why)
        return "ok"

    model = ScriptedModel([call("log_visit", why="a meeting", instead_of="a call"), "ok"])
    ak.Agent("own", model, tools=[log_visit]).run("hi", log=log).result(SOON)
    assert seen == ["a meeting"]


def test_usage_counts_every_attempt(log):
    """A failed attempt is a call too."""
    retry = ak.Retry(initial=0)
    usage = ak.Usage(input_tokens=7, output_tokens=3, cost_usd=0.25)
    model = ScriptedModel([TimeoutError("slow"), call("lookup", what="x"), "ok"], usage=usage)
    run = ak.Agent("u", model, tools=[lookup], retry=retry).run("hi", log=log)
    run.result(SOON)
    assert (run.usage.model_calls, run.usage.input_tokens, run.usage.tool_calls) == (3, 14, 1)
    assert run.cost == 0.5


def test_time_of_a_run_without_effects(log):
    """Twenty turns take well under a second: nothing polls between them."""
    model = ScriptedModel([call("lookup", what=str(n)) for n in range(20)] + ["ok"])
    began = time.perf_counter()
    ak.Agent("fast", model, tools=[lookup]).run("hi", log=log).result(SOON)
    assert time.perf_counter() - began < 2


def test_a_run_is_awaited_from_two_loops(log):
    """A run belongs to no loop of the user's."""
    go = threading.Event()

    async def slow(_request):
        await asyncio.to_thread(go.wait, SOON)
        return "done"

    run = ak.Agent("slow", FunctionModel(slow)).run("hi", log=log)

    async def wait():
        return await run

    answers = []
    threads = [threading.Thread(target=lambda: answers.append(asyncio.run(wait()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(SOON)
    assert answers == ["done", "done"]


def test_each_check_has_its_say(log):
    """Two lambdas are two checks; an object whose call is async is awaited; a default is the check's own."""
    said = []

    class Slowly:
        async def __call__(self, output):
            said.append("slowly")

    def strict(output, limit=3):
        said.append(limit)

    checks = [lambda output: said.append("one"), lambda output: said.append("two"), Slowly(), strict]
    run = ak.Agent("checked", ScriptedModel(["ok"]), checks=checks).run("hi", log=log)
    assert run.result(SOON) == "ok"
    assert said == ["one", "two", "slowly", 3]
    assert [body.passed for body in bodies(run, Checked)] == [True] * 4


def test_labels_are_texts(log):
    """A single text is no list of tags; a number is no session."""
    agent = ak.Agent("a", ScriptedModel(["ok"]))
    for wrong in ({"tags": "abc"}, {"tags": [1]}, {"session": 3}):
        with pytest.raises(ConfigError, match="text"):
            agent.run("hi", log=log, **wrong)


@pytest.mark.parametrize("given", [[{"type": "order", "id": 1}], {"a": [1, None]}, 3, {}])
def test_any_json_is_an_input(log, given):
    """What is no text and no message part is given to the model as JSON."""
    model = ScriptedModel(["ok"])
    run = ak.Agent("a", model).run(given, log=log)
    assert run.result(SOON) == "ok"
    assert isinstance(model.requests[0].messages[0].content, str)
    assert run.state.input == given


@pytest.mark.parametrize("odd", ["a\0", "\udc80"])
@pytest.mark.parametrize("label", ["session", "user", "tags"])
def test_a_label_that_the_log_cannot_hold_is_refused(log, label, odd):
    """At the call, with its name: nothing was started."""
    with pytest.raises(EncodingError, match=label):
        ak.Agent("a", ScriptedModel(["ok"])).run("hi", log=log, **{label: [odd] if label == "tags" else odd})
    assert len(log.runs()) == 0
