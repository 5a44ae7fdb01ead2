"""What tool calls do to a state; when the last of a turn is settled, their results become messages."""

import hashlib
from typing import Any

from pydantic_core import to_json

from agentkit.events import Event, StepFailed, ToolFailed, ToolStarted, ToolSucceeded
from agentkit.fold import calls
from agentkit.fold.calls import call_of
from agentkit.fold.conversation import result_content, say
from agentkit.fold.handlers import on
from agentkit.messages import ToolMessage, Usage
from agentkit.state import CallStep, State, UnknownEffect

LOOP_LIMIT = 3
"""So many times the same call may bring the same result; then the model is told, and after one more a person is."""


@on(ToolStarted)
def _tool_started(state: State, event: Event, body: ToolStarted) -> None:
    call = call_of(state, event)
    if call.attempt == 0:
        call.started = event.ts
        state.tool_calls += 1
    call.status, call.attempt, call.due = "running", event.attempt or 1, None
    call.arguments = call.ran_with = body.arguments
    if call.within is not None:
        call.writes = body.writes
        call.raw = body.arguments if call.raw is None else call.raw
    call.key = body.idempotency_key
    call.child_run_id = body.child_run_id
    state.status = "running"


@on(ToolSucceeded)
def _tool_succeeded(state: State, event: Event, body: ToolSucceeded) -> None:
    call = call_of(state, event)
    call.outcome, call.result, call.error, call.effect = "ok", body.result, None, None
    call.told_by = body.told_by
    if body.child_unknown is not None:
        state.unknown.append(UnknownEffect(call.step, call.name, call.arguments, call.key, body.child_unknown))
    add_child_usage(state, call, body.child_usage)
    _settle(state, call, event)


@on(ToolFailed)
def _tool_failed(state: State, event: Event, body: ToolFailed) -> None:
    call = call_of(state, event)
    call.reask = body.reask
    if fail(state, call, body):
        add_child_usage(state, call, body.child_usage)
        _settle(state, call, event)


def fail(state: State, call: CallStep, body: ToolFailed | StepFailed) -> bool:
    """Take a failed attempt of a call. Whether it was the last one."""
    call.error, call.effect = body.error, body.effect
    call.errors = (*call.errors, body.error)
    if body.in_doubt:
        call.status = "stuck"
        return False
    if body.retrying:
        call.status = "failed"
        call.failures += 1
        return False
    call.outcome = "rejected" if body.rejected else "error"
    if body.effect == "unknown":
        state.unknown.append(
            UnknownEffect(call.step, call.name, call.arguments, call.key, f"{body.error.type}: {body.error.message}")
        )
    return True


def add_child_usage(state: State, call: CallStep, usage: dict[str, Any] | None) -> None:
    """Count what a child run used."""
    if usage is not None:
        call.child_usage = Usage.model_validate(usage)
        state.child_usage += call.child_usage


def _settle(state: State, call: CallStep, event: Event) -> None:
    if state.kind == "pipeline":
        calls.settle(state, call, event)
        return
    call.status, call.ended = "done", event.ts
    _count_repeat(state, call)
    if all(state.calls[step].status == "done" for step in state.open_calls):
        _close_turn(state)


def _count_repeat(state: State, call: CallStep) -> None:
    if call.outcome == "rejected":
        return
    arguments = call.arguments if call.arguments is not None else call.raw
    error = [call.error.type, call.error.message] if call.error else None
    key = hashlib.sha256(to_json([call.name, arguments, call.result, error])).hexdigest()[:16]
    count = state.repeats.get(key, 0) + 1
    if state.looping is not None and not state.loop_told:  # more of them in one turn: the model has to be told first
        count = min(count, LOOP_LIMIT)
    state.repeats[key] = count
    if count >= LOOP_LIMIT:
        state.looping, state.loop_told = call.step, count > LOOP_LIMIT


def _close_turn(state: State) -> None:
    """All calls of the turn are settled: their results become messages, in the order the model made the calls."""
    turn = [state.calls[step] for step in state.open_calls]
    for call in turn:
        say(
            state,
            ToolMessage(
                call_id=call.call_id, name=call.name, content=result_content(call), is_error=call.outcome != "ok"
            ),
        )
    wrong = [call for call in turn if call.reask]
    state.reasks = state.reasks + 1 if wrong else 0
    state.reask_error = wrong[0].error if wrong else None
    state.open_calls = []
