"""What becomes of a batch's runs that workers execute: one look into the log for all of them, about once a second."""

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentkit.errors import AgentKitError, LogCorrupt, LogError, LogUnwritable, RunNotFound
from agentkit.runner.load import is_answered, load_many, load_state
from agentkit.state import State
from agentkit.store import Store

_EVERY = 1.0
"""Seconds between two looks; with many runs, ten times what a look takes. A batch of seconds is looked at sooner."""
_FIRST = 0.1
_HELD = 10.0
"""Seconds between two looks at who has a run that is no worker's."""
_CHUNK = 1000  # runs a query
_AT_ONCE = 100  # runs whose events are in memory at one time

_ON = ("running", "waiting")
_GOES_ON = ("running", 0)

News: TypeAlias = State | AgentKitError | None
"""Of a run: its state, where it ended or waits for a person; None where it goes on; or why nobody can tell."""
Tell: TypeAlias = Callable[[int, str, News], None]


@dataclass(slots=True)
class _Followed:
    index: int
    held: bool  # no worker's: another process executes it, or watches it
    waits: bool  # nobody executes it yet
    seen: tuple[str, int] = _GOES_ON  # its status, and how many events it had where it waits for a person


class Following:
    """Looks at runs until they ended, in a thread that ends with the last of them and keeps no process alive.

    Args:
        store: the log.
        tell: told an item's index, its run and what became of that; in whatever thread looks.
        leave: given a run that no worker has, leaves it to them; whether that was possible.
    """

    def __init__(self, store: Store, tell: Tell, leave: Callable[[str], bool]) -> None:
        self.trouble: Exception | None = None  # why the last look saw nothing
        self._store = store
        self._tell = tell
        self._leave = leave
        self._followed: dict[str, _Followed] = {}
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._ask_at = time.monotonic() + _HELD

    def add(self, index: int, run_id: str, *, held: bool = False) -> None:
        """Follow a run that counts as running from now on.

        Args:
            index: the item it is of.
            run_id: the run.
            held: no worker has it, but another process.
        """
        with self._lock:
            self._followed[run_id] = _Followed(index, held, waits=not held)
            if self._thread is None:
                work = _look_again_and_again
                thread = threading.Thread(target=work, args=(weakref.ref(self), self._wake), daemon=True)
                thread.name = "agentkit-map-follower"
                with contextlib.suppress(RuntimeError):  # the interpreter ends: nobody is there to be told
                    thread.start()
                    self._thread = thread

    @property
    def unfinished(self) -> list[str]:
        """The runs that have not ended, as far as anybody looked."""
        with self._lock:
            return list(self._followed)

    @property
    def paused(self) -> int:
        """How many of them wait for a person."""
        with self._lock:
            return sum(one.seen != _GOES_ON and not one.waits for one in self._followed.values())

    @property
    def waiting(self) -> int:
        """How many of those that count as running nobody executes yet."""
        with self._lock:
            return sum(one.waits for one in self._followed.values())

    def look_soon(self) -> None:
        """Have the thread look now."""
        self._wake.set()

    def look(self) -> None:
        """See what became of all that has not ended.

        Raises:
            LogError: the log cannot be read at this moment.
        """
        with self._looking:
            with self._lock:
                followed = dict(self._followed)
            for run_ids in _parts(list(followed), _CHUNK):
                self._look_at({run_id: followed[run_id] for run_id in run_ids})
            if time.monotonic() >= self._ask_at:
                self._ask_at = time.monotonic() + _HELD
                self._take_over({run_id: one for run_id, one in followed.items() if one.held})

    def answered(self) -> bool:
        """Look at those that wait for a person: one that was answered counts as running, a worker is about to take it.

        Returns:
            Whether any of them was answered, or goes on already.
        """
        with self._looking:
            with self._lock:
                paused = {run_id: one for run_id, one in self._followed.items() if one.seen != _GOES_ON}
            found = False
            for run_ids in _parts(list(paused), _AT_ONCE):
                for run_id, state in self._states(run_ids):
                    found = self._look_for_answers(run_id, paused[run_id], state) or found
        return found

    def _look_for_answers(self, run_id: str, one: _Followed, state: State | LogError) -> bool:
        if not isinstance(state, State) or (state.status, state.seq) != one.seen:
            self._stopped(run_id, one, state)
            return True
        if one.waits or not self._is_answered(state):
            return False
        one.waits = True
        self._tell(one.index, run_id, None)
        return True

    def _is_answered(self, state: State) -> bool:
        return not state.is_kept and is_answered(self._store, state)

    def _look_at(self, followed: Mapping[str, _Followed]) -> None:
        # a list in the text: with it, the events of other runs are not read, however many there are
        chosen = ", ".join(f"'{run_id}'" for run_id in followed)
        rows = self._store.query(
            f"SELECT CAST(run_id AS VARCHAR), status, events FROM runs WHERE run_id IN ({chosen})",  # noqa: S608  ids hold hex digits
            {},
        )
        there = {run_id: (status, events) for run_id, status, events in rows}
        stopped: list[str] = []
        for run_id, one in followed.items():
            status, events = there.get(run_id, ("gone", 0))
            seen = _GOES_ON if status in _ON else (status, events)
            if seen == _GOES_ON:
                one.waits = status == "waiting"
            if seen != one.seen:
                if seen == _GOES_ON:
                    self._goes_on(run_id, one)
                else:
                    stopped.append(run_id)
        for run_ids in _parts(stopped, _AT_ONCE):
            for run_id, state in self._states(run_ids):
                self._stopped(run_id, followed[run_id], state)

    def _goes_on(self, run_id: str, one: _Followed) -> None:
        one.seen = _GOES_ON
        self._tell(one.index, run_id, None)

    def _stopped(self, run_id: str, one: _Followed, state: State | LogError) -> None:
        if isinstance(state, State) and state.status in _ON:  # since it was looked at
            self._goes_on(run_id, one)
            return
        if isinstance(state, State) and not state.ended:
            one.seen, one.waits = (state.status, state.seq), False
            self._tell(one.index, run_id, state)
            return
        self._drop(run_id)
        self._tell(one.index, run_id, state)

    def _states(self, run_ids: Sequence[str]) -> Iterator[tuple[str, State | LogError]]:
        found = load_many(self._store, run_ids)
        for run_id in run_ids:
            yield run_id, found[run_id] if run_id in found else self._alone(run_id)

    def _alone(self, run_id: str) -> State | LogError:
        try:
            return load_state(self._store, run_id)
        except (RunNotFound, LogCorrupt) as error:
            return error

    def _take_over(self, held: Mapping[str, _Followed]) -> None:
        """Leave to the workers what the process that had it does not have any more."""
        for run_id, one in held.items():
            if run_id in self._followed:
                try:
                    one.held = not self._leave(run_id)
                except LogError:
                    raise
                except AgentKitError as error:
                    self._drop(run_id)
                    self._tell(one.index, run_id, error)

    def _drop(self, run_id: str) -> None:
        with self._lock:
            self._followed.pop(run_id, None)

    def rest(self) -> bool:
        """Have the thread end where nothing is left to look at; whether it is to."""
        with self._lock:
            if self._followed:
                return False
            self._thread = None
            return True

    def try_to_look(self) -> bool:
        """Look; a log that cannot be read at this moment is looked at again, one that was closed here is not.

        Returns:
            Whether there was anything to be seen.
        """
        if getattr(self._store, "closed", False):
            self._give_up(LogUnwritable(f"{self._store.url}: this log was closed in this process; open it again"))
            return False
        try:
            self.look()
            self.trouble = None
        except Exception as error:  # noqa: BLE001  whatever a disk or a server raises, it may be well again
            self.trouble = error
        return self.trouble is None

    def _give_up(self, error: AgentKitError) -> None:
        with self._lock:
            followed, self._followed = self._followed, {}
        for run_id, one in followed.items():
            self._tell(one.index, run_id, error)


def _look_again_and_again(following: "weakref.ref[Following]", wake: threading.Event) -> None:
    """The thread: it ends when nobody has the batch any more, too."""
    at_most, took = _FIRST, 0.0
    while True:
        if wake.wait(max(at_most, 10 * took)):
            wake.clear()
            at_most = _FIRST
        one = following()
        if one is None or one.rest():
            return
        began = time.perf_counter()
        seen = one.try_to_look()
        took = time.perf_counter() - began if seen else 0.0  # to find out that a server is away takes long, too
        at_most = min(_EVERY, 2 * at_most)
        del one


def _parts(run_ids: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (run_ids[first : first + size] for first in range(0, len(run_ids), size))
