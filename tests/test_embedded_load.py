"""Several processes at full speed, killed and disturbed: what was acknowledged is in the log, once."""

import contextlib
import random
import threading
import time
import warnings

import pytest
from actors import Actor
from foreign import foreign_tool

from agentkit.errors import LogBusy
from agentkit.ids import new_id
from agentkit.stores.embedded import EmbeddedStore
from agentkit.testing.store_contract import answer, event, fill


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def store(folder):
    with contextlib.closing(EmbeddedStore(folder)) as store:
        yield store


def seqs(store, run_id):
    return [found.seq for found in store.read(run_id)]


@contextlib.contextmanager
def folding(store):
    """Fold as often as possible meanwhile."""
    stop = threading.Event()

    def loop():
        while not stop.wait(0.01):
            store.fold()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def check(store, acked):
    """Everything acknowledged is there, dense, and SQL sees each event once."""
    for run_id, last in acked.items():
        found = seqs(store, run_id)
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= last
    assert store.query("SELECT count(*) FROM (SELECT run_id, seq FROM events GROUP BY ALL HAVING count(*) > 1)", {})[
        0
    ] == (0,)


def kill_writers(store, folder, *, kills, writers, seed):
    """Kill processes that write; the next takes their runs up where they stood."""
    rng = random.Random(seed)
    run_ids = [[new_id() for _ in range(3)] for _ in range(writers)]
    acked = {}
    with folding(store):
        for _ in range(kills):
            with contextlib.ExitStack() as stack:
                actors = [stack.enter_context(Actor(folder)) for _ in range(writers)]
                for actor, ids in zip(actors, run_ids, strict=True):
                    actor.start("write(run_ids)", run_ids=ids)
                for actor in actors:
                    acked |= actor.acked_until_killed(rng.uniform(0.02, 0.3))
            check(store, acked)
    return acked


def test_killed_writers_lose_and_double_nothing(store, folder):
    """A few random kills with folds meanwhile."""
    acked = kill_writers(store, folder, kills=4, writers=2, seed=1)
    assert len(acked) >= 2  # on a loaded machine a process may be killed before each of its threads wrote
    assert sum(acked.values()) > 50


@pytest.mark.slow
def test_a_hundred_killed_writers_lose_and_double_nothing(store, folder):
    """A hundred random kills with folds meanwhile."""
    acked = kill_writers(store, folder, kills=25, writers=4, seed=2)
    assert len(acked) >= 4


def test_four_processes_append_at_once(store, folder):
    """Nothing is lost or doubled, and a query in the middle sees each event once."""
    run_ids = [new_id() for _ in range(4)]
    with contextlib.ExitStack() as stack:
        actors = [stack.enter_context(Actor(folder)) for _ in run_ids]
        for actor, run_id in zip(actors, run_ids, strict=True):
            actor("claim(run_id, new=True)", run_id=run_id)
            actor.start("[append(run_id) for _ in range(300)][-1]", run_id=run_id)
        with folding(store):
            check(store, dict.fromkeys(run_ids, 0))
            assert [actor.told() for actor in actors] == [300] * 4
        check(store, dict.fromkeys(run_ids, 300))
    assert store.query("SELECT count(*) FROM events", {})[0] == (1200,)


def test_two_processes_fight_for_claims(store, folder):
    """Of every run one becomes the owner, and the other one is told so."""
    run_ids = [new_id() for _ in range(100)]
    code = """
from agentkit.errors import RunClaimed
mine = []
for run_id in run_ids:
    try:
        claim(run_id, True)
        append(run_id)
        mine.append(run_id)
    except RunClaimed:
        pass
pipe.send(mine)
"""
    with Actor(folder) as one, Actor(folder) as two:
        one.start(code, run_ids=run_ids)
        two.start(code, run_ids=run_ids)
        first, second = one.told(), two.told()
        assert sorted(first + second) == run_ids
        check(store, dict.fromkeys(run_ids, 1))


@pytest.mark.parametrize("mode", ["reads", "writes"])
def test_a_foreign_tool_stops_folding_and_nothing_else(store, folder, mode):
    """Runs begin, go on, pause and are taken up; queries read the segments and say so; later everything is folded."""
    old = fill(store, 2)
    assert store.fold()
    claim = store.claim(new_id(), new=True)
    with foreign_tool(folder / "log.duckdb", mode):
        for seq in (1, 2, 3):
            store.append(claim, [event(claim.run_id, seq)]).result(timeout=30)
        assert seqs(store, claim.run_id) == [1, 2, 3]
        store.release(claim, watch=True)
        assert not store.fold()
        store.answer(claim.run_id, "a1", answer("ann"))
        claim = store.claim(claim.run_id)
        assert claim.head == 3
        store.append(claim, [event(claim.run_id, 4)]).result(timeout=30)
        assert seqs(store, claim.run_id) == [1, 2, 3, 4]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            rows = store.query("SELECT count(*) FROM events WHERE CAST(run_id AS VARCHAR) = $r", {"r": claim.run_id})
        assert rows[0] == (4,)
        if mode == "writes":
            assert rows.note
            with pytest.raises(LogBusy, match=r"log\.duckdb"):
                store.read(old[0].run_id)
    assert store.fold()
    assert store.fold()
    assert seqs(store, claim.run_id) == [1, 2, 3, 4]
    assert store.read(old[0].run_id) == old
    assert store.query("SELECT count(*) FROM events", {})[0] == (6,)


@pytest.mark.slow
def test_a_foreign_tool_for_a_minute(store, folder):
    """Appends go on at their speed while the table's file is held and folds are tried."""
    fill(store, 2)
    store.fold()
    claim = store.claim(new_id(), new=True)
    end = time.monotonic() + 60
    with foreign_tool(folder / "log.duckdb", "writes"), folding(store):
        while time.monotonic() < end:
            store.append(claim, [event(claim.run_id, claim.head + 1)]).result(timeout=5)
    assert store.fold()
    check(store, {claim.run_id: claim.head})


def test_a_thousand_runs_need_few_descriptors(store):
    """A claim is a small file, not an open one."""
    import psutil

    before = psutil.Process().num_fds()
    claims = [store.claim(new_id(), new=True) for _ in range(1000)]
    futures = [store.append(claim, [event(claim.run_id, 1)]) for claim in claims]
    for future in futures:
        future.result(timeout=30)
    assert psutil.Process().num_fds() < before + 10
    for claim in claims:
        store.release(claim)
