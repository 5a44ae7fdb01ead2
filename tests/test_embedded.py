"""The embedded log's parts by themselves: how fast, how light, and how a process leaves it."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentkit import failpoints
from agentkit.errors import LogBusy, LogUnwritable
from agentkit.events import Note
from agentkit.ids import new_id
from agentkit.stores.embedded import EmbeddedStore, journal, locks, segment
from agentkit.stores.embedded.lease import Leases
from agentkit.testing.store_contract import event, fill


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def store(folder):
    with contextlib.closing(EmbeddedStore(folder)) as store:
        yield store


def test_a_line_is_json_with_a_checksum_at_its_end():
    """`row` gives back what was sealed; a changed bit or a missing byte is seen."""
    original = event(new_id(), 1, Note(text='},"body":{"crc":"', data=["\n", {"schema_version": 2}]), step="a/b")
    line = segment.seal(original.encode())
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert segment.is_sound(line)
    assert type(original).from_row(segment.row(line)) == original
    assert segment.key(line) == (original.run_id, 1)
    for place in range(len(line)):
        changed = bytearray(line)
        changed[place] ^= 0x02
        assert not segment.is_sound(bytes(changed))
        assert not segment.is_sound(line[:place])


@pytest.mark.parametrize("flag", [True, False])
def test_a_durable_write_works_where_linux_does_not_know_the_flag(tmp_path, monkeypatch, flag):
    """gVisor and old kernels refuse it; the two calls do the same."""

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    if flag:
        monkeypatch.setattr(os, "pwritev", refuse)
    else:
        monkeypatch.delattr(os, "RWF_DSYNC")
    fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(3):
        locks.write_durably(fd, b"line\n")
    os.close(fd)
    assert (tmp_path / "file").read_bytes() == b"line\n" * 3


def test_a_file_lock_keeps_threads_and_descriptors_apart(tmp_path):
    """Within the process and, by another descriptor, as from outside of it."""
    one, two = locks.FileLock(tmp_path / "lock"), locks.FileLock(tmp_path / "lock")
    with one.hold(timeout=0):
        with pytest.raises(LogBusy), two.hold(timeout=0.01):
            pass
        with ThreadPoolExecutor(1) as pool, pytest.raises(LogBusy):
            pool.submit(lambda: one.hold(timeout=0.01).__enter__()).result()
    with two.hold(timeout=0):
        pass


def test_what_dead_processes_left_is_swept(store, folder):
    """Their leases, their liveness files and what they began to write; the living keep theirs."""
    claim = store.claim(new_id(), new=True)
    other = EmbeddedStore(folder)
    theirs = other.claim(new_id(), new=True)
    dead = Leases(folder / "lease", "1-dead")
    dead.take(new_id())
    dead.forget()
    (folder / "journal" / ".1-dead.5.tmp").touch()
    (folder / "journal" / "1-dead.5.jsonl").touch()
    (folder / "journal" / f".{other.process}.5.tmp").touch()
    store._leases.sweep()
    store._folding.sweep(store._leases.lives)
    assert {path.name for path in (folder / "lease").iterdir() if path.name != ".lock"} == {
        claim.run_id,
        theirs.run_id,
        f"{store.process}.alive",
        f"{other.process}.alive",
    }
    assert [path.name for path in (folder / "journal").iterdir()] == [f".{other.process}.5.tmp"]
    other.close()


def test_appends_of_one_moment_share_a_sync(store):
    """A thousand runs of one event loop, a handful of writes; every future ends in its loop."""
    claims = [store.claim(new_id(), new=True) for _ in range(1000)]
    syncs = []
    failpoints.arm(lambda name: syncs.append(name) if name == "segment.written" else None)

    async def main():
        futures = [asyncio.wrap_future(store.append(claim, [event(claim.run_id, 1)])) for claim in claims]
        await asyncio.wait_for(asyncio.gather(*futures), 30)

    try:
        asyncio.run(main())
    finally:
        failpoints.arm(None)
    assert len(syncs) < 200
    assert all(len(store.read(claim.run_id)) == 1 for claim in claims[::100])


def test_a_lone_run_is_written_for_where_it_appends(store, monkeypatch):
    """Without another run, and on a quick disk, no thread is woken; else the committer writes."""
    claim = store.claim(new_id(), new=True)
    writers = []
    failpoints.arm(lambda name: writers.append(threading.current_thread().name) if name == "segment.written" else None)
    try:
        assert store.append(claim, [event(claim.run_id, 1)]).done()
        monkeypatch.setattr(journal, "_QUICK", 0.0)
        store.append(claim, [event(claim.run_id, 2)]).result(timeout=10)
        monkeypatch.undo()
        store.claim(new_id(), new=True)
        store.append(claim, [event(claim.run_id, 3)]).result(timeout=10)
    finally:
        failpoints.arm(None)
    assert writers == [threading.current_thread().name, "agentkit-journal", "agentkit-journal"]


def test_an_append_can_be_waited_for_in_its_own_event_loop(store):
    """In a notebook the main thread has a loop: blocking in it must not wait for that loop."""
    claim = store.claim(new_id(), new=True)

    async def main():
        futures = [store.append(claim, [event(claim.run_id, seq)]) for seq in range(1, 50)]
        for future in futures:
            future.result(timeout=10)

    asyncio.run(main())
    assert len(store.read(claim.run_id)) == 49


def test_a_waiter_that_gives_up_cancels_nothing(store):
    """What was appended is written, whoever waits for it."""
    claim = store.claim(new_id(), new=True)
    store.claim(new_id(), new=True)  # of two runs, none is written for in its caller's thread
    there, go_on = threading.Event(), threading.Event()

    def stop(name):
        if name == "segment.awaited":
            there.set()
            go_on.wait(10)

    async def main():
        failpoints.arm(stop)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(store.append(claim, [event(claim.run_id, 1)])), 0.05)

    try:
        asyncio.run(main())
        assert there.wait(10)
    finally:
        go_on.set()
        failpoints.arm(None)
    store.append(claim, [event(claim.run_id, 2)]).result(timeout=10)
    assert len(store.read(claim.run_id)) == 2


def test_a_script_that_just_ends_loses_nothing(folder):
    """Not even what was not durable: the log is closed at exit, and the next one takes its run up."""
    run_id = new_id()
    script = f"""
from agentkit.stores.embedded import open_store
from agentkit.testing.store_contract import event
store = open_store({str(folder)!r})
claim = store.claim({run_id!r}, new=True)
store.append(claim, [event({run_id!r}, 1)], durable=False)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    with contextlib.closing(EmbeddedStore(folder)) as store:
        assert store.holder(run_id) is None
        assert store.claim(run_id).head == 1


def test_a_log_whose_folder_is_gone_ends_quietly(folder):
    """A temporary folder is often removed before the program ends."""
    script = f"""
import shutil
from agentkit.stores.embedded import open_store
from agentkit.testing.store_contract import event, fill
store = open_store({str(folder)!r})
claim = store.claim(fill(store, 3)[0].run_id)
store.append(claim, [event(claim.run_id, 4)], durable=False)
shutil.rmtree({str(folder)!r})
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True)
    assert done.stderr == ""


def test_opening_and_writing_a_log_loads_no_duckdb(folder):
    """It is needed for a fold and a query only, and costs a process 0.2 s."""
    script = f"""
import sys
from agentkit.stores.embedded import open_store
from agentkit.testing.store_contract import fill
store = open_store({str(folder)!r})
events = fill(store, 3)
claim = store.claim(events[0].run_id)
assert claim.head == 3 and len(store.read(claim.run_id)) == 3
store.close()
sys.exit("duckdb" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_reading_on_looks_at_new_lines_only(store, folder):
    """A live run is followed at the price of what is new."""
    claim = store.claim(new_id(), new=True)
    store.append(claim, [event(claim.run_id, seq, Note(text="x" * 500)) for seq in range(1, 1001)]).result(timeout=30)
    with contextlib.closing(EmbeddedStore(folder)) as reader:
        assert len(reader.read(claim.run_id)) == 1000
        spent = []
        for seq in range(1001, 1021):
            store.append(claim, [event(claim.run_id, seq)]).result(timeout=30)
            begin = time.perf_counter()
            assert [found.seq for found in reader.read(claim.run_id, after=seq - 1)] == [seq]
            spent.append(time.perf_counter() - begin)
        assert min(spent) < 0.005  # seconds; reading all of it takes 0.02


def test_a_closed_log_gives_no_claims(store):
    """And says what to do."""
    fill(store, 1)
    store.close()
    with pytest.raises(LogUnwritable, match="open it again"):
        store.claim(new_id(), new=True)
