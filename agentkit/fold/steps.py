"""What a pipeline's steps, and the models that they ask, do to a state."""

from typing import Any

from agentkit.events import (
    AskStarted,
    BudgetReached,
    Commented,
    ErrorInfo,
    Event,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from agentkit.fold.calls import call_of, settle
from agentkit.fold.conversation import content, say, set_header
from agentkit.fold.handlers import HANDLERS, on, step_of
from agentkit.fold.model_calls import usage_of
from agentkit.fold.tool_calls import add_child_usage, fail
from agentkit.messages import UserMessage
from agentkit.state import Ask, CallStep, FanOut, State, UnknownEffect


@on(StepStarted)
def _step_started(state: State, event: Event, body: StepStarted) -> None:
    if body.items is not None and (event.step or "") not in state.fans:  # a fork's fan-out goes on with its items
        state.fans[step_of(event)] = FanOut(total=body.items)
    call = call_of(state, event)
    if call.attempt == 0:
        call.started = event.ts
    state.status = "running"
    if body.items is not None:
        return  # its items run, it does not
    call.status, call.attempt, call.due = "running", event.attempt or 1, None
    call.key, call.child_run_id, call.input_sha256 = body.idempotency_key, body.child_run_id, body.input_sha256


@on(StepSucceeded)
def _step_succeeded(state: State, event: Event, body: StepSucceeded) -> None:
    ask = state.asks.get(event.step or "")
    if ask is not None:
        ask.outcome, ask.result, ask.conversation = "ok", body.result, None
        return
    call = call_of(state, event)
    call.outcome, call.error, call.effect = "ok", None, None
    call.result = items_of(state, call.step) if body.gathered else body.result
    call.told_by, call.cached_from = body.told_by, body.cached_from
    if body.child_unknown is not None:
        state.unknown.append(UnknownEffect(call.step, call.name, call.arguments, call.key, body.child_unknown))
    add_child_usage(state, call, body.child_usage)
    _end(state, call, event)


@on(StepFailed)
def _step_failed(state: State, event: Event, body: StepFailed) -> None:
    ask = state.asks.get(event.step or "")
    if ask is not None:
        ask.outcome, ask.error, ask.conversation = "error", body.error, None
        return
    call = call_of(state, event)
    call.deopt = body.deopt
    if fail(state, call, body):
        add_child_usage(state, call, body.child_usage)
        _end(state, call, event)


@on(StepSkipped)
def _step_skipped(state: State, event: Event, body: StepSkipped) -> None:
    step = step_of(event)
    state.skipped[step] = (body.because, body.on)
    call = state.calls.get(step)
    if call is not None:  # it was asked about
        call.outcome = "rejected"
        _end(state, call, event)


def _end(state: State, call: CallStep, event: Event) -> None:
    settle(state, call, event)
    for path in state.inner.get(call.step, ()):
        if path in state.asks:
            state.asks[path].conversation = None


def items_of(state: State, step: str) -> list[Any]:
    """The results of a fan-out's items, in order; in a failed one's place stands what it failed with."""
    calls = [state.calls[f"{step}[{index}]"] for index in range(state.fans[step].total)]
    return [call.result if call.outcome == "ok" else failed_item(call) for call in calls]


def failed_item(call: CallStep) -> dict[str, Any]:
    """A failed item as its dependents see it: `ak.Failed` as JSON."""
    error = call.error or ErrorInfo(type="Skipped", message="it was left out")
    return {"failed": True, "step": call.step, "type": error.type, "message": error.message}


@on(AskStarted)
def _ask_started(state: State, event: Event, body: AskStarted) -> None:
    step = step_of(event)
    within = step.partition("/")[0]
    header = body.header if body.header is not None else state.headers[body.header_sha256]
    state.headers[body.header_sha256] = header
    talk = State(
        run_id=state.run_id,
        seq=1,
        name=event.name or "",
        kind="agent",
        started_at=event.ts,
        parent_run_id=state.run_id,  # whose budget it is: the run asks for more, not the conversation
        config={"decisions": False},
    )
    set_header(talk, header)
    say(talk, UserMessage(content=content(body.prompt)))
    state.asks[step] = Ask(
        step=step,
        within=within,
        generation=state.calls[within].failures,
        request_sha256=body.request_sha256,
        conversation=talk,
        models=body.models,
    )
    state.inner.setdefault(within, []).append(step)


def is_of_an_ask(state: State, event: Event) -> bool:
    """Whether an event belongs to the conversation of an ask, and was folded into it."""
    if event.step is None or isinstance(event.body, BudgetReached | Commented):
        return False
    prefix, model, number = event.step.rpartition("/model/")
    ask = state.asks.get(prefix) if model else None
    if ask is None or ask.conversation is None:
        return False
    talk, local = ask.conversation, f"model/{number}"
    HANDLERS[event.body.TYPE](talk, event.model_copy(update={"step": local}), event.body)
    if isinstance(event.body, ModelRequested):
        state.models[event.step] = talk.models[local]
        state.model_calls += 1
        state.status = "running"
    elif isinstance(event.body, ModelResponded | ModelFailed):
        state.used += usage_of(event)
    return True


def interrupt_asks(state: State) -> None:
    """The process that asked is gone: what a model was being asked has no answer."""
    for ask in state.asks.values():
        if ask.conversation is not None:
            for model in ask.conversation.models.values():
                if model.status == "running":
                    model.status = "interrupted"
