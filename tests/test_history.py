"""What a prompt holds: the conversation, what is left out of a long one, and what stops a loop."""

import pytest
from small_agents import bodies, lookup

import agentkit as ak
from agentkit.errors import ConfigError
from agentkit.events import Checked, HistoryTrimmed, RunStarted
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

SOON = 20  # seconds until a test that hangs says so


def test_a_loop_is_told_and_then_paused(log):
    """The same call with the same result three times: the model is told; a fourth time: a person is asked."""
    model = ScriptedModel([call("lookup", what="x")] * 4 + ["enough"])
    run = ak.Agent("loops", model, tools=[lookup], decisions="off").run("hi", log=log)
    with pytest.raises(ak.RunPaused) as paused:
        run.result(SOON)
    (asked,) = paused.value.pending
    assert asked.kind == "loop"
    assert [body.error.type for body in bodies(run, Checked)] == ["Loop"]
    assert "same result three times" in model.requests[3].messages[-1].content
    run.approve()
    assert run.result(SOON) == "enough"


def test_a_loop_in_one_turn_is_told_first(log):
    """Four equal calls at once: nobody is asked before the model was told."""
    model = ScriptedModel([[call("lookup", what="x") for _ in range(4)], "enough"])
    run = ak.Agent("loops", model, tools=[lookup], decisions="off").run("hi", log=log)
    assert run.result(SOON) == "enough"


def test_a_stopped_loop_is_cancelled(log):
    """A person who says no to going on ends the run."""
    run = ak.Agent("loops", ScriptedModel([call("lookup", what="x")] * 4), tools=[lookup]).run("hi", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    run.reject()
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)


def test_history_is_trimmed_and_the_prompt_stays_under_its_limit(log):
    """Over many turns the oldest are left out, no result without its call, and each trim is an event."""
    limit, turns = 600, 40
    sizes = []

    def think(request):
        sizes.append(sum(len(message.model_dump_json(exclude_defaults=True)) // 4 + 1 for message in request.messages))
        calls = {c.id for message in request.messages if message.role == "assistant" for c in message.tool_calls}
        results = {message.call_id for message in request.messages if message.role == "tool"}
        assert results == calls
        assert request.messages[0].content == "the task"
        return call("lookup", what="x" * 50 + str(len(sizes))) if len(sizes) < turns else "ok"

    agent = ak.Agent(
        "long", FunctionModel(think), tools=[lookup], history_tokens=limit, decisions="off", budget=ak.Budget()
    )
    run = agent.run("the task", log=log)
    assert run.result(SOON) == "ok"
    assert max(sizes) <= limit
    trims = bodies(run, HistoryTrimmed)
    assert trims
    assert all(trim.tokens_after <= limit // 2 + 50 < trim.tokens_before for trim in trims)
    assert run.prompt(f"model/{turns}").exact


def test_a_follow_up_goes_on_with_the_conversation(log):
    """`after=` begins with what was said before; its own question is never trimmed away."""
    agent = ak.Agent("chat", ScriptedModel(["Hello Ada"]))
    first = agent.run("I am Ada", log=log)
    first.result(SOON)
    model = ScriptedModel(["You are Ada"])
    second = ak.Agent("chat", model).run("Who am I?", after=first, log=log)
    assert second.result(SOON) == "You are Ada"
    assert [getattr(message, "content", None) or message.text for message in model.requests[0].messages] == [
        "I am Ada",
        "Hello Ada",
        "Who am I?",
    ]
    assert second.prompt("model/1").exact
    assert bodies(second, RunStarted)[0].origin.run_id == first.run_id


def test_a_follow_up_keeps_its_own_question(log):
    """Trimming leaves out the old conversation before the question that is being answered."""
    first = ak.Agent("chat", ScriptedModel(["x" * 2000])).run("old question", log=log)
    first.result(SOON)
    asked = []

    def think(request):
        asked.append([message.content for message in request.messages if message.role == "user"])
        return call("lookup", what="y" * 300 + str(len(asked))) if len(asked) < 20 else "ok"

    agent = ak.Agent("chat", FunctionModel(think), tools=[lookup], history_tokens=800, decisions="off")
    agent.run("new question", after=first, log=log).result(SOON)
    assert all("new question" in contents for contents in asked)


def cancelled_after_writing(log):
    """A run that was ended between one write's end and the answer about another, and what its tools did."""
    done = []

    @ak.tool(writes=True)
    def order(what: str) -> dict:
        """Order something from a shop. Returns its number.

        Args:
            what: the thing to order.
        """
        done.append(what)
        return {"number": len(done)}

    @ak.tool(writes=True, approve=True)
    def pay(amount: int) -> dict:
        """Pay for what was ordered. Returns what was paid.

        Args:
            amount: how much, in USD.
        """
        done.append(amount)
        return {"paid": amount}

    turns = [[call("order", what="tea"), call("pay", amount=5)], "seen"]
    model = FunctionModel(lambda request: turns[any(message.role == "tool" for message in request.messages)])
    agent = ak.Agent("shopper", model, tools=[order, pay], decisions="off")
    run = agent.run("buy tea", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    run.cancel("never mind")
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    return agent, run, done


def test_a_follow_up_knows_what_was_done_and_what_was_not(log):
    """The calls of a run that ended in the middle of them keep their results: else the model would make them again."""
    agent, run, done = cancelled_after_writing(log)
    later = agent.run("and now?", after=run, log=log)
    assert later.result(SOON) == "seen"
    assert done == ["tea"]
    messages = later.state.messages[:-1]
    assert [message.role for message in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert [message.content for message in messages if message.role == "tool"] == [
        {"number": 1},
        {"error": {"type": "NotRun", "message": "not run: the run ended before"}},
    ]
    assert later.prompt("model/1").exact


def test_a_follow_up_remembers_what_nobody_knows(log):
    """A write that may have happened asks, also in the run after, and in the one after that."""
    tries = []

    @ak.tool(writes=True)
    def order(what: str) -> dict:
        """Order something from a shop. Returns its number.

        Args:
            what: the thing to order.
        """
        tries.append(what)
        raise OSError("the line went dead")

    def think(request):
        return call("order", what="tea") if request.messages[-1].role == "user" else "sorry"

    agent = ak.Agent("shopper", FunctionModel(think), tools=[order], decisions="off")
    run = agent.run("buy tea", log=log)
    assert run.result(SOON) == "sorry"
    for count in (1, 2):
        run = agent.run("again", after=run, log=log)
        with pytest.raises(ak.RunPaused) as raised:
            run.result(SOON)
        (asked,) = raised.value.pending
        assert (asked.because, len(asked.shows), len(tries)) == ("effect_unknown", count, count)
        run.approve()
        assert run.result(SOON) == "sorry"


def test_a_follow_up_remembers_a_write_that_was_cut_short(log):
    """A run that is ended while it is in doubt leaves the doubt to the next one."""
    agent, run, _ = cancelled_after_writing(log)
    events = run.events()
    end = next(index for index, event in enumerate(events) if event.type == "tool_started") + 1
    cut = ak.open_log("memory:")
    claim = cut.store.claim(run.run_id, new=True)
    cut.store.append(claim, events[:end]).result(SOON)
    cut.store.release(claim)
    left = cut.run(run.run_id)
    left.cancel()
    with pytest.raises(ak.RunCancelled):
        left.result(SOON)
    later = agent.run("and now?", after=left, log=cut)
    assert later.result(SOON) == "seen"
    (told, _) = [message.content for message in later.state.messages if message.role == "tool"]
    assert told["error"]["effect"].startswith("unknown")
    assert [(effect.name, effect.step) for effect in later.state.unknown] == [("order", f"{run.run_id}/tool/order/1")]
    cut.close()


def test_a_follow_up_needs_an_ended_run(log):
    """There is no last answer to go on from before."""
    agent = ak.Agent("asks", ScriptedModel([call("ask_person", question="?")]), tools=[ak.ask_person])
    run = agent.run("hi", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    with pytest.raises(ConfigError, match="has not ended"):
        agent.run("and?", after=run, log=log)


def test_a_prompt_is_rebuilt_exactly(log):
    """`run.prompt(step)` is what the model was given; an unknown step says which there are."""
    model = ScriptedModel([call("lookup", what="x"), "ok"])
    run = ak.Agent("p", model, tools=[lookup], instructions="be kind", settings={"temperature": 0}).run("hi", log=log)
    run.result(SOON)
    for number, request in enumerate(model.requests, 1):
        rebuilt = run.prompt(f"model/{number}")
        assert rebuilt.exact
        assert rebuilt.request.model_dump() == request.model_dump()
    with pytest.raises(ConfigError, match="model/1, model/2"):
        run.prompt("model/9")
