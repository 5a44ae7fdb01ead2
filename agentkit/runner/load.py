"""Reading a run's state from the log, and comparing it with the definition that is to go on with it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from agentkit.definition import DEOPT, Definition, PipelineDefinition, ToolSpec
from agentkit.errors import ConfigError, LogCorrupt, ResumeError, RunNotFound
from agentkit.events import Event, RunStarted, ToolFact
from agentkit.fold import fold
from agentkit.runner.engine import engine
from agentkit.runner.watch import watch
from agentkit.state import Approval, CallStep, State
from agentkit.store import Store


def load_state(store: Store, run_id: str, *, until: int | None = None) -> State:
    """Fold a run, with the run it was forked from or goes on after.

    Args:
        store: the log.
        run_id: the run.
        until: the last seq to fold; None is all of them.

    Returns:
        The state after that event.

    Raises:
        RunNotFound: the log has no such run.
        LogCorrupt: its events cannot be trusted.
        ConfigError: `until` is no seq.
    """
    if until is not None:
        _check_seq("until", until, 1, "the first event has seq 1")
    events = store.read(run_id, until=until)
    if not events:
        raise RunNotFound(f"no run {run_id} in the log {store.url}")
    first = events[0].body
    base = None
    if isinstance(first, RunStarted) and first.origin is not None:
        base = load_state(store, first.origin.run_id, until=first.origin.seq)
    return fold(events, base)


def read_events(store: Store, run_id: str, after: int) -> list[Event]:
    """A run's own events with a seq over `after`.

    Raises:
        ConfigError: `after` is no seq, nor 0.
    """
    _check_seq("after", after, 0, "the first event has seq 1, and 0 gives them all")
    return store.read(run_id, after=after)


def _check_seq(option: str, given: Any, least: int, advice: str) -> None:
    if type(given) is not int or given < least:
        raise ConfigError(f"{option}={given!r}: give an event's seq, {least} or more; {advice}")


def load_many(store: Store, run_ids: Iterable[str]) -> dict[str, State]:
    """Fold several runs that are read at once.

    Args:
        store: the log.
        run_ids: the runs.

    Returns:
        Their states; without those that begin with another run's events, are not there, or cannot be trusted.
    """
    try:
        found = store.read_many(run_ids)
    except LogCorrupt:  # one that cannot be read must not hide the others: who needs one loads it alone
        return {}
    return {run_id: fold(events) for run_id, events in found.items() if not _has_origin(events)}


def _has_origin(events: Sequence[Event]) -> bool:
    first = events[0].body
    return isinstance(first, RunStarted) and first.origin is not None


def current_state(store: Store, run_id: str, known: State | None = None) -> State:
    """A run as it stands now. What rests in this process is known here: of it, only what is new is read.

    So a run that waits is looked at, answered and taken up again while another program keeps the log's table to itself.

    Args:
        store: the log.
        run_id: the run.
        known: its state as it was read before.

    Raises:
        RunNotFound, LogCorrupt: as `load_state`.
    """
    known = _resting(store, run_id, known.seq if known is not None else 0) or known
    if known is None:
        return load_state(store, run_id)
    new = store.read(run_id, after=known.seq)
    return fold(new, known) if new else known


def _resting(store: Store, run_id: str, seq: int) -> State | None:
    """The state, later than `seq`, in which this process left a run that it still watches: others may have gone on."""
    state = engine().call(lambda: watch.resting(store, run_id, seq)) if watch.follows(run_id) else None
    holder = store.holder(run_id) if state is not None else None
    return state if holder is not None and holder.process == store.process else None


class Loaded:
    """A run as it was read last: what is looked at again and again is not read from its beginning each time."""

    _FROM = 500  # events from which on a state is kept

    def __init__(self) -> None:
        self._kept: State | None = None

    def state(self, store: Store, run_id: str) -> State:
        """The state as it is now; see `current_state`."""
        state = current_state(store, run_id, self._kept)  # another thread may put another one there; each is as good
        if state.seq >= self._FROM:
            self._kept = state
        return state


def check_definition(definition: Definition, state: State) -> None:
    """Refuse to go on where the definition contradicts what is recorded.

    A changed instruction, model, budget or unused tool is fine. A tool whose call is not settled has to be there, and
    still of the same kind: a write does not become a read in mid-run.

    Raises:
        ResumeError: naming the difference.
    """
    if definition.name != state.name:
        raise ResumeError(f"run {state.run_id} is one of {state.name!r}, not of {definition.name!r}")
    if definition.kind != state.kind:
        raise ResumeError(
            f"run {state.run_id} is one of the {state.kind} {state.name!r}, which is a {definition.kind} here"
        )
    if DEOPT in state.calls and isinstance(definition, PipelineDefinition) and definition.deopt is None:
        raise ResumeError(
            f"run {state.run_id} goes on with an agent, and {state.name!r} has none that takes over any more; give "
            "deopt= back, or cancel the run"
        )
    recorded = {tool.offered.name: tool for tool in state.header.tools}
    for step in state.open_calls:
        call = state.calls[step]
        fact = recorded.get(call.name)
        if call.status == "done" or fact is None:
            continue
        if call.within is not None:
            continue  # only the step that made it knows its tool
        tool = definition.tools.get(call.name)
        if tool is None:
            what = "step" if call.is_step else "tool"
            raise ResumeError(
                f"run {state.run_id} waits at {step}, and {state.name!r} has no {what} {call.name!r} any more; "
                "give it back, or cancel the run"
            )
        if isinstance(definition, PipelineDefinition) and "[" not in step:
            _check_fan(definition, state, step)
        differences = _differences(call, fact, tool)
        if differences:
            raise ResumeError(
                f"run {state.run_id} started {step} when {call.name!r} was {differences}; make it so again, or cancel"
            )


def _check_fan(definition: PipelineDefinition, state: State, step: str) -> None:
    """A step that runs once for each element of a list goes on so, and one that does not, neither."""
    was, now = step in state.fans, definition.steps[step].each is not None
    if was != now:
        began, again = ("a list's elements", "once") if was else ("once", "a list's elements")
        raise ResumeError(
            f"run {state.run_id} started {step!r} for {began}, and now it is for {again}; make it so again, or fork "
            f"the run: run.fork(at={step!r})"
        )


def _differences(call: CallStep, fact: ToolFact, tool: ToolSpec) -> str | None:
    """What changed about a started call's tool that decides whether it may run again."""
    if call.attempt == 0:
        return None
    if (tool.kind == "agent") != (call.child_run_id is not None):
        was, now = ("a function", "an agent") if tool.kind == "agent" else ("an agent", "a function")
        return f"{was} (now {now})"
    if tool.writes == fact.writes and tool.idempotent == fact.idempotent:
        return None
    return (
        f"writes={fact.writes}, idempotent={fact.idempotent} (now writes={tool.writes}, idempotent={tool.idempotent})"
    )


def definition_of(store: Store, state: State, definition: Definition | None, run_id: str) -> Definition | None:
    """The agent of a run or of one of its unfinished child runs, where it is known.

    Args:
        store: the log.
        state: the run at the top.
        definition: its agent.
        run_id: the run or child run.
    """
    if definition is None or run_id == state.run_id:
        return definition
    for call in (state.calls[step] for step in state.open_calls):
        tool = definition.tool_at(call.step, call.name)
        if tool is None or tool.child is None or call.child_run_id is None or call.status == "done":
            continue
        if call.child_run_id == run_id:
            return tool.child
        found = definition_of(store, current_state(store, call.child_run_id), tool.child, run_id)
        if found is not None:
            return found
    return None


def is_answered(store: Store, state: State) -> bool:
    """Whether a run that waits has something to go on with: an answer to it or to a run that it called.

    A question that nobody answered in time counts as answered, and so does the wish to end the run; of what a person
    paused, that wish alone.
    """
    answers = store.answers(state.run_id)
    if "cancel" in answers or state.is_kept:
        return "cancel" in answers
    now = datetime.now(UTC)
    for asked in (state.approvals[key] for key in state.pending):
        if asked.id in answers or (asked.expires is not None and asked.expires <= now):
            return True
    return any(is_answered(store, child) for child in _open_children(store, state))


def status_of(store: Store, state: State) -> str:
    """What a run does that this process does not execute: its recorded status, or what became of it since.

    A run that was recorded as running, and that nobody holds, is interrupted. One that was submitted waits then, for a
    worker; and so it does, though it is recorded as paused, once it was answered.
    """
    if state.ended or store.holder(state.run_id) is not None:
        return state.status
    if state.status == "paused":
        is_due = state.submitted and not state.is_kept and is_answered(store, state)
        return "waiting" if is_due else "paused"
    return "waiting" if state.submitted else "interrupted"


def open_questions(store: Store, state: State) -> list[Approval]:
    """The questions that a run and its unfinished child runs recorded and have no recorded answer to."""
    found = [state.approvals[key] for key in state.pending]
    for child in _open_children(store, state):
        found += open_questions(store, child)
    return found


def _open_children(store: Store, state: State) -> Iterator[State]:
    """The runs that a run called and has no result of."""
    for call in (state.calls[step] for step in state.open_calls):
        child = call.child_run_id
        if child is not None and call.status != "done" and (watch.follows(child) or store.read(child, until=1)):
            yield current_state(store, child)
