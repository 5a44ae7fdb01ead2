"""What an agent's run does next: a pure function of its definition, its state and the time.

It performs nothing and asks user code nothing. What is random, or somebody's verdict, is an event before it matters
here. The runner performs the actions, appends what came of them, folds, and asks again; an empty answer means: nothing
until something in flight ends, a person answers, or another run does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from agentkit.definition import AgentDefinition, ToolSpec
from agentkit.events import ErrorInfo
from agentkit.state import CallStep, ModelStep, State


@dataclass(frozen=True, slots=True)
class CallModel:
    """Try `models[fallback]` for this step."""

    step: str
    attempt: int
    fallback: int


@dataclass(frozen=True, slots=True)
class LoseModelCall:
    """Record that an attempt was cut short: it may have been charged."""

    step: str


@dataclass(frozen=True, slots=True)
class ScheduleRetry:
    """Draw the wait before the step's next attempt, and record it."""

    step: str


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do for this step before that time."""

    step: str
    due: datetime


@dataclass(frozen=True, slots=True)
class RecordDecision:
    """Record what the model chose, why and instead of what."""

    step: str


@dataclass(frozen=True, slots=True)
class StartCall:
    """Validate the arguments and run the call."""

    step: str
    attempt: int


@dataclass(frozen=True, slots=True)
class GateCall:
    """Validate the arguments and find out whether a person has to be asked: `because` says why one surely has to."""

    step: str
    because: Literal["policy", "effect_unknown", "parent_did_it", "changed", "repeated"]


@dataclass(frozen=True, slots=True)
class AskInDoubt:
    """Ask a person what became of a write that was started and never recorded as finished."""

    step: str


@dataclass(frozen=True, slots=True)
class SettleCall:
    """Record how a person's answer, or the lack of one, ended the call."""

    step: str


@dataclass(frozen=True, slots=True)
class RefuseCall:
    """Tell the model that there is no such tool."""

    step: str


@dataclass(frozen=True, slots=True)
class StopLoop:
    """The same call keeps bringing the same result: tell the model, or, when it was told, ask a person."""

    step: str
    ask: bool


@dataclass(frozen=True, slots=True)
class AskBudget:
    """Ask a person for more budget."""


@dataclass(frozen=True, slots=True)
class TrimHistory:
    """Leave the messages before `keep_from` out of the prompts to come."""

    keep_from: int


@dataclass(frozen=True, slots=True)
class AcceptAnswer:
    """Validate and check the final answer; end the run with it, or have the model try again."""

    step: str


@dataclass(frozen=True, slots=True)
class FailRun:
    """End the run without an output."""

    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class StopRun:
    """A person said stop."""

    who: str


Action: TypeAlias = (
    CallModel
    | LoseModelCall
    | ScheduleRetry
    | WaitUntil
    | RecordDecision
    | StartCall
    | GateCall
    | AskInDoubt
    | SettleCall
    | RefuseCall
    | StopLoop
    | AskBudget
    | TrimHistory
    | AcceptAnswer
    | FailRun
    | StopRun
)


def decide(definition: AgentDefinition, state: State, now: datetime) -> list[Action]:
    """The next actions of an agent's run.

    Args:
        definition: the agent.
        state: the fold of the run's events. Left as it is.
        now: the time, UTC.

    Returns:
        What can be begun now, in order. Empty when the run ended, or when it waits.
    """
    if state.ended:
        return []
    if state.stopped_by is not None:
        return [StopRun(state.stopped_by)]
    turn = state.models.get(state.turn or "")
    if turn is None:
        return _next_turn(definition, state, 1)
    if turn.status != "done":
        return _go_on_with_model(definition, state, turn, now)
    if state.undecided:
        return [RecordDecision(step) for step in state.undecided]
    if state.open_calls:
        return [*_calls(definition, state, now), *(_ask_budget(state) if state.budget_reached else [])]
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
        return _ask_budget(state)
    keep_from = _trim_point(definition, state)
    if keep_from is not None:
        return [TrimHistory(keep_from)]
    return [CallModel(f"model/{number}", 1, 0)]


def _ask_budget(state: State) -> list[Action]:
    if state.parent_run_id is not None:
        return []  # the budget is the parent's: it asks
    asked = any(state.approvals[key].kind == "budget" for key in state.pending)
    return [] if asked else [AskBudget()]


def _go_on_with_model(definition: AgentDefinition, state: State, model: ModelStep, now: datetime) -> list[Action]:
    if model.status == "running":
        return []
    if model.status == "interrupted":
        return [LoseModelCall(model.step)]
    if state.budget_reached is not None:
        return _ask_budget(state)
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
            yield from _go_on_with_call(state, call, tool, now, blocked=blocked)
            if tool is not None:
                write_ahead = write_ahead or tool.writes
                gated_ahead = gated_ahead or _is_gated(state, call, tool)


def _is_gated(state: State, call: CallStep, tool: ToolSpec) -> bool:
    return tool.approve is not False or tool.kind == "question" or _must_ask(state, call, tool) is not None


def _go_on_with_call(
    state: State, call: CallStep, tool: ToolSpec | None, now: datetime, *, blocked: bool
) -> Iterator[Action]:
    if call.status == "answered":
        yield SettleCall(call.step)
    elif tool is None:
        yield RefuseCall(call.step)
    elif call.status == "proposed":
        yield from _begin_call(state, call, tool, blocked=blocked)
    elif call.status == "cleared" and not blocked:
        unseen = call.attempt == 0 and _unknown_effects(state, call, tool) - _shown(state, call)
        yield GateCall(call.step, "effect_unknown") if unseen else StartCall(call.step, call.attempt + 1)
    else:
        yield from _try_again(call, tool, now)


def _begin_call(state: State, call: CallStep, tool: ToolSpec, *, blocked: bool) -> Iterator[Action]:
    """A gated call is judged at once, so that the question is there early; it runs in its turn."""
    because = _must_ask(state, call, tool)
    if because is not None or tool.approve is not False or tool.kind == "question":
        yield GateCall(call.step, because or "policy")
    elif not blocked:
        yield StartCall(call.step, 1)


def _try_again(call: CallStep, tool: ToolSpec, now: datetime) -> Iterator[Action]:
    if call.status == "interrupted":
        yield from _after_crash(call, tool)
    elif call.status == "failed":
        yield ScheduleRetry(call.step)
    elif call.status == "waiting":
        due = call.due or now
        yield StartCall(call.step, call.attempt + 1) if due <= now else WaitUntil(call.step, due)


def _after_crash(call: CallStep, tool: ToolSpec) -> Iterator[Action]:
    """Read, idempotent or a child run: again, with the same key. Anything else: a person knows, or can find out."""
    is_child = tool.kind == "agent" and call.child_run_id is not None
    if is_child or not tool.writes or tool.idempotent:
        yield StartCall(call.step, call.attempt + 1)
    else:
        yield AskInDoubt(call.step)


def _must_ask(state: State, call: CallStep, tool: ToolSpec) -> Literal["effect_unknown", "parent_did_it"] | None:
    """Whether something that happened before makes a person's word needed, whatever the tool's own rule says."""
    if not tool.writes:
        return None
    if _unknown_effects(state, call, tool):
        return "effect_unknown"
    if any(write.name == call.name for write in state.parent_writes):
        return "parent_did_it"
    return None


def _unknown_effects(state: State, call: CallStep, tool: ToolSpec) -> set[str]:
    """The steps of the same tool of which nobody knows what they did."""
    return {effect.step for effect in state.unknown if effect.name == call.name} if tool.writes else set()


def _shown(state: State, call: CallStep) -> set[str]:
    """The earlier steps that a person saw when they let this call run."""
    asked = state.approvals.get(call.approval or "")
    shows = asked.shows or () if asked is not None else ()
    return {item["step"] for item in shows if item.get("effect") == "unknown"}  # a parent's steps have the same names
