"""Ended runs in another log: whole, with what they belong to, once, and only where no copy could act."""

import pytest
from postgres_server import fresh_database
from typer.testing import CliRunner

import agentkit as ak
from agentkit.cli.app import app
from agentkit.errors import ConfigError, LogError
from agentkit.testing import ScriptedModel, call
from agentkit.testing.store_contract import fill

SOON = 20


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount out of the till, for good. Returns the receipt.

    Args:
        amount: how much, in USD.
    """
    return {"paid": amount}


def ended(log, text="hi", **options):
    run = ak.Agent("talker", ScriptedModel(["ok"])).run(text, log=log, **options)
    run.result(SOON)
    return run


@pytest.fixture(params=["memory", "folder", "postgresql"])
def other(request, tmp_path):
    """Another log, of each kind."""
    kind = request.param
    postgres = request.getfixturevalue("postgres") if kind == "postgresql" else None
    place = {"memory": "memory:", "folder": tmp_path / "other"}.get(kind) or fresh_database(postgres)
    other = ak.open_log(place)
    yield other
    other.close()


def test_a_copy_is_the_run(embedded_log, other):
    """Its events, to the last byte; what it shows, and what SQL says of it."""
    run = ended(embedded_log)
    run.grade("good", why="as it should be")
    assert embedded_log.copy_to(other) == 1
    assert other.store.read(run.run_id) == embedded_log.store.read(run.run_id)
    assert str(other.run(run.run_id).trace) == str(run.trace)
    assert list(other.sql("SELECT name, status, grade FROM runs")) == [("talker", "succeeded", "good")]


def test_what_is_there_is_not_copied_again(embedded_log, other):
    """A copy that was cut short is made once more; what a run got since, a grade, comes after."""
    runs = [ended(embedded_log) for _ in range(3)]
    assert embedded_log.copy_to(other, runs[0]) == 1
    assert embedded_log.copy_to(other) == 2
    assert embedded_log.copy_to(other) == 0
    runs[1].grade("bad")
    assert embedded_log.copy_to(other, [run.run_id for run in runs]) == 1
    assert other.run(runs[1].run_id).state.grade == "bad"


def test_what_a_run_belongs_to_comes_along(embedded_log, other):
    """The run that it goes on after, and the child runs of both."""
    helper = ak.Agent("helper", ScriptedModel(["helped"]))
    chief = ak.Agent("chief", ScriptedModel([call("helper", task="help"), "done"]), tools=[helper])
    first = chief.run("go", log=embedded_log)
    first.result(SOON)
    second = ended(embedded_log, "and now?", after=first)
    assert embedded_log.copy_to(other, second) == 3
    assert other.run(second.run_id).state.messages == second.state.messages


def test_what_has_not_ended_is_not_copied(embedded_log, other):
    """Two copies of it could each do its next write."""
    run = ak.Agent("payer", ScriptedModel([call("pay", amount=5), "paid"]), tools=[pay]).run("pay", log=embedded_log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    with pytest.raises(LogError, match="has not ended"):
        embedded_log.copy_to(other, run)
    assert embedded_log.copy_to(other) == 0
    assert other.store.read(run.run_id) == []


def test_another_run_of_that_id_is_left_as_it_is(embedded_log, other):
    """Nothing is appended to what is not the same run."""
    run = ended(embedded_log)
    fill(other.store, 2, run.run_id)
    with pytest.raises(LogError, match=f"has another run {run.run_id}"):
        embedded_log.copy_to(other)
    assert len(other.store.read(run.run_id)) == 2


def test_a_log_is_not_copied_to_itself(embedded_log):
    """It says so instead of doing nothing."""
    with pytest.raises(ConfigError, match="open another"):
        embedded_log.copy_to(embedded_log)


def test_the_command_copies_what_ended(embedded_log, tmp_path):
    """All of it, or the runs that are named."""
    runs = [ended(embedded_log) for _ in range(3)]
    to = str(tmp_path / "team")
    said = CliRunner().invoke(app, ["copy", "--log", embedded_log.url, "--to", to, runs[0].run_id])
    assert (said.exit_code, said.output) == (0, f"1 run copied to {to}\n")
    said = CliRunner().invoke(app, ["copy", "--log", embedded_log.url, "--to", to])
    assert (said.exit_code, said.output) == (0, f"2 runs copied to {to}\n")
    assert len(ak.open_log(to).runs()) == 3
