"""Runs of a team: answered, taken up and gone on with by other processes than the one that began them."""

import contextlib
import importlib
import re
import signal
import subprocess
import sys
import time

import pytest
import team
from postgres_server import fresh_database
from test_cli import COMMAND, SHOP

import agentkit as ak
from agentkit.errors import RunClaimed
from agentkit.events import ToolSucceeded
from agentkit.ids import new_id

SOON = 30


@pytest.fixture
def url(postgres):
    return fresh_database(postgres)


@pytest.fixture
def log(url, monkeypatch):
    """The log as this process has it open."""
    monkeypatch.setitem(team.PostgresStore.__init__.__kwdefaults__, "lease", team.LEASE)
    with contextlib.closing(ak.open_log(url)) as log:
        yield log


@pytest.fixture
def theirs(url):
    """Another process that runs the agent; its run."""
    command = [sys.executable, "-W", "ignore", team.__file__, url, "them"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def until(true):
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end, "it did not come to be so"
        time.sleep(0.02)


def looked_up(log, run_id):
    """What a run's events say was looked up."""
    return [event.body.result for event in log.store.read(run_id) if isinstance(event.body, ToolSucceeded)]


def taken_up(log, run_id):
    """Go on with a run as soon as it is free."""
    end = time.monotonic() + SOON
    _ours = team.counter("us")  # kept: what is defined here is found as long as somebody has it
    while True:
        try:
            run = ak.resume(run_id, log=log)
            return run, run.result(SOON)
        except RunClaimed:
            assert time.monotonic() < end, "it is never free"
            time.sleep(0.05)


def test_a_run_whose_process_was_killed_goes_on_elsewhere(log, theirs):
    """At once, from its last recorded step: each record is looked up once, or once more."""
    process, run_id = theirs
    until(lambda: len(looked_up(log, run_id)) >= 3)
    process.kill()
    _, answer = taken_up(log, run_id)
    assert answer == f"{team.CALLS} records, says us"
    assert looked_up(log, run_id) == list(range(team.CALLS))


def test_who_was_cut_off_sees_what_others_made_of_its_run(log, theirs):
    """Stopped for longer than the lease, it does nothing more of its own, and its `result` is theirs."""
    process, run_id = theirs
    until(lambda: len(looked_up(log, run_id)) >= 3)
    process.send_signal(signal.SIGSTOP)
    run, answer = taken_up(log, run_id)
    assert answer == f"{team.CALLS} records, says us"
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline().strip() == answer
    assert process.stdout.readline().strip() == f"{run.state.activation} {team.CALLS}"
    assert [event.seq for event in log.store.read(run_id)] == list(range(1, run.state.seq + 1))


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with the module `shop`, which this process has too."""
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("shop")
    del sys.modules["shop"]


@pytest.fixture
def agentkit(shop, url, tmp_path):
    """Runs a command in that folder, on the team's log; gives its exit code and what it printed."""

    def run(*words):
        command = [*COMMAND, *words, *(() if "--log" in words else ("--log", url))]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_terminal_answers_what_a_notebook_waits_for(log, shop, agentkit):
    """It is asked here, listed and approved there, and goes on here by itself."""
    run = shop.support.run("A-1 is broken", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    code, said = agentkit("pending")
    assert (code, "refund(order_id='A-1', amount=80.0)" in said) == (0, True), said
    code, said = agentkit("approve", run.pending[0].id, "--comment", "fine")
    assert code == 0, said
    assert run.result(SOON).startswith("Done.")
    assert run.state.activation == 2
    assert run.state.approvals[next(iter(run.state.approvals))].comment == "fine"
    code, said = agentkit("show", run.run_id)
    assert (code, "R-7" in said) == (0, True), said


def test_a_notebook_answers_what_a_terminal_left(log, shop, agentkit):
    """Nobody watches that run any more: who answers goes on with it, and the terminal finds it done."""
    code, said = agentkit("run", "shop:support", "A-1 is broken")
    assert code == 3, said
    (asked,) = log.pending()
    run = log.run(asked.run_id)
    run.approve()
    assert run.result(SOON).startswith("Done.")
    code, said = agentkit("sql", "SELECT status, count(*) AS runs FROM runs GROUP BY status")
    assert (code, "succeeded  1" in said) == (0, True), said


def test_a_map_goes_on_in_another_process(log, tmp_path, shop, agentkit):
    """Items that one process did are found by the next, wherever it is."""
    (tmp_path / "some.jsonl").write_text("\n".join(f'{{"n": {number}}}' for number in range(3)))
    code, said = agentkit("run", "shop:twice", "--input", str(tmp_path / "some.jsonl"))
    assert code == 0, said
    batch = shop.twice.map([{"n": number} for number in range(6)], log=log)
    assert batch.result(SOON) == [0, 2, 4, 6, 8, 10]
    assert list(log.sql("SELECT count(*) FROM runs")) == [(6,)]


def test_many_runs_share_commits(log):
    """A hundred at once, over one connection that writes; each ends as it would alone."""
    runs = [team.counter("us", 2).run("go", log=log) for _ in range(100)]
    assert {run.result(60) for run in runs} == {"2 records, says us"}
    assert list(log.sql("SELECT count(*), count(DISTINCT run_id) FROM events")) == [(100 * 15, 100)]


def test_the_doctor_knows_the_server(log, postgres, url, agentkit):
    """Which it is, and that a superuser is more than a log needs."""
    log.close()
    _, said = agentkit("doctor")
    assert re.search(r"! log server: PostgreSQL \d+.*, as postgres, a superuser", said), said
    role = f"team_{new_id()[-12:]}"
    for sql in (
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA agentkit TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA agentkit TO {role}",
    ):
        postgres.execute(sql, url.rpartition("/")[2])
    _, said = agentkit("doctor", "--log", url.replace("postgres@", f"{role}@"))
    assert re.search(rf"✓ log server: PostgreSQL \d+.*, as {role}", said), said
