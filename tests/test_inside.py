"""Threads inside DuckDB while the process ends, or forks."""

import subprocess
import sys
import threading
import time

import pytest

from agentkit.errors import LogBusy
from agentkit.stores.inside import _Doorkeeper

ENDS = """
import sys, threading, time
import agentkit as ak
log = ak.open_log(sys.argv[1])
def ask():
    while True:
        try:
            log.sql("SELECT count(*) FROM events, range(300000)")
        except ak.LogError as error:
            print(error, flush=True)
            time.sleep(60)
for _ in range(2):
    threading.Thread(target=ask, daemon=True).start()
log.sql("SELECT 1")
"""


@pytest.mark.parametrize("place", ["folder", "memory:"])
def test_a_process_ends_well_while_its_daemon_threads_ask_the_log(tmp_path, place):
    """It is not aborted: who asks is waited for, who asks again is told."""
    words = [sys.executable, "-W", "ignore", "-c", ENDS, place]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = "this process is ending, so its background threads ask the log nothing more"
    assert done.stdout.replace(told, "").strip() == ""  # by none, one or both


def in_a_thread(work, *, daemon):
    """What it returned or raised."""
    found = []

    def run():
        try:
            found.append(work())
        except LogBusy as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=daemon)
    thread.start()
    thread.join(10)
    return found[0]


def test_at_the_end_daemon_threads_stay_out_and_others_do_not():
    """The main thread writes out what is left then."""
    door = _Doorkeeper()

    def goes_in():
        with door.inside():
            return "in"

    assert in_a_thread(goes_in, daemon=True) == "in"
    door.close()
    assert isinstance(in_a_thread(goes_in, daemon=True), LogBusy)
    assert in_a_thread(goes_in, daemon=False) == "in"
    assert goes_in() == "in"


def test_who_is_in_is_waited_for_and_may_say_so_again():
    """A query that has begun is not refused half-way."""
    door, entered, went_on = _Doorkeeper(), threading.Event(), []

    def works():
        with door.inside():
            entered.set()
            until(lambda: door._closed)
            with door.inside():
                went_on.append(1)
            went_on.append(2)

    threading.Thread(target=works, daemon=True).start()
    entered.wait(10)
    door.close()
    assert went_on == [1, 2]


def until(holds):
    """Wait for what another thread does."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_forked_child_waits_for_no_thread_of_its_parent():
    """It has none of them; what the one that forked is in, it is in."""
    door, leave = _Doorkeeper(), threading.Event()

    def works():
        with door.inside():
            leave.wait(10)

    thread = threading.Thread(target=works, daemon=True)
    thread.start()
    until(lambda: thread in door._inside)
    with door.inside():
        door.become_child()
        assert door._inside == {threading.current_thread(): 1}
    assert door._inside == {}
    leave.set()
    thread.join(10)
