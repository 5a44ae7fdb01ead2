"""Agents as tools of others: child runs, their questions, failures, use and endings."""

import asyncio
import contextlib
import threading

import pytest
from small_agents import SOON, bodies, lookup, paused

import agentkit as ak
from agentkit.errors import ApprovalError, ResumeError
from agentkit.events import RunStarted, RunSucceeded, ToolFailed, ToolStarted, ToolSucceeded
from agentkit.runner.engine import engine
from agentkit.runner.watch import watch
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


def told(run):
    return [message.content for message in run.state.messages if message.role == "tool"]


def payer(paid, **options):
    @ak.tool(writes=True, approve=True, **options)
    def pay(amount: float) -> dict:
        """Pay somebody some money. Returns what was paid.

        Args:
            amount: how much, in USD.
        """
        paid.append(amount)
        return {"paid": amount}

    return pay


def once(first):
    """A model that makes one call, then answers."""
    return FunctionModel(lambda request: "ok" if len(request.messages) > 1 else first)


def agent(name, model, *tools, **options):
    return ak.Agent(name, model, tools=tools, decisions="off", **options)


def test_a_child_run_is_a_run_of_its_own(log):
    """It has the task as its input, the caller's session and tags, and its answer is the call's result."""
    inner = agent("inner", ScriptedModel([call("lookup", what="x"), "found"]), lookup)
    outer = agent("outer", ScriptedModel([call("inner", task="find x"), "ok"]), inner)
    run = outer.run("hi", session="s", user="ada", tags=["t"], log=log)
    assert run.result(SOON) == "ok"
    (child,) = run.children()
    (started,) = bodies(child, RunStarted)
    assert (started.input, started.session, started.user, started.tags) == ("find x", "s", "ada", ("t",))
    assert child.events()[0].parent_run_id == run.run_id
    assert started.parent_step == "tool/inner/1"
    assert told(run) == ["found"]


def test_usage_is_rolled_up(log):
    """What the child used is the parent's too; its own events count its own only."""
    usage = ak.Usage(input_tokens=10, output_tokens=1, cost_usd=0.25)
    inner = agent("inner", ScriptedModel([call("lookup", what="x"), "found"], usage=usage), lookup)
    outer = agent("outer", ScriptedModel([call("inner", task="find x"), "ok"], usage=usage), inner)
    run = outer.run("hi", log=log)
    run.result(SOON)
    assert (run.usage.model_calls, run.usage.tool_calls, run.cost, run.usage.input_tokens) == (4, 2, 1.0, 40)
    assert run.state.usage.model_calls == 2


def test_a_childs_approvals_are_in_the_parents_pending(log):
    """They are answered from the parent's handle, and the whole family goes on."""
    paid = []
    inner = agent("inner", once(call("pay", amount=5)), payer(paid))
    run = agent("outer", once(call("inner", task="pay")), inner).run("hi", log=log)
    (asked,) = paused(run)
    assert asked.run_id == run.children()[0].run_id != run.run_id
    assert run.pending == [asked]
    with pytest.raises(ApprovalError, match="amount"):
        run.approve(edit={"amount": "a lot"})
    run.approve(edit={"amount": 4})
    assert run.result(SOON) == "ok"
    assert paid == [4.0]
    with pytest.raises(ApprovalError, match="already answered"):
        run.approve(asked.id)


def test_a_grandchilds_approval_reaches_the_top(log):
    """Two levels down, and after a resume by another handle."""
    paid = []
    lowest = agent("lowest", once(call("pay", amount=5)), payer(paid))
    middle = agent("middle", once(call("lowest", task="pay")), lowest)
    top = agent("top", once(call("middle", task="pay")), middle)
    run = top.run("hi", log=log)
    paused(run)
    again = ak.resume(run.run_id, log=log)
    (asked,) = paused(again)
    again.approve(asked.id)
    assert again.result(SOON) == "ok"
    assert paid == [5.0]
    assert len(bodies(again, ToolSucceeded)) == 1


def test_a_childs_failure_is_seen_by_the_model(log):
    """With what it says and which run it was; the parent goes on."""
    inner = agent("inner", ScriptedModel([ValueError("broken model")]))
    run = agent("outer", ScriptedModel([call("inner", task="x"), "ok"]), inner).run("hi", log=log)
    assert run.result(SOON) == "ok"
    error = told(run)[0]["error"]
    assert "broken model" in error["message"]
    assert error["context"]["run_id"] == run.children()[0].run_id
    assert run.usage.model_calls == 3


def test_a_rejected_call_of_a_child_is_the_childs(log):
    """The child's model sees the reason and goes on."""
    paid = []
    inner = agent("inner", ScriptedModel([call("pay", amount=5), "was not allowed"]), payer(paid))
    run = agent("outer", ScriptedModel([call("inner", task="pay"), "ok"]), inner).run("hi", log=log)
    paused(run)
    run.reject(reason="no")
    assert run.result(SOON) == "ok"
    assert told(run) == ["was not allowed"]
    assert paid == []


def test_two_children_wait_at_the_same_time(log):
    """Each is answered by itself."""
    paid = []
    inner = agent("inner", once(call("pay", amount=5)), payer(paid))
    reader = agent("reader", once(call("ask_person", question="?")), ak.ask_person)
    turn = [call("inner", task="pay"), call("reader", task="ask")]
    model = FunctionModel(lambda request: "ok" if len(request.messages) > 1 else turn)
    run = agent("outer", model, inner, reader).run("hi", log=log)
    waiting = {asked.kind: asked for asked in paused(run)}
    assert set(waiting) == {"call", "question"}
    run.answer(waiting["question"].id, "yes")
    (left,) = paused(run)
    assert left.id == waiting["call"].id
    run.approve()
    assert run.result(SOON) == "ok"


def test_a_crashed_child_is_resumed_and_not_begun_again(log):
    """The parent's call names the child run; what the child did is not done twice."""
    ran = []

    @ak.tool
    def note(what: str) -> str:
        """Write down what is to be done. Returns it.

        Args:
            what: a word.
        """
        ran.append(what)
        return what

    def think(request):
        return "found" if len(request.messages) > 1 else call("note", what="x")

    inner = agent("inner", FunctionModel(think), note)
    outer = agent("outer", once(call("inner", task="find x")), inner)
    run = outer.run("hi", log=log)
    run.result(SOON)
    (child,) = run.children()
    cut = ak.open_log("memory:")
    copy(cut, run, until=lambda event: isinstance(event.body, ToolSucceeded))
    copy(cut, child, until=lambda event: isinstance(event.body, RunSucceeded))
    again = ak.resume(run.run_id, log=cut)
    assert again.result(SOON) == "ok"
    assert ran == ["x"]
    assert [body.child_run_id for body in bodies(again, ToolStarted)] == [child.run_id] * 2
    assert again.usage.model_calls == run.usage.model_calls
    cut.close()


def copy(log, run, until):
    """Put a run's events into another log, those from the first that matches on left out."""
    events = run.events()
    end = next(index for index, event in enumerate(events) if until(event))
    claim = log.store.claim(run.run_id, new=True)
    log.store.append(claim, events[:end]).result(SOON)
    log.store.release(claim)


def test_cancelling_the_parent_ends_a_running_child(log):
    """Both are recorded as cancelled."""
    there = threading.Event()

    async def think(_request):
        there.set()
        await asyncio.sleep(SOON)

    inner = agent("inner", FunctionModel(think))
    run = agent("outer", once(call("inner", task="x")), inner).run("hi", log=log)
    there.wait(SOON)
    run.cancel("enough")
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert (run.status, run.children()[0].status) == ("cancelled", "cancelled")


def test_cancelling_the_parent_ends_a_waiting_child(log):
    """Nobody is asked any more, whether the parent waits too or does something else meanwhile."""
    there = threading.Event()

    @ak.tool
    async def wait(what: str) -> str:
        """Wait for something for long. Returns a word.

        Args:
            what: a word.
        """
        there.set()
        await asyncio.sleep(SOON)
        return what

    def start(*calls):
        inner = agent("inner", once(call("ask_person", question="?")), ak.ask_person)
        model = FunctionModel(lambda request: "ok" if len(request.messages) > 1 else [*calls])
        return agent("outer", model, inner, wait).run("hi", log=log)

    waits = start(call("inner", task="x"))
    paused(waits)
    busy = start(call("inner", task="x"), call("wait", what="x"))
    there.wait(SOON)
    while not busy.pending:
        pass
    for run in (waits, busy):
        run.cancel()
        with pytest.raises(ak.RunCancelled):
            run.result(SOON)
        assert run.children()[0].status == "cancelled"
    assert log.pending() == []


def test_deps_reach_the_children(log):
    """Those of a resume as well."""
    seen = []

    @ak.tool
    def look(ctx: ak.Context) -> str:
        """Look at what deps hold here. Returns a word.

        Returns:
            A word.
        """
        seen.append(ctx.deps)
        return "x"

    def think(request):
        answers = len([message for message in request.messages if message.role == "assistant"])
        return [call("look"), call("ask_person", question="?"), call("look"), "done"][answers]

    inner = agent("inner", FunctionModel(think), look, ak.ask_person)
    outer = agent("outer", once(call("inner", task="x")), inner)
    run = outer.run("hi", deps="first", log=log)
    paused(run)
    again = ak.resume(run.run_id, log=log, deps="second")
    again.answer(None, "yes")
    assert again.result(SOON) == "ok"
    assert seen == ["first", "second"]


def test_an_empty_task_is_told(log):
    """A sub-agent's one argument is checked as a tool's are."""
    inner = agent("inner", ScriptedModel([]))
    run = agent("outer", ScriptedModel([call("inner", task=" "), call("inner"), "ok"]), inner).run("hi", log=log)
    assert run.result(SOON) == "ok"
    assert all(body.reask for body in bodies(run, ToolFailed))


def test_a_structured_answer_of_a_child_is_json(log):
    """The calling model reads it as an object."""
    inner = agent("inner", ScriptedModel(["[1, 2]"]), output=list[int])
    run = agent("outer", ScriptedModel([call("inner", task="x"), "ok"]), inner).run("hi", log=log)
    assert run.result(SOON) == "ok"
    assert told(run) == [[1, 2]]


def test_a_childs_question_expires(log):
    """Nobody answered: its model is told, and the family goes on."""
    inner = agent("inner", once(call("ask_person", question="?")), ak.ask_person, approval_expires=0.05)
    run = agent("outer", once(call("inner", task="x")), inner).run("hi", log=log)
    while run.status != "succeeded":
        with contextlib.suppress(ak.RunPaused):
            run.result(SOON)
    assert told(run.children()[0])[0]["rejected"]["type"] == "Expired"


def test_an_answer_wakes_a_child_that_does_something_else(log):
    """A call that was approved does not wait for the calls beside it."""
    ran = threading.Event()

    @ak.tool(approve=True)
    def act() -> str:
        """Do it. Returns that it was done."""
        ran.set()
        return "done"

    @ak.tool
    def wait_for_it() -> bool:
        """Wait for the other. Returns whether it came."""
        return ran.wait(SOON)

    inner = agent("inner", once([call("act"), call("wait_for_it")]), act, wait_for_it)
    run = agent("outer", once(call("inner", task="x")), inner).run("hi", log=log)
    while not run.pending:
        pass
    run.approve()
    assert run.result(SOON) == "ok"
    assert told(run.children()[0]) == ["done", True]


def left_waiting(log):
    """A family whose child waits for a person, and whose process has gone."""
    inner = agent("inner", once(call("pay", amount=5)), payer([]))
    outer = agent("outer", once(call("inner", task="pay")), inner)
    run = outer.run("hi", log=log)
    paused(run)
    engine().call(lambda: watch.forget(run._driver))
    for one in (run, *run.children()):
        log.store.unwatch(one.run_id)
    return outer, log.run(run.run_id), log.run(run.children()[0].run_id)


def test_a_child_that_is_answered_by_itself_goes_on_with_its_family(log):
    """Within the family's budget, and the parent gets its answer."""
    _outer, run, child = left_waiting(log)  # an agent is found as long as somebody has it
    assert "in this process" in child.approve().then
    assert child.result(SOON) == "ok"
    assert run.result(SOON) == "ok"


def test_a_child_is_not_resumed_by_itself(log):
    """Who tries is told whom to resume."""
    _outer, run, child = left_waiting(log)  # an agent is found as long as somebody has it
    with pytest.raises(ResumeError, match=run.run_id):
        child.resume()
    with pytest.raises(ak.RunPaused):
        run.resume().result(SOON)
