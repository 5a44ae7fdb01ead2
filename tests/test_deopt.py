"""A pipeline that meets what it was not made for: who goes on, from what, and what is never done twice."""

import datetime as dt

import pytest
from small_agents import SOON, paused
from small_pipelines import Gate, cut, events_of, kept, until, wait_until

import agentkit as ak
from agentkit.errors import ResumeError
from agentkit.events import ApprovalAnswered
from agentkit.fold import fold
from agentkit.graph import of_run
from agentkit.messages import AssistantMessage, ToolMessage, UserMessage
from agentkit.notebook.rows import rows
from agentkit.render import child_states
from agentkit.testing import FailPoints, FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore:.*would make the.* easier for a model")
NO_AGENT = None
WHY = ak.Deopt.__doc__.split("```")[1].removeprefix("sql")
"""How many runs deopted, where and why, as its documentation asks it."""


class Shop:
    """A shop's tools, an agent and a pipeline that uses them, and what happened in the shop.

    Args:
        turns: what the agent's model says.
        status: of the orders.
    """

    def __init__(self, *turns, status="lost"):
        self.read, self.wrote, self.status = [], [], status
        self.hold = lambda: None
        self.model = ScriptedModel(turns)

        @ak.tool
        def find_order(order_id: str) -> dict:
            """Look up one order. Returns its items and its status."""
            self.read.append(order_id)
            if order_id == "gone":
                raise ak.ToolError("no such order", order_id=order_id)
            return {"id": order_id, "price": 8.0, "status": self.status}

        @ak.tool(writes=True)
        def refund(order_id: str, amount: float) -> dict:
            """Refund an order. Returns the receipt."""
            self.hold()
            self.wrote.append((order_id, amount))
            return {"receipt": len(self.wrote)}

        self.find_order, self.refund = find_order, refund
        self.agent = ak.Agent("support", self.model, tools=[find_order, refund])

    def pipeline(self, *steps, agent=True, text="text", **options):
        """A pipeline with one input; `order` is its first step, the given ones follow."""
        made = kept(ak.Pipeline("shop", input={text: str}, deopt=self.agent if agent else NO_AGENT, **options))
        made.step(self.order, name="order", needs={"text": text})
        for step in steps:
            work, more = step if isinstance(step, tuple) else (step, {})
            made.step(work, **more)
        return made

    def order(self, text: str, ctx: ak.Context) -> dict:
        """Look up the order."""
        return ctx.call(self.find_order, order_id=text)

    def pay(self, order: dict, ctx: ak.Context) -> dict:
        """Refund it."""
        return ctx.call(self.refund, order_id=order["id"], amount=order["price"])


def answer(order: dict) -> str:
    """The last step, made for orders that were delivered."""
    ak.guard(order["status"] == "delivered", "an order like this was never seen", status=order["status"])
    return "refunded"


def last(order: dict, pay: dict) -> str:
    """The same after a write."""
    return answer(order)


def deopted(run):
    """The body of a run's `deopted`."""
    return events_of(run, "deopted")[0][1]


# without an agent ----------------------------------------------------------------------------------------------------


def test_a_guard_that_fails_fails_the_run_with_its_message(log):
    """Without an agent the error says what was met, where, with which values."""
    run = Shop().pipeline(answer, agent=False).run(text="A-1", log=log)
    with pytest.raises(ak.RunFailed) as raised:
        run.result(SOON)
    error = raised.value.error
    assert (error.type, error.message) == ("Deopt", "answer: an order like this was never seen")
    assert error.context == {"status": "lost", "step": "answer"}
    assert (deopted(run).agent, deopted(run).message) == (None, "an order like this was never seen")


def test_a_guard_is_never_tried_again(log):
    """Whatever `retry` says: the same values fail again."""
    tried = []

    def picky(order: dict) -> str:
        tried.append(order)
        raise ak.Deopt("no")

    retry = ak.Retry(max_attempts=5, initial=0.001)
    run = Shop().pipeline((picky, {"retry": retry, "retry_on": (Exception,)}), agent=False).run(text="A-1", log=log)
    with pytest.raises(ak.RunFailed, match="Deopt: picky: no"):
        run.result(SOON)
    assert len(tried) == 1


def test_guards_that_hold_change_nothing(log):
    """A run in which they do is a run without them: no agent, no event."""
    shop = Shop(status="delivered")
    run = shop.pipeline(answer).run(text="A-1", log=log)
    assert run.result(SOON) == "refunded"
    assert not events_of(run, "deopted")
    assert not shop.model.requests


# before a write ------------------------------------------------------------------------------------------------------


def test_the_agent_goes_on_from_the_results_so_far(log):
    """It sees the input and the calls as if it had made them, reads nothing again, and its output is the run's."""
    shop = Shop("It is lost.")
    run = shop.pipeline(answer).run(text="A-1", log=log)
    assert run.result(SOON) == "It is lost."
    assert shop.read == ["A-1"]
    said, made, result = shop.model.requests[0].messages
    assert said == UserMessage(content="A-1")
    assert isinstance(made, AssistantMessage)
    assert [(one.name, one.arguments) for one in made.tool_calls] == [("find_order", {"order_id": "A-1"})]
    assert result == ToolMessage(
        call_id=made.tool_calls[0].id, name="find_order", content={"id": "A-1", "price": 8.0, "status": "lost"}
    )


def test_the_prompt_rebuilds_exactly(log):
    """The agent's run is the fold of its events and of the pipeline's; nothing is stored twice."""
    run = Shop("It is lost.").pipeline(answer).run(text="A-1", log=log)
    run.result(SOON)
    (child,) = run.children()
    assert child.prompt("model/1").exact
    assert child.state == fold(child.events(), run.replay(child.state.origin.seq))
    assert (child.state.origin.kind, child.state.origin.run_id) == ("deopt", run.run_id)


def test_what_happened_is_an_event(log):
    """`deopted` says where, what, with which values, who goes on, and what was done so far; SQL counts them."""
    run = Shop("It is lost.").pipeline(answer).run(text="A-1", log=log)
    run.result(SOON)
    ((step, body),) = events_of(run, "deopted")
    assert (step, body.message, body.context) == ("answer", "an order like this was never seen", {"status": "lost"})
    assert (body.agent, body.writes) == ("support", ())
    assert [(made.step, made.name, made.arguments) for made in body.calls] == [
        ("order/call/find_order/1", "find_order", {"order_id": "A-1"})
    ]
    assert [tuple(row) for row in log.sql(WHY)] == [("answer", "an order like this was never seen", "support", 1)]
    assert ("answer", "Deopt") in {tuple(row) for row in log.sql("SELECT step, error FROM errors")}
    assert ("deopt", "ok") in {tuple(row) for row in log.sql("SELECT step, status FROM steps")}


def test_several_inputs_are_an_object(log):
    """Only a single input named `text` is given as it is."""
    shop = Shop("fine")
    shop.pipeline(answer, text="number").run(number="A-1", log=log).result(SOON)
    assert shop.model.requests[0].messages[0].content == '{"number":"A-1"}'


def test_a_tool_that_is_a_step_is_a_call_too(log):
    """`pipeline.step(tool)` is shown with the arguments that the graph gave it."""
    shop = Shop("fine")
    pipeline = kept(ak.Pipeline("shop", input={"text": str}, deopt=shop.agent))
    pipeline.step(shop.find_order, name="order", needs={"order_id": "text"})
    pipeline.step(answer)
    pipeline.run(text="A-1", log=log).result(SOON)
    made = shop.model.requests[0].messages[1].tool_calls[0]
    assert (made.name, made.arguments) == ("find_order", {"order_id": "A-1"})
    assert shop.read == ["A-1"]


def test_a_call_that_failed_is_shown_as_it_failed(log):
    """The agent sees the tool's error, as it would have seen it."""
    shop = Shop("there is none")
    run = shop.pipeline(answer).run(text="gone", log=log)
    assert run.result(SOON) == "there is none"
    result = shop.model.requests[0].messages[2]
    assert result.is_error
    assert result.content["error"]["message"] == "no such order"


def test_what_the_agent_used_is_the_runs(log):
    """Usage and cost count as a sub-agent's do."""
    run = Shop("fine").pipeline(answer).run(text="A-1", log=log)
    run.result(SOON)
    assert (run.usage.model_calls, run.usage.input_tokens) == (1, 10)


def test_an_output_of_another_kind_fails_the_run(log):
    """What the agent gives has to be what the pipeline gives."""

    def count(order: dict) -> int:
        raise ak.Deopt("cannot count")

    run = Shop("many").pipeline(count).run(text="A-1", log=log)
    with pytest.raises(ak.RunFailed, match="support went on, and its output is not the pipeline's"):
        run.result(SOON)


def test_an_agent_that_fails_fails_the_run(log):
    """Its error is the run's."""
    run = Shop(ValueError("the model is down")).pipeline(answer).run(text="A-1", log=log)
    with pytest.raises(ak.RunFailed, match="deopt: support: the model is down"):
        run.result(SOON)


def test_other_steps_in_flight_are_let_finish_and_none_begins(log):
    """What a step beside it reads is among the results; what comes after does not run."""
    shop, gate, ran = Shop("fine"), Gate(), []

    def beside(text: str, ctx: ak.Context) -> dict:
        gate()
        return ctx.call(shop.find_order, order_id="B-2")

    def after(beside: dict) -> str:
        ran.append(beside)
        return "after"

    run = shop.pipeline(beside, after, answer, output="answer").run(text="A-1", log=log)
    wait_until(lambda: any(event.type == "step_failed" for event in run.events()))
    assert not events_of(run, "deopted")
    gate.go_on.set()
    assert run.result(SOON) == "fine"
    assert shop.read == ["A-1", "B-2"]
    assert [one.arguments["order_id"] for one in deopted(run).calls] == ["A-1", "B-2"]
    assert not ran


def test_a_question_about_a_step_that_will_not_run_is_withdrawn(log):
    """Nobody is asked for what is not going to happen."""
    shop, gate = Shop("fine"), Gate()

    def slow(order: dict) -> str:
        gate()
        return answer(order)

    run = shop.pipeline((shop.pay, {"approve": True}), slow, output="slow").run(text="A-1", log=log)
    wait_until(lambda: run.pending)
    gate.go_on.set()
    assert run.result(SOON) == "fine"
    assert not run.pending
    assert not shop.wrote
    assert next(node for node in of_run(run).graph.nodes if node.name == "pay").status == "pending"
    assert [asked.verdict for asked in run.state.approvals.values()] == ["withdrawn"]


def test_so_is_one_about_a_call_that_a_step_makes(log):
    """The step made way for it, and is not entered again."""
    shop, gate = Shop("fine"), Gate()
    shop.refund = ak.tool(writes=True, approve=True)(shop.refund.function)

    def slow(order: dict) -> str:
        gate()
        return answer(order)

    run = shop.pipeline(shop.pay, slow, output="slow").run(text="A-1", log=log)
    wait_until(lambda: run.pending)
    gate.go_on.set()
    assert run.result(SOON) == "fine"
    assert deopted(run).writes == ()
    assert not run.pending
    assert not shop.wrote


def test_an_agent_beside_it_that_waits_for_a_person_is_let_finish(log):
    """Its run has begun: the person answers, and only then the other agent takes over."""
    shop = Shop("fine")
    asking = ScriptedModel([call("ask_person", question="which one?"), "that one"])
    asker = ak.Agent("asker", asking, tools=[ak.ask_person])
    pipeline = shop.pipeline((asker, {"needs": {"task": "text"}}), answer, output="answer")
    run = pipeline.run(text="A-1", log=log)
    (asked,) = paused(run)
    assert asked.prompt == "which one?"
    assert not events_of(run, "deopted")
    run.answer(None, "the first")
    assert run.result(SOON) == "fine"
    assert run["asker"] == "that one"


def test_a_step_that_fails_otherwise_fails_the_run(log):
    """A guard hands over; what is broken is not papered over."""
    shop, gate = Shop(), Gate()

    def breaks(text: str) -> str:
        gate()
        raise ConnectionError("the line is dead")

    run = shop.pipeline((breaks, {"retry": ak.Retry(max_attempts=1)}), answer).run(text="A-1", log=log)
    wait_until(lambda: any(event.type == "step_failed" for event in run.events()))
    gate.go_on.set()
    with pytest.raises(ak.RunFailed, match="the line is dead"):
        run.result(SOON)
    assert not shop.model.requests


def test_the_items_of_a_fan_out_hand_over_together(log):
    """Every item that failed met what it was not made for: so did the step."""

    def each_of(item: int) -> int:
        return ak.agree(item, 1)

    shop = Shop("fine")
    pipeline = kept(ak.Pipeline("shop", input={"items": list[int]}, deopt=shop.agent, output="named"))
    pipeline.step(each_of, each=("item", "items"))
    pipeline.step(lambda each_of: f"{each_of}", name="named")
    run = pipeline.run(items=[1, 2], log=log)
    assert run.result(SOON) == "fine"
    assert "each_of[1]: Deopt: what has to be the same differs: 2, 1" in deopted(run).message


# what counts as a guard ----------------------------------------------------------------------------------------------

READS = {
    "a key": lambda order: order["items"],
    "an index": lambda order: order["status"][10],
    "an attribute": lambda order: order.status,
    "a type": lambda order: order["price"] + order["status"],
    "a number": lambda order: float(order["status"]),
    "a date": lambda order: dt.date.fromisoformat(order["status"]),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_what_is_not_there_is_a_guard_that_failed(log, read):
    """In a guarded pipeline; the log keeps the traceback, and the line."""

    def reads(order: dict) -> str:
        return read(order)

    run = Shop("fine").pipeline(reads).run(text="A-1", log=log)
    assert run.result(SOON) == "fine"
    ((_, failed),) = events_of(run, "step_failed")
    assert failed.error.type == "Deopt"
    assert failed.error.context["raised"] in failed.error.message
    assert "test_deopt.py" in failed.error.context["at"]
    assert "Traceback" in failed.error.traceback


def test_a_plain_pipeline_fails_with_the_error_that_it_was(log):
    """Without an agent that takes over nothing is guarded, unless it says so."""

    def reads(order: dict) -> str:
        return order["items"]

    for guarded, kind in ((None, "KeyError"), (True, "Deopt")):
        run = Shop().pipeline(reads, agent=False, guarded=guarded).run(text="A-1", log=log)
        with pytest.raises(ak.RunFailed) as raised:
            run.result(SOON)
        assert raised.value.error.type == kind


def test_a_write_of_the_steps_own_that_breaks_is_no_guard(log):
    """Its function may have written before it broke: nobody knows."""

    def writes(order: dict) -> str:
        return order["items"]

    run = Shop().pipeline((writes, {"writes": True})).run(text="A-1", log=log)
    with pytest.raises(ak.RunFailed, match="writes: 'items'"):
        run.result(SOON)
    assert events_of(run, "step_failed")[0][1].effect == "unknown"


def test_a_guard_in_a_step_that_writes_says_that_it_did_not(log):
    """`ak.guard` stands before the write; so nobody is asked."""

    def writes(order: dict) -> str:
        return answer(order)

    run = Shop("fine").pipeline((writes, {"writes": True})).run(text="A-1", log=log)
    assert run.result(SOON) == "fine"
    assert deopted(run).writes == ()


def test_arguments_that_a_step_refuses_are_a_guard(log):
    """A result of another shape than the next step takes."""

    def typed(order: dict[str, int]) -> str:
        return "never"

    shop = Shop("fine")
    run = shop.pipeline(typed).run(text="A-1", log=log)
    assert run.result(SOON) == "fine"
    assert deopted(run).context["raised"] == "InvalidArguments"


def test_arguments_that_a_tool_refuses_are_a_guard(log):
    """The call was never begun."""
    shop = Shop("fine")

    def calls(order: dict, ctx: ak.Context) -> str:
        return ctx.call(shop.refund, order_id=order["id"], amount=order["status"])

    run = shop.pipeline(calls).run(text="A-1", log=log)
    assert run.result(SOON) == "fine"
    assert "ctx.call(refund): amount" in deopted(run).message
    assert not shop.wrote


def test_a_condition_and_a_list_are_guarded_too(log):
    """What `when` cannot find, and what is no list where one is to be."""

    def never(order: dict) -> str:
        return "never"

    def ends(order: dict) -> str:
        return "never"

    for options in ({"when": lambda order: order["items"]}, {"each": ("order", "whole")}):
        shop = Shop("fine")
        pipeline = kept(ak.Pipeline("shop", input={"text": str}, deopt=shop.agent, output="ends"))
        pipeline.step(shop.order, name="order")
        pipeline.step(lambda order: order, name="whole")
        pipeline.step(never, **options)
        pipeline.step(lambda never: f"{never}", name="ends")
        assert pipeline.run(text="A-1", log=log).result(SOON) == "fine"


def test_a_model_that_gives_no_answer_that_holds_is_a_guard(log):
    """It was asked again as often as it may be; the agent sees the whole task."""

    def asks(order: dict, ctx: ak.Context) -> str:
        return str(ctx.ask("how many?", output=int))

    shop = Shop("fine")
    run = shop.pipeline(asks, model=FunctionModel(lambda _request: "many"), max_reasks=1).run(text="A-1", log=log)
    assert run.result(SOON) == "fine"
    assert deopted(run).context["raised"] == "TooManyReasks"


def test_a_pipeline_in_a_pipeline_hands_over_by_itself(log):
    """Its run goes on with its own agent; the one around it sees a step that took longer."""
    shop = Shop("It is lost.")
    outer = kept(ak.Pipeline("outer", input={"text": str}))
    outer.step(shop.pipeline(answer), name="inner")
    run = outer.run(text="A-1", log=log)
    assert run.result(SOON) == "It is lost."
    assert not events_of(run, "deopted")
    assert deopted(run.children()[0]).agent == "support"


def test_a_line_that_dropped_is_no_guard(log):
    """The agent would meet it too: the run fails, and can be forked."""

    def reads(order: dict) -> str:
        raise TimeoutError("too slow")

    shop = Shop()
    with pytest.raises(ak.RunFailed, match="too slow"):
        shop.pipeline((reads, {"retry": ak.Retry(max_attempts=1)})).run(text="A-1", log=log).result(SOON)
    assert not shop.model.requests


def test_a_tool_that_raises_it_says_that_nothing_happened(log):
    """As a `ToolError` does: no effect is unknown, and an agent is told what was met."""

    @ak.tool(writes=True)
    def guarded(amount: float) -> dict:
        """Pay somebody. Returns the receipt."""
        ak.guard(amount < 5, "over the limit", amount=amount)
        return {}

    agent = ak.Agent("payer", ScriptedModel([call("guarded", amount=9.0), "not paid"]), tools=[guarded])
    run = agent.run("pay", log=log)
    assert run.result(SOON) == "not paid"
    ((_, failed),) = events_of(run, "tool_failed")
    assert (failed.error.type, failed.error.context, failed.effect) == ("Deopt", {"amount": 9.0}, "none")


# after a write -------------------------------------------------------------------------------------------------------


def test_after_a_write_a_person_is_asked(log):
    """What was written, what was met, who would go on; nobody goes on unasked."""
    shop = Shop("It is refunded.")
    run = shop.pipeline(shop.pay, last).run(text="A-1", log=log)
    (asked,) = paused(run)
    assert (asked.kind, asked.options) == ("deopt", ("approve", "stop"))
    assert asked.arguments == {
        "step": "last",
        "met": "an order like this was never seen",
        "context": {"status": "lost"},
    }
    assert asked.shows == [
        {
            "step": "pay/call/refund/1",
            "name": "refund",
            "arguments": {"order_id": "A-1", "amount": 8.0},
            "outcome": {"result": {"receipt": 1}},
        }
    ]
    assert not shop.model.requests
    run.approve()
    assert run.result(SOON) == "It is refunded."
    assert [message.role for message in shop.model.requests[0].messages] == ["user", *["assistant", "tool"] * 2]


@pytest.mark.parametrize("say", ["reject", "stop"])
def test_a_person_can_stop_it(log, say):
    """Then the agent never begins."""
    shop = Shop()
    run = shop.pipeline(shop.pay, last).run(text="A-1", log=log)
    (asked,) = paused(run)
    if say == "reject":
        run.reject(reason="I do it")
    else:
        run.resolve(asked.id, "stop")
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert not shop.model.requests
    assert len(shop.wrote) == 1


def test_a_write_equal_to_one_that_was_done_asks_first(log):
    """It shows what came of the first; a no leaves it at one."""
    shop = Shop(call("refund", order_id="A-1", amount=8.0), "once it is")
    run = shop.pipeline(shop.pay, last).run(text="A-1", log=log)
    paused(run)
    run.approve()
    (asked,) = paused(run)
    assert (asked.kind, asked.because, asked.arguments) == ("call", "repeated", {"order_id": "A-1", "amount": 8.0})
    assert [one["outcome"] for one in asked.shows] == [{"result": {"receipt": 1}}]
    run.reject(reason="once is enough")
    assert run.result(SOON) == "once it is"
    assert shop.wrote == [("A-1", 8.0)]


def test_another_write_does_not(log):
    """Other arguments are another write; the tool's own rule holds."""
    shop = Shop(call("refund", order_id="A-1", amount=2.0), "both")
    run = shop.pipeline(shop.pay, last).run(text="A-1", log=log)
    paused(run)
    run.approve()
    assert run.result(SOON) == "both"
    assert shop.wrote == [("A-1", 8.0), ("A-1", 2.0)]


def test_what_was_written_at_once_is_told_in_the_pipelines_order(log):
    """Which of two items wrote first is chance: what the agent reads is not."""
    shop = Shop("fine")

    def pays(order_id: str, ctx: ak.Context) -> dict:
        if order_id == "A-1":
            wait_until(lambda: shop.wrote)
        return ctx.call(shop.refund, order_id=order_id, amount=1.0)

    def ends(pays: list) -> str:
        return answer({"status": "lost"})

    pipeline = kept(ak.Pipeline("shop", input={"order_ids": list[str]}, deopt=shop.agent))
    pipeline.step(pays, each=("order_id", "order_ids"))
    pipeline.step(ends)
    run = pipeline.run(order_ids=["A-1", "A-2"], log=log)
    paused(run)
    assert [order_id for order_id, _ in shop.wrote] == ["A-2", "A-1"]
    calls = ["pays[0]/call/refund/1", "pays[1]/call/refund/1"]
    assert [write.step for write in deopted(run).writes] == calls
    assert [made.step for made in deopted(run).calls] == calls


def test_a_read_that_was_made_again_is_handed_over_once(log):
    """With what it gave the last time: a step that is tried again asks for the same."""
    shop = Shop("fine")
    tries = []

    def reads(text: str, ctx: ak.Context) -> dict:
        shop.status = f"seen {len(tries) + 1} times"
        order = ctx.call(shop.find_order, order_id=text)
        tries.append(order)
        if len(tries) == 1:
            raise ConnectionError("the line dropped")
        return order

    pipeline = kept(ak.Pipeline("shop", input={"text": str}, deopt=shop.agent))
    pipeline.step(reads, retry=ak.Retry(max_attempts=2, initial=0.01))
    pipeline.step(answer, name="ends", needs={"order": "reads"})
    run = pipeline.run(text="A-1", log=log)
    assert run.result(SOON) == "fine"
    assert shop.read == ["A-1", "A-1"]
    [found] = [message.content for message in shop.model.requests[0].messages if message.role == "tool"]
    assert found == tries[-1]


def test_what_a_step_wrote_by_itself_is_told_and_every_write_asks(log):
    """No tool of the agent's says what would repeat it."""
    shop = Shop(call("refund", order_id="A-1", amount=2.0), "fine")

    def posts(order: dict) -> str:
        shop.wrote.append("posted")
        return "posted"

    def ends(posts: str, order: dict) -> str:
        return answer(order)

    run = shop.pipeline((posts, {"writes": True}), ends).run(text="A-1", log=log)
    paused(run)
    run.approve()
    (asked,) = paused(run)
    assert (asked.because, asked.name, asked.shows[0]["name"]) == ("pipeline_wrote", "refund", "posts")
    assert "do not do it again:\nposts(" in shop.model.requests[0].messages[-1].content
    run.approve()
    assert run.result(SOON) == "fine"


def test_a_write_of_which_nobody_knows_asks_whatever_its_arguments(log):
    """As in any run: its tool is asked about, and the agent is told."""
    shop = Shop(call("refund", order_id="A-1", amount=2.0), "fine")

    def breaks():
        raise OSError("gone")

    def careful(order: dict, ctx: ak.Context) -> str:
        shop.hold = breaks
        with pytest.raises(ak.CallFailed):
            ctx.call(shop.refund, order_id="A-1", amount=8.0)
        shop.hold = lambda: None
        return answer(order)

    run = shop.pipeline(careful).run(text="A-1", log=log)
    (asked,) = paused(run)
    assert asked.shows[0]["outcome"] == {"error": "gone", "effect": "unknown"}
    run.approve()
    (asked,) = paused(run)
    assert (asked.because, asked.shows[0]["effect"]) == ("effect_unknown", "unknown")
    run.approve()
    assert run.result(SOON) == "fine"


def test_what_the_agent_asks_is_pending_in_the_pipelines_run(log):
    """One place to answer, whoever asks."""
    shop = Shop("fine")
    question = ScriptedModel([call("ask_person", question="which one?"), "that one"])
    shop.agent = ak.Agent("asker", question, tools=[ak.ask_person])
    run = shop.pipeline(answer).run(text="A-1", log=log)
    (asked,) = paused(run)
    assert (asked.prompt, asked.run_id) == ("which one?", run.children()[0].run_id)
    run.answer(None, "the first")
    assert run.result(SOON) == "that one"


# crashes -------------------------------------------------------------------------------------------------------------


def test_a_process_that_dies_around_it_loses_and_repeats_nothing(log):
    """Right before the event, after it, before the agent began, and in it: the same end, nothing read twice."""

    def says(request):
        return "It is lost." if len(request.messages) == 3 else f"{len(request.messages)} messages?"

    shop = Shop()
    shop.agent = ak.Agent("support", FunctionModel(says), tools=[shop.find_order, shop.refund])
    pipeline = shop.pipeline(answer)
    whole = pipeline.run(text="A-1", log=log)
    whole.result(SOON)
    for kind, step in (
        ("deopted", "answer"),
        ("step_started", "deopt"),
        ("step_succeeded", "deopt"),
        ("run_succeeded", None),
    ):
        run = ak.resume(whole.run_id, log=cut(log, whole, until(kind, step)))
        assert run.result(SOON) == "It is lost."
        assert len(events_of(run, "deopted")) == 1
    assert shop.read == ["A-1"]


def test_a_write_that_was_cut_short_is_asked_about_first(log):
    """The guard failed beside it; a person says that it did not happen, and the pipeline does not do it any more."""
    shop, gate = Shop("fine"), Gate()
    shop.hold = gate
    pipeline = shop.pipeline(shop.pay, answer, output="answer")
    whole = pipeline.run(text="A-1", log=log)
    wait_until(lambda: gate.there.is_set() and any(event.type == "step_failed" for event in whole.events()))
    gate.go_on.set()
    paused(whole)
    left = cut(log, whole, until("tool_succeeded", "pay/call/refund/1"))
    shop.wrote.clear()
    run = ak.resume(whole.run_id, log=left)
    (asked,) = paused(run)
    assert (asked.kind, asked.step, asked.arguments) == (
        "in_doubt",
        "pay/call/refund/1",
        {"order_id": "A-1", "amount": 8.0},
    )
    assert not events_of(run, "deopted")
    run.resolve(asked.id, "did not")
    assert run.result(SOON) == "fine"
    assert deopted(run).writes == ()
    assert not shop.wrote


def test_a_write_that_was_cut_short_and_happened_asks_before_the_agent(log):
    """It is among what was written, with what the person said came of it."""
    shop, gate = Shop("fine"), Gate()
    shop.hold = gate
    whole = shop.pipeline(shop.pay, answer, output="answer").run(text="A-1", log=log)
    wait_until(lambda: gate.there.is_set() and any(event.type == "step_failed" for event in whole.events()))
    gate.go_on.set()
    paused(whole)
    run = ak.resume(whole.run_id, log=cut(log, whole, until("tool_succeeded", "pay/call/refund/1")))
    (asked,) = paused(run)
    run.resolve(asked.id, "happened", result={"receipt": 1})
    (asked,) = paused(run)
    assert (asked.kind, asked.shows[0]["outcome"]) == ("deopt", {"result": {"receipt": 1}})
    run.approve()
    assert run.result(SOON) == "fine"


def test_an_answer_is_found_by_who_resumes(log):
    """The question is in the log before anybody is asked; whoever resumes finds what was answered."""
    shop = Shop("fine")
    run = shop.pipeline(shop.pay, last).run(text="A-1", log=log)
    paused(run)
    with FailPoints("deopt.recorded") as points:
        run.approve()
        assert run.result(SOON) == "fine"
    assert not points.reached.get("deopt.recorded")
    assert [body.verdict for _, body in events_of(run, ApprovalAnswered.TYPE)] == ["approve"]


def test_without_its_agent_a_run_that_was_handed_over_cannot_go_on(log):
    """It says what to give back."""
    shop = Shop("fine")
    whole = shop.pipeline(answer).run(text="A-1", log=log)
    whole.result(SOON)
    left = cut(log, whole, until("step_succeeded", "deopt"))
    shop.pipeline(answer, agent=False)
    with pytest.raises(ResumeError, match="give deopt= back"):
        ak.resume(whole.run_id, log=left)


# afterwards ----------------------------------------------------------------------------------------------------------


def test_a_fork_does_the_guards_again(log):
    """A mended pipeline needs no agent; what that agent wrote is asked about."""
    shop = Shop(call("refund", order_id="A-1", amount=8.0), "I did it")
    run = shop.pipeline(answer).run(text="A-1", log=log)
    assert run.result(SOON) == "I did it"

    def mended(order: dict, ctx: ak.Context) -> str:
        ctx.call(shop.refund, order_id=order["id"], amount=order["price"])
        return "mended"

    pipeline = shop.pipeline((mended, {"name": "answer"}))
    fork = run.fork(agent=pipeline)
    (asked,) = paused(fork)
    assert (asked.because, asked.shows[0]["step"]) == ("parent_did_it", "deopt/tool/refund/1")
    fork.reject(reason="done")
    with pytest.raises(ak.RunFailed, match="done"):
        fork.result(SOON)
    assert not events_of(fork, "deopted")
    assert shop.wrote == [("A-1", 8.0)]


def test_it_shows(log):
    """In the tree, in the notebook's rows and in the picture: who took over, where, and why."""
    run = Shop("It is lost.").pipeline(answer).run(text="A-1", log=log)
    run.result(SOON)
    assert "support takes over at answer: 'an order like this was never seen'" in str(run.trace)
    assert f"takes over from run {run.run_id[:13]}" in str(run.trace)
    found = {row.step: row for row in rows(run.state, children=child_states(run))}
    assert found["deopt"].note == "support takes over at answer: an order like this was never seen"
    assert found["model/1"].parent.endswith(run.children()[0].run_id)
    drawn = of_run(run).graph
    assert ("answer", "deopt") in {(edge.source, edge.target) for edge in drawn.edges}
    assert next(node for node in drawn.nodes if node.name == "deopt").marks == ("runs support",)


def test_another_agent_makes_another_pipeline():
    """A batch begins anew with it, as with any change; without one nothing is another than it was."""
    shop, other = Shop(), Shop()
    other.agent = ak.Agent("support", other.model, tools=[other.find_order])
    digests = {
        one.pipeline(answer, agent=with_it).definition.sha256 for one in (shop, other) for with_it in (True, False)
    }
    assert len(digests) == 3


@pytest.mark.parametrize("given", [42, "support", ak.tool])
def test_only_an_agent_takes_over(given):
    """Anything else is refused where it is written."""
    with pytest.raises(ak.ConfigError, match=r"give the ak\.Agent"):
        ak.Pipeline("p", input={"x": int}, deopt=given)


def test_no_step_is_named_as_the_agents():
    """`deopt` is the step of who takes over."""
    with pytest.raises(ak.ConfigError, match="'deopt' is what a run calls the step"):
        ak.Pipeline("p", input={"x": int}).step(lambda x: x, name="deopt")
