"""A write that was started and never recorded as finished: only a person can say what became of it."""

import pytest
from small_agents import SOON, bodies, paused

import agentkit as ak
from agentkit.decide import AskInDoubt, decide
from agentkit.errors import ApprovalError, ResumeError
from agentkit.events import RunResumed, ToolStarted, ToolSucceeded
from agentkit.testing import FunctionModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


def think(request):
    return "ok" if len(request.messages) > 1 else call("act", what="x")


def cut_at(log, agent, kind):
    """A log that ends where a process died: right after the first event of that type."""
    run = agent.run("hi", log=log)
    run.result(SOON)
    events = run.events()
    end = next(index for index, event in enumerate(events) if event.type == kind) + 1
    cut = ak.open_log("memory:")
    claim = cut.store.claim(run.run_id, new=True)
    cut.store.append(claim, events[:end]).result(SOON)
    cut.store.release(claim)
    return cut, run


def agent_with(ran, **options):
    @ak.tool(**options)
    def act(what: str, ctx: ak.Context) -> dict:
        """Do something that can be cut short. Returns what was done.

        Args:
            what: a word.
        """
        ran.append(ctx.idempotency_key)
        return {"did": what}

    return ak.Agent("a", FunctionModel(think), tools=[act], decisions="off")


@pytest.mark.parametrize("options", [{}, {"writes": True, "idempotent": True}])
def test_a_read_or_an_idempotent_write_runs_again_with_its_key(log, options):
    """Nobody needs to be asked."""
    ran = []
    agent = agent_with(ran, **options)
    cut, run = cut_at(log, agent, "tool_started")
    again = ak.resume(run.run_id, log=cut)
    assert again.result(SOON) == "ok"
    assert len(ran) == 2
    assert ran[0] == ran[1]
    assert [event.attempt for event in again.events() if event.type == "tool_started"] == [1, 2]


def test_a_write_that_happened_is_not_run_again(log):
    """Its result is what the person says; the model is told that they did."""
    ran = []
    agent = agent_with(ran, writes=True)
    cut, run = cut_at(log, agent, "tool_started")
    again = ak.resume(run.run_id, log=cut)
    (asked,) = paused(again)
    assert (asked.kind, asked.because, asked.arguments) == ("in_doubt", "in_doubt", {"what": "x"})
    assert asked.shows["idempotency_key"] == ran[0]
    with pytest.raises(ApprovalError, match=r"the result of act is not valid: .*should be an object"):
        again.resolve(None, "happened", result=5)
    again.resolve(None, "happened", result={"did": "x, I saw it"})
    assert again.result(SOON) == "ok"
    assert len(ran) == 1
    (told,) = bodies(again, ToolSucceeded)
    assert (told.result, bool(told.told_by)) == ({"did": "x, I saw it"}, True)


@pytest.mark.parametrize("word", ["did not", "did_not"])
def test_a_write_that_did_not_happen_runs_now_with_its_key(log, word):
    """It is the same step's next attempt; the word is as a person or as the log writes it."""
    ran = []
    agent = agent_with(ran, writes=True)
    cut, run = cut_at(log, agent, "tool_started")
    again = ak.resume(run.run_id, log=cut)
    paused(again)
    with pytest.raises(ApprovalError, match="it takes: did not, happened, stop"):
        again.approve()
    again.resolve(None, word)
    assert again.result(SOON) == "ok"
    assert len(ran) == 2
    assert len({body.idempotency_key for body in bodies(again, ToolStarted)}) == 1


def test_stop_cancels_the_run(log):
    """Nothing more is done."""
    ran = []
    agent = agent_with(ran, writes=True)
    cut, run = cut_at(log, agent, "tool_started")
    again = ak.resume(run.run_id, log=cut)
    paused(again)
    again.resolve(None, "stop")
    with pytest.raises(ak.RunCancelled):
        again.result(SOON)
    assert len(ran) == 1


@pytest.mark.parametrize("kind", ["run_started", "model_requested", "model_responded", "tool_succeeded"])
def test_after_a_crash_anywhere_else_nothing_runs_twice(log, kind):
    """Resume decides again from the same state; a model's lost attempt is recorded as lost."""
    ran = []
    agent = agent_with(ran, writes=True)
    cut, run = cut_at(log, agent, kind)
    before = len(ran)
    again = ak.resume(run.run_id, log=cut)
    assert again.result(SOON) == "ok"
    assert len(ran) - before == (0 if kind == "tool_succeeded" else 1)
    lost = [event for event in again.events() if event.type == "model_failed"]
    assert [event.body.lost for event in lost] == ([True] if kind == "model_requested" else [])


def test_a_cancelled_run_in_doubt_stays_so(log):
    """Cancelling an interrupted run ends it without asking."""
    cut, run = cut_at(log, agent_with([], writes=True), "tool_started")
    seen = cut.run(run.run_id)
    assert seen.status == "interrupted"
    seen.cancel("not needed")
    with pytest.raises(ak.RunCancelled):
        seen.result(SOON)


def test_a_started_write_that_became_a_read_cannot_go_on(log):
    """The recorded events say that it may have had its effect; the error names the difference."""
    agent = agent_with([], writes=True)
    cut, run = cut_at(log, agent, "tool_started")
    changed = agent_with([])
    with pytest.raises(ResumeError, match=r"writes=True, idempotent=False \(now writes=False"):
        ak.resume(run.run_id, log=cut)
    assert changed.name == run.state.name


def test_other_instructions_and_more_tools_are_no_contradiction(log):
    """They hold from the resume on, and are recorded there."""
    agent = agent_with([])
    cut, run = cut_at(log, agent, "tool_started")
    act = agent.definition.tools["act"]
    changed = ak.Agent("a", FunctionModel(think), "Be new.", tools=[act, ak.ask_person], decisions="off")
    again = ak.resume(run.run_id, log=cut)
    assert again.result(SOON) == "ok"
    assert again.state.header.instructions == changed.definition.instructions
    (resumed,) = bodies(again, RunResumed)
    assert [tool.offered.name for tool in resumed.header.tools] == ["act", "ask_person"]
    assert again.prompt("model/1").exact
    assert again.prompt("model/2").exact


@pytest.mark.parametrize("kind", ["approval_requested", "approval_answered"])
def test_a_fork_at_the_question_asks_it_again(log, kind):
    """What a person said of the parent's write was not used yet; running it again unasked could do it twice."""
    ran = []
    agent = agent_with(ran, writes=True)
    cut, run = cut_at(log, agent, "tool_started")
    again = ak.resume(run.run_id, log=cut)
    paused(again)
    again.resolve(None, "happened", result={"did": "x"})
    assert again.result(SOON) == "ok"
    fork = again.fork(next(event.seq for event in again.events() if event.type == kind), agent=agent)
    (asked,) = paused(fork)
    assert (asked.kind, asked.arguments, ran) == ("in_doubt", {"what": "x"}, ran[:1])
    (last,) = paused(fork.fork(1))
    assert last.kind == "in_doubt"
    fork.resolve(None, "happened", result={"did": "x"})
    assert fork.result(SOON) == "ok"
    assert len(ran) == 1


def redefined(ran, **options):
    @ak.tool(**options)
    def act(what: str, loudly: bool = True) -> dict:
        """Do something that can be cut short. Returns what was done.

        Args:
            what: a word.
            loudly: whether to shout it.
        """
        ran.append((what, loudly))
        return {"did": what}

    return ak.Agent("a", FunctionModel(think), tools=[act], decisions="off")


def test_what_a_person_let_run_again_is_asked_about_when_the_tool_changed(log):
    """They said that the old one did not happen, and have not seen the new one."""
    ran, shouted = [], []
    agent = agent_with(ran, writes=True)
    cut, run = cut_at(log, agent, "tool_started")
    again = ak.resume(run.run_id, log=cut)
    paused(again)
    changed = redefined(shouted, writes=True)
    again.resolve(None, "did not")
    (asked,) = paused(again)
    assert (asked.because, shouted) == ("changed", [])
    again.approve()
    assert again.result(SOON) == "ok"
    assert (shouted, len(ran), changed.name) == ([("x", True)], 1, agent.name)


def test_other_arguments_do_not_run_under_the_key_of_an_attempt_that_was_cut_short(log):
    """The service would take them for the same operation, or do another one that nobody saw."""
    shouted = []
    agent = agent_with([], writes=True, idempotent=True)
    cut, run = cut_at(log, agent, "tool_started")
    changed = redefined(shouted, writes=True, idempotent=True)
    again = ak.resume(run.run_id, log=cut)
    (asked,) = paused(again)
    assert (asked.because, asked.arguments, shouted) == ("changed", {"what": "x", "loudly": True}, [])
    again.reject()
    assert again.result(SOON) == "ok"
    assert ([effect.name for effect in again.state.unknown], changed.name) == (["act"], agent.name)


def test_a_started_write_that_became_an_agent_cannot_go_on(log):
    """A new child run would do it again."""
    agent = agent_with([], writes=True)
    cut, run = cut_at(log, agent, "tool_started")
    act = agent.definition.tools["act"]
    inner = ak.Agent("act", FunctionModel(lambda request: "did it"), tools=[act], decisions="off")
    changed = ak.Agent("a", FunctionModel(think), tools=[inner], decisions="off")
    with pytest.raises(ResumeError, match=r"was a function \(now an agent\)"):
        ak.resume(run.run_id, log=cut)
    state = cut.run(run.run_id).state
    state.calls["tool/act/1"].status = "interrupted"
    assert decide(changed.definition, state, state.started_at) == [AskInDoubt("tool/act/1")]
