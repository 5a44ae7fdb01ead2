"""Ending the child runs that a failed run leaves behind: nobody has to answer for them any more."""

import contextlib
from typing import TYPE_CHECKING

from agentkit.errors import RunClaimed
from agentkit.events import Event, RunCancelledEvent
from agentkit.redact import Redactor
from agentkit.runner.answers import withdraw
from agentkit.runner.claiming import claim_run
from agentkit.runner.load import load_state
from agentkit.runner.recorder import Recorder
from agentkit.runner.threads import threads
from agentkit.state import State
from agentkit.store import Store

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation

WHY = "the run that called it failed"


async def end_children(act: "Activation") -> None:
    """End the child runs of a failed run that wait for a person, and those below them."""
    store, redactor = act.recorder.store, act.recorder.redactor
    for step, run_id in _unfinished(act.state).items():
        state = await threads.run(lambda run_id=run_id: _end(store, run_id, redactor))
        if state is not None:
            act.family.take_state(step, state)


def _unfinished(state: State) -> dict[str, str]:
    calls = (state.calls[step] for step in state.open_calls)
    return {call.step: call.child_run_id for call in calls if call.child_run_id is not None and call.status != "done"}


def _end(store: Store, run_id: str, redactor: Redactor) -> State | None:
    """End one run; None where it never began, or somebody executes it."""
    if not store.read(run_id, until=1):
        return None
    with contextlib.suppress(RunClaimed):
        claim = claim_run(store, run_id)
        try:
            state = load_state(store, run_id)
            for below in _unfinished(state).values():
                _end(store, below, redactor)
            if state.ended:
                return state
            recorder = Recorder(store, claim, state, _tell_nobody, redactor)
            withdraw(recorder)
            recorder.record(RunCancelledEvent(who="agentkit", why=WHY), name=state.name, status="cancelled")
            recorder.settle()
            return recorder.state
        finally:
            store.release(claim)
    return None


def _tell_nobody(_event: Event) -> None:
    """Nobody follows a run that is not executing."""
