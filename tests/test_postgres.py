"""The log in PostgreSQL: the contract of every store on a real server, and what a team's log meets besides."""

import asyncio
import contextlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest
from actors import Actor
from postgres_server import fresh_database, missing, running
from pydantic import Field

import agentkit as ak
from agentkit.errors import ConfigError, LogTooNew, LogUnwritable, RunClaimed, SeqConflict
from agentkit.events import Note
from agentkit.ids import new_id
from agentkit.stores.postgres import PostgresStore, connections, presence, tables, writer
from agentkit.stores.postgres.connections import Place
from agentkit.testing import FunctionModel, call
from agentkit.testing.queue_contract import SharedQueueContract, put, take
from agentkit.testing.store_contract import SharedStoreContract, answer, event, fill

SOON = 20


@pytest.fixture
def url(postgres):
    """The URL of a log that is not there yet."""
    return fresh_database(postgres)


@pytest.fixture
def opened(url):
    """Opens the log as one more process has it; all are closed at the end."""
    with contextlib.ExitStack() as closing:
        yield lambda **options: closing.enter_context(contextlib.closing(PostgresStore(Place.of(url), **options)))


class TestPostgres(SharedStoreContract, SharedQueueContract):
    @pytest.fixture
    def store(self, opened):
        return opened()

    @pytest.fixture
    def other(self, store, opened):
        return opened()


# --- processes that die, stop and come back


@pytest.fixture
def store(opened):
    return opened()


@pytest.fixture
def actor(store, url):
    """Another process that has the log open."""
    with Actor(url) as actor:
        yield actor


def seqs(store, run_id):
    return [found.seq for found in store.read(run_id)]


def until(true, seconds=SOON):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to be so"
        time.sleep(0.02)


def claimed(store, run_id):
    """Claim a run as soon as it can be."""
    end = time.monotonic() + SOON
    while True:
        try:
            return store.claim(run_id)
        except RunClaimed:
            assert time.monotonic() < end, "it is never free"
            time.sleep(0.02)


def test_a_claim_ends_with_its_process(store, actor):
    """Killed, its runs can be taken up at once: nobody waits for a lease to end."""
    run_id = new_id()
    actor("claim(run_id, new=True)", run_id=run_id)
    actor("append(run_id, 3)", run_id=run_id)
    with pytest.raises(RunClaimed, match=str(actor.pid)):
        store.claim(run_id)
    actor.kill()
    began = time.monotonic()
    assert claimed(store, run_id).head == 3
    assert time.monotonic() - began < presence.LEASE / 3
    assert seqs(store, run_id) == [1, 2, 3]


@pytest.mark.parametrize("point", [*writer.FAIL_POINTS, "postgres.claimed"])
def test_a_process_killed_in_the_midst_leaves_whole_appends(store, actor, point):
    """All events of an append are there or none, and the next one goes on after them."""
    run_id = fill(store, 2)[0].run_id
    if point == "postgres.claimed":
        actor("stop_at(point)", point=point)
        actor.start("claim(run_id)", run_id=run_id)
    else:
        actor("claim(run_id)", run_id=run_id)
        actor("stop_at(point)", point=point)
        actor.start("append(run_id, 3)", run_id=run_id)
    assert actor.wait_stopped()
    actor.kill()
    claim = claimed(store, run_id)
    written = 5 if point == "postgres.committed" else 2
    assert (claim.head, seqs(store, run_id)) == (written, list(range(1, written + 1)))
    store.append(claim, [event(run_id, written + 1)]).result(SOON)


def test_who_was_stopped_for_too_long_writes_nothing_more(opened, url):
    """Another process took its run up; what it appends then is refused, and says so."""
    store = opened(lease=1.0)
    run_id = fill(store, 1)[0].run_id
    with Actor(url, lease=1.0) as actor:
        actor("claim(run_id)", run_id=run_id)
        actor("append(run_id)", run_id=run_id)
        actor.stop()
        claim = claimed(store, run_id)
        store.append(claim, [event(run_id, 3, Note(text="ours"))]).result(SOON)
        actor.go_on()
        with pytest.raises(RunClaimed, match=f"process {os.getpid()}"):
            actor("append(run_id)", run_id=run_id)
        with pytest.raises(RunClaimed):
            actor("append(run_id)", run_id=run_id)
    assert [found.body.text for found in store.read(run_id)] == ["event 1", "event 2", "ours"]


def test_two_processes_answer_and_one_wins(store, actor):
    """The other is told who; whoever waits for it sees it, though nothing is asked of the server meanwhile."""
    run_id = new_id()
    store.claim(run_id, new=True)
    for round_ in range(50):
        actor.start("store.answer(run_id, key, answer('them'))", run_id=run_id, key=f"a{round_}")
        ours = store.answer(run_id, f"a{round_}", answer("us"))
        assert actor.told() == ours
        until(lambda key=f"a{round_}", ours=ours: store.answers(run_id).get(key) == ours)


def test_an_answer_elsewhere_reaches_who_waits(store, actor):
    """It is announced: what was looked up before does not hide it."""
    run_id = new_id()
    store.claim(run_id, new=True)
    assert store.answers(run_id) == {}
    theirs = actor("store.answer(run_id, 'a1', answer('bob'))", run_id=run_id)
    until(lambda: store.answers(run_id) == {"a1": theirs})


def test_processes_that_write_at_once_lose_nothing(store, url):
    """Each its own runs, all in one table, killed in the midst: every acknowledged event is there once."""
    runs = [[new_id() for _ in range(3)] for _ in range(2)]
    with Actor(url) as one, Actor(url) as two:
        for actor, own in zip((one, two), runs, strict=True):
            actor.start("write(runs)", runs=own)
        acked = one.acked_until_killed(1.0) | two.acked_until_killed(0.0)
    assert sorted(acked) == sorted(run_id for own in runs for run_id in own)
    for run_id, seq in acked.items():
        found = seqs(store, run_id)
        assert found == list(range(1, len(found) + 1))
        assert len(found) in {seq, seq + 1}  # the last one may have been written and not told


def test_a_forked_child_is_a_process_of_its_own(store):
    """It has no claim of its parent's, and its end ends nothing of the parent's."""
    run_id = fill(store, 1)[0].run_id
    claim = store.claim(run_id)
    read, written = os.pipe()
    if (pid := os.fork()) == 0:
        told = b"no error"
        try:
            store.append(claim, [event(run_id, 2)])
        except SeqConflict:
            told = b"refused" if len(store.read(run_id)) == 1 and fill(store, 2) else b"not read"
        finally:
            os.write(written, told)
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 100) == b"refused"
    store.append(claim, [event(run_id, 2)]).result(SOON)
    assert seqs(store, run_id) == [1, 2]


# --- a server that goes away


@pytest.fixture
def server():
    """A server that a test may stop."""
    if (absent := missing()) is not None:
        pytest.skip(absent)
    with running() as server:
        yield server


@contextlib.contextmanager
def log_on(url):
    with contextlib.closing(ak.open_log(url)) as log:
        yield log


@ak.tool
async def look_up(number: Annotated[int, Field(ge=0, le=1000)]) -> int:
    """Look up one record by its number. Returns what is in it.

    Args:
        number: the record's number, for example 7.
    """
    await asyncio.sleep(0.05)
    return number


def counting(calls):
    """An agent that looks up so many records, one after the other."""

    def think(request):
        done = sum(message.role == "tool" for message in request.messages)
        return call("look_up", number=done) if done < calls else f"{done} records"

    return ak.Agent("counter", FunctionModel(think), tools=[look_up])


def test_a_run_goes_on_when_the_server_comes_back(server):
    """What was not written waits and is written, once; nobody else could take the run."""
    with log_on(fresh_database(server)) as log:
        run = counting(20).run("go", log=log)
        until(lambda: run.state.tool_calls > 3)
        server.stop()
        time.sleep(0.5)
        server.start()
        assert run.result(60) == "20 records"
        assert [event.seq for event in log.store.read(run.run_id)] == list(range(1, run.state.seq + 1))


def test_a_server_that_stays_away_stops_the_run_and_loses_nothing(server, monkeypatch):
    """The error says where and what to do; afterwards the run is resumed, and has all its records."""
    monkeypatch.setattr(writer, "_PATIENCE", 0.5)
    monkeypatch.setattr(connections, "_PATIENCE", 1.0)
    agent = counting(8)
    with log_on(fresh_database(server)) as log:
        run = agent.run("go", log=log)
        until(lambda: run.state.tool_calls > 2)
        server.stop()
        with pytest.raises(LogUnwritable, match=r"127\.0\.0\.1.*resume the run"):
            run.result(60)
        server.start()
        until(lambda: log.store.holder(run.run_id) is None)
        again = ak.resume(run.run_id, log=log)
        assert again.result(60) == "8 records"
        state = again.state
    assert state.activation == 2
    assert [call.result for call in state.calls.values()] == list(range(8))


# --- opening


def test_the_url_shows_no_password_and_opens_the_same_log(postgres):
    """Within a process it is one store, until it is closed."""
    url = fresh_database(postgres).replace("postgres@", "postgres:secret@")
    with log_on(url) as log:
        assert "secret" not in f"{log.url} {log!r}"
        assert ak.open_log(url).store is log.store
        run_id = fill(log.store, 2)[0].run_id
    with log_on(log.url) as again:
        assert again.store is not log.store
        assert len(again.store.read(run_id)) == 2


def test_a_database_holds_several_logs(url):
    """Each in a schema of its own, whatever its name."""
    with log_on(f"{url}?schema=one") as one, log_on(f'{url}?schema=the%20"other"') as other:
        run_id = fill(one.store, 1)[0].run_id
        assert (len(one.store.read(run_id)), other.store.read(run_id)) == (1, [])
        assert one.store.answer(run_id, "a", answer("ann")) != other.store.answer(run_id, "a", answer("bob"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda url: url.rpartition("/")[0] + "/nowhere", "does not exist.*createdb"),
        (lambda url: url + "?schema=", "no name for a schema"),
        (lambda url: url + "?colour=red", "is no URL of a PostgreSQL database.*colour"),
        (lambda _: "postgresql://postgres@127.0.0.1:1/x", "see that the server is up"),
    ],
)
def test_a_log_that_cannot_be_opened_says_why(url, change, says):
    """The database, the server or the URL."""
    with pytest.raises((LogUnwritable, ConfigError), match=f"(?s){says}"):
        ak.open_log(change(url))


def test_a_role_that_may_not_make_the_log_is_told(postgres, url):
    """And one that may only use it can, once it is there."""
    role = f"reader_{new_id()[-12:]}"
    postgres.execute(f"CREATE ROLE {role} LOGIN")
    theirs = url.replace("postgres@", f"{role}@")
    with pytest.raises(LogUnwritable, match=r"permission denied.*grant"):
        ak.open_log(theirs)
    with log_on(url) as log:
        run_id = fill(log.store, 2)[0].run_id
    database = url.rpartition("/")[2]
    for sql in (
        f"GRANT USAGE ON SCHEMA agentkit TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA agentkit TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA agentkit TO {role}",
    ):
        postgres.execute(sql, database)
    with log_on(theirs) as log:
        store = log.store
        claim = store.claim(run_id)
        store.append(claim, [event(run_id, 3)]).result(SOON)
        assert seqs(store, run_id) == [1, 2, 3]


def test_tables_of_a_newer_agentkit_are_refused(postgres, url):
    """Nothing of them is touched."""
    with log_on(url):
        pass
    postgres.execute("UPDATE agentkit.meta SET version = 99", url.rpartition("/")[2])
    with pytest.raises(LogTooNew, match=r"version 99.*upgrade"):
        ak.open_log(url)


@pytest.fixture
def old(url, monkeypatch):
    """The URL of a log whose tables are of version 1, with a run in it."""
    with monkeypatch.context() as before:
        before.setattr(tables, "VERSION", 1)
        before.setattr(tables, "_MIGRATIONS", ())
        with log_on(url) as log:
            fill(log.store, 2)
    return url


def test_tables_of_an_older_agentkit_are_brought_up_to_date(postgres, old):
    """They get a queue, which whoever may write claims may use; the runs stay, and so do the rights of others."""
    database, role, reader = old.rpartition("/")[2], f"worker_{new_id()[-12:]}", f"reader_{new_id()[-12:]}"
    for sql in (
        f"CREATE ROLE {role} LOGIN",
        f"CREATE ROLE {reader} LOGIN",
        f"GRANT USAGE ON SCHEMA agentkit TO {role}, {reader}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA agentkit TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA agentkit TO {reader}",
    ):
        postgres.execute(sql, database)
    with log_on(old) as log:
        assert list(log.sql("SELECT events FROM runs")) == [(2,)]
    assert postgres.execute("SELECT version FROM agentkit.meta", database) == [(tables.VERSION,)]
    with log_on(old.replace("postgres@", f"{role}@")) as log:
        (run_id,) = put(log.store)
        assert take(log.store) == [run_id]
    with log_on(old.replace("postgres@", f"{reader}@")) as log, pytest.raises(LogUnwritable, match="permission denied"):
        put(log.store)


def test_a_role_that_may_not_bring_the_tables_up_to_date_is_told_who_may(postgres, old):
    """Nothing is changed by it."""
    database, role = old.rpartition("/")[2], f"worker_{new_id()[-12:]}"
    postgres.execute(f"CREATE ROLE {role} LOGIN", database)
    postgres.execute(f"GRANT USAGE ON SCHEMA agentkit TO {role}", database)
    postgres.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA agentkit TO {role}", database)
    with pytest.raises(LogUnwritable, match=r"version 1.*have the role that made the log open it once"):
        ak.open_log(old.replace("postgres@", f"{role}@"))
    assert postgres.execute("SELECT version FROM agentkit.meta", database) == [(1,)]


def test_processes_that_open_an_older_log_at_once_bring_it_up_to_date_once(old):
    """Each then has the queue."""
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: PostgresStore(Place.of(old)), range(4)))
    run_ids = [put(store)[0] for store in stores]
    assert take(stores[0]) == run_ids
    for store in stores:
        store.close()


def test_views_of_an_older_agentkit_are_made_anew(postgres, url):
    """Their columns may be others; the events stay."""
    with log_on(url) as log:
        fill(log.store, 2)
    database = url.rpartition("/")[2]
    for sql in (
        "DROP VIEW agentkit.runs",
        "CREATE VIEW agentkit.runs AS SELECT 1 AS old",
        "UPDATE agentkit.meta SET views = 'old'",
    ):
        postgres.execute(sql, database)
    with log_on(url):
        assert postgres.execute("SELECT count(*) FROM agentkit.runs", database) == [(1,)]
        assert postgres.execute("SELECT events FROM agentkit.runs", database) == [(2,)]


def test_without_psycopg_it_says_what_to_install(monkeypatch):
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'jupyter-agentkit\[postgres\]'"):
        ak.open_log("postgresql://postgres@127.0.0.1/x")
