"""How a run stands: what rests in this process is known here, and what others did to it is read."""

import contextlib
from pathlib import Path

import pytest
from foreign import foreign_tool
from small_agents import SOON, lookup, paused

import agentkit as ak
from agentkit.errors import LogBusy
from agentkit.events import Event, RunResumed
from agentkit.runner.load import load_state
from agentkit.runner.recorder import now
from agentkit.stores.embedded import EmbeddedStore
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


@ak.tool(writes=True, approve=True)
def pay(amount: int) -> int:
    """Pay. Returns how much."""
    return amount


def payer():
    return ak.Agent("payer", ScriptedModel([call("pay", amount=5), "ok"]), tools=[pay])


@contextlib.contextmanager
def table_is_taken(log, *runs):
    """All that is recorded of the runs is in the table, and another program keeps that to itself."""
    assert log.store.fold()
    assert log.store.fold()  # the second one removes what the first one moved
    with foreign_tool(Path(log.url) / "log.duckdb"):
        for run in runs:
            with pytest.raises(LogBusy, match=r"log\.duckdb"):
                run.events()
        yield


@pytest.mark.parametrize(
    "answer",
    [ak.Run.approve, lambda run: run.reject(reason="no"), lambda run: run.answer(None, 7)],
    ids=["approve", "reject", "answer"],
)
def test_a_run_that_waits_here_goes_on_while_another_program_keeps_the_table(embedded_log, answer):
    """It is looked at, answered, taken up and waited for by the handle that it was begun with."""
    run = payer().run("pay 5", log=embedded_log)
    (asked,) = paused(run)
    with table_is_taken(embedded_log, run):
        assert run.status == "paused"
        assert paused(run) == run.pending == [asked]
        answer(run)
        assert run.result(SOON) == "ok"
        assert (run.status, run.output) == ("succeeded", "ok")
    assert run.state == load_state(embedded_log.store, run.run_id)


def test_so_does_one_whose_child_waits(embedded_log):
    """The child's question is answered by the parent's handle; both go on."""
    tools = [payer().as_tool("Pays. Returns what it did."), lookup]
    parent = ak.Agent("parent", ScriptedModel([call("payer", task="pay 5"), "done"]), tools=tools)
    run = parent.run("go", log=embedded_log)
    (asked,) = paused(run)
    with table_is_taken(embedded_log, run, *run.children()):
        assert run.pending == [asked]
        assert [child.status for child in run.children()] == ["paused"]
        run.approve()
        assert run.result(SOON) == "done"
    assert [child.status for child in run.children()] == ["succeeded"]


def test_a_run_that_ended_here_is_shown_while_another_program_keeps_the_table(embedded_log):
    """What people said of it since is shown when the table can be read."""
    run = ak.Agent("quick", ScriptedModel(["ok"])).run("hi", log=embedded_log)
    run.result(SOON)
    with table_is_taken(embedded_log, run):
        assert "succeeded" in repr(run)
        assert run.comments == []


def test_what_another_process_did_to_a_run_that_waits_here_is_seen(embedded_log):
    """Who took it up, and that nobody executes it where that one let go of it."""
    run = payer().run("pay 5", log=embedded_log)
    paused(run)
    seq = run.state.seq
    with contextlib.closing(EmbeddedStore(Path(embedded_log.url))) as elsewhere:
        claim = elsewhere.claim(run.run_id)
        body = RunResumed(process=elsewhere.process)
        event = Event(run_id=run.run_id, seq=seq + 1, ts=now(), body=body, name="payer", status="running")
        elsewhere.append(claim, [event]).result(SOON)
        assert (run.state.seq, run.status) == (seq + 1, "running")
        elsewhere.release(claim)
        assert (run.state.seq, run.status) == (seq + 1, "interrupted")
    assert run.state == load_state(embedded_log.store, run.run_id)
