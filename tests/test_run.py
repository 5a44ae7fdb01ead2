"""Steering a run from its handle: pause, cancel, resume, find it again, judge it."""

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest
from forked import in_a_child
from small_agents import bodies, lookup, paused

import agentkit as ak
from agentkit import registry
from agentkit.errors import ConfigError, ResumeError, RunClaimed, RunNotFound
from agentkit.events import RunResumed, RunStarted
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

SOON = 20  # seconds until a test that hangs says so


def test_a_grade_is_recorded_once_the_run_ended(log):
    """Good or bad, with a reason; not before the end."""
    agent = ak.Agent("asks", ScriptedModel([call("ask_person", question="?"), "ok"]), tools=[ak.ask_person])
    run = agent.run("hi", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    with pytest.raises(ConfigError, match="not ended"):
        run.grade("good")
    run.answer(None, "yes")
    run.result(SOON)
    with pytest.raises(ConfigError, match="'good' or 'bad'"):
        run.grade("fine")
    run.grade("good", why="short")
    assert run.state.grade == "good"
    assert (run.events()[-1].body.verdict, run.events()[-1].body.why) == ("good", "short")
    assert run.status == "succeeded"
    log.run(run.run_id).grade("bad")
    assert run.look_again().grade == "bad"


def test_pause_stops_after_what_is_in_flight_and_resume_goes_on(log):
    """A pause loses nothing: the answer under way is recorded, its calls wait."""
    there, go = threading.Event(), threading.Event()

    async def think(request):
        if len(request.messages) > 1:
            return "ok"
        there.set()
        await asyncio.to_thread(go.wait, SOON)
        return call("lookup", what="x")

    run = ak.Agent("pauses", FunctionModel(think), tools=[lookup]).run("hi", log=log)
    there.wait(SOON)
    run.pause()
    go.set()
    with pytest.raises(ak.RunPaused, match=r"run[.]resume"):
        run.result(SOON)
    assert run.usage.tool_calls == 0
    assert run.pending == []
    assert run.resume().result(SOON) == "ok"
    assert run.usage.tool_calls == 1


def test_cancelling_a_running_run(log):
    """The model's answer is not waited for; what it may have cost is recorded."""
    there = threading.Event()

    async def think(_request):
        there.set()
        await asyncio.sleep(SOON)

    run = ak.Agent("cancelled", FunctionModel(think, price_usd=0.1)).run("hi", log=log)
    there.wait(SOON)
    run.cancel("changed my mind")
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert run.status == "cancelled"
    assert run.cost == pytest.approx(0.1)
    with pytest.raises(ConfigError, match="ended already"):
        run.cancel()


def test_cancelling_waits_for_threads_in_flight(log):
    """A thread cannot be stopped: what it did is recorded before the run ends."""
    there, go = threading.Event(), threading.Event()

    @ak.tool(writes=True)
    def send(text: str) -> str:
        """Send a text. Returns a receipt.

        Args:
            text: what to send.
        """
        there.set()
        go.wait(SOON)
        return "sent"

    run = ak.Agent("c", ScriptedModel([call("send", text="x")]), tools=[send], decisions="off").run("hi", log=log)
    there.wait(SOON)
    run.cancel()
    assert run.status == "running"
    go.set()
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert run.state.calls["tool/send/1"].result == "sent"


def test_cancelling_from_another_handle(log):
    """Whoever finds the run in the log can end it, whether it runs or waits."""
    there = threading.Event()

    async def think(_request):
        there.set()
        await asyncio.sleep(SOON)

    run = ak.Agent("c", FunctionModel(think)).run("hi", log=log)
    there.wait(SOON)
    log.run(run.run_id).cancel()
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    agent = ak.Agent("asks", ScriptedModel([call("ask_person", question="?")]), tools=[ak.ask_person])
    waits = agent.run("hi", log=log)
    with pytest.raises(ak.RunPaused):
        waits.result(SOON)
    log.run(waits.run_id).cancel()
    with pytest.raises(ak.RunCancelled):
        waits.result(SOON)
    assert log.pending() == []


def test_a_second_resume_is_told_who_executes_it(log):
    """One process, one activation at a time."""
    there, go = threading.Event(), threading.Event()

    async def think(_request):
        there.set()
        await asyncio.to_thread(go.wait, SOON)
        return "ok"

    run = ak.Agent("held", FunctionModel(think)).run("hi", log=log)
    there.wait(SOON)
    with pytest.raises(RunClaimed, match="process"):
        ak.resume(run.run_id, log=log)
    go.set()
    assert run.result(SOON) == "ok"
    with pytest.raises(ResumeError, match="has ended"):
        ak.resume(run.run_id, log=log)


def test_a_missing_definition_says_what_to_run(log):
    """Where a notebook's agent is not defined, the error names the cell to run."""
    model = ScriptedModel([call("ask_person", question="?")])
    run = ak.Agent("gone_by_now", model, tools=[ak.ask_person]).run("hi", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    registry._definitions.pop("gone_by_now", None)
    with pytest.raises(ResumeError, match=r"Run the cell or module that defines Agent\('gone_by_now'"):
        ak.resume(run.run_id, log=log)


MODULE = """
import agentkit as ak
from agentkit.testing import FunctionModel, call

def think(request):
    return "thanks" if len(request.messages) > 1 else call("ask_person", question="?")

asker = ak.Agent("imported", FunctionModel(think), tools=[ak.ask_person])
"""


def test_a_run_of_a_module_is_resumed_by_import(log, tmp_path, monkeypatch):
    """`run_started` says where the agent is; a process that never heard of it imports it."""
    (tmp_path / "agents_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import agents_of_mine

    run = agents_of_mine.asker.run("hi", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    assert bodies(run, RunStarted)[0].module == "agents_of_mine:asker"
    registry._definitions.pop("imported")
    del sys.modules["agents_of_mine"]
    again = ak.resume(run.run_id, log=log)
    again.answer(None, "hello")
    assert again.result(SOON) == "thanks"


def test_status_interrupted_is_a_running_run_that_nobody_holds(log):
    """A reader says so; `resume` goes on."""
    agent = ak.Agent("i", ScriptedModel(["ok"]))
    run = agent.run("hi", log=log)
    run.result(SOON)
    cut = ak.open_log("memory:")
    events = run.events()
    claim = cut.store.claim(run.run_id, new=True)
    cut.store.append(claim, events[:-2]).result(SOON)
    cut.store.release(claim)
    seen = cut.run(run.run_id)
    assert seen.status == "interrupted"
    with pytest.raises(ResumeError, match="interrupted"):
        seen.result(SOON)
    assert seen.resume().result(SOON) == "ok"
    assert len([e for e in seen.events() if isinstance(e.body, RunResumed)]) == 1


def test_a_run_is_found_by_the_beginning_of_its_id(log):
    """As long as only one begins so."""
    run = ak.Agent("a", ScriptedModel(["ok"])).run("hi", log=log)
    run.result(SOON)
    assert log.run(run.run_id[:20]).output == "ok"
    with pytest.raises(RunNotFound, match="no run"):
        log.run("ffff")


def test_a_budget_for_a_run_that_executes_and_did_not_ask(log):
    """It says to pause first; a plain `resume` changes nothing."""
    there, go = threading.Event(), threading.Event()

    async def think(_request):
        there.set()
        await asyncio.to_thread(go.wait, SOON)
        return "ok"

    run = ak.Agent("busy", FunctionModel(think)).run("hi", log=log)
    there.wait(SOON)
    with pytest.raises(ConfigError, match=r"run\.pause"):
        run.resume(budget=ak.Budget(usd=1.0))
    assert run.resume() is run
    go.set()
    assert run.result(SOON) == "ok"


def test_a_paused_run_can_be_given_another_budget(log):
    """From then on it is the run's."""
    there, go = threading.Event(), threading.Event()

    async def think(request):
        if len(request.messages) > 1:
            return "ok"
        there.set()
        await asyncio.to_thread(go.wait, SOON)
        return call("lookup", what="x")

    run = ak.Agent("pauses", FunctionModel(think), tools=[lookup]).run("hi", log=log)
    there.wait(SOON)
    run.pause()
    go.set()
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    assert run.resume(budget=ak.Budget(model_calls=7)).result(SOON) == "ok"
    assert run.state.budget == ak.Budget(model_calls=7)


def test_a_paused_run_can_be_cancelled(log):
    """Also one that nobody is asked about."""
    there, go = threading.Event(), threading.Event()

    async def think(_request):
        there.set()
        await asyncio.to_thread(go.wait, SOON)
        return call("lookup", what="x")

    run = ak.Agent("pauses", FunctionModel(think), tools=[lookup]).run("hi", log=log)
    there.wait(SOON)
    run.pause()
    go.set()
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    run.cancel("enough")
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert run.events()[-1].body.why == "enough"


def test_cancelling_from_another_process(embedded_log):
    """It leaves word in the log; the process that executes the run finds it there."""
    there = threading.Event()

    async def think(_request):
        there.set()
        await asyncio.sleep(SOON)

    run = ak.Agent("far", FunctionModel(think)).run("hi", log=embedded_log)
    there.wait(SOON)
    program = "import sys, agentkit as ak; ak.open_log(sys.argv[1]).run(sys.argv[2]).cancel('from afar')"
    subprocess.run([sys.executable, "-c", program, embedded_log.url, run.run_id], check=True, timeout=60)
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert run.events()[-1].body.why == "from afar"


@pytest.mark.parametrize("executing", [True, False])
@pytest.mark.parametrize("odd", ["\0", "\udc80"])
def test_a_reason_that_the_log_cannot_hold_is_made_one_it_can(log, odd, executing):
    """It may come out of a terminal or a program; the run ends as it was told."""
    there = threading.Event()

    async def think(_request):
        there.set()
        if executing:
            await asyncio.sleep(SOON)
        return call("ask_person", question="?")

    run = ak.Agent("odd", FunctionModel(think), tools=[ak.ask_person]).run("hi", log=log)
    there.wait(SOON)
    if not executing:
        with pytest.raises(ak.RunPaused):
            run.result(SOON)
    run.cancel(f"no{odd}")
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert run.events()[-1].body.why in {"no\ufffd", "no?"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_a_forked_child_the_handle_of_a_run_that_its_parent_executes_follows_the_log(embedded_log, tmp_path):
    """It is told who executes the run, and gets what comes of it."""
    there, go_on = threading.Event(), tmp_path / "go on"

    @ak.tool(writes=True)
    def wait() -> None:
        """Wait. Returns nothing."""
        there.set()
        while not go_on.exists():
            time.sleep(0.01)

    run = ak.Agent("waits", ScriptedModel([call("wait"), "ok"]), tools=[wait]).run("hi", log=embedded_log)
    there.wait(SOON)

    def look():
        with pytest.raises(RunClaimed, match=f"process {os.getppid()} "):
            run.resume()
        seen = run.is_here, run.status
        go_on.touch()
        return (*seen, run.result(SOON), run.status)

    told = in_a_child(look)
    go_on.touch()
    assert told == str((False, "running", "ok", "succeeded"))
    assert run.result(SOON) == "ok"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_answers_a_run_that_its_parent_paused(embedded_log):
    """The parent goes on with it, and does what was approved; the child's handle sees it end."""
    did = []

    @ak.tool(writes=True, approve=True)
    def pay() -> None:
        """Pay. Returns nothing."""
        did.append(os.getpid())

    run = ak.Agent("pays", ScriptedModel([call("pay"), "ok"]), tools=[pay]).run("hi", log=embedded_log)
    paused(run)
    told = in_a_child(lambda: (run.approve().then, run.result(SOON)))
    assert f"process {os.getpid()} " in told or "ended" in told  # the parent may be quick
    assert told.endswith(", 'ok')")
    assert run.result(SOON) == "ok"
    assert did == [os.getpid()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_goes_on_with_a_run_that_its_parent_paused(embedded_log):
    """Where it is told to, with what executes runs in the child; the parent sees it end."""
    there, go = threading.Event(), threading.Event()

    async def think(request):
        there.set()
        await asyncio.to_thread(go.wait, SOON)
        return "ok" if len(request.messages) > 1 else call("lookup", what="x")

    run = ak.Agent("rests", FunctionModel(think), tools=[lookup]).run("hi", log=embedded_log)
    there.wait(SOON)
    run.pause()
    go.set()
    assert paused(run) == []
    assert in_a_child(lambda: (run.resume().is_here, run.result(SOON))) == str((True, "ok"))
    assert run.result(SOON) == "ok"
    assert run.events()[-1].body.output == "ok"
