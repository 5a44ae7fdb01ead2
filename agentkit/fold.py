"""The pure fold: what a run's events make of its state, one small function an event type.

`fold` is the pure function. `advance` is its one step, on a state that its caller owns: the runner keeps one state per
run and advances it in place, so that the 200th turn costs what the 20th did. Nothing here reads a clock, a file or a
definition.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, cast

from pydantic import TypeAdapter

from agentkit.errors import LogCorrupt
from agentkit.events import (
    ApprovalAnswered,
    ApprovalExpired,
    ApprovalRequested,
    Body,
    BudgetReached,
    Checked,
    Decided,
    ErrorInfo,
    Event,
    Graded,
    Header,
    HistoryTrimmed,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Note,
    RetryScheduled,
    RunCancelledEvent,
    RunFailedEvent,
    RunPausedEvent,
    RunResumed,
    RunStarted,
    RunSucceeded,
    ToolFailed,
    ToolStarted,
    ToolSucceeded,
)
from agentkit.ids import digest
from agentkit.jsonvalue import canonical
from agentkit.messages import AssistantMessage, Message, ModelRequest, Part, ToolMessage, Usage, UserMessage
from agentkit.policy import Budget
from agentkit.state import Approval, Attempts, CallStep, ModelStep, State, UnknownEffect

HANDLERS: dict[str, Callable[[State, Event, Any], None]] = {}

LOOP_LIMIT = 3
"""So many times the same call may bring the same result; then the model is told, and after one more a person is."""

LOOP_HINT = (
    "The same call with the same arguments has now brought the same result three times. "
    "Calling it again will not help: use what you have, try something else, or give your answer."
)

_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])


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
    HANDLERS[event.body.TYPE](state, event, event.body)
    state.seq = event.seq
    return state


def _on(body: type[Body]) -> Callable[[Callable[[State, Event, Any], None]], Callable[[State, Event, Any], None]]:
    def register(handler: Callable[[State, Event, Any], None]) -> Callable[[State, Event, Any], None]:
        HANDLERS[body.TYPE] = handler
        return handler

    return register


def begin(base: State | None, event: Event, body: RunStarted) -> State:
    """The state of a run that just started: empty, or with what a fork or a follow-up takes from `base`."""
    if event.seq != 1:
        raise LogCorrupt(f"run_started of run {event.run_id} has seq {event.seq}, not 1")
    if (body.origin is None) != (base is None):
        raise LogCorrupt(
            f"run {event.run_id} begins with the events of run {body.origin.run_id if body.origin else '(none)'}, "
            "which have to be folded first"
        )
    fresh = State(
        run_id=event.run_id,
        seq=1,
        name=event.name or "",
        kind=body.kind,
        started_at=event.ts,
        module=body.module,
        definition_sha256=body.definition_sha256,
        config=body.config,
        input=body.input,
        parent_run_id=event.parent_run_id,
        parent_step=body.parent_step,
        origin=body.origin,
        tags=body.tags,
        session=body.session,
        user=body.user,
        budget=Budget.model_validate(body.config.get("budget", {})),
    )
    _set_header(fresh, body.header)
    if base is not None:
        _take_conversation(fresh, base)
    if base is not None and body.origin is not None and body.origin.kind == "fork":
        _take_steps(fresh, base.copy())
        fresh.parent_writes = body.origin.later_writes
    else:
        _say(fresh, UserMessage(content=_content(body.input)))
    return fresh


def _take_conversation(fresh: State, base: State) -> None:
    fresh.messages = list(base.messages)
    fresh.message_tokens = list(base.message_tokens)
    fresh.tokens, fresh.chain, fresh.trimmed_to = base.tokens, base.chain, base.trimmed_to
    last = base.answer()
    is_fork = fresh.origin is not None and fresh.origin.kind == "fork"
    if last is not None and last.tool_calls and not is_fork:  # no provider takes calls that have no results
        fresh.messages.pop()
        fresh.message_tokens.pop()
        _rechain(fresh)


def _take_steps(fresh: State, base: State) -> None:
    """A fork goes on from its parent's steps; approvals that were not used yet are asked for again."""
    fresh.models, fresh.calls, fresh.occurrences = base.models, base.calls, base.occurrences
    fresh.turn, fresh.open_calls, fresh.undecided = base.turn, base.open_calls, base.undecided
    fresh.checked, fresh.refused = base.checked, base.refused
    fresh.reasks, fresh.reask_error = base.reasks, base.reask_error
    fresh.unknown, fresh.repeats = base.unknown, base.repeats
    fresh.looping, fresh.loop_told = base.looping, base.loop_told
    fresh.approvals = {key: asked for key, asked in base.approvals.items() if asked.verdict is not None}
    for step in fresh.open_calls:
        call = fresh.calls[step]
        if call.status in {"asked", "cleared", "answered"}:
            call.status, call.approval, call.cleared_digest, call.edited = "proposed", None, None, False


def _set_header(state: State, header: Header) -> None:
    state.header = header
    state.header_sha256 = _header_sha256(state.request())


def _header_sha256(request: ModelRequest) -> str:
    """The digest of all of a prompt but its messages: it stays the same from turn to turn."""
    offered: list[Any] = [tool.model_dump(mode="json") for tool in request.tools]
    output = request.output.model_dump(mode="json") if request.output else None
    return digest([request.instructions, offered, output, request.parameters])


def request_sha256(request: ModelRequest) -> str:
    """The digest of a prompt, computed from the prompt alone: what `State.request_sha256` keeps at hand.

    Args:
        request: what a model was asked.

    Returns:
        64 hex digits.
    """
    chain = ""
    for message in request.messages:
        chain = _link(chain, message.role, message.model_dump_json(exclude_defaults=True))
    return hashlib.sha256(f"{_header_sha256(request)}{chain}".encode()).hexdigest()


def _content(value: Any) -> str | tuple[Part, ...]:
    """A run's input as what the user said: text, parts, or any JSON as text."""
    if isinstance(value, str):
        return value
    parts = cast("list[Any]", value) if isinstance(value, list) else []
    if parts and all(isinstance(part, dict) and "type" in part for part in parts):
        return _PARTS.validate_python(value)
    return canonical(value).decode()


def _say(state: State, message: Message) -> None:
    data = message.model_dump_json(exclude_defaults=True)
    tokens = len(data) // 4 + 1
    state.messages.append(message)
    state.message_tokens.append(tokens)
    state.tokens += tokens
    state.chain = _link(state.chain, message.role, data)


def _link(chain: str, role: str, data: str) -> str:
    return hashlib.sha256(f"{chain}{role}{data}".encode()).hexdigest()


def _rechain(state: State) -> None:
    """Digest and count the messages of the next prompt anew."""
    state.chain = ""
    for message in state.prompt_messages:
        state.chain = _link(state.chain, message.role, message.model_dump_json(exclude_defaults=True))
    kept = state.message_tokens
    state.tokens = kept[0] + sum(kept[state.trimmed_to :]) if state.trimmed_to else sum(kept)


# model calls ---------------------------------------------------------------------------------------------------------


@_on(ModelRequested)
def _model_requested(state: State, event: Event, body: ModelRequested) -> None:
    step = _step_of(event)
    model = state.models.get(step)
    if model is None:
        model = state.models[step] = ModelStep(step=step, name=event.name or "", started=event.ts)
        state.turn, state.checked, state.refused = step, [], False
    if body.fallback != model.fallback:
        model.fallback, model.failures = body.fallback, 0
    model.name, model.status, model.due = event.name or "", "running", None
    model.attempt = event.attempt or 1
    model.reserved_usd, model.estimated_tokens = body.reserved_usd, body.estimated_tokens
    model.request_sha256 = body.request_sha256
    state.usage += Usage(model_calls=1)
    state.status = "running"


@_on(ModelResponded)
def _model_responded(state: State, event: Event, body: ModelResponded) -> None:
    model = state.models[_step_of(event)]
    used = Usage(
        input_tokens=event.input_tokens or 0,
        output_tokens=event.output_tokens or 0,
        cached_tokens=body.cached_tokens,
        cache_write_tokens=body.cache_write_tokens,
        reasoning_tokens=body.reasoning_tokens,
        cost_usd=event.cost_usd,
    )
    state.usage += used
    model.usage += used
    model.status, model.error, model.ended, model.text = "done", None, event.ts, body.text
    _say(state, AssistantMessage(text=body.text, tool_calls=body.tool_calls, reasoning=body.reasoning))
    model.calls = tuple(_propose(state, model.step, call) for call in body.tool_calls)
    state.open_calls = list(model.calls)
    if state.config.get("decisions", True):
        state.undecided = list(model.calls) or [model.step]


def _propose(state: State, turn: str, call: Any) -> str:
    """A proposed call becomes a step: the n-th call of that tool in this run."""
    occurrence = state.occurrences[call.name] = state.occurrences.get(call.name, 0) + 1
    step = f"tool/{call.name}/{occurrence}"
    state.calls[step] = CallStep(step=step, name=call.name, call_id=call.id, turn=turn, raw=call.arguments)
    return step


@_on(ModelFailed)
def _model_failed(state: State, event: Event, body: ModelFailed) -> None:
    model = state.models[_step_of(event)]
    used = Usage(input_tokens=event.input_tokens or 0, output_tokens=event.output_tokens or 0, cost_usd=event.cost_usd)
    state.usage += used
    model.usage += used
    model.status, model.error, model.retryable = "failed", body.error, body.error.retryable
    model.ended, model.errors = event.ts, (*model.errors, body.error)
    model.retry_after = body.retry_after
    if body.lost:
        model.retryable = True
    else:
        model.failures += 1


@_on(RetryScheduled)
def _retry_scheduled(state: State, event: Event, body: RetryScheduled) -> None:
    step: Attempts
    if event.step in state.models:
        step = state.models[event.step]
        step.status = "waiting"
    else:
        step = state.calls[_step_of(event)]
        step.status = "waiting"
    step.due = body.due
    if event.status == "waiting":
        state.status = "waiting"


@_on(Decided)
def _decided(state: State, event: Event, body: Decided) -> None:
    step = _step_of(event)
    state.undecided.remove(step)
    if step in state.calls:
        state.calls[step].why, state.calls[step].instead_of = body.why, body.instead_of


# tool calls ----------------------------------------------------------------------------------------------------------


@_on(ToolStarted)
def _tool_started(state: State, event: Event, body: ToolStarted) -> None:
    call = state.calls[_step_of(event)]
    if call.attempt == 0:
        call.started = event.ts
        state.usage += Usage(tool_calls=1)
    call.status, call.attempt, call.due = "running", event.attempt or 1, None
    call.arguments, call.key = body.arguments, body.idempotency_key
    call.child_run_id = body.child_run_id
    state.status = "running"


@_on(ToolSucceeded)
def _tool_succeeded(state: State, event: Event, body: ToolSucceeded) -> None:
    call = state.calls[_step_of(event)]
    call.outcome, call.result, call.error, call.effect = "ok", body.result, None, None
    call.told_by = body.told_by
    _add_child_usage(state, body.child_usage)
    _settle(state, call, event)


@_on(ToolFailed)
def _tool_failed(state: State, event: Event, body: ToolFailed) -> None:
    call = state.calls[_step_of(event)]
    call.error, call.effect, call.reask = body.error, body.effect, body.reask
    call.errors = (*call.errors, body.error)
    if body.in_doubt:
        call.status = "stuck"
        return
    if body.retrying:
        call.status = "failed"
        call.failures += 1
        return
    call.outcome = "rejected" if body.rejected else "error"
    if body.effect == "unknown":
        state.unknown.append(
            UnknownEffect(call.step, call.name, call.arguments, call.key, f"{body.error.type}: {body.error.message}")
        )
    _add_child_usage(state, body.child_usage)
    _settle(state, call, event)


def _add_child_usage(state: State, usage: dict[str, Any] | None) -> None:
    if usage is not None:
        state.child_usage += Usage.model_validate(usage)


def _settle(state: State, call: CallStep, event: Event) -> None:
    call.status, call.ended = "done", event.ts
    _count_repeat(state, call)
    if all(state.calls[step].status == "done" for step in state.open_calls):
        _close_turn(state)


def _count_repeat(state: State, call: CallStep) -> None:
    if call.outcome == "rejected":
        return
    arguments = call.arguments if call.arguments is not None else call.raw
    error = [call.error.type, call.error.message] if call.error else None
    key = digest([call.name, arguments, call.result, error])[:16]
    count = state.repeats[key] = state.repeats.get(key, 0) + 1
    if count >= LOOP_LIMIT:
        state.looping, state.loop_told = call.step, count > LOOP_LIMIT


def _close_turn(state: State) -> None:
    """All calls of the turn are settled: their results become messages, in the order the model made the calls."""
    calls = [state.calls[step] for step in state.open_calls]
    for call in calls:
        _say(
            state,
            ToolMessage(
                call_id=call.call_id, name=call.name, content=result_content(call), is_error=call.outcome != "ok"
            ),
        )
    wrong = [call for call in calls if call.reask]
    state.reasks = state.reasks + 1 if wrong else 0
    state.reask_error = wrong[0].error if wrong else None
    state.open_calls = []


def result_content(call: CallStep) -> Any:
    """What the model is told of a settled call: the result, or an error it can act on, and what a person changed."""
    if call.outcome == "ok":
        if not call.edited and call.told_by is None:
            return call.result
        changed = f"A person changed the arguments to {canonical(call.arguments).decode()} before this ran."
        told = "A person gave this result; the tool itself did not report it."
        return {"result": call.result, "note": told if call.told_by is not None else changed}
    error = call.error or ErrorInfo(type="Error", message="")
    said: dict[str, Any] = {"type": error.type, "message": error.message, "retrying_can_help": error.retryable}
    if error.context:
        said["context"] = error.context
    if call.effect == "unknown":
        said["effect"] = "unknown: it may have happened; a person will be asked before this tool runs again"
    return {"rejected" if call.outcome == "rejected" else "error": said}


# checks and guards ---------------------------------------------------------------------------------------------------


@_on(Checked)
def _checked(state: State, event: Event, body: Checked) -> None:
    if event.name == "loop":
        state.looping, state.loop_told = None, False
        _say(state, UserMessage(content=LOOP_HINT))
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
    _say(state, UserMessage(content=f"Your answer was refused. Give it again, corrected.\n{canonical(said).decode()}"))


@_on(HistoryTrimmed)
def _history_trimmed(state: State, _event: Event, body: HistoryTrimmed) -> None:
    state.trimmed_to = body.keep_from
    state.trims.append((state.turn, body))
    _rechain(state)


@_on(BudgetReached)
def _budget_reached(state: State, _event: Event, body: BudgetReached) -> None:
    state.budget_reached = body.model_dump(mode="json")


# approvals -----------------------------------------------------------------------------------------------------------


@_on(ApprovalRequested)
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
    )
    state.pending.append(key)
    call = state.calls.get(event.step or "")
    if call is not None:
        call.status, call.approval, call.arguments = "asked", key, body.arguments


@_on(ApprovalAnswered)
def _approval_answered(state: State, event: Event, body: ApprovalAnswered) -> None:
    if event.approval_id is None:  # a predicate said that nobody needs to be asked
        call = state.calls[_step_of(event)]
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


@_on(ApprovalExpired)
def _approval_expired(state: State, event: Event, _body: ApprovalExpired) -> None:
    asked = state.approvals[event.approval_id or ""]
    asked.verdict, asked.answered_at = "expired", event.ts
    state.pending.remove(asked.id)
    state.calls[asked.step or ""].status = "answered"


# the run -------------------------------------------------------------------------------------------------------------


@_on(Graded)
def _graded(state: State, _event: Event, body: Graded) -> None:
    state.grade = body.verdict


@_on(Note)
def _note(state: State, event: Event, body: Note) -> None:
    state.notes.append((event.step, body.text, body.data))


@_on(RunPausedEvent)
def _run_paused(state: State, _event: Event, _body: RunPausedEvent) -> None:
    state.status = "paused"


@_on(RunResumed)
def _run_resumed(state: State, _event: Event, body: RunResumed) -> None:
    state.status = "running"
    state.activation += 1
    turn = state.models.get(state.turn or "")
    if turn is not None and turn.status == "running":
        turn.status = "interrupted"
    for step in state.open_calls:
        if state.calls[step].status in {"running", "stuck"}:
            state.calls[step].status = "interrupted"
    if body.header is not None:
        _set_header(state, body.header)
    if body.definition_sha256 is not None:
        state.definition_sha256 = body.definition_sha256
    if body.budget is not None:
        state.budget, state.budget_reached = Budget.model_validate(body.budget), None
    if state.parent_run_id is not None:  # the budget is the parent's, which may have been given more: try again
        state.budget_reached = None


@_on(RunSucceeded)
def _run_succeeded(state: State, event: Event, body: RunSucceeded) -> None:
    state.status, state.output, state.ended_at = "succeeded", body.output, event.ts
    state.reasks = 0


@_on(RunFailedEvent)
def _run_failed(state: State, event: Event, body: RunFailedEvent) -> None:
    state.status, state.error, state.ended_at = "failed", body.error, event.ts


@_on(RunCancelledEvent)
def _run_cancelled(state: State, event: Event, body: RunCancelledEvent) -> None:
    state.status, state.ended_at = "cancelled", event.ts
    state.stopped_by = body.who
    for key in state.pending:
        state.approvals[key].verdict = "withdrawn"
    state.pending = []


def _step_of(event: Event) -> str:
    if event.step is None:
        raise LogCorrupt(f"event {event.seq} of run {event.run_id} ({event.type}) names no step")
    return event.step
