"""A fork: a new run that shares another's events up to a seq."""

import threading

import pytest
from small_agents import SOON, lookup, paused

import agentkit as ak
from agentkit.errors import ForkError
from agentkit.events import RunStarted
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


def seq_of(run, kind, nth=0):
    return [event.seq for event in run.events() if event.type == kind][nth]


def think(request):
    """Look up, then pay, then answer with what was said last."""
    answers = len([message for message in request.messages if message.role == "assistant"])
    return [call("lookup", what="x"), call("pay", amount=5), "ok"][min(answers, 2)]


def payer(**options):
    paid = []

    @ak.tool(writes=True, **options)
    def pay(amount: float) -> dict:
        """Pay somebody some money. Returns what was paid.

        Args:
            amount: how much, in USD.
        """
        paid.append(amount)
        return {"paid": amount}

    return ak.Agent("payer", FunctionModel(think), tools=[lookup, pay], decisions="off"), paid


def test_a_fork_goes_on_from_shared_events(log):
    """It has the parent's conversation, its own events, and ends by itself; its prompts are exact."""
    model = ScriptedModel([call("lookup", what="x"), "first", "second"])
    agent = ak.Agent("a", model, tools=[lookup], decisions="off")
    run = agent.run("hi", log=log, tags=["t"], session="s")
    assert run.result(SOON) == "first"
    fork = run.fork(at=seq_of(run, "tool_succeeded"))
    assert fork.result(SOON) == "second"
    assert run.output == "first"
    assert fork.events()[0].body.origin.run_id == run.run_id
    assert (fork.state.tags, fork.state.session) == (("t",), "s")
    assert fork.usage.model_calls == 1
    assert [message.role for message in model.requests[-1].messages] == ["user", "assistant", "tool"]
    assert fork.prompt("model/2").exact
    assert fork.prompt("model/1").exact
    assert log.run(fork.run_id).output == "second"


def test_a_fork_can_go_on_with_another_agent(log):
    """Another model, other instructions: what it was told is recorded with it."""
    run = ak.Agent("a", ScriptedModel([call("lookup", what="x"), "old"]), tools=[lookup]).run("hi", log=log)
    run.result(SOON)
    other = ak.Agent("a", ScriptedModel(["new"], name="other"), "Be new.", tools=[lookup])
    fork = run.fork(seq_of(run, "tool_succeeded"), agent=other)
    assert fork.result(SOON) == "new"
    assert fork.state.header.instructions == "Be new."


def test_no_fork_where_something_is_in_flight(log):
    """Between a call's beginning and its end; the error names it."""
    run = ak.Agent("a", ScriptedModel([call("lookup", what="x"), "ok"]), tools=[lookup]).run("hi", log=log)
    run.result(SOON)
    with pytest.raises(ForkError, match="model/1 is in flight"):
        run.fork(seq_of(run, "model_requested"))
    with pytest.raises(ForkError, match="tool/lookup/1 is in flight"):
        run.fork(seq_of(run, "tool_started"))
    with pytest.raises(ForkError, match="has ended at seq"):
        run.fork(run.events()[-1].seq)
    for at in (0, 999):
        with pytest.raises(ForkError, match=f"cannot be forked at {at}"):
            run.fork(at)


def test_unused_approvals_are_dropped(log):
    """The fork asks for itself, under an id of its own; the parent's question stays open."""
    agent, paid = payer(approve=True)
    run = agent.run("hi", log=log)
    (asked,) = paused(run)
    fork = run.fork(run.events()[-1].seq)
    (again,) = paused(fork)
    assert (again.id != asked.id, again.run_id) == (True, fork.run_id)
    fork.approve()
    assert fork.result(SOON) == "ok"
    assert paid == [5.0]
    assert [open_.id for open_ in run.pending] == [asked.id]


def test_an_answer_given_but_not_used_is_dropped(log):
    """A fork between the yes and the call asks again."""
    agent, paid = payer(approve=True)
    run = agent.run("hi", log=log)
    paused(run)
    run.approve()
    run.result(SOON)
    fork = run.fork(seq_of(run, "approval_answered"))
    (again,) = paused(fork)
    assert again.shows[0]["outcome"] == {"result": {"paid": 5.0}}
    assert again.because == "parent_did_it"
    assert paid == [5.0]


def test_a_write_that_the_parent_began_later_asks_and_shows_its_outcome(log):
    """Also a tool that asks nobody otherwise: the money may be gone already."""
    agent, paid = payer()
    run = agent.run("hi", log=log)
    run.result(SOON)
    fork = run.fork(seq_of(run, "run_started"))
    (asked,) = paused(fork)
    assert asked.shows == [
        {"step": "tool/pay/1", "name": "pay", "arguments": {"amount": 5.0}, "outcome": {"result": {"paid": 5.0}}}
    ]
    fork.reject()
    assert fork.result(SOON) == "ok"
    assert paid == [5.0]


def test_a_write_done_before_the_fork_is_not_done_again(log):
    """It is part of what both share; an equal one asks."""
    agent, paid = payer()
    run = agent.run("hi", log=log)
    run.result(SOON)
    fork = run.fork(seq_of(run, "tool_succeeded", 1))
    assert fork.result(SOON) == "ok"
    assert paid == [5.0]


def test_a_fork_of_a_running_run(log):
    """What is recorded can be forked while the parent goes on."""
    go = threading.Event()
    there = threading.Event()

    @ak.tool
    def wait(what: str) -> str:
        """Wait until somebody says go. Returns a word.

        Args:
            what: a word.
        """
        there.set()
        go.wait(SOON)
        return what

    model = FunctionModel(lambda request: "ok" if len(request.messages) > 1 else call("wait", what="x"))
    run = ak.Agent("a", model, tools=[wait], decisions="off").run("hi", log=log)
    there.wait(SOON)
    fork = run.fork(1)
    go.set()
    assert fork.result(SOON) == run.result(SOON) == "ok"


def test_a_fork_of_a_fork(log):
    """The chain is followed to its beginning."""
    model = ScriptedModel([call("lookup", what="x"), "one", call("lookup", what="y"), "two", "three"])
    run = ak.Agent("a", model, tools=[lookup], decisions="off").run("hi", log=log)
    run.result(SOON)
    second = run.fork(seq_of(run, "tool_succeeded"))
    assert second.result(SOON) == "two"
    third = second.fork(seq_of(second, "tool_succeeded"))
    assert third.result(SOON) == "three"
    assert [message.content for message in third.state.messages if message.role == "tool"] == ["about x", "about y"]
    assert isinstance(third.events()[0].body, RunStarted)


def test_a_fork_of_a_fork_knows_the_writes_of_both(log):
    """What the first run did after the point is still done, whoever forks later."""
    agent, paid = payer()
    run = agent.run("hi", log=log)
    run.result(SOON)
    second = run.fork(1)
    paused(second)
    second.reject()
    second.result(SOON)
    third = second.fork(1)
    (asked,) = paused(third)
    assert (asked.because, paid) == ("parent_did_it", [5.0])
    third.reject()
    third.result(SOON)
    later = agent.run("again", after=third, log=log)
    later.result(SOON)
    assert [write.name for write in later.state.parent_writes] == ["pay"]


def test_an_edit_that_was_not_used_is_dropped(log):
    """The fork asks about what the model wrote."""
    agent, paid = payer(approve=True)
    run = agent.run("hi", log=log)
    paused(run)
    run.approve(edit={"amount": 7})
    run.result(SOON)
    fork = run.fork(seq_of(run, "approval_answered"))
    (again,) = paused(fork)
    assert (again.arguments, paid) == ({"amount": 5.0}, [7.0])
