"""What is recorded of a run that nobody executes: that it was paused, cancelled, or how somebody judged it."""

from typing import TYPE_CHECKING, Literal

from agentkit.errors import ConfigError, RunClaimed
from agentkit.events import Graded, PauseReason, RunCancelledEvent, RunPausedEvent
from agentkit.redact import Redactor
from agentkit.runner import comments, settled
from agentkit.runner.answers import current_user
from agentkit.runner.claiming import claim_run
from agentkit.runner.load import load_state, open_questions
from agentkit.runner.recorder import Recorder, tell_nobody
from agentkit.state import State
from agentkit.store import Answer, Store

if TYPE_CHECKING:
    from agentkit.runner.run import Run


def cancel_here(run: "Run", state: State, said: Answer, redactor: Redactor) -> None:
    """End a run that nobody executes, and everything below it.

    Args:
        run: the run.
        state: it, as it was read a moment ago.
        said: who ends it, and why.
        redactor: of the run's definition.
    """
    for asked in open_questions(run.store, state):  # one that was answered meanwhile stays so
        run.store.answer(asked.run_id, asked.id, said.model_copy(update={"verdict": "withdrawn"}))
    if any(call.child_run_id is not None for call in state.calls.values()):
        for child in run.children():
            if not child.state.ended:
                child.cancel(said.comment)
    _record_end(run.store, state, redactor, said)


def _record_end(store: Store, state: State, redactor: Redactor, said: Answer) -> None:
    """Who takes the run up in this moment finds the word to cancel, and ends it."""
    run_id = state.run_id
    try:
        claim = claim_run(store, run_id)
    except RunClaimed:
        return
    try:
        if state.seq != claim.head:
            state = load_state(store, run_id)
        if not state.ended:
            recorder = Recorder(store, claim, state.copy(), tell_nobody, redactor)
            comments.absorb(recorder, store.answers(run_id))
            recorder.record(RunCancelledEvent(who=said.who, why=said.comment), name=state.name, status="cancelled")
            recorder.settle()
            state = recorder.state
    finally:
        store.release(claim)
    if state.submitted:
        store.queue.remove(run_id)
    settled.tell(store, state)


def pause_here(run: "Run", redactor: Redactor) -> bool:
    """Have no worker take up a run that waits for one; False where one has taken it."""
    if run.store.holder(run.run_id) is not None:
        return False
    try:
        _record_pause(run.store, run.run_id, redactor, "asked", {"running", "waiting"})
    except RunClaimed:
        return False
    return True


def leave_alone(store: Store, run_id: str) -> None:
    """Record that no worker is to take a run up any more: several died with it.

    Raises:
        RunClaimed: somebody executes it.
    """
    _record_pause(store, run_id, Redactor(), "lost", {"running", "waiting", "paused"})


def _record_pause(store: Store, run_id: str, redactor: Redactor, why: PauseReason, of: set[str]) -> None:
    claim = claim_run(store, run_id)
    try:
        recorder = Recorder(store, claim, load_state(store, run_id), tell_nobody, redactor)
        if recorder.state.status in of:
            recorder.record(RunPausedEvent(why=why), name=recorder.state.name, status="paused")
            recorder.settle()
    finally:
        store.release(claim)


def check_grade(state: State, verdict: str) -> None:
    """Refuse to judge what has not ended, or in other words.

    Raises:
        ConfigError: saying so.
    """
    if verdict not in {"good", "bad"}:
        raise ConfigError(f"a run is graded 'good' or 'bad', not {verdict!r}")
    if not state.ended:
        raise ConfigError(f"run {state.run_id} has not ended ({state.status}); grade it then")


def record_grade(
    store: Store, run_id: str, verdict: Literal["good", "bad"], why: str | None, redactor: Redactor
) -> None:
    """Record how somebody judged an ended run."""
    claim = claim_run(store, run_id)
    try:
        recorder = Recorder(store, claim, load_state(store, run_id), tell_nobody, redactor)
        comments.absorb(recorder, store.answers(run_id))  # where who left them died before they were recorded
        recorder.record(Graded(verdict=verdict, why=why, who=current_user()), name=recorder.state.name)
        recorder.settle()
    finally:
        store.release(claim)
    settled.tell(store, recorder.state)
