"""What checks, limits, pauses and endings do to a state."""

from typing import Any

from agentkit.events import (
    BudgetReached,
    Checked,
    Commented,
    ErrorInfo,
    Event,
    Graded,
    HistoryTrimmed,
    Note,
    RunCancelledEvent,
    RunFailedEvent,
    RunPausedEvent,
    RunResumed,
    RunSucceeded,
)
from agentkit.fold.conversation import rechain, say, set_header
from agentkit.fold.handlers import on
from agentkit.fold.steps import interrupt_asks
from agentkit.jsonvalue import canonical
from agentkit.messages import UserMessage
from agentkit.policy import Budget
from agentkit.state import Comment, State

LOOP_HINT = (
    "The same call with the same arguments has now brought the same result three times. "
    "Calling it again will not help: use what you have, try something else, or give your answer."
)

REFUSED = "Your answer was refused. Give it again, corrected."
"""How a refusal begins that the model is told of; what is wrong comes after it."""


@on(Checked)
def _checked(state: State, event: Event, body: Checked) -> None:
    if state.kind == "pipeline":  # what a step's `when` said
        state.judged[event.step or ""] = body.passed
        return
    if event.step in state.calls:  # the guard against loops; a user's check looks at an answer, whatever its name
        state.looping, state.loop_told = None, False
        say(state, UserMessage(content=LOOP_HINT))
        return
    if body.passed:
        state.checked.append(event.name or "")
        return
    error = body.error or ErrorInfo(type="Refused", message="")
    state.refused = True
    if event.step in state.models:
        state.models[event.step].refusals += ((event.name or "check", error),)
    state.reasks += 1
    state.reask_error = error
    said: dict[str, Any] = {"problem": error.message, "check": event.name, **error.context}
    say(state, UserMessage(content=f"{REFUSED}\n{canonical(said).decode()}"))


@on(HistoryTrimmed)
def _history_trimmed(state: State, _event: Event, body: HistoryTrimmed) -> None:
    state.trimmed_to = body.keep_from
    state.trims.append((state.turn, body))
    rechain(state)


@on(BudgetReached)
def _budget_reached(state: State, event: Event, body: BudgetReached) -> None:
    state.budget_reached = body.model_dump(mode="json")
    asking = state.calls.get((event.step or "").partition("/")[0])
    if asking is not None and asking.is_step and asking.status == "running":  # it ends here, and is entered again
        asking.status = "parked"


@on(Graded)
def _graded(state: State, _event: Event, body: Graded) -> None:
    state.grade, state.grade_why = body.verdict, body.why


@on(Commented)
def _commented(state: State, event: Event, body: Commented) -> None:
    who, at = body.who or "somebody", body.said_at or event.ts
    state.comments.append(Comment(body.id, event.step, body.text, who, at, body.through))


@on(Note)
def _note(state: State, event: Event, body: Note) -> None:
    state.notes.append((event.step, body.text, body.data))


@on(RunPausedEvent)
def _run_paused(state: State, _event: Event, body: RunPausedEvent) -> None:
    state.queued = body.why == "handover" and not body.waiting_for
    state.status, state.paused_why = "waiting" if state.queued else "paused", body.why


@on(RunResumed)
def _run_resumed(state: State, _event: Event, body: RunResumed) -> None:
    state.status, state.paused_why = "waiting" if body.submitted else "running", None
    state.submitted, state.queued = state.submitted or body.submitted, body.submitted
    state.activation += 1
    turn = state.models.get(state.turn or "")
    if turn is not None and turn.status == "running":
        turn.status = "interrupted"
    for step in state.open_calls:
        if state.calls[step].status in {"running", "stuck"}:
            state.calls[step].status = "interrupted"
    interrupt_asks(state)
    if body.header is not None:
        set_header(state, body.header)
    if body.definition_sha256 is not None:
        state.definition_sha256 = body.definition_sha256
    if body.budget is not None:
        state.budget, state.budget_reached = Budget.model_validate(body.budget), None
    if state.parent_run_id is not None:  # the budget is the parent's, which may have been given more: try again
        state.budget_reached = None


@on(RunSucceeded)
def _run_succeeded(state: State, event: Event, body: RunSucceeded) -> None:
    state.status, state.output, state.ended_at = "succeeded", body.output, event.ts
    state.reasks = 0


@on(RunFailedEvent)
def _run_failed(state: State, event: Event, body: RunFailedEvent) -> None:
    state.status, state.error, state.ended_at = "failed", body.error, event.ts
    _withdraw(state)


@on(RunCancelledEvent)
def _run_cancelled(state: State, event: Event, body: RunCancelledEvent) -> None:
    state.status, state.ended_at = "cancelled", event.ts
    state.stopped_by, state.stopped_why = body.who, body.why
    _withdraw(state)


def _withdraw(state: State) -> None:
    """Nobody needs to answer any more."""
    for key in state.pending:
        state.approvals[key].verdict = "withdrawn"
    state.pending = []
