"""What a pipeline's run does when it met what it was not made for: its agent goes on from the results so far.

No step begins any more, and no read is tried again. What executes is let finish, and a write that was begun is settled
first: it ends, or a person says what became of it. Where anything was written, a person also decides whether the agent
goes on at all.
"""

from collections.abc import Iterator
from datetime import datetime

from agentkit.decide.actions import Action, AskDeopt, AskInDoubt, FinishRun, RecordDeopt
from agentkit.decide.calls import go_on_with_call
from agentkit.definition import DEOPT, PipelineDefinition
from agentkit.state import CallStep, State
from agentkit.wiring import asks_inside, begun_writes


def hand_over(definition: PipelineDefinition, state: State, guard: CallStep, now: datetime) -> list[Action]:
    """The next actions of such a run.

    Args:
        definition: the pipeline, with an agent that takes over.
        state: the run.
        guard: the step that met it.
        now: the time, UTC.
    """
    call = state.calls.get(DEOPT)
    if call is not None:
        return [FinishRun()] if call.status == "done" else list(go_on_with_call(state, call, definition.deopt, now))
    if state.in_flight:
        return []
    if state.deopted is None:
        unsettled = _to_settle(state)
        settling = [action for call in unsettled for action in _settle(definition, state, call, now)]
        return settling if unsettled else [RecordDeopt(guard.step)]
    asked = [approval for approval in state.approvals.values() if approval.kind == "deopt"]
    if state.deopted.writes and not any(approval.verdict == "approve" for approval in asked):
        return [] if any(approval.verdict is None for approval in asked) else [AskDeopt()]
    return list(go_on_with_call(state, CallStep(step=DEOPT, name=DEOPT, is_step=True), definition.deopt, now))


def _to_settle(state: State) -> list[CallStep]:
    """The writes and the child runs that were begun and have not ended.

    A write of which a person said that it did not happen is none: it does not, in a pipeline that is over.
    """
    writes = {call.step: call for call in begun_writes(state) if call.status != "done"}
    children = (state.calls[step] for step in state.open_calls if state.calls[step].child_run_id is not None)
    return [*writes.values(), *(call for call in children if call.step not in writes and call.status != "done")]


def _settle(definition: PipelineDefinition, state: State, call: CallStep, now: datetime) -> Iterator[Action]:
    """One that a step made is asked about: to see what it is, its step would have to run again."""
    if call.within is None:
        if not asks_inside(state, call):
            yield from go_on_with_call(state, call, definition.tool_at(call.step, call.name), now)
    elif call.status == "answered":
        yield from go_on_with_call(state, call, None, now)
    elif call.status != "asked":
        yield AskInDoubt(call.step)
