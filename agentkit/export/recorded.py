"""What is exported of a run: its events, what it began with, and the runs that it called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agentkit.errors import ConfigError
from agentkit.events import Commented, Event, Graded, RunStarted, StepStarted, ToolStarted
from agentkit.events.runs import RunCancelledEvent, RunFailedEvent, RunPausedEvent, RunSucceeded
from agentkit.runner.load import load_state
from agentkit.state import State
from agentkit.store import Store

FEW = 3
"""So many runs are read one by one: a run that just ended is in memory, and the table need not be opened for it."""

_ENDS = (RunSucceeded, RunFailedEvent, RunCancelledEvent)


@dataclass(frozen=True)
class Recorded:
    """A run as the log has it.

    Args:
        events: its own events in order, the first one first.
        base: the state that it began with: of the run that it was forked from, or that it goes on after.
        children: the runs that it called, by id.
        root_run_id: the run at the top, whose trace this is; None where it is this one.
        grades: how it was judged after its end, the newest last.
        caller: of one that is exported without the run that called it: that run, and the seq of the call.
    """

    events: tuple[Event, ...]
    base: State | None = None
    children: "Mapping[str, Recorded]" = field(default_factory=dict[str, "Recorded"])
    root_run_id: str | None = None
    grades: tuple[Event, ...] = ()
    caller: tuple[str, int] | None = None

    @property
    def run_id(self) -> str:
        """The run."""
        return self.events[0].run_id

    @property
    def root(self) -> str:
        """The run at the top."""
        return self.root_run_id or self.run_id

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen in it."""
        return isinstance(self.events[-1].body, _ENDS)

    @property
    def paused(self) -> bool:
        """Whether it stands still and waits for a person."""
        return isinstance(self.events[-1].body, RunPausedEvent)

    def count(self) -> int:
        """How many events it and those that it called have."""
        return len(self.events) + sum(child.count() for child in self.children.values())


def until_end(events: Iterable[Event]) -> tuple[Event, ...]:
    """A run's events up to the one that ended it: what people say of it, a grade or a comment, changes no span."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event.body, Commented):
            continue
        kept.append(event)
        if isinstance(event.body, _ENDS):
            break
    return tuple(kept)


def gather(store: Store, run_id: str) -> Recorded:
    """Read a run and all that it called.

    Args:
        store: the log.
        run_id: the run.

    Raises:
        RunNotFound, LogCorrupt: it cannot be read.
        ConfigError: the log has no event of it.
    """
    events = store.read(run_id)
    if not events:
        raise ConfigError(f"no run {run_id} in the log {store.url}; log.runs() lists them")
    known = _family(store, {run_id: events})
    found = _put_together(store, run_id, root_of(store, events[0]), dict(known))
    return replace(found, caller=_caller(store, events[0]))


def _caller(store: Store, started: Event) -> tuple[str, int] | None:
    """The call that started a run, in the run above it."""
    if started.parent_run_id is None:
        return None
    above = store.read(started.parent_run_id)
    seq = next((event.seq for event in above if _child_of(event) == started.run_id), None)
    return None if seq is None else (started.parent_run_id, seq)


def gather_many(store: Store, run_ids: Iterable[str]) -> dict[str, Recorded]:
    """Read several runs that nobody called, with all that they called: a few looks at the log for all of them.

    Args:
        store: the log.
        run_ids: the runs; those that are not there are left out.

    Raises:
        RunNotFound, LogCorrupt: one of them cannot be read.
    """
    roots = store.read_many(run_ids)
    known = _family(store, dict(roots))
    return {run_id: _put_together(store, run_id, run_id, dict(known)) for run_id in roots}


def root_of(store: Store, started: Event) -> str:
    """The run at the top of those that called this one, as far as the log still has them."""
    while started.parent_run_id is not None:
        above = store.read(started.parent_run_id, until=1)
        if not above:
            return started.parent_run_id
        started = above[0]
    return started.run_id


def _family(store: Store, known: dict[str, Sequence[Event]]) -> Mapping[str, Sequence[Event]]:
    """Runs with all those that they called, and that those called; a child that never began is left out."""
    found, newest = dict(known), known
    while wanted := {child for events in newest.values() for child in called(events)} - found.keys():
        newest = {child: store.read(child) for child in wanted} if len(wanted) <= FEW else store.read_many(wanted)
        newest = {child: events for child, events in newest.items() if events}
        found.update(newest)
    return found


def _put_together(store: Store, run_id: str, root: str, left: dict[str, Sequence[Event]]) -> Recorded:
    """A run with those that it called; each is taken once, so that a damaged log cannot make one its own ancestor."""
    events = left.pop(run_id)
    own = until_end(events)
    children = {child: _put_together(store, child, root, left) for child in called(own) if child in left}
    grades = tuple(event for event in events[len(own) :] if isinstance(event.body, Graded))
    return Recorded(own, _base(store, own[0]), children, root, grades=grades)


def called(events: Iterable[Event]) -> list[str]:
    """The runs that a run's events name as called, each once, in order."""
    named = (_child_of(event) for event in events)
    return list(dict.fromkeys(child for child in named if child is not None))


def _child_of(event: Event) -> str | None:
    return event.body.child_run_id if isinstance(event.body, ToolStarted | StepStarted) else None


def _base(store: Store, started: Event) -> State | None:
    body = started.body
    if not isinstance(body, RunStarted) or body.origin is None:
        return None
    return load_state(store, body.origin.run_id, until=body.origin.seq)


def of_events(events: Iterable[Event]) -> Recorded:
    """A run of its events alone, those of the runs that it called among them or not.

    Args:
        events: the root run's events come first; each run's in order.

    Raises:
        ConfigError: there are none, or they do not begin with the beginning of a run.
    """
    by_run: dict[str, list[Event]] = {}
    for event in events:
        by_run.setdefault(event.run_id, []).append(event)
    if not by_run:
        raise ConfigError("to_spans needs a run, or the events of one; it was given none")
    root = next(iter(by_run))
    if not isinstance(by_run[root][0].body, RunStarted):
        raise ConfigError(f"the events of run {root} do not begin with run_started; give all of them: run.events()")
    return _of_events(root, root, by_run)


def _of_events(run_id: str, root: str, by_run: dict[str, list[Event]]) -> Recorded:
    own = until_end(by_run.pop(run_id))
    children = {child: _of_events(child, root, by_run) for child in called(own) if child in by_run}
    return Recorded(own, None, children, root)
