"""What a run may use: reserved before a call, shared with child runs, raised by a person."""

import asyncio
import threading

import pytest
from small_agents import SOON, bodies, lookup, paused
from small_pipelines import wait_until

import agentkit as ak
from agentkit.cli.follow import how_to_answer
from agentkit.errors import ApprovalError, ModelError
from agentkit.events import BudgetReached, ModelFailed, ModelRequested, RunPausedEvent
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


def turns(count):
    return [*(call("lookup", what=str(n)) for n in range(count)), "ok"]


def test_the_default_is_fifty_calls_and_no_usd_limit():
    """Every agent has a budget."""
    assert ak.Budget() == ak.Budget(usd=None, model_calls=50)


def test_model_calls_are_limited_and_every_attempt_counts(log):
    """Reached, the run pauses and asks; a raised budget goes on, and nothing was lost."""
    model = ScriptedModel([TimeoutError("slow"), *turns(2)])
    agent = ak.Agent("a", model, tools=[lookup], budget=ak.Budget(model_calls=2), retry=ak.Retry(initial=0))
    run = agent.run("hi", log=log)
    (asked,) = paused(run)
    assert (asked.kind, asked.shows["used_calls"]) == ("budget", 2)
    assert "2 model calls" in asked.prompt
    assert bodies(run, BudgetReached)[0].limit == "model_calls"
    assert bodies(run, RunPausedEvent)[0].why == "budget"
    assert run.resume(budget=ak.Budget(model_calls=4)).result(SOON) == "ok"
    assert run.usage.model_calls == 4
    assert run.state.budget == ak.Budget(model_calls=4)


def test_an_estimate_is_reserved_before_the_call(log):
    """A call that might exceed the budget is not made."""
    model = ScriptedModel(turns(2), price_usd=0.4)
    run = ak.Agent("a", model, tools=[lookup], budget=ak.Budget(usd=1.0)).run("hi", log=log)
    (asked,) = paused(run)
    assert (len(model.requests), run.cost) == (2, 0.8)
    assert asked.shows["needs_usd"] == 0.4
    assert [body.reserved_usd for body in bodies(run, ModelRequested)] == [0.4, 0.4]
    run.approve(edit={"usd": 1.2})
    assert run.result(SOON) == "ok"
    assert run.state.budget == ak.Budget(usd=1.2)


@pytest.mark.parametrize("edit", [None, {"usd": -1}, {"usd": "a lot"}, {"dollars": 5}, {"usd": 1.0}])
def test_an_answer_that_is_no_new_budget_is_refused(log, edit):
    """The question stays open, and the error says what to give."""
    model = ScriptedModel(turns(1), price_usd=0.6)
    run = ak.Agent("a", model, tools=[lookup], budget=ak.Budget(usd=1.0)).run("hi", log=log)
    paused(run)
    with pytest.raises(ApprovalError, match="usd"):
        run.approve(edit=edit)
    assert len(run.pending) == 1
    run.approve(edit={"usd": 5.0})
    assert run.result(SOON) == "ok"


def test_no_more_budget_ends_the_run(log):
    """A person who says stop cancels it."""
    model = ScriptedModel(turns(1), price_usd=0.6)
    run = ak.Agent("a", model, tools=[lookup], budget=ak.Budget(usd=1.0)).run("hi", log=log)
    paused(run)
    run.reject()
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)


def test_an_unknown_price_pauses_where_a_usd_limit_is_set(log):
    """It cannot be kept; without one nobody minds, and the cost is unknown, not 0."""
    run = ak.Agent("a", ScriptedModel(["ok"], price_usd=None), budget=ak.Budget(usd=1.0)).run("hi", log=log)
    (asked,) = paused(run)
    assert "price is unknown" in asked.prompt
    assert "no limit in USD (usd: null)?" in asked.prompt
    assert 'edit={"usd": None})' in str(run)
    assert """--edit '{"usd": null}'""" in how_to_answer(asked)
    for edit in ({"usd": 9.0}, {"model_calls": 99}):  # the same question would come again and again
        with pytest.raises(ApprovalError, match=r"since the model's price is unknown\); .*edit=\{\"usd\": None\}"):
            run.approve(edit=edit)
    run.approve(edit={"usd": None})
    assert run.result(SOON) == "ok"
    free = ak.Agent("b", ScriptedModel(["ok"], price_usd=None)).run("hi", log=log)
    assert free.result(SOON) == "ok"
    assert free.cost is None


def test_a_broken_off_attempt_keeps_its_estimate_and_a_refused_one_is_free(log):
    """The provider may have charged what it never answered; it does not charge what it refused."""
    retry = ak.Retry(initial=0)
    refused = ModelError("busy", kind="rate_limit", retryable=True)
    usage = ak.Usage(cost_usd=0.125)
    model = ScriptedModel([TimeoutError("slow"), refused, "ok"], price_usd=0.5, usage=usage)
    run = ak.Agent("a", model, retry=retry).run("hi", log=log)
    run.result(SOON)
    assert [body.cost_is_estimate for body in bodies(run, ModelFailed)] == [True, False]
    assert run.cost == 0.625


def test_children_share_the_budget_and_the_parent_asks(log):
    """A child has no purse of its own: what it uses counts, and the question is the parent's."""
    child_model = ScriptedModel(turns(3), name="inner")
    inner = ak.Agent("inner", child_model, tools=[lookup], budget=ak.Budget(model_calls=1))
    model = ScriptedModel([call("inner", task="do it"), "done"])
    run = ak.Agent("outer", model, tools=[inner], budget=ak.Budget(model_calls=3)).run("hi", log=log)
    (asked,) = paused(run)
    assert (asked.kind, asked.run_id) == ("budget", run.run_id)
    assert len(child_model.requests) == 2
    run.approve(edit={"model_calls": 6})
    assert run.result(SOON) == "done"
    assert run.usage.model_calls == 6
    assert len(child_model.requests) == 4


def held(released, name, price):
    """A model whose call is in flight until `released`, and the requests that were made of it."""
    asked = []

    async def think(request):
        asked.append(request)
        while not released.is_set():
            await asyncio.sleep(0.01)
        return "ok"

    model = FunctionModel(think, name=name, usage=ak.Usage(cost_usd=price), price_usd=price)
    return model, asked


def begin_both(left, right, kind, usd, log):
    """Begin a run that has two agents work at one time, of an agent or of a pipeline."""
    if kind == "agent":
        model = ScriptedModel([[call("left", task="a"), call("right", task="b")], "done"])
        return ak.Agent("outer", model, tools=[left, right], budget=ak.Budget(usd=usd)).run("hi", log=log)
    outer = ak.Pipeline("outer", input={"task": str}, budget=ak.Budget(usd=usd))
    outer.step(left)
    outer.step(right)
    return outer.run(task="a", log=log)


@pytest.mark.parametrize("kind", ["agent", "pipeline"])
@pytest.mark.parametrize(("usd", "admitted"), [(1.0, 1), (1.3, 2)])
def test_calls_in_flight_hold_what_they_may_cost(log, usd, admitted, kind):
    """Two children ask at one time: a limit that admits one call lets one through, though nothing is spent yet."""
    released = threading.Event()
    models = [held(released, name, 0.6) for name in ("left", "right")]
    run = begin_both(*(ak.Agent(model.name, model) for model, _ in models), kind, usd, log)
    wait_until(lambda: sum(len(asked) for _, asked in models) == admitted)
    if admitted == 1:
        wait_until(lambda: any(bodies(one, BudgetReached) for one in (run, *run.children())))
    assert sum(len(asked) for _, asked in models) == admitted
    released.set()
    if admitted == 1:
        (question,) = paused(run)
        assert (question.kind, question.run_id) == ("budget", run.run_id)
        run.approve(edit={"usd": 5.0})
    assert run.result(SOON)
    assert run.cost == 1.2


def test_a_raised_budget_reaches_a_child_after_a_restart(log):
    """A process that never saw the run goes on with parent and child."""
    child_model = ScriptedModel(turns(3), name="inner")
    inner = ak.Agent("inner", child_model, tools=[lookup])
    model = ScriptedModel([call("inner", task="do it"), "done"])
    agent = ak.Agent("outer", model, tools=[inner], budget=ak.Budget(model_calls=3))
    run = agent.run("hi", log=log)
    paused(run)
    again = ak.resume(run.run_id, log=log, budget=ak.Budget(model_calls=20))
    assert again.result(SOON) == "done"
    assert again.usage.model_calls == 6


def test_what_was_used_before_counts_after_a_resume(log):
    """A budget is the run's, not the activation's."""

    def think(request):
        count = len([message for message in request.messages if message.role == "assistant"])
        return call("lookup", what=str(count)) if count != 2 else call("ask_person", question="?")

    agent = ak.Agent("a", FunctionModel(think), tools=[lookup, ak.ask_person], budget=ak.Budget(model_calls=5))
    run = agent.run("hi", log=log)
    paused(run)
    again = ak.resume(run.run_id, log=log)
    again.answer(None, "go on")
    (asked,) = paused(again)
    assert (asked.kind, asked.shows["used_calls"]) == ("budget", 5)
