"""What a worker does with runs that wait, that took workers down, or that only look like its own."""

import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import chores
import pytest

import agentkit as ak
from agentkit.errors import ResumeError, RunPaused
from agentkit.events import RunPausedEvent
from agentkit.redact import Redactor
from agentkit.runner.answers import current_user
from agentkit.runner.recorder import Recorder, now
from agentkit.store import Answer, Taken
from agentkit.worker import Worker, work

SOON = 30


@pytest.fixture
def at_work(log):
    """Begins a worker of this process; ended with the test."""
    begun = []

    def begin(*owners, **options):
        worker = Worker(*owners, log=log, poll=0.02, **options)
        thread = threading.Thread(target=worker.work)
        thread.start()
        begun.append((worker, thread))
        return worker

    yield begin
    for worker, thread in begun:
        worker.stop()
        thread.join(SOON)


def until(true):
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end, "it did not come to be so"
        time.sleep(0.02)


def at_rest(log, run):
    """A run that waits for a person, and that nobody holds."""
    until(lambda: run.status == "paused" and log.store.holder(run.run_id) is None)


def test_a_run_that_waits_is_looked_at_and_not_touched(log, at_work, monkeypatch):
    """However often: neither the agent whose sub-agent asks nor the sub-agent gets another event."""
    monkeypatch.setattr(work, "_REST", 0.1)
    run = chores.chief.submit("Write.", log=log)
    at_work(chores.chief)
    at_rest(log, run)
    (child,) = run.children()
    events = (len(run.events()), len(child.events()))
    time.sleep(1.0)
    assert (len(run.events()), len(child.events())) == events
    child.approve()
    assert run.result(SOON) == "The clerk wrote."


@pytest.mark.parametrize(("owner", "said"), [(chores.chief, "↻ send("), (chores.chore, "↻ pay(")])
def test_what_was_answered_says_so_until_a_worker_takes_it(log, at_work, tmp_path, owner, said):
    """It waits for a worker and for nobody else: who answered stands there, and not how to answer."""
    given = {"n": 1, "marks": str(tmp_path / "marks"), "ask": True}
    run = owner.submit("Write.", log=log) if owner is chores.chief else owner.submit(**given, log=log)
    worker = at_work(owner)
    at_rest(log, run)
    worker.stop()
    assert "· waits for a person" in str(run)
    asked = run.pending[0]
    run.approve(comment="fine")
    assert (run.status, log.run(run.run_id).status, run.pending) == ("waiting", "waiting", [])
    for text in (str(run), str(log.run(run.run_id))):
        assert "waits for a worker" in text
        assert "`agentkit worker chores` starts one" in text
        assert re.search(rf"{re.escape(said)}.* · answered\n", text)
        assert f"approval {asked.id[:4]}: approved by {current_user()}: 'fine', and nobody went on with it yet" in text
        assert "waits for a person" not in text
        assert "paused" not in text
    with pytest.raises(TimeoutError, match="still waits for a worker"):
        run.result(0.1)
    at_work(owner)
    run.result(SOON)


def test_an_answer_to_what_somebody_paused_says_who_goes_on(log, at_work, tmp_path):
    """Nobody, until the person does: whoever waits is told so, and does not wait for a worker."""
    run = chores.chore.submit(n=1, marks=str(tmp_path / "marks"), ask=True, log=log)
    worker = at_work(chores.chore)
    at_rest(log, run)
    worker.stop()
    run.resume(submit=True)
    run.pause()
    at_work(chores.chore)
    assert "run.resume(submit=True)" in run.approve().then
    with pytest.raises(RunPaused):
        run.result(SOON)
    run.resume(submit=True)
    assert run.result(SOON) == "paid 3"


def test_a_sub_agent_that_somebody_paused_stays_so(log, at_work, monkeypatch):
    """The worker does not go on with it by itself."""
    monkeypatch.setattr(work, "_REST", 0.1)
    run = chores.chief.submit("Write.", log=log)
    at_work(chores.chief)
    at_rest(log, run)
    (child,) = run.children()
    child.store.answer(child.run_id, f"pause-{child.state.activation}", Answer(verdict="stop", answered_at=now()))
    events = (len(run.events()), len(child.events()))
    time.sleep(0.5)
    assert (len(run.events()), len(child.events())) == events


def test_an_answer_to_a_sub_agent_that_somebody_paused_moves_nobody(log, at_work, monkeypatch):
    """Until the person has it go on: the worker does not try again and again."""
    monkeypatch.setattr(work, "_REST", 0.1)
    run = chores.chief.submit("Write.", log=log)
    worker = at_work(chores.chief)
    at_rest(log, run)
    worker.stop()
    (child,) = run.children()
    claim = log.store.claim(child.run_id)
    recorder = Recorder(log.store, claim, child.state, lambda _event: None, Redactor())
    recorder.record(RunPausedEvent(why="asked"), name="clerk", status="paused")
    recorder.settle()
    log.store.release(claim)
    child.approve()
    events = len(run.events())
    at_work(chores.chief)
    time.sleep(1.0)
    assert len(run.events()) == events
    run.resume(submit=True)
    assert run.result(SOON) == "The clerk wrote."


def taken(lost, number=0):
    return Taken(f"run {number}", "chore", now(), lost)


def test_a_suspect_executes_alone(log):
    """Where nothing else does, and it is the only one that is begun."""
    worker, put_back = Worker(chores.chore, log=log), []
    log.store.queue.put_back = lambda run_id, **how: put_back.append((run_id, how))
    runs = [taken(0), taken(2, 1), taken(3, 2)]
    assert worker._chosen(runs) == [runs[1]]
    worker._owed.pay()
    assert put_back == [(f"run {n}", {"after": 0.0, "forgive": False}) for n in (2, 0)]


def test_a_suspect_holds_up_nobody_for_long(log, monkeypatch):
    """Beside what executes the others are begun, and it comes again; after a while it gets its place."""
    worker = Worker(chores.chore, log=log)
    worker._executing["long"] = work._Job(taken(0, 7), None, 1, 0.0)
    runs = [taken(0), taken(2, 1)]
    assert worker._chosen(runs) == [runs[0]]
    assert worker._free() == 7
    monkeypatch.setattr(work, "_REST", 0.0)
    assert worker._chosen(runs) == [runs[0]]
    assert worker._free() == 0
    worker._executing.clear()
    assert worker._free() == 1
    assert worker._chosen([runs[1]]) == [runs[1]]


def test_a_run_that_got_on_is_not_left_alone(log, tmp_path):
    """What a worker died in, after other steps had ended, is tried on."""
    run = chores.chore.run(n=1, marks=str(tmp_path / "marks"), ask=True, log=log)
    with pytest.raises(RunPaused):
        run.result(SOON)
    assert work._got_on(log.store, run.state)
    killer = chores.chore.submit(n=chores.KILLER, marks=str(tmp_path / "marks"), log=log)
    assert not work._got_on(log.store, killer.state)


def test_a_run_belongs_to_where_it_was_defined(log):
    """The same file under another name, or the same definition, is its own; what only has the same name is not."""
    state = chores.hasty.submit(amount=3, log=log).state
    definition = chores.hasty.definition
    work._check_place(replace(definition, module="app.chores:hasty", sha256="changed"), state)
    work._check_place(replace(definition, module="other:hasty"), state)
    with pytest.raises(ResumeError, match=r"belongs to chores:hasty, and 'hasty' here is another one \(other:hasty\)"):
        work._check_place(replace(definition, module="other:hasty", sha256="changed"), state)


SCRIPT = """
import sys
import agentkit as ak
import chores
from agentkit.worker import Worker
Worker(chores.chore, log=sys.argv[1], tell=lambda line: print(line, flush=True)).work()
"""


def test_whoever_interrupts_a_workers_cell_leaves_nothing_in_hand(embedded_log, tmp_path):
    """Ctrl-C in a process that goes on to live: what executes is handed over before the interrupt is raised."""
    run = chores.chore.submit(n=1, marks=str(tmp_path / "marks"), seconds=0.5, log=embedded_log)
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, embedded_log.url]
    where = Path(chores.__file__).parent
    with subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: run.status == "running")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SOON)
    assert "is left to another worker" in out
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert run.status == "waiting"
    Worker(chores.chore, log=embedded_log).work(until_idle=True)
    assert run.result(SOON) == "paid 3"


def test_a_batchs_run_that_is_handed_over_is_followed(log, at_work, tmp_path):
    """It was begun here and waits for a person; from then on the batch waits for the workers."""
    items = [{"n": 1, "marks": str(tmp_path / "marks"), "seconds": 0.0, "ask": True}]
    batch = chores.chore.map(items, log=log, progress=False)
    with pytest.raises(RunPaused):
        batch.result(SOON)
    (run,) = batch.waiting
    run.resume(submit=True)
    at_work(chores.chore)
    until(lambda: log.pending() and log.store.holder(run.run_id) is None)
    log.run(run.run_id).approve()
    until(lambda: log.run(run.run_id).status == "succeeded")
    assert batch.result(SOON) == ["paid 3"]


def test_what_is_submitted_while_a_batch_is_cancelled_ends_too(log, monkeypatch):
    """A lane that was in the midst of it comes too late."""
    submit, entered, go_on = ak.batch.work.submit, threading.Event(), threading.Event()

    def slow(*given, **more):
        entered.set()
        assert go_on.wait(SOON)
        return submit(*given, **more)

    monkeypatch.setattr(ak.batch.work, "submit", slow)
    batch = chores.hasty.map([3], submit=True, log=log, progress=False)
    assert entered.wait(SOON)
    batch.cancel("enough")
    go_on.set()
    until(lambda: [row[0] for row in log.sql("SELECT status FROM runs")] == ["cancelled"])
