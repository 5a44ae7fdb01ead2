"""What a live trace is told: a run's rows when it opens, then only what changed, at most twenty times a second.

One thread serves all traces of a process. It folds each run's events into a state of its own, so that the run itself is
never held up, and a run of another process is followed as one of this.
"""

import contextlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from agentkit.errors import LogError
from agentkit.events import Event, ModelResponded, RunResumed
from agentkit.fold import advance
from agentkit.notebook.comments import by_row, plain
from agentkit.notebook.details import card
from agentkit.notebook.rows import Row, rows, some
from agentkit.render.paths import every_path
from agentkit.runner.load import load_state
from agentkit.runner.run import Run
from agentkit.state import State
from agentkit.store import Answer

Send: TypeAlias = Callable[[dict[str, Any]], None]

_TICK = 0.05
"""Seconds between two messages to a browser at least: jupyter-server drops what is over 1,000 messages a second."""
_LOOK = 0.5
"""Seconds between two looks at a run that another process executes."""
_LOOK_HERE = 2.0
"""Likewise at one that this process executes, which says by itself what it does."""
_ENDED = 20
"""Runs that have ended, of one trace, which are looked at in one go: people comment on them later."""
_FIRST = 600
"""Events of a run that are read before its trace is there; the rest is read behind its back."""
_PART = 4000
"""Events that are read, and told, in one go: a browser stays quick while a very long run arrives."""


@dataclass
class _Followed:
    """One run of a trace: its state as far as it was told, and the row that it stands below."""

    state: State
    parent: str | None
    comments: int = 0  # that were told


class Feed:
    """Follows one run and its child runs for one trace.

    Args:
        run: the run at the top.
        send: gives a message to the browser; in the feed's thread.
        on_end: called once the run has ended and everything was sent.
    """

    def __init__(self, run: Run, send: Send, on_end: Callable[[], None] = lambda: None) -> None:
        self.run = run
        self._send = send
        self._on_end = on_end
        self._lock = threading.RLock()
        self._number = self._sent = 0
        self._cards: list[dict[str, Any]] = []
        self._made: dict[str, dict[str, Any]] = {}  # a question's card stays as it is
        self._answers: dict[str, str] = {}  # who answered what, while somebody looked
        self._open = True
        self.loaded = threading.Event()  # the run's past was told
        self._arrived: deque[Event] = deque()
        self._later: deque[Row] = deque()  # rows that are known, and not told yet
        self._is_read = False  # the log's part of the run was read
        self._pieces: deque[tuple[str, str]] = deque()
        self._followed: dict[str, _Followed] = {}
        self._expected: dict[str, str | None] = {}  # runs that are not in the log yet, and what they stand below
        self._looked = 0.0
        self._status: str | None = None  # what the run at the top is besides what its events say
        self._is_odd = False
        self._leave = run.follow(self._arrived.append, self._take_piece)
        self._begin(run.run_id, None)

    def start(self) -> None:
        """Tell what changes from now on."""
        _server.add(self)

    def _take_piece(self, run_id: str, step: str, piece: str) -> None:
        self._pieces.append((f"{run_id}/{step}", piece))

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to tell."""
        return not self._open

    def close(self) -> None:
        """Tell nothing any more, and let go of the run."""
        self._open = False
        if self._leave is not None:
            self._leave()
            self._leave = None

    @contextlib.contextmanager
    def reading(self, run_id: str) -> Generator[State | None]:
        """A run of the trace as far as it was told, which stands still meanwhile."""
        with self._lock:
            yield self._state(run_id)

    def _state(self, run_id: str) -> State | None:
        found = self._followed.get(run_id)
        return found.state if found is not None else None

    def _begin(self, run_id: str, parent: str | None) -> list[Row]:
        """Follow one more run, and those below it that have begun; all its rows are new."""
        if run_id in self._followed:
            return []
        try:
            state = self._top() if parent is None else load_state(self.run.store, run_id)
        except LogError:  # its caller is on disk before it is: the next look finds it
            self._expected[run_id] = parent
            return []
        self._expected.pop(run_id, None)
        self._followed[run_id] = _Followed(state, parent)
        new = list(some(state, every_path(state), parent))
        for call in state.calls.values():
            if call.child_run_id is not None:
                new += self._begin(call.child_run_id, f"{run_id}/{call.step}")
        return new

    def _top(self) -> State:
        """The run at the top: where it is here as it stands, else its beginning."""
        if self._leave is not None:
            self._is_read = True
            return self.run.look_again().copy()
        state = load_state(self.run.store, self.run.run_id, until=_FIRST)
        self._is_read = state.seq < _FIRST
        return state

    def snapshot(self, *, most: int | None = None) -> dict[str, Any]:
        """Everything as it stands: what a trace asks for when it missed something.

        Args:
            most: rows; the others are told as what is new is.
        """
        with self._lock:
            if self._is_read:
                self._take()
            self._cards = self._waiting()
            found = self._followed.get(self.run.run_id)
            every = [] if found is None else rows(found.state, children=self._state, status=self._status)
            self._later = deque(every[most:] if most is not None else ())
            if self._is_read and not self._later:
                self.loaded.set()
            return {
                "kind": "reset",
                "n": self._number,
                "rows": [row.plain() for row in every[:most]],
                "cards": self._cards,
                "comments": self._comments(every=True),
                "ended": found is not None and found.state.ended,
                "loading": not self.loaded.is_set(),
            }

    def number(self) -> int:
        """The number of the last message: a browser that has an older one missed something."""
        return self._sent

    def tick(self) -> None:
        """Send what changed since the last time."""
        with self._lock:
            looked = self._look()
            changed, text = self._more() if self._later else self._take(), self._text()
            found = self._followed.get(self.run.run_id)
            ended = found is not None and found.state.ended
            cards = self._waiting() if changed or looked or ended else self._cards
            loads = not self.loaded.is_set()
            is_told = self._is_read and not self._later and not self._arrived
            if is_told:
                self.loaded.set()
            if changed or text or cards != self._cards or loads:
                self._tell(changed, text, cards, ended=ended)
            if ended and is_told:
                self.close()
                self.look_again()  # what was said while the end was told
                self._on_end()

    def _tell(self, changed: list[Row], text: dict[str, str], cards: list[dict[str, Any]], *, ended: bool) -> None:
        self._number += 1
        told = {"kind": "rows", "n": self._number, "rows": [row.plain() for row in changed], "text": text}
        more = {"cards": cards, "answered": self._answered(cards)} if cards != self._cards else {}
        said = {"comments": found} if (found := self._comments()) else {}
        self._cards = cards
        self._send({**told, **more, **said, "ended": ended, "loading": not self.loaded.is_set()})
        self._sent = self._number

    def look_again(self) -> bool:
        """Tell what was said of runs since they ended: nobody follows them any more.

        Returns:
            Whether anything was told at once; where the trace goes on, that is when it next tells something.
        """
        with self._lock:
            if not self.loaded.is_set():
                return False
            ended = [run_id for run_id, found in self._followed.items() if found.state.ended]
            top = [run_id for run_id in ended if run_id == self.run.run_id]
            for run_id in dict.fromkeys([*top, *ended[:_ENDED]]):
                found = self._followed.pop(run_id)  # of very many, others the next time
                self._followed[run_id] = found
                with contextlib.suppress(LogError):  # the next look may read it
                    self._arrived.extend(self.run.store.read(run_id, after=found.state.seq))
            changed = self._take() if not self._open else []
            if changed:
                self._tell(changed, {}, self._cards, ended=True)
            return bool(changed)

    def _comments(self, *, every: bool = False) -> dict[str, list[dict[str, Any]]]:
        """What was said of each row, where somebody said something since it was told; or of every row."""
        told: dict[str, list[dict[str, Any]]] = {}
        for found in self._followed.values():
            said = found.state.comments
            new = None if every else said[found.comments :]
            if said and new != []:
                told |= {row: [plain(one) for one in ones] for row, ones in by_row(found.state, new).items()}
            found.comments = len(said)
        return told

    def _take(self) -> list[Row]:
        """Fold what arrived; the rows that changed, those above before those below."""
        new: list[Row] = []
        for run_id, parent in list(self._expected.items()):
            new += self._begin(run_id, parent)
        steps: dict[str, dict[str, None]] = {}
        for _ in range(min(_PART, len(self._arrived))):
            event = self._arrived.popleft()
            found = self._followed.get(event.run_id)
            if found is None:
                continue  # it is read with the others of its run
            for one in self._due(found, event):
                advance(found.state, one)
                steps.setdefault(event.run_id, {}).update(dict.fromkeys(_touched(found.state, one)))
        if self._is_odd:
            steps.setdefault(self.run.run_id, {})
            self._is_odd = False
        changed: list[Row] = []
        for run_id, touched in steps.items():
            changed += self._rows(self._followed[run_id], touched)
        return new + changed

    def _more(self) -> list[Row]:
        """Rows that were left for later."""
        return [self._later.popleft() for _ in range(min(_PART, len(self._later)))]

    def _due(self, found: _Followed, event: Event) -> Iterable[Event]:
        """The event that arrived; with those before it that did not; nothing where it is known already."""
        if event.seq <= found.state.seq:
            return ()
        if event.seq == found.state.seq + 1:
            return (event,)
        return self.run.store.read(event.run_id, after=found.state.seq)

    def _rows(self, found: _Followed, touched: Iterable[str]) -> list[Row]:
        """The rows of what was touched, and those of child runs that it began."""
        changed = list(some(found.state, touched, found.parent, self._status if found.parent is None else None))
        for step in touched:
            call = found.state.calls.get(step)
            if call is not None and call.child_run_id is not None:
                changed += self._begin(call.child_run_id, f"{found.state.run_id}/{step}")
        return changed

    def _look(self) -> bool:
        """Now and then, look into the log: what another process does is not told here. Whether it looked."""
        if not self._is_read:
            top = self._followed[self.run.run_id].state
            part = self.run.store.read(top.run_id, after=top.seq, until=top.seq + _PART)
            self._arrived.extend(part)
            self._is_read = len(part) < _PART
        if not self.loaded.is_set():
            return False
        if time.monotonic() - self._looked < (_LOOK if self._leave is None else _LOOK_HERE):
            return False
        if self._leave is None:  # it may be executed here by now
            self._leave = self.run.follow(self._arrived.append, self._take_piece)
        for run_id, found in list(self._followed.items()):
            if not found.state.ended and (self._leave is None or found.state.status == "paused"):
                with contextlib.suppress(LogError):  # the next look may read it
                    self._arrived.extend(self.run.store.read(run_id, after=found.state.seq))
        self._look_after()
        self._looked = time.monotonic()
        return True

    def _look_after(self) -> None:
        """Whether anybody holds the run: where nobody does it is interrupted, or waits for a worker, also answered."""
        if self._followed and self._followed[self.run.run_id].state.ended:
            return
        with contextlib.suppress(LogError):
            found = self.run.status
            lost = found == "interrupted" or self.run.state.awaits_worker(found)
            status = found if lost else None
            self._is_odd = self._is_odd or status != self._status
            self._status = status

    def _text(self) -> dict[str, str]:
        """The pieces of streamed text since the last time, by row."""
        texts: dict[str, str] = {}
        while self._pieces:
            row, piece = self._pieces.popleft()
            texts[row] = texts.get(row, "") + piece
        return texts

    def _waiting(self) -> list[dict[str, Any]]:
        """What waits for a person, in this run and below it, oldest first; what is answered is not among it."""
        cards: list[dict[str, Any]] = []
        for run_id, found in self._followed.items():
            if found.state.pending:
                answered = self.run.store.answers(run_id)
                for key in found.state.pending:
                    if key in answered:
                        self._answers[key] = said(answered[key])
                    else:
                        cards.append(self._card(found.state, key))
        return sorted(cards, key=lambda asked: asked["since"])

    def _card(self, state: State, key: str) -> dict[str, Any]:
        if key not in self._made:
            self._made[key] = card(state, state.approvals[key])
        return self._made[key]

    def _answered(self, cards: list[dict[str, Any]]) -> list[str]:
        """What became of the questions that are not among the cards any more."""
        open_ = {one["id"] for one in cards}
        gone = [one for one in self._cards if one["id"] not in open_]
        return [f"{one['name'] or one['kind']}: {self._who(one)}" for one in gone]

    def _who(self, gone: dict[str, Any]) -> str:
        if (known := self._answers.pop(gone["id"], None)) is not None:
            return known
        answer = self.run.store.answers(gone["run_id"]).get(gone["id"])
        return said(answer) if answer is not None else "nobody is asked any more"


def said(answer: Answer) -> str:
    """Who said what, when, through what."""
    by = f" by {answer.who}" if answer.who else ""
    through = f" through {answer.through}" if answer.through else ""
    return f"{answer.verdict.replace('_', ' ')}{by}{through}, {answer.answered_at:%H:%M:%S} UTC"


def _touched(state: State, event: Event) -> Iterator[str]:
    """The rows that an event may have changed: its step's, and those above it."""
    if isinstance(event.body, RunResumed):
        yield from state.open_calls
        yield from state.models
        return
    if event.step is None:
        yield from state.open_calls
        return
    path, parts = event.step, event.step.split("/")
    if state.kind == "pipeline":
        if "[" in parts[0]:
            yield parts[0].partition("[")[0]
        yield parts[0]
        ask, model, _ = path.rpartition("/model/")
        if model:
            yield ask
    yield path
    if isinstance(event.body, ModelResponded) and state.kind == "agent":
        yield from state.models[path].calls


class _Server:
    """The thread that serves all feeds of the process, as long as there are any."""

    def __init__(self) -> None:
        self._feeds: weakref.WeakSet[Feed] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._runs = False

    def add(self, feed: Feed) -> None:
        """Serve one more."""
        with self._lock:
            self._feeds.add(feed)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._serve, name="agentkit-trace", daemon=True).start()

    def _serve(self) -> None:
        while True:
            time.sleep(_TICK)
            with self._lock:
                feeds = [feed for feed in self._feeds if not feed.is_over]
                if not feeds:
                    self._runs = False
                    return
            for feed in feeds:
                with contextlib.suppress(Exception):  # one trace's trouble is not another's
                    feed.tick()
            feeds.clear()


_server = _Server()
