"""Worker threads: shared by calls that return at once, one each for calls that take their time."""

import asyncio
import os
import threading

import pytest

from agentkit.runner.threads import Threads, threads


def test_calls_that_return_at_once_share_a_few_threads():
    """A thousand runs whose tools answer at once do not start a thousand threads."""

    async def run():
        own = Threads()
        return await asyncio.gather(*(own.run(threading.get_ident) for _ in range(1000)))

    assert len(set(asyncio.run(run()))) < 100


def test_calls_that_hang_hold_up_no_other():
    """Every call that waits finds a thread, however many of those before it do not return."""
    meet = threading.Barrier(21)

    async def run():
        own = Threads()
        hanging = [own.run(lambda: meet.wait(30)) for _ in range(20)]
        assert await own.run(lambda: "through") == "through"
        meet.wait(30)
        await asyncio.gather(*hanging)

    asyncio.run(run())


def test_an_idle_thread_is_used_again_and_ends_when_nobody_needs_it(monkeypatch):
    """Threads do not pile up, and do not stay."""
    monkeypatch.setattr("agentkit.runner.threads._IDLE_SECONDS", 0.2)

    async def run():
        own = Threads()
        return [await own.run(threading.current_thread) for _ in range(5)]

    (used,) = set(asyncio.run(run()))
    used.join(10)
    assert not used.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own():
    """The parent's idle threads are not there in the child: its calls must not wait for them."""

    async def call():
        return await asyncio.wait_for(threads.run(lambda: 7), 10)

    assert asyncio.run(call()) == 7
    if (child := os.fork()) == 0:
        os._exit(asyncio.run(call()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_call_may_be_waited_for_in_place_for_a_moment():
    """Then its result is there at once; what takes longer comes through the loop, as without patience."""

    async def run():
        own, go_on = Threads(), threading.Event()
        quick = own.run(lambda: 1, patience=30)
        slow = own.run(lambda: go_on.wait(30), patience=0.001)
        were_done = quick.done(), slow.done()
        go_on.set()
        return were_done, await quick, await slow

    assert asyncio.run(run()) == ((True, False), 1, True)
