"""What the queue of every store promises, as tests: inherit `QueueContract` beside `StoreContract`.

A store that several processes share inherits `SharedQueueContract`; other processes open it by its URL.
"""

import subprocess
import sys
import time
from collections.abc import Collection, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from agentkit.errors import ConfigError
from agentkit.ids import new_id
from agentkit.store import Store, Taken

_SOON = 20.0  # seconds in which what happens in the background has to happen
_NAMES = ["a", "b"]

_OPEN = """
import sys, time
from agentkit.log import open_log
queue = open_log(sys.argv[1]).store.queue
"""
_HOLD = """
while not (runs := queue.take(["a", "b"], 100)):
    time.sleep(0.01)
print(*(run.run_id for run in runs), flush=True)
time.sleep(60)
"""
_EMPTY = """
input()
while runs := queue.take(["a", "b"], 3):
    for run in runs:
        print(run.run_id)
        queue.remove(run.run_id)
"""


def put(store: Store, count: int = 1, name: str = "a") -> list[str]:
    """Put new runs into a log's queue; their ids in this order."""
    run_ids = [new_id() for _ in range(count)]
    for run_id in run_ids:
        store.queue.put(run_id, name)
    return run_ids


def take(store: Store, limit: int = 100, names: Collection[str] = ("a", "b")) -> list[str]:
    """Take runs from a log's queue; their ids."""
    return [run.run_id for run in store.queue.take(names, limit)]


def soon(store: Store) -> list[Taken]:
    """Take runs as soon as there are any."""
    until = time.monotonic() + _SOON
    while not (found := store.queue.take(_NAMES, 100)):
        assert time.monotonic() < until, "no run is ready"
        time.sleep(0.01)
    return found


@contextmanager
def process(store: Store, code: str) -> "Generator[subprocess.Popen[str]]":
    """Another process that has the log open and runs a program; killed at the end."""
    command = [sys.executable, "-c", _OPEN + code, store.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:  # noqa: S603  our own
        try:
            yield started
        finally:
            started.kill()


def taken_by(holding: "subprocess.Popen[str]") -> list[str]:
    """What a process took that runs `_HOLD`, once it has."""
    assert holding.stdout is not None
    return holding.stdout.readline().split()


def lose(store: Store, run_ids: list[str]) -> None:
    """Have these runs, which are all that are ready, taken by a process that is killed then."""
    with process(store, _HOLD) as holding:
        assert taken_by(holding) == run_ids


class QueueContract:
    """The promises of `agentkit.store.Queue`; a subclass gives the fixture `store`."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """A new, empty log."""
        raise NotImplementedError

    def test_runs_are_taken_in_the_order_in_which_they_were_submitted(self, store: Store) -> None:
        """At most as many as are asked for, of whatever name; each with what was said of it, and when."""
        first, second, third = *put(store), *put(store, name="b"), *put(store)
        (run,) = store.queue.take(_NAMES, 1)
        assert (run.run_id, run.name, run.lost) == (first, "a", 0)
        assert abs(run.submitted_at - datetime.now(UTC)) < timedelta(minutes=1)
        assert take(store, 2) == [second, third]
        assert take(store) == []

    def test_only_runs_that_the_taker_can_execute_are_taken(self, store: Store) -> None:
        """The others stay for those who can."""
        ours, theirs = put(store, 3), put(store, 2, 'it\'s "ü" / 日本')
        assert take(store, names=["nobody"]) == take(store, names=[]) == []
        assert take(store, names={"a", "nobody"}) == ours
        assert take(store, names=["a", 'it\'s "ü" / 日本']) == theirs

    def test_nothing_is_taken_where_nothing_is_asked_for(self, store: Store) -> None:
        """A worker that is busy may ask for none."""
        run_ids = put(store)
        assert take(store, 0) == []
        assert take(store) == run_ids

    def test_an_empty_queue_is_no_error(self, store: Store) -> None:
        """Before the first run was ever put, too."""
        assert take(store) == []
        assert store.queue.wake(new_id()) is False
        store.queue.remove(new_id())
        store.queue.put_back(new_id(), after=0)

    def test_a_run_that_is_put_twice_is_there_once(self, store: Store) -> None:
        """Whoever was not told that the first time went well tries again."""
        (run_id,) = put(store)
        store.queue.put(run_id, "a")
        assert take(store) == [run_id]
        store.queue.put(run_id, "a")
        assert take(store) == []

    @pytest.mark.parametrize("bad", ["", "x", "../../../../../../../etc/passwd/aaaa", "A" * 36, "*"])
    def test_only_a_run_id_is_queued(self, store: Store, bad: str) -> None:
        """Nothing else comes near a path or a statement."""
        queue = store.queue
        for call in (lambda: queue.put(bad, "a"), lambda: queue.wake(bad), lambda: queue.remove(bad)):
            with pytest.raises(ConfigError, match="run id"):
                call()
        with pytest.raises(ConfigError, match="run id"):
            queue.put_back(bad, after=0)

    def test_each_run_goes_to_one_taker_alone(self, store: Store) -> None:
        """Many threads that take at once get all runs, each once."""
        run_ids = put(store, 60)

        def taker(_: int) -> list[str]:
            found: list[str] = []
            while runs := take(store, 2):
                found += runs
            return found

        with ThreadPoolExecutor(6) as pool:
            found = [run_id for runs in pool.map(taker, range(6)) for run_id in runs]
        assert sorted(found + take(store)) == run_ids

    def test_a_run_that_is_put_back_is_ready_again(self, store: Store) -> None:
        """At once; it is the first again, for it was submitted first."""
        first, second = put(store, 2)
        assert take(store, 1) == [first]
        store.queue.put_back(first, after=0)
        assert take(store) == [first, second]

    def test_a_run_that_sleeps_for_some_seconds_is_ready_then(self, store: Store) -> None:
        """Not before, and by itself."""
        (run_id,) = put(store)
        take(store)
        began = time.monotonic()
        store.queue.put_back(run_id, after=0.3)
        assert take(store) == []
        assert [run.run_id for run in soon(store)] == [run_id]
        assert time.monotonic() - began >= 0.3

    def test_a_run_that_sleeps_until_it_is_woken_is_ready_then(self, store: Store) -> None:
        """Waking it is how somebody says that it can go on."""
        (run_id,) = put(store)
        take(store)
        store.queue.put_back(run_id, after=None)
        assert take(store) == []
        assert store.queue.wake(run_id) is True
        assert take(store) == [run_id]

    def test_a_run_that_sleeps_for_long_can_be_woken(self, store: Store) -> None:
        """However long: it is not there twice afterwards."""
        run_ids = put(store, 2)
        take(store)
        store.queue.put_back(run_ids[0], after=3600)
        store.queue.put_back(run_ids[1], after=1e300)
        assert take(store) == []
        assert [store.queue.wake(run_id) for run_id in run_ids] == [True, True]
        assert take(store) == run_ids
        assert take(store) == []

    def test_waking_a_run_that_does_not_sleep_changes_nothing(self, store: Store) -> None:
        """One that is ready is there once; one that is taken stays with who has it."""
        (run_id,) = put(store)
        assert store.queue.wake(run_id) is True
        assert take(store) == [run_id]
        assert store.queue.wake(run_id) is True
        assert take(store) == []
        store.queue.put_back(run_id, after=None)
        assert take(store) == []

    def test_only_what_is_taken_is_put_back(self, store: Store) -> None:
        """A run that sleeps sleeps on, one that is ready stays so."""
        first, second = put(store, 2)
        assert take(store, 1) == [first]
        store.queue.put_back(first, after=None)
        store.queue.put_back(first, after=0)
        store.queue.put_back(second, after=None)
        assert take(store) == [second]

    @pytest.mark.parametrize("where", ["ready", "taken", "asleep", "due"])
    def test_a_run_that_is_removed_is_nowhere(self, store: Store, where: str) -> None:
        """Wherever it was; the others stay."""
        gone, stays = put(store, 2)
        if where != "ready":
            assert take(store, 1) == [gone]
        if where in {"asleep", "due"}:
            store.queue.put_back(gone, after=None if where == "asleep" else 0.05)
        store.queue.remove(gone)
        store.queue.put_back(gone, after=0)
        assert store.queue.wake(gone) is False
        time.sleep(0.06 if where == "due" else 0)
        assert take(store) == [stays]

    def test_a_run_that_is_pruned_is_not_in_the_queue(self, store: Store) -> None:
        """It is removed for good; the others stay."""
        gone, stays = put(store, 2)
        store.prune([gone])
        assert take(store) == [stays]


class SharedQueueContract(QueueContract):
    """What a queue promises besides when several processes have it open; a subclass gives the fixture `other`, too."""

    @pytest.fixture
    def other(self, store: Store) -> Iterator[Store]:
        """The log of `store` as another process has it open."""
        raise NotImplementedError

    def test_another_process_takes_what_was_put(self, store: Store, other: Store) -> None:
        """And has it alone."""
        run_ids = put(store, 2)
        assert take(other, 1) == run_ids[:1]
        assert take(store) == run_ids[1:]

    def test_only_who_took_a_run_puts_it_back(self, store: Store, other: Store) -> None:
        """But anybody wakes it, and removes it."""
        run_ids = put(store, 2)
        assert take(other) == run_ids
        store.queue.put_back(run_ids[0], after=0)
        assert store.queue.wake(run_ids[0]) is True
        assert take(store) == []
        store.queue.remove(run_ids[0])
        for run_id in run_ids:
            other.queue.put_back(run_id, after=None)
        assert [store.queue.wake(run_id) for run_id in run_ids] == [False, True]
        assert take(store) == run_ids[1:]

    def test_a_log_that_was_closed_has_kept_its_queue(self, store: Store, other: Store) -> None:
        """What its process took is ready again, and was not lost; what sleeps sleeps on."""
        run_ids = put(store, 4)
        assert take(store, 3) == run_ids[:3]
        store.queue.put_back(run_ids[0], after=None)
        store.queue.put_back(run_ids[1], after=3600)
        store.close()
        found = other.queue.take(_NAMES, 100)
        assert [(run.run_id, run.lost) for run in found] == [(run_ids[2], 0), (run_ids[3], 0)]
        assert [other.queue.wake(run_id) for run_id in run_ids] == [True] * 4
        assert take(other) == run_ids[:2]

    def test_each_run_goes_to_one_process_alone(self, store: Store) -> None:
        """Two that take at once get all runs, each once."""
        run_ids = put(store, 60)
        with process(store, _EMPTY) as one, process(store, _EMPTY) as two:
            for each in (one, two):
                assert each.stdin is not None
                each.stdin.write("\n")
                each.stdin.flush()
            found = [line for each in (one, two) for line in each.communicate(timeout=60)[0].split()]
        assert sorted(found + take(store)) == run_ids

    def test_what_a_killed_process_had_is_ready_at_once(self, store: Store) -> None:
        """Each loss is counted, until the run is put back: one that kills its workers is found out."""
        run_ids = put(store, 2)
        for _ in range(2):
            lose(store, run_ids)
        assert [(run.run_id, run.lost) for run in soon(store)] == [(run_ids[0], 2), (run_ids[1], 2)]
        store.queue.put_back(run_ids[0], after=0)
        assert [run.lost for run in store.queue.take(_NAMES, 1)] == [0]

    def test_a_wake_begins_to_count_anew(self, store: Store, other: Store) -> None:
        """Also of a run that is taken: who wakes it wants it tried again."""
        run_ids = put(store, 2)
        lose(store, run_ids)
        assert [run.lost for run in soon(store)] == [1, 1]
        store.queue.wake(run_ids[0])
        store.close()
        assert [run.lost for run in other.queue.take(_NAMES, 2)] == [0, 1]

    def test_what_a_living_process_has_stays_with_it(self, store: Store) -> None:
        """However long it does nothing."""
        run_ids = put(store, 2)
        with process(store, _HOLD) as holding:
            assert taken_by(holding) == run_ids
            assert take(store) == []
