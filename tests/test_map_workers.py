"""Mapping over items that workers execute: submitted once, followed in the log, steered as what executes here."""

import contextlib
import gc
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import submitted
import team
from postgres_server import fresh_database

import agentkit as ak
from agentkit.batch import Batch, Counts, MapOptions
from agentkit.errors import LogBusy, LogUnwritable
from agentkit.worker import Worker

SOON = 30
EVERYTHING = (submitted.twice, submitted.checked, submitted.gated, submitted.marking, submitted.sizes, submitted.loud)


@pytest.fixture(params=["memory:", "folder"])
def log(request, tmp_path):
    log = ak.open_log("memory:" if request.param == "memory:" else tmp_path / "log")
    yield log
    log.close()


@pytest.fixture
def folder_log(tmp_path):
    log = ak.open_log(tmp_path / "log")
    yield log
    log.close()


@pytest.fixture
def gate():
    """What the workers of a test have as deps."""
    return {"begun": [], "broken": set(), "gate": threading.Event()}


@pytest.fixture
def at_work(gate):
    """Has a worker begin, in a thread, and gives what stops it; all are stopped before the log is closed."""
    stops = []

    def begin(log, **options):
        worker = Worker(*EVERYTHING, log=log, poll=0.02, deps=gate, **options)
        thread = threading.Thread(target=worker.work, daemon=True)
        thread.start()

        def stop():
            worker.stop()
            thread.join(SOON)
            assert not thread.is_alive()

        stops.append(stop)
        return stop

    yield begin
    gate["gate"].set()
    for stop in stops:
        stop()


def recorded(log):
    """How many runs the log has, by status."""
    return dict(log.sql("SELECT status, count(*) FROM runs GROUP BY status").rows)


def followers():
    return [thread for thread in threading.enumerate() if thread.name == "agentkit-map-follower"]


def until(holds):
    """Wait for something that other threads or processes bring about."""
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_execute_what_is_mapped_and_the_batch_follows(log, at_work):
    """Nothing executes here; results are in the items' order; the follower ends with the last run."""
    batch = submitted.twice.map(range(20), submit=True, tags=["t"], log=log).wait_begun(SOON)
    assert batch.counts == Counts(done=0, failed=0, paused=0, running=20, left=0)
    assert "20 waiting for a worker" in repr(batch)
    assert batch.run(3).status == "waiting"
    assert [row.run.state.input for row in batch.begun] == [{"n": n} for n in range(20)]
    at_work(log)
    assert batch.result(SOON) == [2 * n for n in range(20)]
    assert batch.counts == Counts(done=20, failed=0, paused=0, running=0, left=0)
    assert [row[2] for row in batch.rows] == ["succeeded"] * 20
    assert log.runs().dicts()[0]["tags"] == '["t"]'
    until(lambda: not followers())


def test_runs_are_submitted_in_the_order_of_the_items(folder_log):
    """A worker begins with the first, or with one that was submitted beside it."""
    batch = submitted.twice.map(range(100), submit=True, log=folder_log).wait_begun(SOON)
    place = {row.run_id: row.index for row in batch.begun}
    taken = [place[taken.run_id] for taken in folder_log.store.queue.take(["twice"], 100)]
    assert sorted(taken) == list(range(100))
    assert max(abs(index - turn) for turn, index in enumerate(taken)) < 16


def test_what_was_submitted_is_not_submitted_again(log, at_work):
    """Neither by the same call nor by one in between; what is done is kept, what is new is submitted."""
    first = submitted.twice.map(range(5), submit=True, log=log).wait_begun(SOON)
    second = submitted.twice.map(range(7), submit=True, log=log).wait_begun(SOON)
    assert [row.run_id for row in second.begun][:5] == [row.run_id for row in first.begun]
    at_work(log)
    assert second.result(SOON) == [0, 2, 4, 6, 8, 10, 12]
    assert submitted.twice.map(range(7), submit=True, log=log).result(SOON) == second.results
    assert recorded(log) == {"succeeded": 7}
    assert first.result(SOON) == [0, 2, 4, 6, 8]


def test_a_call_that_executes_here_leaves_the_workers_theirs(log, at_work):
    """What was submitted and has not ended is followed; only what is new executes in this process."""
    submitted.twice.map(range(3), submit=True, log=log).wait_begun(SOON)
    batch = submitted.twice.map(range(5), log=log)
    until(lambda: batch.counts == Counts(done=2, failed=0, paused=0, running=3, left=0))
    assert not batch.settled
    at_work(log)
    assert batch.result(SOON) == [0, 2, 4, 6, 8]
    assert recorded(log) == {"succeeded": 5}


def test_items_whose_input_is_in_a_file_are_found_at_the_workers_too(folder_log, at_work):
    """No query sees what such a run began with, or that it was submitted."""
    texts = ["x" * 300_000, "y" * 400_000]
    submitted.sizes.map(texts, submit=True, log=folder_log).wait_begun(SOON)
    batch = submitted.sizes.map(texts, log=folder_log)
    until(lambda: batch.counts.running == 2)
    assert recorded(folder_log) == {"waiting": 2}
    at_work(folder_log)
    assert batch.result(SOON) == [300_000, 400_000]


def test_an_agent_is_mapped_by_workers_too(log, at_work):
    """The same options."""
    at_work(log)
    assert submitted.loud.map(["a", "b"], submit=True, log=log).result(SOON) == ["A", "B"]


def test_what_was_interrupted_here_is_handed_over(tmp_path, at_work, gate):
    """A run that was begun without workers, and that nobody has any more, is theirs now; it keeps what it did."""
    place = tmp_path / "log"
    log = ak.open_log(place)
    begun = submitted.gated.map(range(3), deps=gate, concurrency=1, log=log)
    until(lambda: gate["begun"] == [0])
    threading.Timer(0.2, gate["gate"].set).start()
    begun.pause()
    begun.wait(SOON)
    assert begun.counts.paused == 1
    log.close()
    with contextlib.closing(ak.open_log(place)) as log:
        batch = submitted.gated.map(range(3), submit=True, log=log).wait_begun(SOON)
        assert batch.run(0).state.submitted
        stop = at_work(log)
        assert batch.result(SOON) == [0, 1, 2]
        assert gate["begun"][0] == 0  # not begun again; of the two others either may come first
        assert sorted(gate["begun"]) == [0, 1, 2]
        assert recorded(log) == {"succeeded": 3}
        stop()


def test_what_somebody_else_has_is_only_followed(log):
    """A run that waits here for a person is not taken away from whoever watches it."""
    before = submitted.checked.map([2], log=log)
    before.wait(SOON)
    batch = submitted.checked.map([2], submit=True, log=log)
    batch.wait(SOON)
    assert (batch.counts.paused, batch.run(0).state.submitted) == (1, False)
    before.run(0).approve()
    assert batch.result(SOON) == [2]


def test_failures_are_kept_and_tried_again_by_workers(log, at_work, gate):
    """Each with its error; a retry is submitted, and the newest run of an item counts."""
    gate["gate"].set()
    gate["broken"] |= {1, 3}
    at_work(log)
    batch = submitted.gated.map(range(4), submit=True, log=log)
    assert [type(one) for one in batch.result(SOON)] == [int, ak.Failed, int, ak.Failed]
    assert [(row.index, row.error) for row in batch.failed] == [
        (1, "ValueError: begun: no 1"),
        (3, "ValueError: begun: no 3"),
    ]
    gate["broken"].clear()
    assert batch.retry().result(SOON) == [0, 1, 2, 3]
    assert batch.run(1).state.submitted
    assert recorded(log) == {"succeeded": 4, "failed": 2}


def test_a_batch_that_is_to_fail_waits_for_no_more_than_the_first_failure(log, at_work, gate):
    """The others go on at the workers."""
    gate["broken"].add(0)
    batch = submitted.gated.map(range(3), submit=True, on_error="fail", log=log).wait_begun(SOON)
    at_work(log, slots=1)
    until(lambda: gate["begun"] == [0])
    gate["gate"].set()
    with pytest.raises(ak.RunFailed, match="item 0: ValueError: begun: no 0"):
        batch.result(SOON)
    until(lambda: recorded(log) == {"failed": 1, "succeeded": 2})


def test_what_waits_for_a_person_is_counted_and_goes_on_once_answered(log, at_work):
    """From this batch or from anywhere; `result()` right after an answer waits for the worker that takes it."""
    batch = submitted.checked.map(range(5), submit=True, log=log)
    at_work(log, slots=1)
    with pytest.raises(ak.RunPaused) as paused:
        batch.result(SOON)
    assert len(paused.value.pending) == 3
    assert batch.counts == Counts(done=2, failed=0, paused=3, running=0, left=0)
    log.run(batch.run(0).run_id).approve()
    until(lambda: batch.counts.paused == 2)
    for run in batch.waiting:
        run.approve()
    assert batch.result(SOON) == [0, 1, 2, 3, 4]


def test_an_answered_run_counts_as_running_where_no_worker_is_there(log, at_work):
    """The batch waits for a worker, not for the person who answered."""
    batch = submitted.checked.map([2], submit=True, log=log)
    stop = at_work(log)
    batch.wait(SOON)
    stop()
    batch.run(0).approve()
    with pytest.raises(TimeoutError, match="1 waiting for a worker"):
        batch.result(0.5)
    at_work(log)
    assert batch.result(SOON) == [2]


def test_a_run_that_somebody_paused_is_left_to_them(log, at_work, gate):
    """The batch says what has it go on; the same call does not."""
    at_work(log)
    batch = submitted.gated.map([1], submit=True, log=log)
    until(lambda: gate["begun"] == [1])
    batch.run(0).pause()
    threading.Timer(0.5, gate["gate"].set).start()
    for stopped in (batch, submitted.gated.map([1], submit=True, log=log)):
        with pytest.raises(ak.RunPaused, match=r"1 paused; somebody stopped .* run.resume\(submit=True\)"):
            stopped.result(SOON)
    batch.waiting[0].resume(submit=True)
    assert batch.result(SOON) == [1]
    assert gate["begun"] == [1]


def test_what_a_stopped_worker_left_is_waited_for(log, at_work, gate):
    """It paused for no person: the next worker goes on with it."""
    batch = submitted.gated.map([1], submit=True, log=log)
    stop = at_work(log)
    until(lambda: gate["begun"] == [1])
    threading.Timer(0.2, gate["gate"].set).start()
    stop()
    assert recorded(log) == {"waiting": 1}
    until(lambda: batch.queued == 1)
    assert (batch.counts.running, batch.settled) == (1, False)
    at_work(log)
    assert batch.result(SOON) == [1]
    assert gate["begun"] == [1]


def test_a_cancelled_batch_ends_what_waits_and_what_executes(log, at_work, gate):
    """Nothing is left in the queue."""
    at_work(log, slots=1)
    batch = submitted.gated.map(range(5), submit=True, log=log).wait_begun(SOON)
    until(lambda: len(gate["begun"]) == 1)
    batch.cancel("enough")
    threading.Timer(1.0, gate["gate"].set).start()  # by then the worker has heard of it
    with pytest.raises(ak.RunCancelled):
        batch.result(SOON)
    assert {row.error for row in batch.failed} == {"cancelled: enough"}
    assert recorded(log) == {"cancelled": 5}
    assert gate["begun"] == [0]


def test_a_paused_batch_submits_nothing_more_and_workers_go_on(log, at_work):
    """The error says so; the same call looks at what was submitted, and submits the rest."""
    begin = threading.Semaphore(3)

    def items():
        for n in range(6):
            begin.acquire()
            yield n

    batch = submitted.twice.map(items(), submit=True, log=log)
    until(lambda: recorded(log) == {"waiting": 3})
    batch.pause()
    begin.release(3)
    with pytest.raises(TimeoutError):
        batch.result(0.3)
    at_work(log)
    with pytest.raises(ak.RunPaused, match=r"twice was stopped: 3 done"):
        batch.result(SOON)
    assert submitted.twice.map(range(6), submit=True, log=log).result(SOON) == [0, 2, 4, 6, 8, 10]
    assert recorded(log) == {"succeeded": 6}


def test_ctrl_c_leaves_what_was_submitted_to_the_workers(tmp_path):
    """Who waited leaves at once, and is told how to look at it again."""
    with script(tmp_path / "log", 5, "wait") as process:
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=SOON)
    assert "what was submitted goes on at the workers; call map again with the same items to look at it" in said
    with contextlib.closing(ak.open_log(tmp_path / "log")) as log:
        assert recorded(log) == {"waiting": 5}


def test_a_process_that_ends_has_submitted_everything(tmp_path):
    """A script need not wait for anything; what looks at them does not keep it, nor does it end badly for it."""
    with script(tmp_path / "log", 200) as process:
        out, said = process.communicate(timeout=SOON)
    assert (process.returncode, out, said) == (0, "", "")
    with contextlib.closing(ak.open_log(tmp_path / "log")) as log:
        assert recorded(log) == {"waiting": 200}


def test_a_killed_worker_loses_nothing(folder_log, tmp_path, at_work):
    """SIGKILL in the middle: the next worker finishes, the batch notices no more than that it takes longer."""
    marks = tmp_path / "marks"
    items = [{"n": n, "place": str(marks)} for n in range(20)]
    batch = submitted.marking.map(items, submit=True, log=folder_log).wait_begun(SOON)
    command = [sys.executable, "-W", "ignore", "-m", "agentkit", "worker", "submitted:marking"]
    options = {"cwd": Path(__file__).parent, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--slots", "3", "--log", folder_log.url], **options) as worker:
        until(lambda: marks.exists() and len(marks.read_text().split()) >= 5)
        worker.kill()
    at_work(folder_log)
    assert batch.result(SOON) == [n * n for n in range(20)]
    times = Counter(marks.read_text().split())
    assert len(times) == 20
    assert sum(times.values()) <= 20 + 3  # those in hand ran again: a read may
    assert recorded(folder_log) == {"succeeded": 20}


def test_a_team_shares_a_batch(postgres, monkeypatch, at_work):
    """One process submits, another works, a third looks; an answer comes from anywhere."""
    monkeypatch.setitem(team.PostgresStore.__init__.__kwdefaults__, "lease", team.LEASE)
    url = fresh_database(postgres)
    with contextlib.closing(ak.open_log(url)) as log, script(url, 10) as process:
        assert process.wait(SOON) == 0
        batch = submitted.twice.map(range(12), submit=True, log=log).wait_begun(SOON)
        assert recorded(log) == {"waiting": 12}
        stop = at_work(log)
        assert batch.result(SOON) == [2 * n for n in range(12)]
        asking = submitted.checked.map([1, 2], submit=True, log=log)
        asking.wait(SOON)
        assert asking.counts.paused == 1
        asking.run(1).approve()
        assert asking.result(SOON) == [1, 2]
        stop()


def test_only_what_changed_is_read(folder_log, monkeypatch):
    """However many runs wait for a worker, a look is one query, and no run is read for it."""
    batch = submitted.twice.map(range(30), submit=True, log=folder_log).wait_begun(SOON)
    done, counted = Counter(), type(folder_log.store)
    for name in ("query", "read", "read_many"):
        original = getattr(counted, name)
        monkeypatch.setattr(
            counted, name, lambda *a, _name=name, _do=original, **o: done.update([_name]) or _do(*a, **o)
        )
    until(lambda: done["query"] >= 3)
    assert (done["read"], done["read_many"]) == (0, 0)
    assert done["query"] < 10
    monkeypatch.undo()
    batch.cancel()


def test_a_log_that_is_away_for_a_moment_ends_nothing(log, at_work, monkeypatch):
    """It is said as long as that lasts, and looked at again."""
    away, query = [True], type(log.store).query

    def asked(self, *given):
        if away[0]:
            raise LogBusy("another program has it")
        return query(self, *given)

    batch = submitted.twice.map(range(3), submit=True, log=log).wait_begun(SOON)
    monkeypatch.setattr(type(log.store), "query", asked)
    until(lambda: batch.trouble == "another program has it")
    assert "the log cannot be read at this moment" in repr(batch)
    away[0] = False
    at_work(log)
    assert batch.result(SOON) == [0, 2, 4]
    assert batch.trouble is None


def test_a_log_that_was_closed_here_is_said(folder_log):
    """Nobody waits for ever for what nobody looks at any more."""
    batch = submitted.twice.map(range(3), submit=True, log=folder_log).wait_begun(SOON)
    folder_log.close()
    with pytest.raises(LogUnwritable, match="closed in this process"):
        batch.result(SOON)
    until(lambda: not followers())


def test_a_run_that_was_removed_is_said(folder_log):
    """Its item has no output, and can be tried again."""
    batch = submitted.twice.map(range(2), submit=True, log=folder_log).wait_begun(SOON)
    folder_log.store.prune([batch.run(0).run_id])
    until(lambda: batch.failed)
    assert batch.failed[0].error.startswith("RunNotFound: no run")
    batch.cancel()


def test_nobody_follows_a_batch_that_is_gone(log):
    """Its thread ends with it."""
    submitted.twice.map(range(2), submit=True, log=log).wait_begun(SOON)
    until(lambda: gc.collect() is not None and not followers())


def test_what_no_worker_can_do_is_refused_before_anything_is_submitted(log):
    """A definition that nobody can import; deps, which workers have of their own."""
    here = ak.Pipeline("here", input={"n": int})
    here.step(lambda n: n, name="same")
    with pytest.raises(ak.ConfigError, match="no worker can import it"):
        here.map([1], submit=True, log=log)
    with pytest.raises(ak.ConfigError, match="each has deps of its own"):
        submitted.twice.map([1], submit=True, deps=object(), log=log)
    assert recorded(log) == {}


def test_what_was_begun_where_no_worker_could_import_it_is_said(tmp_path, at_work):
    """By its item's error; the item can be tried again, by a run that workers take."""
    definition = submitted.checked.definition
    with contextlib.closing(ak.open_log(tmp_path / "log")) as log:
        cell = replace(definition, module=None)
        Batch(log, cell, [1, 2], submitted.checked.as_inputs, MapOptions()).wait(SOON)
    with contextlib.closing(ak.open_log(tmp_path / "log")) as log:
        batch = submitted.checked.map([1, 2], submit=True, log=log).wait(SOON)
        assert "is defined in a notebook" in batch.failed[0].error
        stop = at_work(log)
        batch.retry().wait(SOON)
        batch.run(1).approve()
        assert batch.result(SOON) == [1, 2]
        stop()


def test_a_log_that_breaks_is_told_by_who_waits(folder_log, monkeypatch):
    """What was submitted before stays so; the next call submits the rest."""
    queue, put = type(folder_log.store.queue), type(folder_log.store.queue).put
    left = [5]

    def putting(self, run_id, name):
        left[0] -= 1
        if left[0] < 0:
            raise LogUnwritable("the disk is full")
        put(self, run_id, name)

    monkeypatch.setattr(queue, "put", putting)
    batch = submitted.twice.map(range(50), submit=True, log=folder_log)
    with pytest.raises(LogUnwritable, match="the disk is full"):
        batch.wait_begun(SOON)
    monkeypatch.undo()
    assert recorded(folder_log) == {"waiting": 5}
    submitted.twice.map(range(50), submit=True, log=folder_log).wait_begun(SOON)
    assert recorded(folder_log) == {"waiting": 50}


@contextlib.contextmanager
def script(place, *words):
    """A process that submits items; see tests/submitted.py."""
    command = [sys.executable, "-W", "ignore", submitted.__file__, str(place), *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()
