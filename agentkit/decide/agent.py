"""What an agent's run does next."""

from collections.abc import Iterator
from datetime import datetime

from agentkit.decide.actions import (
    AcceptAnswer,
    Action,
    CallModel,
    FailRun,
    LoseModelCall,
    RecordDecision,
    ScheduleRetry,
    StopLoop,
    TrimHistory,
    WaitUntil,
)
from agentkit.decide.budget import ask_budget
from agentkit.decide.calls import go_on_with_call, is_gated
from agentkit.definition import AgentDefinition
from agentkit.events import ErrorInfo
from agentkit.state import ModelStep, State


def decide_agent(definition: AgentDefinition, state: State, now: datetime) -> list[Action]:
    """The next actions of an agent's run that has not ended; the arguments are those of `decide`."""
    turn = state.models.get(state.turn or "")
    if turn is None:
        return _next_turn(definition, state, 1)
    if turn.status != "done":
        return _go_on_with_model(definition, state, turn, now)
    if state.undecided:
        return [RecordDecision(step) for step in state.undecided]
    if state.open_calls:
        return [*_calls(definition, state, now), *(ask_budget(state) if state.budget_reached else [])]
    if not turn.calls and not state.refused:
        return [AcceptAnswer(turn.step)]
    return _after_turn(definition, state)


def _after_turn(definition: AgentDefinition, state: State) -> list[Action]:
    if state.reasks > definition.max_reasks:
        return [FailRun(_too_many_reasks(definition, state))]
    if state.looping is not None:
        asked = any(state.approvals[key].kind == "loop" for key in state.pending)
        return [] if asked else [StopLoop(state.looping, ask=state.loop_told)]
    return _next_turn(definition, state, len(state.models) + 1)


def _next_turn(definition: AgentDefinition, state: State, number: int) -> list[Action]:
    if state.budget_reached is not None:
        return ask_budget(state)
    keep_from = _trim_point(definition, state)
    if keep_from is not None:
        return [TrimHistory(keep_from)]
    return [CallModel(f"model/{number}", 1, 0)]


def _go_on_with_model(definition: AgentDefinition, state: State, model: ModelStep, now: datetime) -> list[Action]:
    if model.status == "running":
        return []
    if model.status == "interrupted":
        return [LoseModelCall(model.step)]
    if state.budget_reached is not None:
        return ask_budget(state)
    if model.status == "waiting":
        if model.due is not None and model.due > now:
            return [WaitUntil(model.step, model.due)]
        return [CallModel(model.step, model.attempt + 1, model.fallback)]
    return _after_failed_attempt(definition, model)


def _after_failed_attempt(definition: AgentDefinition, model: ModelStep) -> list[Action]:
    if model.failures == 0:  # only cut short by a crash: nothing is wrong with the model
        return [CallModel(model.step, model.attempt + 1, model.fallback)]
    if model.retryable and model.failures < definition.retry.max_attempts:
        return [ScheduleRetry(model.step)]
    if model.fallback + 1 < len(definition.models):
        return [CallModel(model.step, model.attempt + 1, model.fallback + 1)]
    error = model.error or ErrorInfo(type="ModelError", message="the model call failed")
    tried = [
        {"model": name, "type": failed.type, "message": failed.message}
        for name, failed in zip(model.tried, model.errors, strict=True)
    ]
    context = {**error.context, "attempts": model.attempt, "tried": tried}
    return [FailRun(error.model_copy(update={"context": context}))]


def _too_many_reasks(definition: AgentDefinition, state: State) -> ErrorInfo:
    last = state.reask_error or ErrorInfo(type="Refused", message="")
    return ErrorInfo(
        type="TooManyReasks",
        message=f"the model was refused {state.reasks} times in a row (max_reasks={definition.max_reasks}); "
        f"the last time: {last.message}",
        context={"last": last.model_dump(mode="json", exclude_defaults=True)},
    )


def _trim_point(definition: AgentDefinition, state: State) -> int | None:
    """Where the kept messages begin when the prompt is over its limit: half the limit is kept, whole turns only."""
    limit = definition.history_tokens
    if limit is None or state.tokens <= limit:
        return None
    kept = max(state.message_tokens[0], state.message_tokens[state.asked_at])  # one of them stays
    cut = len(state.messages)
    for index in range(len(state.messages) - 1, max(state.trimmed_to, 1) - 1, -1):
        kept += state.message_tokens[index]
        if kept > limit // 2 and cut < len(state.messages):
            break
        if state.messages[index].role != "tool":  # a result stays with the call that asked for it
            cut = index
    return cut if max(state.trimmed_to, 1) < cut < len(state.messages) else None


def _calls(definition: AgentDefinition, state: State, now: datetime) -> Iterator[Action]:
    """Reads at once; writes in the model's order; a write waits for every gated call before it."""
    write_ahead = gated_ahead = False
    for step in state.open_calls:
        call = state.calls[step]
        tool = definition.tools.get(call.name)
        if call.status != "done":
            blocked = tool is not None and tool.writes and (write_ahead or gated_ahead)
            yield from go_on_with_call(state, call, tool, now, blocked=blocked)
            if tool is not None:
                write_ahead = write_ahead or tool.writes
                gated_ahead = gated_ahead or is_gated(state, call, tool)
