"""Processes that meet in one log, each stopped exactly where it hurts: nothing is lost, doubled or owned twice."""

import contextlib
import threading
import time

import pytest
from actors import Actor

from agentkit.errors import LogBusy, RunClaimed, SeqConflict
from agentkit.ids import new_id
from agentkit.stores.embedded import EmbeddedStore, folding, history, inbox, lease, warehouse, writer
from agentkit.testing import FailPoints
from agentkit.testing.store_contract import answer, event, fill


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def store(folder):
    with contextlib.closing(EmbeddedStore(folder)) as store:
        yield store


@pytest.fixture
def actor(store, folder):
    with Actor(folder) as actor:
        yield actor


def seqs(store, run_id):
    return [found.seq for found in store.read(run_id)]


def counted(store, run_id):
    """How many events SQL sees of a run: all, and different ones."""
    sql = "SELECT count(*), count(DISTINCT seq) FROM events WHERE CAST(run_id AS VARCHAR) = $run"
    return store.query(sql, {"run": run_id})[0]


@pytest.mark.parametrize("ending", ["go_on", "kill"])
@pytest.mark.parametrize("point", lease.FAIL_POINTS[:-1])
def test_two_processes_claim_one_run(store, actor, point, ending):
    """Wherever the first is while the second claims, one of them has it; a dead one has nothing."""
    run_id = fill(store, 1)[0].run_id
    actor("stop_at(point)", point=point)
    actor.start("claim(run_id)", run_id=run_id)
    assert actor.wait_stopped()
    told = []

    def claim():
        try:
            told.append(store.claim(run_id))
        except RunClaimed as error:
            told.append(error)

    thread = threading.Thread(target=claim)
    thread.start()
    time.sleep(0.05)
    getattr(actor, ending)()
    thread.join(20)
    if ending == "kill":
        assert told[0].head == 1
    else:
        assert isinstance(told[0], RunClaimed)
        assert str(actor.pid) in told[0].holder
        assert actor.told() == 1


def test_a_claim_ends_with_its_process(store, actor):
    """Killed, its runs can be taken up at once."""
    run_id = new_id()
    actor("claim(run_id, new=True)", run_id=run_id)
    actor("append(run_id, 3)", run_id=run_id)
    with pytest.raises(RunClaimed):
        store.claim(run_id)
    assert store.holder(run_id).pid == actor.pid
    actor.kill()
    assert store.holder(run_id) is None
    assert store.claim(run_id).head == 3


@pytest.mark.parametrize("point", ["segment.created", "segment.locked", "segment.renamed", "segment.placed"])
def test_a_sweep_beside_a_process_that_starts(store, actor, point):
    """A process that this one had not seen when it began to sweep keeps the segment that it just began."""
    run_id = new_id()
    store._leases.sweep()
    actor("claim(run_id, new=True)", run_id=run_id)
    actor("stop_at(point)", point=point)
    actor.start("append(run_id, 3)", run_id=run_id)
    assert actor.wait_stopped()
    store._folding.sweep(store._leases.lives)
    actor.go_on()
    actor.told()
    assert seqs(store, run_id) == [1, 2, 3]


def test_a_stopped_process_keeps_its_claim(store, actor):
    """It may go on at any time, so nobody else may."""
    run_id = new_id()
    actor("claim(run_id, new=True)", run_id=run_id)
    actor.stop()
    with pytest.raises(RunClaimed):
        store.claim(run_id)
    actor.go_on()
    assert actor("append(run_id)", run_id=run_id) == 1
    actor("release(run_id)", run_id=run_id)
    assert store.claim(run_id).head == 1


@pytest.mark.parametrize("ending", ["go_on", "kill"])
@pytest.mark.parametrize("point", writer.FAIL_POINTS)
def test_a_fold_between_two_steps_of_a_writer(store, actor, point, ending):
    """What a writer was told is on disk is in the log once, wherever a fold came in between."""
    run_id = new_id()
    actor("claim(run_id, new=True)", run_id=run_id)
    actor("stop_at(point)", point=point)
    actor.start("[append(run_id), append(run_id, 2), store.fold(), append(run_id)]", run_id=run_id)
    assert actor.wait_stopped()
    for _ in range(3):
        store.fold()
    acked = 0
    if ending == "go_on":
        actor.go_on()
        actor.told()
        acked = 4
    else:
        actor.kill()
    assert len(seqs(store, run_id)) >= acked
    for _ in range(3):
        store.fold()
    found = seqs(store, run_id)
    assert len(found) >= acked
    assert counted(store, run_id) == (len(found), len(found))
    if ending == "go_on":
        assert actor("append(run_id)", run_id=run_id) == 5
    else:
        assert store.claim(run_id).head == len(found)


@pytest.mark.parametrize("ending", ["go_on", "kill"])
@pytest.mark.parametrize("point", [*folding.FAIL_POINTS, *warehouse.FAIL_POINTS])
def test_a_reader_in_the_middle_of_a_fold(store, actor, point, ending):
    """A run is read and queried whole, wherever a fold stands or died, and the next fold completes it."""
    first, second = fill(store, 5)[0].run_id, new_id()
    store._journal.close_segment()
    actor("claim(run_id, new=True)", run_id=second)
    actor("append(run_id, 4)", run_id=second)
    nth = 2 if point in {"folding.taken", "folding.recorded"} else 1
    actor("stop_at(point, nth)", point=point, nth=nth)
    actor.start("[store.fold(), append(run_id), store.fold()]", run_id=second)
    assert actor.wait_stopped()
    told = []
    thread = threading.Thread(target=lambda: told.extend([seqs(store, first), counted(store, first)]))
    thread.start()
    time.sleep(0.05)
    getattr(actor, ending)()
    thread.join(20)
    assert told == [[1, 2, 3, 4, 5], (5, 5)]
    if ending == "go_on":
        actor.told()
    for _ in range(2):
        assert store.fold()
    count = len(seqs(store, second))
    assert count == 5 if ending == "go_on" else count >= 4
    assert counted(store, second) == (count, count)
    assert counted(store, first) == (5, 5)


@pytest.mark.parametrize("point", history.FAIL_POINTS)
def test_segments_vanish_under_a_reader(store, actor, point):
    """A run that is folded and unlinked between two looks of a reader is read whole."""
    run_id = new_id()
    actor("claim(run_id, new=True)", run_id=run_id)
    actor("append(run_id, 3)", run_id=run_id)
    fill(store, 1)
    assert store.fold()  # the table is there, so that a reader looks into it

    def change():
        actor("[store.fold(), append(run_id), store.fold(), append(run_id), store.fold()]", run_id=run_id)

    with FailPoints(point, action=change):
        found = seqs(store, run_id)
    assert found in ([1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5])
    assert seqs(store, run_id) == [1, 2, 3, 4, 5]


def test_a_run_changes_hands_under_a_reader(store, actor, folder):
    """A reader that saw the first owner's segment before the second owner wrote sees no gap."""
    run_id = new_id()
    with Actor(folder) as second:
        second("[claim(run_id, new=True), append(run_id), release(run_id)]", run_id=run_id)
        actor("[claim(run_id), append(run_id), release(run_id)]", run_id=run_id)

        def change():
            second("[claim(run_id), append(run_id), release(run_id)]", run_id=run_id)
            actor("[claim(run_id), append(run_id), release(run_id)]", run_id=run_id)

        with FailPoints("history.listed", action=change):
            assert seqs(store, run_id) == [1, 2, 3, 4]


@pytest.mark.parametrize("ending", ["go_on", "kill"])
@pytest.mark.parametrize("point", inbox.FAIL_POINTS)
def test_two_processes_answer_one_approval(store, actor, point, ending):
    """One wins, and the other is told who, wherever the first one stood."""
    run_id = new_id()
    actor("stop_at(point)", point=point)
    actor.start("store.answer(run_id, 'a1', answer('ann')).who", run_id=run_id)
    assert actor.wait_stopped()
    winner = store.answer(run_id, "a1", answer("bob")).who
    assert winner == ("bob" if point == "inbox.written" else "ann")
    getattr(actor, ending)()
    if ending == "go_on":
        assert actor.told() == winner
    assert {key: value.who for key, value in store.answers(run_id).items()} == {"a1": winner}


def test_two_processes_answer_200_approvals(store, actor):
    """At full speed: both are told the same of every one."""
    run_id = new_id()
    actor.start("[store.answer(run_id, f'a{n}', answer('ann')).who for n in range(200)]", run_id=run_id)
    ours = [store.answer(run_id, f"a{n}", answer("bob")).who for n in range(200)]
    assert actor.told() == ours
    assert len(store.answers(run_id)) == 200


_FORK = """
import os
claim(run_id, True)
append(run_id)
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    told = []
    for attempt in (lambda: append(run_id), lambda: store.claim(run_id)):
        try:
            attempt()
        except Exception as error:
            told.append(type(error).__name__)
    claim(child_run, True)
    told.append(str(append(child_run, 2)))
    os.write(write, " ".join(told).encode())
    import time
    time.sleep(60)
    os._exit(0)
open(path, "w").write(os.read(read, 1000).decode())
open(path + ".pid", "w").write(str(pid))
"""


def test_a_forked_child_has_no_claims_and_a_journal_of_its_own(store, actor, tmp_path):
    """The parent's claims stay the parent's and end with it, though the child lives on."""
    import os
    import signal

    run_id, child_run = new_id(), new_id()
    path = str(tmp_path / "told")
    actor(_FORK, run_id=run_id, child_run=child_run, path=path)
    child = int((tmp_path / "told.pid").read_text())
    try:
        assert (tmp_path / "told").read_text() == "SeqConflict RunClaimed 2"
        assert actor("append(run_id)", run_id=run_id) == 2
        assert store.holder(child_run).pid == child
        actor.kill()
        assert store.claim(run_id).head == 2
        with pytest.raises(RunClaimed):
            store.claim(child_run)
    finally:
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while store.holder(child_run) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert store.claim(child_run).head == 2


def test_a_claim_from_before_a_fork_is_refused(store):
    """In the child, by name: it is another process of the log."""
    claim = store.claim(new_id(), new=True)
    before = store.process
    store.become_child()
    assert store.process != before
    with pytest.raises(SeqConflict, match="fork"):
        store.append(claim, [event(claim.run_id, 1)])


def test_prune_refuses_what_another_process_still_has_open(store, actor):
    """Its lines would come back with that segment's fold; nothing is removed until then."""
    run_id, other = new_id(), fill(store, 2)[0].run_id
    actor("[claim(run_id, new=True), append(run_id, 3), release(run_id)]", run_id=run_id)
    with pytest.raises(LogBusy, match=str(actor.pid)):
        store.prune([other, run_id])
    assert seqs(store, other) == [1, 2]
    actor.kill()
    assert store.prune([other, run_id]) == 5
    assert seqs(store, run_id) == seqs(store, other) == []
