"""The pure fold: what a run's events make of its state, one small function an event type.

`fold` is the pure function. `advance` is its one step, on a state that its caller owns: the runner keeps one state per
run and advances it in place, so that the 200th turn costs what the 20th did. Nothing here reads a clock, a file or a
definition.
"""

from collections.abc import Iterable

from agentkit.errors import LogCorrupt
from agentkit.events import Event, RunStarted
from agentkit.fold import approvals, model_calls, run, steps, tool_calls
from agentkit.fold.begin import begin
from agentkit.fold.conversation import request_sha256
from agentkit.fold.handlers import HANDLERS
from agentkit.fold.steps import is_of_an_ask
from agentkit.state import State

__all__ = ["advance", "approvals", "fold", "model_calls", "request_sha256", "run", "steps", "tool_calls"]


def fold(events: Iterable[Event], base: State | None = None) -> State:
    """The state after events.

    Args:
        events: a run's events in order, from its first or from the one after `base.seq`.
        base: the state so far; for a fork or a follow-up, the other run's state where this one begins. Left as it is.

    Returns:
        A new state.

    Raises:
        LogCorrupt: the events are not a run's: a gap, no beginning, another run's.
    """
    state = base.copy() if base is not None else None
    for event in events:
        state = advance(state, event)
    if state is None:
        raise LogCorrupt("a run without events has no state")
    return state


def advance(state: State | None, event: Event) -> State:
    """One step of the fold, in place: `state` belongs to the caller and is changed.

    Args:
        state: the state so far; None before the first event.
        event: the next event.

    Returns:
        The state after it: the same object, but for a run's first event.

    Raises:
        LogCorrupt: the event does not follow.
    """
    if isinstance(event.body, RunStarted):
        return begin(state, event, event.body)
    if state is None:
        raise LogCorrupt(f"run {event.run_id} begins with {event.type} (seq {event.seq}), not with run_started")
    if event.run_id != state.run_id or event.seq != state.seq + 1:
        raise LogCorrupt(
            f"event {event.seq} of run {event.run_id} cannot follow event {state.seq} of run {state.run_id}"
        )
    if not (state.asks and is_of_an_ask(state, event)):
        HANDLERS[event.body.TYPE](state, event, event.body)
    state.seq = event.seq
    return state
