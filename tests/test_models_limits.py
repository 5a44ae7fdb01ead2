"""How many calls a provider gets: at once, in a minute, in which order, and what a wait costs."""

import asyncio
import contextlib
import time

import pytest
from dialects import Reply
from fault_server import FaultServer
from faults import keys
from hypothesis import given
from hypothesis import strategies as st

import agentkit as ak
from agentkit.events import ModelRequested, ModelResponded
from agentkit.models import limits
from agentkit.models.limits import Queue


@pytest.fixture(autouse=True)
def own_limits(monkeypatch):
    monkeypatch.setattr(limits, "_limits", {})


async def use(queue, name, done, seconds=0.0):
    await queue.enter()
    done.append(name)
    try:
        await asyncio.sleep(seconds)
    finally:
        queue.leave()


async def all_of(*work):
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


def test_first_come_first_served():
    """Whoever waits longest is next."""

    async def play():
        ak.limit("p", concurrency=2)
        queue, done = Queue("p"), []
        await all_of(*(use(queue, number, done) for number in range(20)))
        return done

    assert asyncio.run(play()) == list(range(20))


def test_never_more_than_so_many_begin_in_a_minute():
    """In any window, not on average."""

    async def play():
        ak.limit("p", concurrency=9, requests_per_minute=3)
        queue, begun = Queue("p", minute=0.2), []

        async def one():
            await queue.enter()
            begun.append(asyncio.get_running_loop().time())
            queue.leave()

        await all_of(*(one() for _ in range(9)))
        return begun

    begun = asyncio.run(play())
    assert all(later - earlier >= 0.199 for earlier, later in zip(begun, begun[3:], strict=False))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12), st.integers(1, 3))
def test_a_cancelled_call_never_keeps_a_place(calls, concurrency):
    """Whichever waiter is cancelled, and when: everybody else gets their turn, and all places are free afterwards."""

    async def play():
        ak.limit("p", concurrency=concurrency)
        queue, done, most = Queue("p"), [], 0

        async def one(number):
            nonlocal most
            await queue.enter()
            try:
                most = max(most, queue._running)
                await asyncio.sleep(0)
                done.append(number)
            finally:
                queue.leave()

        tasks = [asyncio.create_task(one(number)) for number in range(len(calls))]
        for task, (cancelled, rounds) in zip(tasks, calls, strict=True):
            for _ in range(rounds):
                await asyncio.sleep(0)
            if cancelled:
                task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert queue._running == 0
        assert most <= concurrency
        assert {number for number, (cancelled, _) in enumerate(calls) if not cancelled} <= set(done)

    asyncio.run(play())


def test_a_raised_limit_lets_those_who_wait_begin():
    """From any thread, at once."""

    async def play():
        ak.limit("p", concurrency=1)
        async with limits.turn("p"):
            waiting = [asyncio.create_task(limits.turn("p").__aenter__()) for _ in range(2)]
            await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
            await asyncio.to_thread(ak.limit, "p", concurrency=3)
            await asyncio.wait_for(asyncio.gather(*waiting), 5)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("provider", "options"),
    [("", {}), ("openai/gpt-5", {}), ("p", {"concurrency": 0}), ("p", {"requests_per_minute": 0})],
)
def test_what_is_no_limit_is_refused(provider, options):
    """With the name and the value."""
    with pytest.raises(ak.ConfigError, match="limit"):
        ak.limit(provider, **options)


# through runs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def agent():
    with keys(), FaultServer(delay=0.05) as server:
        agent = ak.Agent("support", "loopback/openai/gpt-5-mini", settings={"api_base": server.url, "timeout": 20})
        agent.server = server
        yield agent


def test_runs_share_the_limit_of_a_provider(agent, log):
    """Never more requests at once than allowed; all runs succeed."""
    ak.limit("openai", concurrency=3)
    runs = [agent.run(f"Where is A-{number}?", log=log) for number in range(12)]
    assert [run.result(timeout=60) for run in runs] == ["It is on its way."] * 12
    assert agent.server.most_at_once == 3
    agent.server.most_at_once = 0


def test_a_wait_is_no_part_of_the_calls_duration_nor_of_its_timeout(log):
    """Eight calls of 0.2 s, one at a time, each with a second to answer: none times out, each took its own time."""
    ak.limit("openai", concurrency=1)
    with keys(), FaultServer(delay=0.2) as server:
        settings = {"api_base": server.url, "timeout": 1.0}
        agent = ak.Agent("support", "loopback/openai/gpt-5-mini", settings=settings, retry=ak.Retry(max_attempts=1))
        began = time.perf_counter()
        runs = [agent.run("Where is it?", log=log) for _ in range(8)]
        for run in runs:
            run.result(timeout=60)
        assert time.perf_counter() - began > 8 * 0.2
    took = [event.duration_ms for run in runs for event in run.events() if isinstance(event.body, ModelResponded)]
    assert all(200 <= ms < 1000 for ms in took)


def test_a_run_that_is_cancelled_while_it_waits_cost_nothing(log):
    """It never asked: there is no attempt in the log, and the others go on."""
    ak.limit("openai", concurrency=1)
    with keys(), FaultServer([Reply()], delay=0.4) as server:
        agent = ak.Agent("support", "loopback/openai/gpt-5-mini", settings={"api_base": server.url})
        first = agent.run("Where is A-1?", log=log)
        while not server.requests:
            time.sleep(0.01)
        waiting, last = agent.run("Where is A-2?", log=log), agent.run("Where is A-3?", log=log)
        waiting.cancel()
        with contextlib.suppress(ak.RunCancelled):
            waiting.result(timeout=60)
        assert [first.result(timeout=60), last.result(timeout=60)] == ["It is on its way."] * 2
    assert waiting.status == "cancelled"
    assert waiting.usage == ak.Usage()
    assert not [event for event in waiting.events() if isinstance(event.body, ModelRequested)]


def test_a_run_that_is_paused_while_it_waits_has_not_asked(log):
    """Resumed, it waits anew."""
    ak.limit("openai", concurrency=1)
    with keys(), FaultServer([Reply()], delay=0.4) as server:
        agent = ak.Agent("support", "loopback/openai/gpt-5-mini", settings={"api_base": server.url})
        first = agent.run("Where is A-1?", log=log)
        while not server.requests:
            time.sleep(0.01)
        waiting = agent.run("Where is A-2?", log=log)
        waiting.pause()
        with pytest.raises(ak.RunPaused):
            waiting.result(timeout=60)
        assert not [event for event in waiting.events() if isinstance(event.body, ModelRequested)]
        assert waiting.resume().result(timeout=60) == "It is on its way."
        first.result(timeout=60)
