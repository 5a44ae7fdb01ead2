"""Taking a run up: where another process left it, while it still ends, with its budget counted right."""

import threading
from concurrent.futures import Future

import pytest
from tape import TapeStore

import agentkit as ak
from agentkit.events import RunPausedEvent, RunSucceeded
from agentkit.runner.run import Run
from agentkit.runner.start import start
from agentkit.stores.memory import MemoryStore
from agentkit.testing import FunctionModel, call


@ak.tool(writes=True, approve=True)
def pay(amount: int) -> int:
    """Pay an amount of money after a person allowed it, and return the amount.

    Args:
        amount: how much to pay, in cents.
    """
    return amount


def turns(*said):
    """A model that says one thing after the other, whatever process asks."""
    return FunctionModel(lambda request: said[sum(message.role == "assistant" for message in request.messages)])


def begin(store, agent, deps=None):
    driver = start(store, agent.definition, "go", deps=deps)
    return Run(store, driver.run_id, driver=driver)


def left_behind(store, last):
    """The log as a crash leaves it, right after the last event for which `last` is true."""
    at = max(n for n, item in enumerate(store.tape) if item.kind == "event" and last(item.value[0]))
    return TapeStore(store.tape[: at + 1])


def paying_agent(**options):
    return ak.Agent("payer", turns(call("pay", amount=5), "paid"), "Pay.", tools=[pay], **options)


def test_a_paused_run_that_was_taken_up_goes_on_when_it_is_answered():
    """The process that resumed it watches it, although there was nothing to do yet."""
    store, agent = TapeStore(), paying_agent()
    with pytest.raises(ak.RunPaused):
        begin(store, agent).result(10)
    run = Run(TapeStore(store.tape), store.tape[0].value[0].run_id, definition=agent.definition)
    with pytest.raises(ak.RunPaused):
        run.resume().result(10)
    assert "in this process" in run.approve().then
    assert run.result(10) == "paid"


def test_so_does_one_whose_child_is_answered():
    """The child's question is watched too."""
    store = TapeStore()
    agent = ak.Agent("chief", turns(call("payer", task="pay"), "done"), "Have it paid.", tools=[paying_agent()])
    with pytest.raises(ak.RunPaused):
        begin(store, agent).result(10)
    run = Run(TapeStore(store.tape), store.tape[0].value[0].run_id, definition=agent.definition)
    with pytest.raises(ak.RunPaused):
        run.resume().result(10)
    run.approve()
    assert run.result(10) == "done"


class SlowToPause(MemoryStore):
    """A log whose sync after `run_paused` takes as long as the test wants."""

    def __init__(self):
        super().__init__("slow")
        self.pausing, self.synced = threading.Event(), Future()

    def append(self, claim, events, *, durable=True):
        done = super().append(claim, events, durable=durable)
        if any(isinstance(event.body, RunPausedEvent) for event in events):
            self.pausing.set()
        return self.synced if durable and self.pausing.is_set() and not self.synced.done() else done


def test_an_answer_that_comes_while_a_run_pauses_is_not_overlooked():
    """Who answered and asks for the result gets it, not the question again."""
    store = SlowToPause()
    run = begin(store, paying_agent())
    assert store.pausing.wait(10)
    run.approve()
    store.synced.set_result(None)
    assert run.result(10) == "paid"


@ak.tool
def await_answer(ctx: ak.Context) -> str:
    """Wait until the test says that it is time to go on, and return a word."""
    assert ctx.deps.wait(10)
    return "went on"


def test_a_child_that_was_parked_is_counted_once():
    """What it used before its question was counted when it was used."""
    going = threading.Event()
    payer = ak.Agent("payer", turns(call("pay", amount=5), "paid"), "Pay.", tools=[pay])
    model = turns([call("payer", task="pay"), call("await_answer")], "done")
    agent = ak.Agent("chief", model, "Go.", tools=[payer, await_answer], budget=ak.Budget(model_calls=4))
    asked = threading.Event()
    run = begin(MemoryStore("parked"), agent, deps=going)
    while not run.pending:  # the other call holds the run open
        asked.wait(0.01)
    run.approve()
    child = run.children()[0]
    while child.state.status != "succeeded":
        asked.wait(0.01)
    going.set()
    assert run.result(10) == "done"


def test_what_an_ended_child_used_counts_after_a_crash():
    """Its end was recorded in its own log only: the budget it used is used."""
    store = TapeStore()
    helper = ak.Agent("helper", turns("helped"), "Help.")
    agent = ak.Agent(
        "chief", turns(call("helper", task="help"), "done"), "Go.", tools=[helper], budget=ak.Budget(model_calls=3)
    )
    whole = begin(store, agent)
    assert whole.result(10) == "done"
    cut = left_behind(store, lambda event: isinstance(event.body, RunSucceeded) and event.body.output == "helped")
    run = Run(cut, whole.run_id, definition=agent.definition).resume()
    assert run.result(10) == "done"
    agent = ak.Agent(
        "chief", turns(call("helper", task="help"), "done"), "Go.", tools=[helper], budget=ak.Budget(model_calls=2)
    )
    short = TapeStore()
    paused = begin(short, agent)
    with pytest.raises(ak.RunPaused):
        paused.result(10)
    cut = left_behind(short, lambda event: isinstance(event.body, RunSucceeded) and event.body.output == "helped")
    with pytest.raises(ak.RunPaused, match="budget"):
        Run(cut, paused.run_id, definition=agent.definition).resume().result(10)


def test_a_lost_attempt_keeps_its_estimate():
    """It may have been charged, so the next call has to fit beside it."""
    store = TapeStore()
    model = FunctionModel(lambda _request: "hello", price_usd=0.01)
    agent = ak.Agent("greeter", model, "Greet.", budget=ak.Budget(usd=0.015))
    whole = begin(store, agent)
    assert whole.result(10) == "hello"
    cut = left_behind(store, lambda event: event.type == "model_requested")
    run = Run(cut, whole.run_id, definition=agent.definition).resume()
    with pytest.raises(ak.RunPaused, match="budget"):
        run.result(10)
    assert run.cost == pytest.approx(0.01)


def test_new_deps_reach_the_children_too():
    """A run that goes on with other deps goes on with them everywhere."""
    seen = []

    @ak.tool(approve=True)
    def tell(ctx: ak.Context) -> str:
        """Tell the test which deps there are, and return a word."""
        seen.append(ctx.deps)
        return "told"

    teller = ak.Agent("teller", turns(call("tell"), call("tell"), "told"), "Tell.", tools=[tell])
    agent = ak.Agent("chief", turns(call("teller", task="tell"), "done"), "Go.", tools=[teller])
    run = begin(MemoryStore("deps"), agent, deps="old")
    with pytest.raises(ak.RunPaused):
        run.result(10)
    run.approve()
    with pytest.raises(ak.RunPaused):
        run.result(10)
    run.resume(deps="new")
    run.approve()
    assert run.result(10) == "done"
    assert seen == ["old", "new"]


def test_a_changed_call_that_a_person_vouches_for_says_both():
    """The model is told that the arguments were changed, also when a crash made somebody else's word the result."""
    store, agent = TapeStore(), paying_agent()
    run = begin(store, agent)
    with pytest.raises(ak.RunPaused):
        run.result(10)
    run.approve(edit={"amount": 3})
    assert run.result(10) == "paid"
    resumed = Run(left_behind(store, lambda event: event.type == "tool_started"), run.run_id).resume()
    with pytest.raises(ak.RunPaused):
        resumed.result(10)
    resumed.resolve(None, "happened", result=3)
    assert resumed.result(10) == "paid"
    assert resumed.state.messages[2].content == {
        "result": 3,
        "note": 'A person changed the arguments to {"amount":3} before this ran. '
        "A person gave this result; the tool itself did not report it.",
    }


def test_a_redefined_agent_goes_on_with_its_paused_runs(log):
    """Mend the tool, execute the cell again, approve: the new one runs, and it was asked about as it is now."""
    ran = []
    paying = turns(call("pay", amount=5), "paid")

    @ak.tool(writes=True, approve=True, name="pay")
    def wrong(amount: int) -> str:
        """Pay an amount of money, in cents. Returns what it did."""
        ran.append("the old one")
        return "paid"

    run = ak.Agent("redefined", paying, tools=[wrong]).run("pay 5", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(20)

    @ak.tool(writes=True, approve=True, name="pay")
    def mended(amount: int) -> str:
        """Pay an amount of money, in cents. Returns what it did."""
        ran.append("the new one")
        return "paid"

    again = ak.Agent("redefined", paying, tools=[mended])
    run.approve()
    with pytest.raises(ak.RunPaused) as paused:
        run.result(20)
    assert [asked.because for asked in paused.value.pending] == ["changed"]
    run.approve()
    assert run.result(20) == "paid"
    assert ran == ["the new one"]
    assert again.definition.name == "redefined"
