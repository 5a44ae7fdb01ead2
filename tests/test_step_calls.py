"""What a step calls through its context: a person in the middle of it, threads and tasks, crashes, other ways."""

import asyncio
import threading
import time

import pytest
from small_agents import SOON, paused
from small_pipelines import cut, events_of, pipeline_of, until, wait_until

import agentkit as ak
from agentkit.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


@ak.tool
def look(what: str) -> str:
    """Look something up. Returns what is known of it."""
    return f"about {what}"


@ak.tool(writes=True, approve=True)
def pay(what: str) -> str:
    """Pay for something. Returns the receipt."""
    return f"paid {what}"


def test_a_question_that_nobody_answers_in_time_counts_as_a_no(log):
    """Inside a step it raises `Rejected`, which the step may catch."""

    def buys(x: int, ctx: ak.Context) -> str:
        try:
            return ctx.call(pay, what="x")
        except ak.Rejected as error:
            return f"left it: {error.reason}"

    run = pipeline_of(buys, approval_expires=0.2).run(x=1, log=log)
    paused(run)
    wait_until(lambda: run.status != "paused")
    assert run.result(SOON).startswith("left it: nobody answered in time")


def test_a_no_inside_a_step_can_be_caught(log):
    """The step goes on with what it had, and looks elsewhere."""

    def buys(x: int, ctx: ak.Context) -> str:
        try:
            return ctx.call(pay, what="x")
        except ak.Rejected as error:
            return f"{error.reason}; {ctx.call(look, what='x')}"

    run = pipeline_of(buys).run(x=1, log=log)
    paused(run)
    run.reject(reason="too dear")
    assert run.result(SOON) == "too dear; about x"


def test_a_no_that_a_step_lets_pass_is_final(log):
    """Whatever its retry: a person who said no is not asked again. The step is rejected."""

    def buys(x: int, ctx: ak.Context) -> str:
        return ctx.call(pay, what="x")

    run = pipeline_of((buys, {"retry": ak.Retry(max_attempts=3, initial=0.001)})).run(x=1, log=log)
    paused(run)
    run.reject(reason="too dear")
    with pytest.raises(ak.RunFailed, match="buys: pay was rejected: too dear"):
        run.result(SOON)
    assert run.state.calls["buys"].outcome == "rejected"
    assert len(events_of(run, "approval_requested")) == 1


def test_a_rule_that_raises_asks(log):
    """Also about a call inside a step."""

    def broken(call):
        raise RuntimeError("no rule")

    @ak.tool(writes=True, approve=broken)
    def send(what: str) -> str:
        """Send something. Returns where it went."""
        return f"sent {what}"

    def sends(x: int, ctx: ak.Context) -> str:
        return ctx.call(send, what="x")

    run = pipeline_of(sends).run(x=1, log=log)
    (asked,) = paused(run)
    assert (asked.step, asked.because) == ("sends/call/send/1", "the approval rule raised RuntimeError: no rule")
    run.approve()
    assert run.result(SOON) == "sent x"


def test_a_step_that_swallows_everything_still_makes_way(log):
    """What it does or returns after a question was put is not its result: it is entered again with the answer."""
    returned = []

    def stubborn(x: int, ctx: ak.Context) -> str:
        try:
            said = ctx.call(pay, what="x")
        except BaseException as error:
            said = f"swallowed {type(error).__name__}"
        returned.append(said)
        return said

    run = pipeline_of(stubborn).run(x=1, log=log)
    paused(run)
    run.approve()
    assert run.result(SOON) == "paid x"
    assert returned == ["swallowed Parked", "paid x"]


def test_calls_from_threads_are_each_done_once(log):
    """Eight at a time, two of them equal: as many calls as were made, and each gets its own result."""
    done = []

    @ak.tool(writes=True)
    def put(what: int) -> int:
        """Put something away. Returns what it was."""
        done.append(what)
        return what

    def busy(x: int, ctx: ak.Context) -> list[int]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda what: ctx.call(put, what=what), [0, 1, 2, 3, 4, 5, 6, 0]))

    assert pipeline_of(busy).run(x=1, log=log).result(SOON) == [0, 1, 2, 3, 4, 5, 6, 0]
    assert sorted(done) == [0, 0, 1, 2, 3, 4, 5, 6]


def test_calls_that_are_awaited_together_wait_for_a_person_together(log):
    """Two questions of one step are both there, and each answer is used once; what ran beside them is not repeated."""
    done = []

    @ak.tool(writes=True)
    def put(what: str) -> str:
        """Put something away. Returns what it was."""
        done.append(what)
        return what

    async def busy(x: int, ctx: ak.AsyncContext) -> list[str]:
        calls = [ctx.call(put, what="a"), ctx.call(pay, what="b"), ctx.call(pay, what="c"), ctx.ask("d")]
        return await asyncio.gather(*calls)

    run = pipeline_of(busy).run(x=1, log=log)
    seen = []
    while run.status != "succeeded" and len(seen) < 5:
        for asked in paused(run):
            seen.append(asked.arguments["what"])
            run.approve(asked.id)
        try:
            run.result(SOON)
        except ak.RunPaused:
            continue
    assert run.result(SOON) == ["a", "paid b", "paid c", "5"]
    assert (sorted(seen), done) == (["b", "c"], ["a"])


def test_what_a_step_left_running_ends_with_it(log):
    """A task that it does not wait for cannot call or ask after it, and nothing is recorded after the end."""
    left = []

    @ak.tool
    async def crawl(what: str) -> str:
        """Take a moment to look something up."""
        await asyncio.sleep(0.05)
        return what

    async def careless(x: int, ctx: ak.AsyncContext) -> int:
        async def beside():
            await ctx.call(crawl, what="first")
            left.append("went on")
            await ctx.ask("second")

        left.append(asyncio.create_task(beside()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return x

    run = pipeline_of(careless).run(x=1, log=log)
    assert run.result(SOON) == 1
    time.sleep(0.2)
    assert len(left) == 1
    assert run.events()[-1].type == "run_succeeded"
    assert {call.status for call in run.state.calls.values()} == {"done"}


def test_a_thread_that_a_step_left_behind_is_told(log):
    """Its step has returned: there is nothing left that could be resumed."""
    told, go = [], threading.Event()

    def careless(x: int, ctx: ak.Context) -> int:
        def beside():
            go.wait(SOON)
            try:
                ctx.call(look, what="x")
            except ConfigError as error:
                told.append(str(error))

        thread = threading.Thread(target=beside)
        told.append(thread)
        thread.start()
        return x

    run = pipeline_of(careless).run(x=1, log=log)
    assert run.result(SOON) == 1
    go.set()
    told[0].join(SOON)
    assert told[1:] == [
        "careless has ended: wait for what it asks and calls before its function returns (in an `async def`, await it)"
    ]


@pytest.mark.parametrize("second", ["b", "a"])
def test_a_step_that_takes_another_way_after_a_write_is_in_doubt(log, second):
    """Its first entry wrote one thing, the next one wants to write another: a person sees both. The same is reused."""
    done, ways = [], iter(["a", second])

    @ak.tool(writes=True)
    def put(what: str) -> str:
        """Put something away. Returns what it was."""
        done.append(what)
        return what

    def wanders(x: int, ctx: ak.Context) -> str:
        put_ = ctx.call(put, what=next(ways))
        ctx.ask("go on?")
        return put_

    run = pipeline_of(wanders).run(x=1, log=log)
    run.result(SOON)
    left = cut(log, run, until("step_succeeded", "wanders"))
    again = ak.resume(run.run_id, log=left)
    if second == "b":
        (asked,) = paused(again)
        assert (asked.because, asked.arguments, done) == ("diverged", {"what": "b"}, ["a"])
        assert [shown["arguments"] for shown in asked.shows] == [{"what": "a"}]
        ways = iter(["b"])
        again.approve()
    assert again.result(SOON) == second
    assert done == ["a", "b"][: 1 + (second == "b")]


def test_a_call_that_began_first_and_was_recorded_last_keeps_apart(log):
    """The rule of the first was still asked when the process died: the second's result is not taken for it."""
    later = threading.Event()

    def rule(call):
        return call.args["what"] == "a" and not later.wait(SOON)

    @ak.tool(approve=rule)
    async def fetch(what: str) -> str:
        """Fetch something. Returns what it is."""
        later.set()
        return f"got {what}"

    async def both(x: int, ctx: ak.AsyncContext) -> list[str]:
        return await asyncio.gather(ctx.call(fetch, what="a"), ctx.call(fetch, what="b"))

    run = pipeline_of(both).run(x=1, log=log)
    assert run.result(SOON) == ["got a", "got b"]
    left = cut(log, run, lambda event: event.step == "both/call/fetch/1")
    assert left.run(run.run_id).state.inner["both"] == ["both/call/fetch/2"]
    assert ak.resume(run.run_id, log=left).result(SOON) == ["got a", "got b"]
