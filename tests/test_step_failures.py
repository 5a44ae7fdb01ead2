"""What a pipeline's step raises, and how long it takes: tried again, in doubt, or the end of its run."""

import threading

import pytest
from small_agents import SOON, paused
from small_pipelines import Gate, events_of, kept, pipeline_of, wait_until

import agentkit as ak
from agentkit.testing import FunctionModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

QUICK = ak.Retry(max_attempts=3, initial=0.001, max=0.001)


def failing(error, times, **options):
    """A step that raises so many times, and the number of times it ran."""
    ran = []

    def work(x: int, ctx: ak.Context) -> str:
        ran.append(ctx.idempotency_key)
        if len(ran) <= times:
            raise error
        return "done"

    return pipeline_of((work, options)), ran


def test_a_tool_error_ends_the_run(log):
    """There is no model that could do better; its context is in the run's error."""
    pipeline, ran = failing(ak.ToolError("no such order", order="A-1"), 9)
    run = pipeline.run(x=1, log=log)
    with pytest.raises(ak.RunFailed, match="work: no such order") as raised:
        run.result(SOON)
    assert raised.value.error.context == {"order": "A-1", "step": "work"}
    assert len(ran) == 1


def test_a_tool_error_that_says_so_is_tried_again(log):
    """Nothing happened, and the same can succeed later."""
    pipeline, ran = failing(ak.ToolError("busy", retryable=True), 2, retry=QUICK)
    assert pipeline.run(x=1, log=log).result(SOON) == "done"
    assert len(ran) == 3


@pytest.mark.parametrize("options", [{}, {"writes": True, "idempotent": True}])
def test_what_is_transient_is_tried_again_with_the_same_key(log, options):
    """A read, and a write that its service does once for a key."""
    pipeline, ran = failing(ConnectionError("lost"), 2, retry=QUICK, **options)
    assert pipeline.run(x=1, log=log).result(SOON) == "done"
    assert (len(ran), len(set(ran))) == (3, 1)


@pytest.mark.parametrize("error", [ConnectionError("lost"), TimeoutError("slow"), ValueError("wrong")])
def test_a_plain_write_is_never_tried_again(log, error):
    """Whether it happened, nobody knows: the run fails, and says so."""
    pipeline, ran = failing(error, 1, writes=True)
    run = pipeline.run(x=1, log=log)
    with pytest.raises(ak.RunFailed, match=f"work: {error}"):
        run.result(SOON)
    assert (len(ran), [effect.step for effect in run.state.unknown]) == (1, ["work"])


def test_a_retry_of_its_own_holds_for_every_exception_and_ends(log):
    """The last error is the run's, and the state has those before it."""
    pipeline, ran = failing(ValueError("wrong"), 9, retry=QUICK)
    run = pipeline.run(x=1, log=log)
    with pytest.raises(ak.RunFailed, match="work: wrong"):
        run.result(SOON)
    assert (len(ran), len(run.state.calls["work"].errors)) == (3, 3)


@pytest.mark.parametrize("writes", [False, True])
def test_a_thread_that_takes_too_long_is_in_doubt_until_it_is_back(log, writes):
    """No second try overlaps it, and what it brings late is its result."""
    gate, ran = Gate(), []

    def slow(x: int) -> str:
        ran.append(x)
        gate()
        return "late"

    def after(slow: str) -> str:
        return f"{slow}, and used"

    retry = {} if writes else {"retry": QUICK}
    run = pipeline_of((slow, {"timeout": 0.02, "writes": writes, **retry}), after).run(x=1, log=log)
    wait_until(lambda: run.state.calls.get("slow") and run.state.calls["slow"].status == "stuck")
    assert ran == [1]
    gate.go_on.set()
    assert run.result(SOON) == "late, and used"
    ((_, failed),) = events_of(run, "step_failed")
    assert (failed.in_doubt, [body.late for step, body in events_of(run, "step_succeeded") if step == "slow"]) == (
        True,
        [True],
    )
    assert ran == [1]


def test_a_run_is_held_until_a_late_thread_is_back(embedded_log):
    """Cancelled or not: while the thread runs nobody else takes the run up; what it brought is recorded."""
    gate = Gate()

    def slow(x: int) -> str:
        gate()
        return "late"

    run = pipeline_of((slow, {"timeout": 0.02, "writes": True})).run(x=1, log=embedded_log)
    wait_until(lambda: run.state.calls.get("slow") and run.state.calls["slow"].status == "stuck")
    run.cancel()
    assert embedded_log.store.holder(run.run_id) is not None
    gate.go_on.set()
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert run.state.calls["slow"].result == "late"
    assert embedded_log.store.holder(run.run_id) is None


def test_an_async_step_that_takes_too_long_is_cut_and_its_calls_end_first(log):
    """The tool that it had called is done before the next try finds what it brought: a write is not repeated."""
    done, entered, hang = [], [], threading.Event()

    @ak.tool(writes=True)
    def put(what: str) -> str:
        """Put something away. Returns what it was."""
        if not entered[1:]:
            hang.wait(0.1)
        done.append(what)
        return what

    async def slow(x: int, ctx: ak.AsyncContext) -> str:
        entered.append(x)
        return await ctx.call(put, what="a")

    run = pipeline_of((slow, {"timeout": 0.03, "retry": QUICK})).run(x=1, log=log)
    assert run.result(SOON) == "a"
    assert (done, len(entered)) == (["a"], 2)


def agent_that_waits():
    """An agent that wants to do something a person has to allow."""

    @ak.tool(writes=True, approve=True)
    def pay(what: str) -> str:
        """Pay for something. Returns the receipt."""
        return f"paid {what}"

    def say(request):
        return "ok" if len(request.messages) > 1 else call("pay", what="x")

    return ak.Agent("payer", FunctionModel(say), tools=[pay], decisions="off")


def with_an_agent(beside):
    """A pipeline in which an agent waits for a person while something goes on beside it."""
    pipeline = kept(ak.Pipeline("p", input={"x": str}))
    pipeline.step(beside)
    pipeline.step(agent_that_waits(), needs={"task": "x"})
    return pipeline


def test_a_failed_step_ends_the_run_and_the_agent_beside_it_that_waits(log):
    """Nobody has to answer for a run that cannot go on; its question is withdrawn."""
    gate = Gate()

    def beside(x: str) -> str:
        gate()
        raise ValueError("broken")

    run = with_an_agent(beside).run(x="go", log=log)
    wait_until(lambda: run.pending)
    gate.go_on.set()
    with pytest.raises(ak.RunFailed, match="beside: broken"):
        run.result(SOON)
    (child,) = run.children()
    assert child.status == "cancelled"
    assert run.pending == [] == child.pending


def test_the_question_of_an_agent_in_a_step_is_the_runs_and_its_answer_goes_on(log):
    """What ended beside it is not done again."""
    ran = []

    def beside(x: str) -> str:
        ran.append(x)
        return x

    run = with_an_agent(beside).run(x="go", log=log)
    (asked,) = paused(run)
    assert asked.name == "pay"
    run.approve(asked.id)
    assert run.result(SOON) == {"beside": "go", "payer": "ok"}
    assert ran == ["go"]


def test_so_it_does_when_the_process_died_before_the_run_had_failed(log):
    """The one that takes it up ends both."""
    gate = Gate()

    def beside(x: str) -> str:
        gate()
        raise ValueError("broken")

    run = with_an_agent(beside).run(x="go", log=log)
    wait_until(lambda: run.pending)
    gate.go_on.set()
    with pytest.raises(ak.RunFailed):
        run.result(SOON)
    (child,) = run.children()
    left = ak.open_log("memory:")
    for one, end in ((run, "run_failed"), (child, "run_cancelled")):
        claim = left.store.claim(one.run_id, new=True)
        left.store.append(claim, [event for event in one.events() if event.type != end]).result(SOON)
        left.store.release(claim)
    again = ak.resume(run.run_id, log=left)
    with pytest.raises(ak.RunFailed, match="beside: broken"):
        again.result(SOON)
    assert [child.status for child in again.children()] == ["cancelled"]
    assert left.pending() == []


@pytest.mark.parametrize("how", ["cancel", "pause"])
def test_a_run_in_whose_step_an_agent_waits_is_cancelled_or_paused_with_it(log, how):
    """Both end as one; paused, both go on as one."""
    run = with_an_agent(lambda_named("beside")).run(x="go", log=log)
    paused(run)
    if how == "cancel":
        run.cancel()
        with pytest.raises(ak.RunCancelled):
            run.result(SOON)
        assert [child.status for child in run.children()] == ["cancelled"]
        return
    run.resume()
    assert len(paused(run)) == 1
    run.approve()
    assert run.result(SOON)["payer"] == "ok"


def lambda_named(name):
    """A step of that name."""

    def step(x: str) -> str:
        return x

    step.__name__ = name
    return step
