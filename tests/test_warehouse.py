"""The DuckDB file of an embedded log: folded exactly once, whatever dies when and whoever else has the file."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit.errors import LogBusy, LogCorrupt, LogTooNew
from agentkit.events import Event, Note, RunStarted, RunSucceeded
from agentkit.ids import new_id
from agentkit.stores.embedded import duckfile, migrations, sidelock
from agentkit.stores.embedded.segment import seal
from agentkit.stores.embedded.warehouse import EMPTY, FAIL_POINTS, Warehouse


def events_of(run_id, first=1, count=3):
    """Events of a run as they would be recorded."""
    made = []
    for seq in range(first, first + count):
        body = RunStarted(kind="agent", definition_sha256="d") if seq == 1 else Note(text=f"note {seq} ü \u2028")
        made.append(Event(run_id=run_id, seq=seq, ts=datetime.now(UTC), name="a" if seq == 1 else None, body=body))
    return made


def write(folder, name, events, torn=b""):
    """A closed segment."""
    path = folder / "journal" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(seal(event.encode()) for event in events) + torn)
    return path


@pytest.fixture
def warehouse(tmp_path):
    found = Warehouse(tmp_path)
    yield found
    found.close()


def counted(warehouse):
    """How many events and how many different ones SQL sees."""
    return warehouse.query("SELECT count(*), count(DISTINCT CAST(run_id AS VARCHAR) || seq) FROM events", {})[0]


def python(code, **more):
    """Another process that runs some code."""
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, **more)


def holding(path, options=""):
    """Another program that has the file open until it is told to end."""
    program = python(f"""
        import duckdb, sys
        connection = duckdb.connect({str(path)!r}{options})
        print("open", flush=True)
        sys.stdin.read()
        connection.close()
    """, stdin=subprocess.PIPE)  # fmt: skip
    assert program.stdout.readline() == "open\n"
    return program


def let_go(program):
    program.stdin.close()
    program.wait(30)


def test_what_is_folded_is_read_back_equal(warehouse, tmp_path):
    """Fold and read change nothing: every column and the body's bytes are the same."""
    run_id = new_id()
    events = [
        *events_of(run_id),
        Event(
            run_id=run_id, seq=4, ts=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), step="tool/x/1", attempt=2,
            name="x", status="ok", duration_ms=0.1 + 0.2, input_tokens=2**40, output_tokens=0, cost_usd=1e-7,
            parent_run_id=new_id(), approval_id="ab", body=RunSucceeded(output={"b": [1, 2.50, "ü"], "a": None}),
        ),
    ]  # fmt: skip
    warehouse.fold([write(tmp_path, "p.1", events)])
    rows = warehouse.read(run_id)
    assert [Event.from_row(row) for row in rows] == events
    assert [row["body"] for row in rows] == [event.body_json().decode() for event in events]
    assert [row["seq"] for row in warehouse.read(run_id, after=1, until=3)] == [2, 3]
    assert warehouse.read(new_id()) == []


def _with_numbers(row):
    return {**row, "body": json.loads(row["body"], parse_int=float)}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "$b", "c d", "ü", '"']), inner),
    max_leaves=8,
), min_size=5), number=st.floats(0, 1e6))  # fmt: skip
def test_sql_sees_the_same_before_and_after_a_fold(warehouse, tmp_path, data, number):
    """A row from the journal and the same row from the table are equal, whatever JSON the body holds.

    Equal as JSON: DuckDB writes a number of the journal anew, 1e+16 as 10000000000000000.0.
    """
    run_id = new_id()
    body = Note(text="x", data=data)
    event = Event(run_id=run_id, seq=1, ts=datetime.now(UTC), duration_ms=number, cost_usd=number / 1e9, body=body)
    segment = write(tmp_path, f"p.{run_id}", [event])
    sql = "FROM events WHERE run_id = $run"
    hot = warehouse.query(sql, {"run": run_id})
    warehouse.fold([segment])
    segment.unlink()
    cold = warehouse.query(sql, {"run": run_id})
    assert [_with_numbers(row) for row in hot.dicts()] == [_with_numbers(row) for row in cold.dicts()]
    assert len(hot) == 1
    assert Event.from_row(warehouse.read(run_id)[0]) == event


def test_nothing_is_there_before_the_first_fold(warehouse):
    """A new log answers, and makes no file for it."""
    assert warehouse.read(new_id()) == []
    assert warehouse.ingested() == set()
    assert len(warehouse.query("FROM runs", {})) == 0
    assert warehouse.prune([new_id()]) == 0
    assert not (warehouse.folder / "log.duckdb").exists()


def test_a_segment_is_folded_once(warehouse, tmp_path):
    """Folding again what is folded adds nothing; the segment may go and SQL sees the same."""
    first, second = write(tmp_path, "p.1", events_of(new_id())), write(tmp_path, "p.2", events_of(new_id()))
    assert counted(warehouse) == (6, 6)
    assert warehouse.fold([first]) == ["p.1.jsonl"]
    assert counted(warehouse) == (6, 6)
    assert warehouse.fold([first, second]) == ["p.1.jsonl", "p.2.jsonl"]
    assert warehouse.fold([first, second]) == ["p.1.jsonl", "p.2.jsonl"]
    assert warehouse.ingested() == {"p.1.jsonl", "p.2.jsonl"}
    first.unlink()
    assert counted(warehouse) == (6, 6)


@pytest.mark.parametrize("point", FAIL_POINTS)
def test_a_killed_fold_loses_and_doubles_nothing(tmp_path, point):
    """kill -9 at every point of a fold: before the next fold and after it, each event is there once."""
    for i in range(3):
        write(tmp_path, f"p.{i}", events_of(new_id(), count=50))
    killed = python(f"""
        from pathlib import Path
        from agentkit.stores.embedded.warehouse import Warehouse
        from agentkit.testing.fail_points import FailPoints
        folder = Path({str(tmp_path)!r})
        with FailPoints({point!r}, action="kill"):
            Warehouse(folder).fold(sorted((folder / "journal").glob("*.jsonl")))
    """)  # fmt: skip
    assert killed.wait(60) == -9
    warehouse = Warehouse(tmp_path)
    assert counted(warehouse) == (150, 150)
    segments = sorted((tmp_path / "journal").glob("*.jsonl"))
    assert warehouse.fold(segments) == [path.name for path in segments]
    assert counted(warehouse) == (150, 150)
    for path in segments:
        path.unlink()
    assert counted(warehouse) == (150, 150)
    warehouse.close()


def test_a_torn_tail_is_left_out(warehouse, tmp_path):
    """The half line of a dead writer was never acknowledged: SQL does not see it, and a fold drops it."""
    line = seal(events_of(new_id())[0].encode())
    segment = write(tmp_path, "p.1", events_of(new_id()), torn=line[: len(line) // 2])
    assert counted(warehouse) == (3, 3)
    warehouse.fold([segment])
    assert counted(warehouse) == (3, 3)


def test_a_damaged_segment_is_not_folded(warehouse, tmp_path):
    """A damaged line in the middle is an error that names the file; nothing of that fold is recorded."""
    good = write(tmp_path, "p.1", events_of(new_id()))
    bad = write(tmp_path, "p.2", events_of(new_id()))
    bad.write_bytes(bad.read_bytes().replace(b"note 2", b"note X"))
    with pytest.raises(LogCorrupt, match=r"p\.2\.jsonl"):
        warehouse.fold([good, bad])
    assert warehouse.ingested() == set()
    assert warehouse.fold([good]) == ["p.1.jsonl"]


def test_a_foreign_writer_stops_folding_only(warehouse, tmp_path):
    """While another program keeps the file open: a fold says who, SQL answers from the journal and says so."""
    cold, hot = new_id(), new_id()
    folded = write(tmp_path, "p.1", events_of(cold))
    warehouse.fold([folded])
    folded.unlink()
    segment = write(tmp_path, "p.2", events_of(hot))
    program = holding(tmp_path / "log.duckdb")
    with pytest.raises(LogBusy, match=str(program.pid)):
        warehouse.fold([segment])
    with pytest.raises(LogBusy, match="Close it there"):
        warehouse.read(cold)
    with pytest.warns(RuntimeWarning, match="not folded yet"):
        rows = warehouse.query("SELECT DISTINCT run_id FROM events", {})
    assert list(rows) == [(hot,)]
    assert str(program.pid) in rows.note
    let_go(program)
    assert counted(warehouse) == (6, 6)
    assert warehouse.query("FROM runs", {}).note is None
    assert warehouse.fold([segment]) == ["p.2.jsonl"]


def test_a_foreign_reader_does_not_stop_reading(warehouse, tmp_path):
    """A tool that opened the file read-only stops a fold; reading and SQL go on over all of it."""
    warehouse.fold([write(tmp_path, "p.1", events_of(new_id()))])
    segment = write(tmp_path, "p.2", events_of(new_id()))
    program = holding(tmp_path / "log.duckdb", ", read_only=True")
    with pytest.raises(LogBusy):
        warehouse.fold([segment])
    assert counted(warehouse) == (6, 6)
    let_go(program)


def test_a_short_lock_is_waited_for(warehouse, tmp_path):
    """A tool that has the file for a moment is not noticed by a reader."""
    run_id = new_id()
    warehouse.fold([write(tmp_path, "p.1", events_of(run_id))])
    program = holding(tmp_path / "log.duckdb")
    threading.Timer(0.1, let_go, [program]).start()
    assert len(warehouse.read(run_id)) == 3


def test_plain_duckdb_reads_the_views(warehouse, tmp_path):
    """The file opened by DuckDB alone has the views over folded and live events, after the folder was moved too."""
    old = tmp_path / "old"
    old.mkdir()
    moved = tmp_path / "a [new] 'place'*"
    before = Warehouse(old)
    before.fold([write(old, "p.1", events_of(new_id()))])
    before.close()
    old.rename(moved)
    after = Warehouse(moved)
    write(moved, "p.2", events_of(new_id()))
    assert counted(after) == (6, 6)
    after.close()
    program = python(f"""
        import duckdb
        connection = duckdb.connect({str(moved / "log.duckdb")!r}, read_only=True)
        print(connection.execute("SELECT count(*), sum(events) FROM runs").fetchall())
        print(connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall())
    """)  # fmt: skip
    out, _ = program.communicate(timeout=60)
    assert out.splitlines()[0] == "[(2, 6)]"
    assert "tool_calls" in out


def test_queries_see_each_event_once_while_folds_go_on(warehouse, tmp_path):
    """Whatever moment a query falls on, between fold and unlink too, it sees every event exactly once."""
    for i in range(4):
        write(tmp_path, f"p.0{i}", events_of(new_id()))
    stop, wrong = threading.Event(), []

    def ask():
        other = Warehouse(tmp_path)
        while not stop.is_set():
            seen = counted(other)
            if seen != (12, 12):
                wrong.append(seen)
            time.sleep(0.005)
        other.close()

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    done = []
    for path in sorted((tmp_path / "journal").glob("*.jsonl")):
        for name in done:
            (tmp_path / "journal" / name).unlink(missing_ok=True)
        done = warehouse.fold([path])
        time.sleep(0.05)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_two_processes_query_and_fold(warehouse, tmp_path):
    """Another process's queries never fail while this one folds, and this one's folds get their turn."""
    write(tmp_path, "p.0", events_of(new_id()))
    warehouse.fold([tmp_path / "journal" / "p.0.jsonl"])
    reader = python(f"""
        import time, warnings
        from pathlib import Path
        from agentkit.stores.embedded.warehouse import Warehouse
        warnings.simplefilter("error")
        warehouse = Warehouse(Path({str(tmp_path)!r}))
        print("ready", flush=True)
        end, last = time.monotonic() + 1, 0
        while time.monotonic() < end:
            [(n, d)] = warehouse.query("SELECT count(*), count(DISTINCT run_id::VARCHAR || seq) FROM events", {{}})
            assert n == d and n >= last, (n, d, last)
            last = n
            time.sleep(0.005)
        print("fine")
    """)  # fmt: skip
    assert reader.stdout.readline() == "ready\n"
    i = 0
    while reader.poll() is None:
        i += 1
        warehouse.fold([write(tmp_path, f"p.{i}", events_of(new_id()))])
    assert reader.stdout.read() == "fine\n"
    assert i > 3
    assert counted(warehouse) == (3 * i + 3, 3 * i + 3)


def test_prune_removes_runs(warehouse, tmp_path):
    """Only the named runs go."""
    kept, gone = new_id(), new_id()
    warehouse.fold([write(tmp_path, "p.1", [*events_of(kept), *events_of(gone, count=5)])])
    assert warehouse.prune([gone, new_id()]) == 5
    assert warehouse.read(gone) == []
    assert counted(warehouse) == (3, 3)


def test_an_old_file_is_migrated(tmp_path, monkeypatch):
    """A file of version 1, made by its own statements, is brought to the next version by the first who opens it."""
    run_id = new_id()
    segment = write(tmp_path, "p.1", events_of(run_id))
    connection = duckdb.connect(str(tmp_path / "log.duckdb"))
    connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL, applied_at TIMESTAMPTZ DEFAULT now())")
    connection.execute(migrations.MIGRATIONS[0])
    connection.execute("INSERT INTO schema_version (version) VALUES (1)")
    connection.execute(
        "INSERT INTO events_cold (run_id, seq, ts, type, body, schema_version) "
        f"VALUES ('{run_id}', 1, now(), 'note', '{{\"text\":\"x\"}}', 1)"
    )
    connection.close()
    second = "ALTER TABLE events_cold ADD COLUMN shard INTEGER DEFAULT 7; CREATE TABLE later (i INTEGER)"
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, second))
    warehouse = Warehouse(tmp_path)
    assert len(warehouse.read(run_id)) == 1  # a reader migrates too
    assert warehouse.query("SELECT shard FROM log.events_cold", {})[0] == (7,)
    assert list(warehouse.query("SELECT version FROM log.schema_version ORDER BY 1", {})) == [(1,), (2,)]
    assert segment.exists()
    warehouse.close()


def test_a_newer_file_is_refused(warehouse, tmp_path, monkeypatch):
    """A file that a newer agentkit wrote says what to do, and is left as it is."""
    segment = write(tmp_path, "p.1", events_of(new_id()))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, "CREATE TABLE later (i INTEGER)"))
    warehouse.fold([segment])
    monkeypatch.undo()
    for use in (
        lambda: warehouse.fold([segment]),
        lambda: warehouse.read(new_id()),
        lambda: warehouse.query("FROM runs", {}),
    ):
        with pytest.raises(LogTooNew, match="upgrade"):
            use()


def test_the_file_is_readable_by_duckdb_1_5(warehouse, tmp_path):
    """The storage version stays at 1.5, so that the tools people have can open it."""
    warehouse.fold([])
    with warehouse._file.reading() as connection:
        [(tags,)] = connection.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'log'").fetchall()
    assert tags["storage_version"].startswith("v1.5.0")


def test_the_file_is_held_only_while_it_is_used(warehouse, tmp_path):
    """After a fold and a query any other program can open the file for writing."""
    warehouse.fold([write(tmp_path, "p.1", events_of(new_id()))])
    counted(warehouse)
    program = holding(tmp_path / "log.duckdb")
    let_go(program)
    assert program.returncode == 0


def test_an_error_leaves_the_warehouse_usable(warehouse, tmp_path, monkeypatch):
    """A fold that fails half-way is rolled back and can be done again by the same process."""
    segment = write(tmp_path, "p.1", events_of(new_id()))

    def fail(name):
        if name == "fold.inserted":
            raise OSError("disk full")

    monkeypatch.setattr("agentkit.failpoints._handler", fail)
    with pytest.raises(OSError, match="disk full"):
        warehouse.fold([segment])
    monkeypatch.undo()
    assert counted(warehouse) == (3, 3)
    assert warehouse.fold([segment]) == ["p.1.jsonl"]
    assert counted(warehouse) == (3, 3)


def test_the_pattern_always_matches(warehouse, tmp_path):
    """read_json needs a file: the empty one is made anew, and is no segment."""
    warehouse.fold([])
    (tmp_path / "journal" / EMPTY).unlink()
    assert counted(warehouse) == (0, 0)
    assert list((tmp_path / "journal").glob("*.jsonl")) == []


def test_a_large_body_stays_a_reference(warehouse, tmp_path):
    """SQL shows a body that lies beside the log as its reference."""
    event = events_of(new_id(), first=2, count=1)[0]
    line = event.encode().replace(event.body_json(), b'{"$blob":"ab12"}')
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "p.1.jsonl").write_bytes(seal(line))
    assert warehouse.query("SELECT body->>'$.\"$blob\"' AS blob FROM events", {})[0] == ("ab12",)
    warehouse.fold([tmp_path / "journal" / "p.1.jsonl"])
    assert warehouse.query("SELECT body->>'$.\"$blob\"' AS blob FROM events", {})[0] == ("ab12",)


def test_readers_share_and_a_writer_is_alone(tmp_path):
    """The side lock: readers together, a writer alone, between threads of one process too."""
    path = tmp_path / "lock"
    reader, other = sidelock.hold(path, shared=True, timeout=0), sidelock.hold(path, shared=True, timeout=0)
    with reader, other, pytest.raises(LogBusy), sidelock.hold(path, shared=False, timeout=0.01):
        pass
    writer = sidelock.hold(path, shared=False, timeout=0)
    with writer, pytest.raises(LogBusy), sidelock.hold(path, shared=True, timeout=0):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_keeps_no_lock(tmp_path):
    """A child that is forked while the parent holds the lock does not keep it when the parent gives it back."""
    path = tmp_path / "lock"
    with sidelock.hold(path, shared=False, timeout=0):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        with sidelock.hold(path, shared=False, timeout=5):
            pass
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_queries(warehouse, tmp_path):
    """A child that is forked after its parent queried makes its own DuckDB and reads the same log."""
    warehouse.fold([write(tmp_path, "p.1", events_of(new_id()))])
    assert counted(warehouse) == (3, 3)
    child = os.fork()
    if child == 0:
        os._exit(counted(warehouse)[0])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert counted(warehouse) == (3, 3)


def test_duckdbs_messages_become_the_logs():
    """Each way the file can fail has its own error that says what to do."""
    path = "log.duckdb"
    busy = duckfile._as_log_error(path, 'IO Error: Could not set lock on file "x": Conflicting lock is held in (PID 1)')
    assert isinstance(busy, LogBusy)
    newer = duckfile._as_log_error(
        path, "Trying to read a database file with version number 99, but we can only read 69"
    )
    assert isinstance(newer, LogTooNew)
