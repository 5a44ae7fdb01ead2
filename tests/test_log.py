"""The log as its user sees it: finding runs, what waits, pruning, and a folder that goes away."""

import json
import os
import shutil
import threading
from datetime import UTC, datetime

import pytest
from forked import in_a_child

import agentkit as ak
from agentkit import registry
from agentkit.errors import RunNotFound
from agentkit.events import Event, RunResumed
from agentkit.stores import memory
from agentkit.testing import FunctionModel, ScriptedModel, call

SOON = 20


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount out of the till, for good. Returns the receipt.

    Args:
        amount: how much, in USD.
    """
    return {"paid": amount}


def ended(log, name="talker"):
    run = ak.Agent(name, ScriptedModel(["ok"])).run("hi", log=log)
    run.result(SOON)
    return run


def waiting(log, after=None):
    model = FunctionModel(lambda request: call("pay", amount=5) if request.messages[-1].role == "user" else "paid")
    run = ak.Agent("payer", model, tools=[pay]).run("pay 5", after=after, log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    return run


def test_prune_removes_what_it_is_given(log):
    """A run, its id or the beginning of that; and nothing else."""
    one, two, three, kept = (ended(log) for _ in range(4))
    assert log.prune(one) == 1
    assert log.prune([two.run_id, three]) == 2
    assert [str(row[0]) for row in log.runs()] == [kept.run_id]


def test_prune_refuses_a_run_that_others_begin_with(log):
    """It names them; given together, all go."""
    first = ended(log)
    second = ak.Agent("talker", ScriptedModel(["ok"])).run("more", after=first, log=log)
    second.result(SOON)
    with pytest.raises(ak.LogError, match=second.run_id):
        log.prune([first.run_id])
    assert log.prune(before=datetime(2999, 1, 1, tzinfo=UTC)) == 1  # the second: the first is still begun with
    assert log.prune([first]) == 1


def test_prune_takes_a_family_together(log):
    """What a run begins with may go when the run goes too."""
    first = ended(log)
    second = ak.Agent("talker", ScriptedModel(["ok"])).run("more", after=first, log=log)
    second.result(SOON)
    assert log.prune([first, second]) == 2


def test_prune_refuses_what_has_not_ended(log):
    """A run that waits for a person is not thrown away."""
    with pytest.raises(ak.LogError, match="has not ended"):
        log.prune([waiting(log).run_id])


@pytest.mark.parametrize("status", ["done", "interrupted"])
def test_a_status_that_no_run_can_have_is_an_error(log, status):
    """A typo is not an empty answer."""
    with pytest.raises(ak.ConfigError, match="succeeded"):
        log.runs(status=status)
    with pytest.raises(ak.ConfigError, match="succeeded"):
        log.prune(status=status)


def test_memory_is_spelt_as_other_databases_spell_it_too(tmp_path, monkeypatch):
    """`:memory:` makes no folder of that name, and each is a log of its own."""
    monkeypatch.chdir(tmp_path)
    one, other = ak.open_log(":memory:"), ak.open_log(":memory:")
    run = ended(one)
    assert [row[0] for row in one.sql("SELECT run_id FROM runs")] == [run.run_id]
    assert len(other.sql("SELECT run_id FROM runs")) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder in a folder without a log anywhere above, and nothing that names one."""
    place = tmp_path / "project" / "notebooks"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    monkeypatch.delenv("AGENTKIT_LOG", raising=False)
    if any((folder / ".agentkit").is_dir() for folder in place.parents):
        pytest.fail("there is a log in a folder above the tests' own")
    return place


@pytest.mark.parametrize("up", [0, 1, 2])
def test_the_default_log_is_the_nearest_upwards(here, up, capsys):
    """A notebook in a project's folder shares the project's log; one further up is not it. Nothing is said of it."""
    (here.parents[1] / ".agentkit").mkdir()
    nearest = [here, *here.parents][up] / ".agentkit"
    nearest.mkdir(exist_ok=True)
    log = ak.open_log()
    assert log.url == str(nearest)
    assert capsys.readouterr() == ("", "")
    log.close()


def test_a_new_log_says_where_it_is_once(here, capsys):
    """The first opening makes it here, and nothing is said when it is opened again, closed or not."""
    log = ak.open_log()
    assert log.url == str(here / ".agentkit")
    assert capsys.readouterr() == ("", f"agentkit: a new log in {here / '.agentkit'}\n")
    assert ak.open_log() is log
    log.close()
    ak.open_log().close()
    assert capsys.readouterr() == ("", "")
    assert (here / ".agentkit" / ".gitignore").is_file()


def test_the_environment_names_the_default_log(here, tmp_path, monkeypatch, capsys):
    """Before any folder upwards; who names a place is not told of it."""
    (here / ".agentkit").mkdir()
    monkeypatch.setenv("AGENTKIT_LOG", str(tmp_path / "named"))
    log = ak.open_log()
    assert log.url == str(tmp_path / "named")
    assert capsys.readouterr() == ("", "")
    log.close()


@pytest.mark.parametrize("microseconds", [0, 1, 120_000, 999_999])
def test_a_line_has_the_time_as_its_columns_have_it(microseconds):
    """Of one width, so that times sort as text, whichever way they were written."""
    moment = datetime(2026, 1, 2, 3, 4, 5, microseconds, UTC)
    event = Event(run_id="r", seq=1, ts=moment, body=RunResumed())
    line = json.loads(event.encode())
    assert line["ts"] == event.columns()["ts"] == f"2026-01-02T03:04:05.{microseconds:06d}Z"


def test_what_waits_is_listed_over_all_runs(log):
    """Oldest first; what is answered is not among it."""
    first, second = waiting(log), waiting(log)
    assert [asked.run_id for asked in log.pending()] == [first.run_id, second.run_id]
    first.approve()
    assert [asked.run_id for asked in log.pending()] == [second.run_id]


def test_a_run_that_cannot_be_read_hides_no_other(log):
    """It is left out with a warning."""
    base = ended(log)
    broken, other = waiting(log, after=base), waiting(log)
    log.store.prune([base.run_id])  # past the check that log.prune makes
    with pytest.warns(UserWarning, match=broken.run_id):
        assert [asked.run_id for asked in log.pending()] == [other.run_id]


def test_a_run_is_found_by_the_beginning_of_its_id(embedded_log):
    """As long as that is unique; a follow-up takes it, too."""
    run = ended(embedded_log)
    assert embedded_log.run(run.run_id[:20]).run_id == run.run_id
    again = ak.Agent("talker", ScriptedModel(["ok"])).run("more", after=run.run_id[:20], log=embedded_log)
    assert again.result(SOON) == "ok"
    with pytest.raises(RunNotFound, match="no run"):
        embedded_log.run("ffff")


def test_a_log_whose_folder_was_removed_is_made_anew(tmp_path):
    """Opening it again works in the same process; nothing is left of the old one."""
    place = tmp_path / "log"
    ended(ak.open_log(place))
    shutil.rmtree(place)
    log = ak.open_log(place)
    run = ended(log)
    assert [str(row[0]) for row in log.runs()] == [run.run_id]
    log.close()


def test_prune_sees_what_a_run_with_a_large_input_begins_with(embedded_log):
    """Such an input is kept in a file of its own; what it goes on after stays all the same."""
    first = ended(embedded_log)
    second = ak.Agent("talker", ScriptedModel(["ok"])).run("x" * 300_000, after=first, log=embedded_log)
    second.result(SOON)
    with pytest.raises(ak.LogError, match=second.run_id):
        embedded_log.prune([first])
    assert embedded_log.prune(before=datetime(2999, 1, 1, tzinfo=UTC)) == 1
    assert embedded_log.run(first.run_id).output == "ok"


@pytest.mark.parametrize("id", ["%", "_", "", "0%"])
def test_what_is_no_beginning_of_an_id_finds_no_run(log, id):
    """Not even where there is one run only."""
    ended(log)
    with pytest.raises(RunNotFound, match="no run"):
        log.run(id)


def test_an_id_in_capitals_is_the_same_id(log):
    """As some tools write a UUID."""
    run = ended(log)
    assert log.run(run.run_id.upper()).run_id == log.run(run.run_id[:30].upper()).run_id == run.run_id


_opening, _go_on = threading.Event(), threading.Event()


def open_slowly(url):
    """A store that takes its time to open."""
    _opening.set()
    assert _go_on.wait(SOON)
    return memory.open_store(url)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_opens_a_log_though_it_was_forked_while_another_thread_opened_one(monkeypatch):
    """That thread is not in the child, and never lets go there of what it held."""
    monkeypatch.setitem(registry.STORES, "slowly", f"{__name__}:open_slowly")
    other = threading.Thread(target=ak.open_log, args=("slowly:one",))
    other.start()
    try:
        assert _opening.wait(SOON)
        assert in_a_child(lambda: ak.open_log("memory:").url).startswith("memory:")
    finally:
        _go_on.set()
        other.join(SOON)
