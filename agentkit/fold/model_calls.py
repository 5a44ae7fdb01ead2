"""What model calls, and the decisions they bring, do to a state."""

from agentkit.events import Decided, Event, ModelFailed, ModelRequested, ModelResponded, RetryScheduled
from agentkit.fold.conversation import say
from agentkit.fold.handlers import on, step_of
from agentkit.messages import AssistantMessage, ToolCall, Usage
from agentkit.state import Attempts, CallStep, ModelStep, State


@on(ModelRequested)
def _model_requested(state: State, event: Event, body: ModelRequested) -> None:
    step = step_of(event)
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
    state.model_calls += 1
    state.status = "running"


@on(ModelResponded)
def _model_responded(state: State, event: Event, body: ModelResponded) -> None:
    model = state.models[step_of(event)]
    used = usage_of(event)
    state.used += used
    model.usage += used
    model.status, model.error, model.ended, model.text = "done", None, event.ts, body.text
    say(state, AssistantMessage(text=body.text, tool_calls=body.tool_calls, reasoning=body.reasoning))
    model.calls = tuple(_propose(state, model.step, call) for call in body.tool_calls)
    state.open_calls = list(model.calls)
    if state.config.get("decisions", True):
        state.undecided = list(model.calls) or [model.step]


def usage_of(event: Event) -> Usage:
    """What an attempt at a model call used, as its last event tells it."""
    body = event.body
    answered = body if isinstance(body, ModelResponded) else None
    return Usage(
        input_tokens=event.input_tokens or 0,
        output_tokens=event.output_tokens or 0,
        cached_tokens=answered.cached_tokens if answered else 0,
        cache_write_tokens=answered.cache_write_tokens if answered else 0,
        reasoning_tokens=answered.reasoning_tokens if answered else 0,
        cost_usd=event.cost_usd,
    )


def _propose(state: State, turn: str, call: ToolCall) -> str:
    """A proposed call becomes a step: the n-th call of that tool in this run."""
    occurrence = state.occurrences[call.name] = state.occurrences.get(call.name, 0) + 1
    step = f"tool/{call.name}/{occurrence}"
    state.calls[step] = CallStep(step=step, name=call.name, call_id=call.id, turn=turn, raw=call.arguments)
    return step


@on(ModelFailed)
def _model_failed(state: State, event: Event, body: ModelFailed) -> None:
    model = state.models[step_of(event)]
    used = usage_of(event)
    state.used += used
    model.usage += used
    model.status, model.error, model.retryable = "failed", body.error, body.error.retryable
    model.ended, model.errors = event.ts, (*model.errors, body.error)
    model.tried += (event.name or "",)
    model.retry_after = body.retry_after
    if body.lost:
        model.retryable = True
    else:
        model.failures += 1


@on(RetryScheduled)
def _retry_scheduled(state: State, event: Event, body: RetryScheduled) -> None:
    step: Attempts
    if event.step in state.models:
        step = state.models[event.step]
        step.status = "waiting"
    else:
        step = state.calls[step_of(event)]
        step.status = "waiting"
    step.due = body.due
    if event.status == "waiting":
        state.status = "waiting"


@on(Decided)
def _decided(state: State, event: Event, body: Decided) -> None:
    step = step_of(event)
    state.undecided.remove(step)
    if step in state.calls:
        state.calls[step].why, state.calls[step].instead_of = body.why, body.instead_of
