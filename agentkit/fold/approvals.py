"""What questions to a person, and the answers, do to a state."""

from typing import Any, cast

from agentkit.events import ApprovalAnswered, ApprovalExpired, ApprovalRequested, Event
from agentkit.fold.calls import call_of
from agentkit.fold.handlers import on
from agentkit.messages import ToolSchema
from agentkit.policy import Budget
from agentkit.state import Approval, CallStep, State


@on(ApprovalRequested)
def _approval_requested(state: State, event: Event, body: ApprovalRequested) -> None:
    key = event.approval_id or ""
    state.approvals[key] = Approval(
        id=key,
        run_id=state.run_id,
        kind=body.kind,
        step=event.step,
        name=event.name,
        prompt=body.prompt,
        arguments=body.arguments,
        digest=body.digest,
        because=body.because,
        why=body.why,
        shows=body.shows,
        options=body.options,
        expires=body.expires,
        requested_at=event.ts,
        offered=_offered(state, event, body) if body.kind == "call" else None,
    )
    state.pending.append(key)
    if event.step is not None:
        call = call_of(state, event)
        call.status, call.approval, call.arguments = "asked", key, body.arguments
        if call.within is not None:  # the step that made the call ends here, and is entered again
            call.raw = body.arguments if call.raw is None else call.raw
            state.calls[call.within].status = "parked"


def _offered(state: State, event: Event, body: ApprovalRequested) -> ToolSchema | None:
    """What the question is about: a tool of the run's header, or one that a step calls, told once and named since."""
    if body.offered_sha256 is None:
        if state.kind == "pipeline" and "/" in (event.step or ""):  # an older log; a step may be called as the tool is
            return None
        return next((tool.offered for tool in state.header.tools if tool.offered.name == event.name), None)
    if body.offered is not None:
        state.offered[body.offered_sha256] = body.offered
    return state.offered.get(body.offered_sha256)


@on(ApprovalAnswered)
def _approval_answered(state: State, event: Event, body: ApprovalAnswered) -> None:
    if event.approval_id is None:  # a predicate said that nobody needs to be asked
        call = call_of(state, event)
        call.status, call.cleared_digest = "cleared", body.digest
        return
    asked = state.approvals[event.approval_id]
    asked.verdict, asked.value, asked.edits = body.verdict, body.value, body.edits
    asked.comment, asked.who, asked.answered_at = body.comment, body.who, body.answered_at or event.ts
    state.pending.remove(asked.id)
    if asked.kind == "budget":
        _answer_budget(state, asked)
    elif asked.kind == "loop":
        _answer_loop(state, asked)
    elif asked.kind == "deopt":
        _answer_deopt(state, asked)
    elif body.verdict != "withdrawn":
        _answer_call(state, state.calls[asked.step or ""], asked, body)


def _answer_call(state: State, call: CallStep, asked: Approval, body: ApprovalAnswered) -> None:
    if body.verdict in {"approve", "did_not"}:
        call.status, call.cleared_digest = "cleared", body.digest or asked.digest
    elif body.verdict == "edit":
        call.status, call.cleared_digest, call.edited = "cleared", body.digest, True
        call.arguments = {**cast("dict[str, Any]", asked.arguments), **(body.edits or {})}
    elif body.verdict == "stop":
        state.stopped_by = body.who or "a person"
        call.status = "answered"
    else:
        call.status = "answered"


def _answer_budget(state: State, asked: Approval) -> None:
    if asked.verdict in {"reject", "stop"}:
        state.stopped_by = asked.who or "a person"
    elif asked.verdict != "withdrawn":
        state.budget = Budget.model_validate({**state.budget.model_dump(), **(asked.edits or {})})
        state.budget_reached = None


def _answer_loop(state: State, asked: Approval) -> None:
    if asked.verdict in {"reject", "stop"}:
        state.stopped_by = asked.who or "a person"
    elif asked.verdict != "withdrawn":
        state.looping, state.loop_told = None, False
        state.repeats.clear()


def _answer_deopt(state: State, asked: Approval) -> None:
    if asked.verdict in {"reject", "stop"}:
        state.stopped_by = asked.who or "a person"


@on(ApprovalExpired)
def _approval_expired(state: State, event: Event, _body: ApprovalExpired) -> None:
    asked = state.approvals[event.approval_id or ""]
    asked.verdict, asked.answered_at = "expired", event.ts
    state.pending.remove(asked.id)
    state.calls[asked.step or ""].status = "answered"
