"""What the disk does to a log: full, failing, read-only, damaged. Nothing is acknowledged that is not there."""

import contextlib
import errno
import json
import os
import subprocess

import pytest

from agentkit.errors import LogCorrupt, LogTooNew, LogUnwritable
from agentkit.events import Note
from agentkit.ids import new_id
from agentkit.stores.embedded import EmbeddedStore, blobs, open_store, writer
from agentkit.stores.embedded.segment import read_segment
from agentkit.testing import FailPoints
from agentkit.testing.queue_contract import put, take
from agentkit.testing.store_contract import answer, event, fill


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def store(folder):
    with contextlib.closing(EmbeddedStore(folder)) as store:
        yield store


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    path = tmp_path / "small"
    path.mkdir()
    with _mounted(path, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        yield path


@contextlib.contextmanager
def _mounted(path, *options):
    if subprocess.run(["mount", *options, path], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def failing(number):
    """What a system call raises."""

    def fail():
        raise OSError(number, os.strerror(number))

    return fail


def segments(store):
    return sorted((store._folder / "journal").glob("*.*.jsonl"))


def append(store, claim, count=1, text=""):
    events = [event(claim.run_id, claim.head + 1 + n, Note(text=text)) for n in range(count)]
    store.append(claim, events).result(timeout=30)


def seqs(store, run_id):
    return [found.seq for found in store.read(run_id)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("point", [point for point in writer.FAIL_POINTS if point != "segment.closed"])
def test_a_failed_write_breaks_its_claim_and_no_other(store, point, number):
    """The future says what to do, later appends fail at once, and the run goes on where the acknowledged end is."""
    claim, other = store.claim(new_id(), new=True), store.claim(new_id(), new=True)
    append(store, claim)
    if point in {"segment.created", "segment.locked", "segment.renamed", "segment.placed"}:
        store._journal.close_segment()
    with FailPoints(point, action=failing(number)):
        future = store.append(claim, [event(claim.run_id, 2)])
        with pytest.raises(LogUnwritable, match=r"resume the run"):
            future.result(timeout=30)
    with pytest.raises(LogUnwritable):
        store.append(claim, [event(claim.run_id, 3)], durable=False).result(timeout=0)
    append(store, other, 2)
    assert seqs(store, other.run_id) == [1, 2]
    store.release(claim)
    again = store.claim(claim.run_id)
    assert again.head == 1
    append(store, again)
    store.fold()
    assert seqs(store, claim.run_id) == [1, 2]
    assert store.query("SELECT count(*) FROM events", {})[0] == (4,)


def test_a_full_disk(small_disk):
    """What was acknowledged is there, and when there is space again the run goes on."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 600_000)
    with contextlib.closing(EmbeddedStore(small_disk / "log")) as store:
        claim = store.claim(new_id(), new=True)
        with pytest.raises(LogUnwritable, match="disk is full; free some space"):
            while True:
                append(store, claim, text="y" * 3000)
                assert len(segments(store)) == 1
        acked = claim.head - 1
        assert acked > 10
        store.release(claim)
        with pytest.raises(LogUnwritable, match="disk is full"):
            store.answer(claim.run_id, "a1", answer("ann", comment="z" * 5000))
        ballast.unlink()
        again = store.claim(claim.run_id)
        assert again.head == acked
        append(store, again, 3)
        assert seqs(store, claim.run_id) == list(range(1, acked + 4))
        assert store.answers(claim.run_id) == {}
        store._upkeep.stop()


def test_a_read_only_log_can_be_read(store, folder, tmp_path):
    """Its runs are there; a claim says what is wrong."""
    events = fill(store, 3)
    store.close()
    readable = tmp_path / "readable"
    readable.mkdir()
    with _mounted(readable, "--bind", "-o", "ro", folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", readable], check=True)
        with contextlib.closing(EmbeddedStore(readable)) as found:
            assert found.read(events[0].run_id) == events
            with pytest.raises(LogUnwritable, match="read-only"):
                found.claim(new_id(), new=True)
            with pytest.raises(LogUnwritable, match="read-only"):
                found.answer(events[0].run_id, "a1", answer("ann"))
        with pytest.raises(LogUnwritable, match="read-only"):
            EmbeddedStore(readable / "journal" / "new")


@pytest.mark.parametrize("runs", [0, 2])
def test_a_read_only_log_has_a_queue_that_says_so(store, folder, tmp_path, runs):
    """One that never had a run is empty, and that can be seen without writing."""
    run_ids = put(store, runs)
    store.close()
    readable = tmp_path / "readable"
    readable.mkdir()
    with _mounted(readable, "--bind", "-o", "ro", folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", readable], check=True)
        with contextlib.closing(EmbeddedStore(readable)) as found:
            if runs == 0:
                assert take(found) == []
                assert found.queue.wake(new_id()) is False
                found.queue.remove(new_id())
            for call in (
                lambda: put(found),
                *([lambda: take(found), lambda: found.queue.wake(run_ids[0])] * bool(runs)),
            ):
                with pytest.raises(LogUnwritable, match="read-only"):
                    call()
    assert not runs or len(list((folder / "queue" / "ready").glob("*/*"))) == runs


def test_a_full_disk_takes_no_more_runs_and_loses_none(small_disk):
    """What was put is there, what was not is not there by half; and a run that is taken can be put back."""
    ballast = small_disk / "ballast"
    with contextlib.closing(EmbeddedStore(small_disk / "log")) as store:
        run_ids = put(store, 3)
        assert take(store, 2) == run_ids[:2]
        with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(LogUnwritable, match="disk is full; free some space"):
            put(store)
        store.queue.put_back(run_ids[0], after=0)
        assert take(store) == [run_ids[0], run_ids[2]]
        ballast.unlink()
        run_ids += put(store)
        assert take(store) == run_ids[3:]
        store.queue.put_back(run_ids[1], after=0)
        assert take(store) == [run_ids[1]]


def test_a_file_is_no_log(tmp_path):
    """Said at open."""
    (tmp_path / "log").write_text("")
    with pytest.raises(LogUnwritable, match="is a file"):
        open_store(str(tmp_path / "log"))
    with pytest.raises(LogUnwritable, match="cannot be written"):
        open_store(str(tmp_path / "log" / "deeper"))


@pytest.mark.parametrize("content", ['{"schema_version": 99}', "{}", "not json"])
def test_a_newer_log_is_not_opened(store, folder, content):
    """Said at open."""
    store.close()
    (folder / "format.json").write_text(content)
    with pytest.raises(LogTooNew, match="schema version"):
        EmbeddedStore(folder)


def test_a_new_folder_keeps_itself_out_of_git(store, folder):
    """And says which format it has."""
    assert (folder / ".gitignore").read_text() == "*\n"
    assert json.loads((folder / "format.json").read_text()) == {"schema_version": 1}


@pytest.mark.parametrize("tail", [b'{"run_id":"', b"\0" * 4096, b"garbage\n", b"garbage"])
@pytest.mark.parametrize("folded", [False, True])
def test_a_torn_tail_of_a_dead_writer_is_dropped(store, folder, tail, folded):
    """It was never acknowledged: the run goes on from the line before it."""
    run_id = fill(store, 3)[0].run_id
    store.close()
    with segments(store)[0].open("ab") as file:
        file.write(tail)
    with contextlib.closing(EmbeddedStore(folder)) as found:
        if folded:
            found.fold()
            found.fold()
            assert segments(found) == []
        assert seqs(found, run_id) == [1, 2, 3]
        claim = found.claim(run_id)
        append(found, claim)
        assert seqs(found, run_id) == [1, 2, 3, 4]
        assert found.query("SELECT count(*) FROM events", {})[0] == (4,)


@pytest.mark.parametrize("at", ["run_id", "seq", "body", "crc", "newline"])
def test_damage_in_the_middle_names_file_and_offset(store, folder, at):
    """The runs it touches cannot be read or claimed; others can, and are folded."""
    run_id = fill(store, 4)[0].run_id
    store._journal.close_segment()
    other = fill(store, 4)
    store.close()
    (path,) = [path for path in segments(store) if read_segment(path)[0]["run_id"] == run_id]
    data = bytearray(path.read_bytes())
    offset = data.index(b"\n") + 1
    places = {"run_id": b'{"run_id":"', "seq": b'"seq":', "body": b'"text":"', "crc": b'"crc":"'}
    where = data.index(b"\n", offset) if at == "newline" else data.index(places[at], offset) + len(places[at])
    data[where] ^= 0x01
    path.write_bytes(data)
    with contextlib.closing(EmbeddedStore(folder)) as found:
        for attempt in (found.read, found.claim, found.read):
            with pytest.raises(LogCorrupt):
                attempt(run_id)
        assert found.holder(run_id) is None
        with pytest.raises(LogCorrupt, match=f"{path.name}: the line at byte {offset}"):
            read_segment(path)
        assert found.read(other[0].run_id) == other
        assert found.fold()
        assert found.fold()
        assert segments(found) == [path]
        assert found.read(other[0].run_id) == other


def test_sql_says_that_a_line_is_damaged(store, folder):
    """It verifies no checksum: what it shows may be wrong, and is no less shown."""
    run_id = fill(store, 3)[0].run_id
    store.close()
    [path] = segments(store)
    path.write_bytes(path.read_bytes().replace(b'"text":"', b'"text":"?', 1))
    with contextlib.closing(EmbeddedStore(folder)) as store:
        with pytest.warns(RuntimeWarning, match=rf"{path.name}: the line at byte \d+ does not match its checksum"):
            rows = store.query("SELECT count(*) AS events FROM events", {})
        assert rows.rows == [(3,)]
        assert "damaged" in rows.note
        with pytest.raises(LogCorrupt):
            store.read(run_id)


def test_a_missing_event_is_said(store, folder):
    """A line that was taken out is a gap, and a gap is an error."""
    run_id = fill(store, 4)[0].run_id
    store.close()
    (path,) = segments(store)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    with (
        contextlib.closing(EmbeddedStore(folder)) as found,
        pytest.raises(LogCorrupt, match=f"event 2 of run {run_id} is missing"),
    ):
        found.read(run_id)


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_damaged_large_body_is_said(store, damage):
    """Its file's name is its checksum."""
    claim = store.claim(new_id(), new=True)
    append(store, claim, text="x" * (blobs.LIMIT + 1))
    (path,) = [path for path in (store._folder / "blobs").iterdir() if not path.name.startswith(".")]
    if damage == "removed":
        path.unlink()
    else:
        path.write_text("{}")
    with pytest.raises(LogCorrupt, match=path.name):
        store.read(claim.run_id)


def test_large_bodies_go_with_the_last_run_that_needs_them(store):
    """Two runs that hold the same body share its file."""
    run_ids = [new_id(), new_id()]
    for run_id in run_ids:
        claim = store.claim(run_id, new=True)
        append(store, claim, text="x" * (blobs.LIMIT + 1))
        store.release(claim)
    files = lambda: [path for path in (store._folder / "blobs").iterdir() if not path.name.startswith(".")]
    assert len(files()) == 1
    assert store.prune(run_ids[:1]) == 1
    assert len(files()) == 1
    assert len(store.read(run_ids[1])[0].body.text) == blobs.LIMIT + 1
    assert store.prune(run_ids[1:]) == 1
    assert files() == []


def test_a_segment_is_closed_when_it_is_large(store):
    """At about a megabyte; the run goes on in the next."""
    claim = store.claim(new_id(), new=True)
    for _ in range(25):
        append(store, claim, text="x" * 100_000)
    assert len(segments(store)) == 3
    assert len(store.read(claim.run_id)) == 25


def test_an_idle_segment_is_closed_and_folded(store, monkeypatch):
    """In the background, when this process executes nothing."""
    import time

    from agentkit.stores.embedded import upkeep

    monkeypatch.setattr(upkeep, "_TICK", 0.02)
    monkeypatch.setattr(upkeep, "_IDLE", 0.05)
    events = fill(store, 3)
    deadline = time.monotonic() + 20
    while not (store._folder / "log.duckdb").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert store._journal.idle() is None
    assert store.read(events[0].run_id) == events
