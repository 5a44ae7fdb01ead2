"""A team's log when things go wrong around it: Ctrl-C, a server that only reads, views that somebody built on."""

import contextlib
import os
import signal
import threading
import time

import pytest
from postgres_server import fresh_database, missing, running

import agentkit as ak
from agentkit.errors import LogUnwritable
from agentkit.ids import new_id
from agentkit.stores.embedded import EmbeddedStore
from agentkit.stores.postgres import PostgresStore, connections, presence, writer
from agentkit.stores.postgres.connections import Place
from agentkit.testing import ScriptedModel
from agentkit.testing.fail_points import blocked_at
from agentkit.testing.store_contract import event, fill

SOON = 20


@pytest.fixture
def server():
    """A server that a test may change."""
    if (absent := missing()) is not None:
        pytest.skip(absent)
    with running() as server:
        yield server


@pytest.fixture(params=["postgresql", "folder"])
def store_and_point(request, tmp_path):
    """Each store that writes in a thread of its own, and where that thread is on its way."""
    if request.param == "folder":
        store, point = EmbeddedStore(tmp_path / "log"), "segment.awaited"
    else:
        store = PostgresStore(Place.of(fresh_database(request.getfixturevalue("postgres"))))
        point = "postgres.sending"
    with contextlib.closing(store):
        yield store, point


def test_an_interrupted_query_loses_nothing_of_the_runs_beside_it(store_and_point):
    """Ctrl-C ends the wait for what others appended, and not its way to the disk."""
    store, point = store_and_point
    runs = [fill(store, 1)[0].run_id for _ in range(2)]
    claims = [store.claim(run_id) for run_id in runs]
    for claim in claims:
        store.append(claim, [event(claim.run_id, 2), event(claim.run_id, 3)], durable=False)
    with blocked_at(point) as (there, go_on):
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            store.query("SELECT 1", {})
        assert there.is_set(), "it was not under way"
        go_on.set()
    for claim in claims:
        store.append(claim, [event(claim.run_id, 4)]).result(SOON)
    assert [[found.seq for found in store.read(run_id)] for run_id in runs] == [[1, 2, 3, 4], [1, 2, 3, 4]]


def test_a_server_that_only_reads_for_a_while_stops_nothing(server):
    """As while it hands over to another: the append waits, and so does a claim that is given back."""
    with contextlib.closing(PostgresStore(Place.of(fresh_database(server)))) as store:
        run_id = fill(store, 1)[0].run_id
        claim = store.claim(run_id)
        read_only(server, "on")
        appended = store.append(claim, [event(run_id, 2)])
        time.sleep(0.5)
        assert not appended.done()
        read_only(server, "off")
        appended.result(SOON)
        store.release(claim)
        assert store.claim(run_id).head == 2


def read_only(server, how):
    """Have new connections read only, or not; those that are there are closed."""
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {how}")
    server.execute("SELECT pg_reload_conf()")
    time.sleep(0.2)
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agentkit'")


def test_a_claim_that_could_not_be_given_back_is_when_the_server_is_there_again(server, monkeypatch):
    """The process lives, so nobody else could take the run."""
    monkeypatch.setattr(writer, "_PATIENCE", 0.2)
    monkeypatch.setattr(connections, "_PATIENCE", 1.0)
    place = Place.of(fresh_database(server))
    with contextlib.closing(PostgresStore(place)) as store, contextlib.closing(PostgresStore(place)) as other:
        run_id = fill(store, 1)[0].run_id
        claim = store.claim(run_id)
        server.stop()
        store.release(claim)
        server.start()
        end = time.monotonic() + SOON
        while store.holder(run_id) is not None:
            assert time.monotonic() < end, "it is still held"
            time.sleep(0.05)
        assert other.claim(run_id).head == 1


def test_a_grade_that_is_not_written_is_not_said_to_be(server, monkeypatch):
    """Whoever judges a run is told that the log does not have it."""
    monkeypatch.setattr(writer, "_PATIENCE", 0.2)
    monkeypatch.setattr(connections, "_PATIENCE", 1.0)
    monkeypatch.setattr(presence, "_PATIENCE", 1.0)
    with contextlib.closing(ak.open_log(fresh_database(server))) as log:
        run = ak.Agent("talker", ScriptedModel(["ok"])).run("hi", log=log)
        run.result(SOON)
        server.stop()
        with pytest.raises(LogUnwritable):
            run.grade("good")
        server.start()


def test_a_lone_connection_that_is_closed_costs_nobody_a_run(postgres):
    """A process that is seen gets a moment to come back, before others may take what it has."""
    place = Place.of(fresh_database(postgres))
    with contextlib.closing(PostgresStore(place)) as store, contextlib.closing(PostgresStore(place)) as other:
        run_id = new_id()
        claim = store.claim(run_id, new=True)
        store.append(claim, [event(run_id, 1)]).result(SOON)
        database = place.conninfo.rpartition("/")[2]
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE application_name = 'agentkit' AND datname = '{database}'"
        )
        for _ in range(20):
            assert other.holder(run_id) is not None
            time.sleep(0.05)
        store.append(claim, [event(run_id, 2)]).result(SOON)
        assert len(other.read(run_id)) == 2


def test_views_that_are_made_anew_keep_their_readers(postgres):
    """A role that could read them still can; one who built a view on ours keeps us from nothing."""
    url = fresh_database(postgres)
    database, role = url.rpartition("/")[2], f"reader_{new_id()[-12:]}"
    with contextlib.closing(ak.open_log(url)) as log:
        fill(log.store, 2)
    for sql in (
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA agentkit TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA agentkit TO {role}",
        "UPDATE agentkit.meta SET views = 'old'",
    ):
        postgres.execute(sql, database)
    theirs = url.replace("postgres@", f"{role}@")
    for who in (theirs, url, theirs):  # they may not remake the views, and use the old ones; then ours are there
        with contextlib.closing(ak.open_log(who)) as log:
            assert list(log.sql("SELECT events FROM runs")) == [(2,)]
    postgres.execute("CREATE VIEW agentkit.ours AS SELECT name FROM agentkit.runs", database)
    postgres.execute("UPDATE agentkit.meta SET views = 'old'", database)
    with contextlib.closing(ak.open_log(url)) as log:
        assert list(log.sql("SELECT count(*) FROM ours")) == [(1,)]


def test_a_url_keeps_what_libpq_reads_in_it(postgres):
    """Spaces, signs, and a setting of the server's."""
    url = fresh_database(postgres) + "?options=-c%20statement_timeout%3D1234%20-c%20work_mem%3D5MB"
    with contextlib.closing(ak.open_log(url)) as log:
        assert list(log.sql("SHOW statement_timeout")) == [("1234ms",)]
        assert list(log.sql("SHOW work_mem")) == [("5MB",)]
