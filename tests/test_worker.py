"""Runs that are left to workers: who takes them, what becomes of them when a worker dies, and what a person sees."""

import contextlib
import re
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime

import chores
import pytest
from postgres_server import fresh_database
from test_cli import COMMAND

import agentkit as ak
from agentkit import registry
from agentkit.errors import ConfigError, LogUnwritable, RunPaused
from agentkit.events import RunPausedEvent, RunResumed, RunStarted
from agentkit.ids import new_id
from agentkit.store import Answer
from agentkit.worker import Worker, work

SOON = 30


@pytest.fixture(params=["embedded", pytest.param("postgresql", marks=pytest.mark.slow)])
def log(request, tmp_path):
    """A log that processes share; a team's in the long run."""
    place = tmp_path / ".agentkit"
    if request.param == "postgresql":
        place = fresh_database(request.getfixturevalue("postgres"))
    with contextlib.closing(ak.open_log(place)) as log:
        yield log


@pytest.fixture
def marks(tmp_path):
    """Where steps say that they ran."""
    return tmp_path / "marks"


@pytest.fixture
def told():
    return []


@pytest.fixture
def works(log, told):
    """A worker of this process, in a thread: `works(owners, …)` begins it."""
    with contextlib.ExitStack() as ends:

        def begin(*owners, **options):
            worker = Worker(*owners, log=log, tell=told.append, poll=0.02, **options)
            thread = threading.Thread(target=worker.work)
            thread.start()
            ends.callback(thread.join, SOON)
            ends.callback(worker.stop)
            return worker

        yield begin


@contextlib.contextmanager
def process(log, *more):
    """A worker process, by the command line."""
    command = [*COMMAND, "worker", chores.__file__, "--log", log.url, *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def until(true):
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end, "it did not come to be so"
        time.sleep(0.02)


def lines(marks):
    return marks.read_text().splitlines() if marks.exists() else []


def submitted(log, marks, n=1, **more):
    return chores.chore.submit(n=n, marks=str(marks), log=log, **more)


def test_a_submitted_run_waits_for_a_worker(log, marks, works):
    """It is in the log at once and says what it waits for; a worker executes it, and whoever asks has its output."""
    run = submitted(log, marks, tags=["night"])
    assert (run.status, log.run(run.run_id).status) == ("waiting", "waiting")
    assert "waits for a worker" in str(run)
    assert "`agentkit worker chores` starts one" in str(run)
    assert [row[:2] for row in log.sql("SELECT name, status FROM runs")] == [("chore", "waiting")]
    assert not lines(marks)
    with pytest.raises(TimeoutError, match=r"still waits for a worker after 0 s: `agentkit worker chores` starts one"):
        run.result(0)
    works(chores.chore)
    assert run.result(SOON) == "paid 3"
    started, resumed = (event for event in run.events() if isinstance(event.body, RunStarted | RunResumed))
    assert (started.body.submitted, started.body.tags, resumed.body.process) == (True, ("night",), log.store.process)


def test_a_worker_takes_what_it_knows(log, marks, works):
    """Runs of other pipelines are left to other workers."""
    hasty, run = chores.hasty.submit(amount=3, log=log), submitted(log, marks)
    works(chores.chore)
    run.result(SOON)
    assert hasty.status == "waiting"
    works(chores.hasty)
    until(lambda: hasty.pending)


def test_what_waits_for_a_person_holds_no_place(log, marks, works, told):
    """The only slot is free for the next run; an answer from anywhere has the worker go on."""
    asks = submitted(log, marks, ask=True)
    works(chores.chore, slots=1)
    with pytest.raises(RunPaused):
        asks.result(SOON)
    assert submitted(log, marks, n=5).result(SOON) == "paid 11"
    until(lambda: log.store.holder(asks.run_id) is None)
    assert "a worker goes on with the run; `agentkit worker chores`" in log.run(asks.run_id).approve().then
    assert asks.result(SOON) == "paid 3"
    assert any("waits for" in line and "pay" in line for line in told)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_that_comes_while_the_worker_lets_go_is_not_lost(log, marks, works, monkeypatch, when):
    """Whether it comes just before or just after the run is put back to sleep."""
    run = submitted(log, marks, ask=True)
    queue = log.store.queue
    put_back, answered = queue.put_back, []

    def answering(run_id, **how):
        if when == "after":
            put_back(run_id, **how)
        if not answered:
            answered.append(log.run(run.run_id).approve())
        if when == "before":
            put_back(run_id, **how)

    monkeypatch.setattr(queue, "put_back", answering)
    works(chores.chore)
    until(lambda: answered)
    assert run.result(SOON) == "paid 3"


def test_a_question_of_a_run_below_wakes_the_one_above(log, works):
    """The approval that a sub-agent waits for has the worker go on with the agent that called it."""
    run = chores.chief.submit("Write.", log=log)
    works(chores.chief)
    with pytest.raises(RunPaused):
        run.result(SOON)
    until(lambda: log.store.holder(run.run_id) is None)
    (asked,) = log.pending()
    assert asked.run_id != run.run_id
    log.run(asked.run_id).approve()
    assert run.result(SOON) == "The clerk wrote."


def test_a_question_that_expires_wakes_its_run(log, works):
    """Nobody answers, and the run goes on when the time is over."""
    run = chores.hasty.submit(amount=3, log=log)
    works(chores.hasty)
    until(lambda: run.state.ended)
    assert run.status == "succeeded"


def test_a_follow_up_is_left_to_workers_too(log, works):
    """`submit(after=run)` goes on with a conversation."""
    works(chores.chief)
    first = chores.chief.submit("Write.", log=log)
    until(lambda: first.pending)
    first.reject(reason="no")
    first.result(SOON)
    second = chores.chief.submit("Again.", after=first, log=log)
    assert second.state.origin.run_id == first.run_id
    until(lambda: second.state.ended)


def test_killed_workers_lose_and_repeat_nothing(log, marks):
    """Of two worker processes one is killed in the middle; the other goes on with its runs, and no write is doubled."""
    runs = [submitted(log, marks, n=n, seconds=0.05) for n in range(12)]
    with process(log, "--slots", "2") as first, process(log, "--slots", "2"):
        until(lambda: len(lines(marks)) >= 6)
        first.send_signal(signal.SIGKILL)
        assert [run.result(SOON) for run in runs] == [f"paid {n * 2 + 1}" for n in range(12)]
        until(lambda: not any(log.store.queue.wake(run.run_id) for run in runs))
    paid = [line for line in lines(marks) if line.startswith("pay")]
    assert len(set(paid)) == 12  # the keys; one that was interrupted may have been called twice with the same one
    assert len(lines(marks)) <= 36 + 2


@pytest.mark.parametrize("more", [(), ("--until-idle",)])
def test_a_worker_that_is_told_to_stop_hands_over(log, marks, more):
    """SIGTERM: what is in flight ends, the run is left to another worker, and the process ends well, and says so."""
    run = submitted(log, marks, seconds=0.5)
    with process(log, *more) as first:
        until(lambda: run.status == "running")
        first.send_signal(signal.SIGTERM)
        assert first.wait(SOON) == 0
        said = first.stderr.read()
        assert "is left to another worker" in said
        assert said.endswith(" stopped\n")
    assert run.status == "waiting"
    assert [event.body.why for event in run.events() if isinstance(event.body, RunPausedEvent)] == ["handover"]
    with process(log, "--until-idle") as second:
        assert run.result(SOON) == "paid 3"
        assert second.wait(SOON) == 0
    assert sorted(line.split()[0] for line in lines(marks)) == ["look", "pay", "think"]


def test_a_second_signal_ends_a_worker_at_once(log, marks):
    """Whatever is in flight; another worker goes on."""
    run = submitted(log, marks, seconds=20)
    with process(log) as first:
        until(lambda: run.status == "running")
        first.send_signal(signal.SIGINT)
        until(lambda: "stopping after what is in flight" in first.stderr.readline())
        first.send_signal(signal.SIGINT)
        assert first.wait(SOON) in {1, 130}
    until(lambda: run.status == "waiting")


def test_a_run_that_kills_its_workers_is_left_alone(log, marks, works, told):
    """After four of them; what was in hand beside it is done. A person may hand it to the workers again."""
    others = [submitted(log, marks, n=n, seconds=0.2) for n in range(4)]
    run = submitted(log, marks, n=chores.KILLER, seconds=0.1)
    others += [submitted(log, marks, n=n, seconds=0.2) for n in range(4, 8)]
    for _ in range(4):
        with process(log) as doomed:
            assert doomed.wait(SOON) == -signal.SIGKILL
    last = works(chores.chore)
    for n, other in enumerate(others):
        assert other.result(SOON) == f"paid {2 * n + 1}"
    until(lambda: run.status == "paused")
    assert any(re.search(rf"{run.run_id} is left alone: 4 workers died", line) for line in told)
    with pytest.raises(RunPaused, match="several workers died with it"):
        run.result(SOON)
    last.stop()
    with process(log) as doomed:
        run.resume(submit=True)
        assert doomed.wait(SOON) == -signal.SIGKILL


def test_a_write_that_a_worker_died_in_asks_a_person(log, marks, works):
    """Nobody knows whether it happened: the next worker does not do it again, and goes on as it is told."""
    run = chores.blunt.submit(marks=str(marks), log=log)
    with process(log) as doomed:
        assert doomed.wait(SOON) == -signal.SIGKILL
    works(chores.blunt)
    until(lambda: run.pending)
    assert run.pending[0].kind == "in_doubt"
    until(lambda: log.store.holder(run.run_id) is None)
    run.resolve(None, "happened", result="fired")
    assert run.result(SOON) == "fired"
    assert lines(marks) == ["fire"]


def test_workers_share_the_work_and_do_nothing_twice(log, marks):
    """Each run is executed by one of them, once."""
    runs = [submitted(log, marks, n=n, seconds=0.02) for n in range(20)]
    with process(log, "--slots", "2", "--until-idle"), process(log, "--slots", "2", "--until-idle"):
        for run in runs:
            run.result(SOON)
    assert sorted(line for line in lines(marks) if line.startswith("look")) == sorted(f"look {n}" for n in range(20))
    by = {event.body.process for run in runs for event in run.events() if isinstance(event.body, RunResumed)}
    assert len(by) == 2


def test_what_no_worker_can_import_is_refused(log, marks):
    """A pipeline of a notebook would wait for ever; the error says what to do, and nothing is recorded."""
    local = ak.Pipeline("local", input={"n": int})

    @local.step
    def work(n: int) -> int:
        return n

    with pytest.raises(ConfigError, match=r"'local' is defined in a notebook.*ak\.promote"):
        local.submit(n=1, log=log)
    with pytest.raises(ConfigError, match="a worker has deps of its own"):
        submitted(log, marks, deps=3)
    local.run(n=1, log=log).result(SOON)
    assert len(log.runs()) == 1


def test_who_pauses_a_run_keeps_workers_from_it(log, marks, works):
    """Until it is resumed: here, or by the workers."""
    run = submitted(log, marks)
    run.pause()
    assert run.status == "paused"
    works(chores.chore)
    assert submitted(log, marks, n=2).result(SOON) == "paid 5"
    assert run.status == "paused"
    run.resume(submit=True)
    assert run.result(SOON) == "paid 3"


def test_a_run_that_a_worker_executes_can_be_paused(log, marks, works):
    """It stops after what is in flight, and stays so."""
    run = submitted(log, marks, seconds=0.5)
    works(chores.chore)
    until(lambda: run.status == "running")
    run.pause()
    until(lambda: run.status == "paused")
    assert run.state.paused_why == "asked"
    until(lambda: log.store.holder(run.run_id) is None)
    log.run(run.run_id).resume().result(SOON)
    assert sorted(line.split()[0] for line in lines(marks)) == ["look", "pay", "think"]


def test_what_was_cancelled_is_not_executed(log, marks, works):
    """Nobody has to run for a run to be cancelled."""
    run = submitted(log, marks)
    run.cancel("no need")
    assert run.status == "cancelled"
    works(chores.chore)
    assert submitted(log, marks, n=2).result(SOON) == "paid 5"
    assert "look 1" not in lines(marks)
    assert not log.store.queue.wake(run.run_id)


def test_a_run_that_was_begun_here_can_be_handed_over(log, marks, works):
    """It waits for a person here; from then on workers see to it."""
    run = chores.chore.run(n=1, marks=str(marks), ask=True, log=log)
    with pytest.raises(RunPaused):
        run.result(SOON)
    with pytest.raises(ConfigError, match="budget"):
        run.resume(submit=True, budget=ak.Budget(usd=1))
    assert run.resume(submit=True).status == "waiting"
    works(chores.chore)
    until(lambda: run.status == "paused")
    until(lambda: log.store.holder(run.run_id) is None)
    run.approve()
    assert run.result(SOON) == "paid 3"


def test_a_person_takes_a_run_out_of_the_workers_hands(log, marks, works, monkeypatch):
    """`resume` executes it here; the workers leave it, and forget it when it ended."""
    monkeypatch.setattr(work, "_ELSEWHERE", 0.1)
    run = submitted(log, marks, seconds=0.3)
    here = log.run(run.run_id).resume()
    works(chores.chore)
    assert here.result(SOON) == "paid 3"
    until(lambda: not log.store.queue.wake(run.run_id))
    assert len([event for event in run.events() if isinstance(event.body, RunResumed)]) == 1


def test_a_place_in_the_queue_without_a_run_is_cleared(log, works, monkeypatch):
    """Whoever submitted it died before its first event."""
    run_id = new_id()
    log.store.queue.put(run_id, "chore")
    monkeypatch.setattr(work, "_MISSING", 0.3)
    works(chores.chore)
    until(lambda: not log.store.queue.wake(run_id))


def test_what_cannot_go_on_is_tried_again_later(log, marks, works, told, monkeypatch):
    """A worker whose pipeline only has the same name says so, and leaves the run to those that have its own."""
    monkeypatch.setattr(work, "_UNUSABLE", (0.1, 0.1))
    run = submitted(log, marks, ask=True)
    first = works(chores.chore)
    until(lambda: run.pending)
    until(lambda: log.store.holder(run.run_id) is None)
    first.stop()
    changed = ak.Pipeline("chore", input={"n": int, "marks": str, "seconds": (float, 0.0), "ask": (bool, False)})
    changed.step(chores.look)
    registry.define("chore", chores.chore)  # the other one is that of another process
    stranger = works(changed)
    run.approve()
    until(lambda: any("cannot go on here" in line and "is another one" in line for line in told))
    stranger.stop()
    works(chores.chore)
    assert run.result(SOON) == "paid 3"


def test_a_log_that_is_away_for_a_moment_is_waited_for(log, marks, works, told, monkeypatch):
    """The worker says so once, and goes on when it is back."""
    take, failures = log.store.queue.take, iter(range(3))

    def away(names, limit):
        if next(failures, None) is not None:
            raise LogUnwritable("the server is away")
        return take(names, limit)

    monkeypatch.setattr(log.store.queue, "take", away)
    works(chores.chore)
    assert submitted(log, marks).result(SOON) == "paid 3"
    assert told[:2] == ["the log cannot be used at this moment: the server is away", "the log is back"]


def test_a_worker_wants_something_to_do(log):
    """One definition a name, and a slot at least."""
    for owners, options in (((), {}), ((chores.chore, chores.chore), {}), ((chores.chore,), {"slots": 0})):
        with pytest.raises(ConfigError):
            Worker(*owners, log=log, **options)


def test_a_word_that_got_lost_is_made_up_for(log, marks, works, monkeypatch):
    """Whoever answered died before the queue was told: the run is late, and goes on."""
    monkeypatch.setattr(work, "_REST", 0.5)
    run = submitted(log, marks, ask=True)
    works(chores.chore)
    until(lambda: run.pending)
    until(lambda: log.store.holder(run.run_id) is None)
    (asked,) = run.pending
    log.store.answer(run.run_id, asked.id, Answer(verdict="approve", answered_at=datetime.now(UTC)))
    assert run.result(SOON) == "paid 3"


def test_a_pause_just_after_a_worker_took_the_run_counts(log, marks, works):
    """Although the log does not say yet that one has."""
    run = submitted(log, marks, seconds=0.3)
    works(chores.chore)
    until(lambda: log.store.holder(run.run_id) is not None)
    run.pause()
    until(lambda: run.status == "paused")
    time.sleep(0.5)
    assert (run.status, run.state.paused_why) == ("paused", "asked")
    assert not any(line.startswith("pay") for line in lines(marks))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_pause_outlives_the_worker(log, marks, works, end):
    """One that is stopped, or killed, before the step in flight ended: the next one does not go on either."""
    run = submitted(log, marks, seconds=1.0)
    with process(log) as first:
        until(lambda: run.status == "running")
        run.pause()
        time.sleep(0.3)
        first.send_signal(end)
        first.wait(SOON)
    works(chores.chore)
    assert submitted(log, marks, n=2).result(SOON) == "paid 5"
    until(lambda: run.status == "paused")
    assert run.state.paused_why == "asked"
    assert len([line for line in lines(marks) if line.startswith("pay")]) == 1


def test_what_does_not_wait_goes_on_after_a_handover(log, marks, works):
    """Of two branches one waits for a person; the other one is left to the next worker."""
    run = chores.branches.submit(marks=str(marks), seconds=1.0, log=log)
    with process(log) as first:
        until(lambda: run.pending)
        first.send_signal(signal.SIGTERM)
        assert first.wait(SOON) == 0
    works(chores.branches)
    until(lambda: lines(marks) == ["first", "second"])
    assert run.status in {"running", "paused"}
    run.reject(reason="no")


def test_one_word_that_cannot_be_told_holds_up_no_other(log, marks, works, monkeypatch):
    """The queue refuses to forget one run for good; the others go on and are answered."""
    run, other = submitted(log, marks), submitted(log, marks, n=2, ask=True)
    remove = log.store.queue.remove

    def refusing(run_id):
        if run_id == run.run_id:
            raise LogUnwritable("no right to remove")
        remove(run_id)

    monkeypatch.setattr(log.store.queue, "remove", refusing)
    works(chores.chore)
    assert run.result(SOON) == "paid 3"
    until(lambda: other.pending)
    until(lambda: log.store.holder(other.run_id) is None)
    other.approve()
    assert other.result(SOON) == "paid 5"


def test_what_goes_wrong_with_one_run_ends_no_worker(log, marks, works, told, monkeypatch):
    """Whatever is raised: it is said, the others go on, and that one is tried again."""
    monkeypatch.setattr(work, "_UNREACHABLE", (0.1, 0.1))
    monkeypatch.setattr(work, "load_many", lambda _store, _run_ids: {})
    run, load, failures = submitted(log, marks), work.load_state, iter(range(2))

    def failing(store, run_id):
        if run_id == run.run_id and next(failures, None) is not None:
            raise OSError(24, "Too many open files")
        return load(store, run_id)

    monkeypatch.setattr(work, "load_state", failing)
    works(chores.chore)
    assert submitted(log, marks, n=2).result(SOON) == "paid 5"
    assert run.result(SOON) == "paid 3"
    assert len([line for line in told if "Too many open files" in line]) == 2


def test_a_run_that_is_executed_elsewhere_is_left_alone(log, marks, works, told):
    """The worker looks again in a while, and not at once; it says nothing of it."""
    run = log.run(submitted(log, marks, seconds=0.3).run_id).resume()
    takes, take = [], log.store.queue.take
    log.store.queue.take = lambda *given: takes.append(take(*given)) or takes[-1]
    works(chores.chore)
    assert run.result(SOON) == "paid 3"
    assert sum(map(len, takes)) <= 1
    assert told == []
