"""The queue of a log whose processes are killed, stopped, forked and cut off: no run is lost, none is there twice."""

import contextlib
import os
import threading
import time

import pytest
from actors import Actor
from postgres_server import fresh_database, missing, running

from agentkit.errors import LogCorrupt, LogUnwritable
from agentkit.ids import new_id
from agentkit.stores.embedded import EmbeddedStore
from agentkit.stores.embedded import queue as of_files
from agentkit.stores.postgres import PostgresStore, connections, presence, writer
from agentkit.stores.postgres import queue as of_postgres
from agentkit.stores.postgres.connections import Place
from agentkit.testing import FailPoints
from agentkit.testing.queue_contract import put, soon, take

SOON = 20

KILLED = {  # where a process is killed, in what it does; `runs` are three: ready, taken by it, and asleep
    "store.queue.put(new, 'a')": ("queue.locked", "queue.written", "queue.placed", "queue.synced"),
    "store.queue.take(['a'], 2)": ("queue.locked", "queue.chosen", "queue.taken"),
    "store.queue.put_back(runs[1], after=0)": ("queue.locked", "queue.back"),
    "store.queue.put_back(runs[1], after=1e-3)": ("queue.locked", "queue.back"),
    "store.queue.wake(runs[2])": ("queue.locked", "queue.woken"),
}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def store(folder):
    with contextlib.closing(EmbeddedStore(folder)) as store:
        yield store


@pytest.fixture
def url(postgres):
    return fresh_database(postgres)


@pytest.fixture
def team(url):
    """A store on a team's log."""
    with contextlib.closing(PostgresStore(Place.of(url))) as store:
        yield store


@pytest.fixture(params=["folder", "postgresql"])
def either(request):
    """A store, and what opens its log in another process."""
    if request.param == "folder":
        return request.getfixturevalue("store"), request.getfixturevalue("folder")
    return request.getfixturevalue("team"), request.getfixturevalue("url")


def lost(runs):
    """How often each of these runs was lost."""
    return {run.run_id: run.lost for run in runs}


# --- in a folder


@pytest.mark.parametrize(("code", "point"), [(code, point) for code, points in KILLED.items() for point in points])
def test_a_process_that_is_killed_in_the_midst_loses_no_run(store, folder, code, point):
    """Whatever it was at: all runs are ready afterwards, each once; one that it puts is there, or can be put."""
    with Actor(folder) as actor:
        runs = put(store, 2)
        assert take(store, 1) == runs[:1]
        store.queue.put_back(runs[0], after=None)
        assert len(actor("store.queue.take(['a'], 1)")) == 1
        asleep, taken, ready, new = *runs, *put(store), new_id()
        actor("stop_at(point)", point=point)
        actor.start(code, runs=[ready, taken, asleep], new=new)
        assert actor.wait_stopped()
        actor.kill()
    woken = "wake" in code and point == "queue.woken"
    found = [taken, ready] + [asleep] * woken + [new] * (point in {"queue.placed", "queue.synced"})
    assert sorted(take(store)) == sorted(found)
    assert store.queue.wake(asleep)
    store.queue.put(new, "a")
    assert sorted(found + take(store)) == sorted([asleep, taken, ready, new])


@pytest.mark.parametrize("point", ["queue.written", "queue.freed"])
@pytest.mark.parametrize("nth", [1, 2])
def test_who_is_killed_while_it_frees_the_runs_of_another_counts_them_once(store, folder, point, nth):
    """The next one goes on, and writes the same."""
    runs = put(store, 3)
    with Actor(folder) as first, Actor(folder) as second:
        assert len(first("store.queue.take(['a'], 3)")) == 3
        first.kill()
        second("stop_at(point, nth)", point=point, nth=nth)
        second.start("store.queue.take(['a'], 3)")
        assert second.wait_stopped()
        second.kill()
    assert lost(store.queue.take(["a"], 9)) == dict.fromkeys(runs, 1)
    assert take(store) == []


def test_every_place_where_a_process_can_be_killed_is_tried():
    """A point of the module that no test above reaches is found out."""
    assert {point for points in KILLED.values() for point in points} | {"queue.freed"} == set(of_files.FAIL_POINTS)


@pytest.mark.parametrize("point", ["queue.locked", "queue.chosen", "queue.taken"])
def test_who_is_stopped_while_it_takes_keeps_what_it_takes(store, folder, point):
    """Another waits for it and gets the others; nobody gets a run twice."""
    runs, told = put(store, 3), []
    with Actor(folder) as actor:
        actor("stop_at(point)", point=point)
        actor.start("store.queue.take(['a'], 2)")
        assert actor.wait_stopped()
        thread = threading.Thread(target=lambda: told.extend(take(store, 2)))
        thread.start()
        time.sleep(0.05)
        actor.go_on()
        thread.join(20)
        theirs = [run.run_id for run in actor.told()]
        assert sorted(theirs + told + take(store)) == runs


def test_an_interrupted_take_has_taken_nothing(store):
    """Ctrl-C between two of its runs: nobody was told of them, and all are ready."""

    def interrupt():
        raise KeyboardInterrupt

    runs = put(store, 3)
    with FailPoints("queue.taken", nth=2, action=interrupt), pytest.raises(KeyboardInterrupt):
        take(store)
    assert take(store) == runs


def test_a_take_opens_the_files_of_what_it_takes_only(store, monkeypatch):
    """However many are ready, or sleep."""
    runs, read = put(store, 30), []
    assert take(store, 20) == runs[:20]
    for number, run_id in enumerate(runs[:20]):
        store.queue.put_back(run_id, after=3600 if number % 2 else None)
    original = of_files._read
    monkeypatch.setattr(of_files, "_read", lambda path: read.append(path.name) or original(path))
    assert take(store, 2) == read == runs[20:22]


def test_a_run_is_on_disk_before_and_so_is_its_name(store, folder, monkeypatch):
    """Its bytes before it has its name, the name before `put` returns, and each new folder's too; so is a wake."""
    synced = []
    sync, sync_folder = of_files.sync, of_files.sync_folder
    monkeypatch.setattr(of_files, "sync", lambda fd: sync(fd) or synced.append("bytes"))
    monkeypatch.setattr(of_files, "sync_folder", lambda path: sync_folder(path) or synced.append(path.name))
    (run_id,) = put(store)
    digest = of_files._digest("a")
    assert synced == ["log", "queue", "ready", "bytes", digest]
    take(store)
    store.queue.put_back(run_id, after=None)
    synced.clear()
    store.queue.wake(run_id)
    assert synced == [digest, "asleep"]


def test_a_log_without_a_queue_has_no_folder_for_it(store, folder):
    """Until the first run is put."""
    assert store.queue.wake(new_id()) is False
    assert take(store) == []
    store.queue.put_back(new_id(), after=0)
    store.queue.remove(new_id())
    assert not (folder / "queue").exists()
    put(store)
    assert (folder / "queue").is_dir()


def test_a_damaged_file_is_said(store, folder):
    """With its path, and what to do; then the others can be taken. What a desktop leaves there is no run."""
    bad, good = put(store, 2)
    (path,) = (folder / "queue").glob(f"ready/*/{bad}")
    path.write_text("{}")
    with pytest.raises(LogCorrupt, match=f"{bad}: is no run of the queue.*remove that file"):
        take(store)
    path.unlink()
    for place in ("ready", "taken", path.parent.relative_to(folder / "queue")):
        (folder / "queue" / place).mkdir(exist_ok=True)
        (folder / "queue" / place / ".DS_Store").touch()
    assert take(store) == [good]


def test_a_process_that_ended_leaves_nothing_but_its_runs(store, folder):
    """No folder of its own, closed or killed."""
    put(store, 2)
    with contextlib.closing(EmbeddedStore(folder)) as other, Actor(folder) as actor:
        assert len(take(other, 1)) == len(actor("store.queue.take(['a'], 1)")) == 1
    assert len(take(store)) == 2
    assert os.listdir(folder / "queue" / "taken") == [store.process]


# --- in either


def test_a_closed_log_gives_no_runs(either):
    """And says what is wrong; what is there stays for others."""
    store, place = either
    run_ids = put(store, 2)
    assert take(store, 1) == run_ids[:1]
    store.close()
    with pytest.raises(LogUnwritable):
        take(store)
    with Actor(place) as actor:
        assert lost(actor("store.queue.take(['a'], 9)")) == dict.fromkeys(run_ids, 0)


def test_a_forked_child_has_nothing_of_what_its_parent_took(either):
    """It neither puts it back nor gives it up by its end; what it takes itself is ready when it dies."""
    store, _ = either
    ours, theirs = put(store, 2)
    assert take(store, 1) == [ours]
    read, written = os.pipe()
    if (pid := os.fork()) == 0:
        told = "nothing"
        try:
            store.queue.put_back(ours, after=0)
            told = " ".join(take(store))
        finally:
            os.write(written, told.encode())
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 1000).decode() == theirs
    assert lost(soon(store)) == {theirs: 1}
    store.queue.put_back(ours, after=0)
    assert take(store) == [ours]


def test_a_run_that_was_put_is_there_though_its_process_is_killed(either):
    """It is on disk when `put` returns."""
    store, place = either
    run_id = new_id()
    with Actor(place) as actor:
        actor("store.queue.put(run_id, 'a')", run_id=run_id)
        actor.kill()
    assert lost(store.queue.take(["a"], 1)) == {run_id: 0}


# --- in PostgreSQL


@pytest.mark.parametrize("point", of_postgres.FAIL_POINTS)
def test_a_process_that_is_killed_in_the_midst_loses_no_run_in_postgresql(team, url, point):
    """What it had taken is ready at once; what it had put is there."""
    (first,), second = put(team), new_id()
    with Actor(url) as actor:
        actor("stop_at(point)", point=point)
        actor.start(
            "store.queue.put(run_id, 'a')" if point.endswith("put") else "store.queue.take(['a'], 9)", run_id=second
        )
        assert actor.wait_stopped()
        actor.kill()
    found = lost(soon(team))
    assert found == ({first: 0, second: 0} if point.endswith("put") else {first: 1})


def test_a_process_that_died_on_this_machine_is_not_waited_for(team, url, monkeypatch):
    """It was seen a moment ago, and is not coming back: its process is not there any more."""
    monkeypatch.setattr(presence, "_GRACE", 10 * SOON)
    monkeypatch.setattr(team._presence, "_lease", 1000 * SOON)
    (run_id,) = put(team)
    with Actor(url) as actor:
        assert len(actor("store.queue.take(['a'], 1)")) == 1
        assert take(team) == []
        actor.kill()
    assert lost(soon(team)) == {run_id: 1}


def test_runs_that_the_server_gave_and_nobody_was_told_of_are_ready_again(team):
    """The connection was lost before its answer came, or somebody pressed Ctrl-C."""

    def fail():
        raise LogUnwritable("the connection is lost")

    (run_id,) = put(team)
    with FailPoints("postgres.queue.taken", action=fail), pytest.raises(LogUnwritable):
        take(team)
    assert lost(soon(team)) == {run_id: 0}


def test_who_is_stopped_for_too_long_has_lost_its_runs(url):
    """Another takes them, and what the first says of them then changes nothing."""
    with contextlib.closing(PostgresStore(Place.of(url), lease=1.0)) as store, Actor(url, lease=1.0) as actor:
        (run_id,) = put(store)
        assert len(actor("store.queue.take(['a'], 1)")) == 1
        actor.stop()
        assert lost(soon(store)) == {run_id: 1}
        actor.go_on()
        actor("store.queue.put_back(run_id, after=0)", run_id=run_id)
        assert take(store) == []
        store.queue.put_back(run_id, after=0)
        assert take(store) == [run_id]


def test_a_lone_connection_that_is_closed_costs_nobody_a_queued_run(postgres, team, url):
    """A process that was seen a moment ago may be coming back."""
    put(team, 2)
    with contextlib.closing(PostgresStore(Place.of(url))) as other:
        assert len(take(other, 1)) == len(take(team, 1)) == 1
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE application_name = 'agentkit' AND datname = '{url.rpartition('/')[2]}'"
        )
        for _ in range(20):
            with contextlib.suppress(LogUnwritable):
                assert take(team) == []
            time.sleep(0.05)


def test_a_run_is_put_back_when_the_server_is_there_again(monkeypatch):
    """The process lives, so nobody else could take it."""
    if (absent := missing()) is not None:
        pytest.skip(absent)
    monkeypatch.setattr(writer, "_PATIENCE", 0.2)
    monkeypatch.setattr(connections, "_PATIENCE", 1.0)
    with running() as server:
        place = Place.of(fresh_database(server))
        with contextlib.closing(PostgresStore(place)) as store, contextlib.closing(PostgresStore(place)) as other:
            run_ids = put(store, 2)
            assert take(store) == run_ids
            server.stop()
            store.queue.put_back(run_ids[0], after=0)
            with pytest.raises(LogUnwritable):
                store.queue.wake(run_ids[1])
            server.start()
            assert lost(soon(other)) == {run_ids[0]: 0}


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_a_take_looks_at_no_run_that_sleeps(postgres, team, url, mode, monkeypatch):
    """Nor at one that others are to execute: each kind is found by an index, also by a prepared statement."""
    database = url.rpartition("/")[2]
    for until, name in (("'infinity'", "a"), ("now() + interval '1 hour'", "a"), ("NULL", "z")):
        postgres.execute(
            "INSERT INTO agentkit.queue (run_id, name, asleep_until) "
            f"SELECT gen_random_uuid(), '{name}', {until} FROM generate_series(1, 5000)",
            database,
        )
    postgres.execute("VACUUM ANALYZE agentkit.queue", database)
    put(team)
    plan = []

    def explain(sql, given):
        with team._connections.use() as connection:
            connection.execute(f"SET plan_cache_mode = force_{mode}_plan")
            plan.extend(row[0] for row in connection.execute(f"EXPLAIN {sql}", given, prepare=True))
        return []

    monkeypatch.setattr(team._connections, "execute", explain)
    take(team)
    assert any("queue_ready" in line for line in plan)
    assert not [line for line in plan if "Seq Scan on queue" in line]
