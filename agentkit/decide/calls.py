"""How one call goes on: begin it, ask about it, try it again, or wait. The same for an agent's tools and for steps."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from agentkit.decide.actions import (
    Action,
    AskInDoubt,
    GateCall,
    RefuseCall,
    ScheduleRetry,
    SettleCall,
    StartCall,
    WaitUntil,
)
from agentkit.definition import ToolSpec
from agentkit.events import ParentWrite
from agentkit.state import CallStep, State


def is_gated(state: State, call: CallStep, tool: ToolSpec) -> bool:
    """Whether a person may have to be asked about the call."""
    return tool.approve is not False or tool.kind == "question" or _must_ask(state, call, tool) is not None


def go_on_with_call(
    state: State, call: CallStep, tool: ToolSpec | None, now: datetime, *, blocked: bool = False
) -> Iterator[Action]:
    """What one call does next, if anything.

    Args:
        state: the run.
        call: the call.
        tool: what is called; None where there is no such tool.
        now: the time, UTC.
        blocked: something before it has to end first.
    """
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
    if call.status in {"interrupted", "parked"}:
        yield from _again(call, tool)
    elif call.status == "failed":
        yield ScheduleRetry(call.step)
    elif call.status == "waiting":
        due = call.due or now
        yield StartCall(call.step, call.attempt + 1) if due <= now else WaitUntil(call.step, due)


def _again(call: CallStep, tool: ToolSpec) -> Iterator[Action]:
    """Read, idempotent or a child run: again, with the same key. Anything else: a person knows, or can find out.

    A step that made way for a question goes on with the attempt that it is in.
    """
    is_child = tool.kind == "agent" and call.child_run_id is not None
    if is_child or not tool.writes or tool.idempotent:
        yield StartCall(call.step, call.attempt + (call.status == "interrupted"))
    else:
        yield AskInDoubt(call.step)


def _must_ask(
    state: State, call: CallStep, tool: ToolSpec
) -> Literal["effect_unknown", "parent_did_it", "pipeline_wrote"] | None:
    """Whether something that happened before makes a person's word needed, whatever the tool's own rule says."""
    if not tool.writes:
        return None
    if _unknown_effects(state, call, tool):
        return "effect_unknown"
    if any(write.name == call.name for write in state.parent_writes):
        return "parent_did_it"
    if unseen_writes(state):
        return "pipeline_wrote"
    return None


def unseen_writes(state: State) -> list[ParentWrite]:
    """What the pipeline before this agent wrote by itself: no tool of the agent's tells what would repeat it."""
    if not state.written:
        return []
    known = {tool.offered.name for tool in state.header.tools}
    return [write for write in state.written if write.name not in known]


def _unknown_effects(state: State, call: CallStep, tool: ToolSpec) -> set[str]:
    """The steps of the same tool of which nobody knows what they did."""
    return {effect.step for effect in state.unknown if effect.name == call.name} if tool.writes else set()


def _shown(state: State, call: CallStep) -> set[str]:
    """The earlier steps that a person saw when they let this call run."""
    asked = state.approvals.get(call.approval or "")
    shows = asked.shows or () if asked is not None else ()
    return {item["step"] for item in shows if item.get("effect") == "unknown"}  # a parent's steps have the same names
