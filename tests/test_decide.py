"""What comes next is a function of definition, state and time, and of nothing else."""

import copy
from datetime import timedelta

from hypothesis import given
from pipeline_scenarios import PipelineScenario
from scenarios import Scenario
from test_fold import cut_histories, lawful

from agentkit.decide import StartCall, WaitUntil, decide
from agentkit.definition import Definition
from agentkit.events import Event, RunResumed
from agentkit.fold import advance, fold


def _made_of(name: str) -> Scenario | PipelineScenario:
    """The scenario whose run has this name; the agents that a pipeline calls are scenarios of their own."""
    seed = int(name.rpartition("_")[2])
    return Scenario(seed) if name.startswith("root") else PipelineScenario(seed)


def definition_of(name: str) -> Definition:
    """The definition of a scenario's run, made anew: another process has other objects."""
    found: list[Definition] = [_made_of(name).definition]
    while found:
        definition = found.pop()
        if definition.name == name:
            return definition
        found += [tool.child for tool in definition.tools.values() if tool.child is not None]
    raise LookupError(name)


@lawful
@given(cut_histories())
def test_the_same_arguments_give_the_same_actions(drawn):
    """Asked twice, and of equal objects that somebody else made, it says the same."""
    history, at = drawn
    state, time = fold(history[:at]), history[at - 1].ts
    actions = decide(definition_of(state.name), state, time)
    assert decide(definition_of(state.name), fold(history[:at]), time) == actions


@lawful
@given(cut_histories())
def test_deciding_changes_nothing(drawn):
    """The state is looked at only."""
    history, at = drawn
    state = fold(history[:at])
    before = copy.deepcopy(state)
    decide(definition_of(state.name), state, history[at - 1].ts)
    assert state == before


@lawful
@given(cut_histories())
def test_time_alone_only_ends_waits(drawn):
    """What can be begun now can be begun later, and nothing waits for ever."""
    history, at = drawn
    state, time = fold(history[:at]), history[at - 1].ts
    definition = definition_of(state.name)
    now, later = decide(definition, state, time), decide(definition, state, time + timedelta(days=1))
    assert [action for action in now if not isinstance(action, WaitUntil)] == [
        action for action in later if action in now
    ]
    assert not any(isinstance(action, WaitUntil) for action in later)
    assert len(now) == len(later)


@lawful
@given(cut_histories())
def test_an_ended_run_has_nothing_to_do_and_another_one_has_or_waits(drawn):
    """Nothing follows the end; before it, something is to be done, is under way, or is a person's or a child's turn."""
    history, at = drawn
    state = fold(history[:at])
    actions = decide(definition_of(state.name), state, history[at - 1].ts)
    if state.ended:
        assert actions == []
    elif not actions:
        assert state.in_flight or state.pending or state.budget_reached


@lawful
@given(cut_histories())
def test_a_run_taken_up_anywhere_goes_on_or_waits_for_a_person(drawn):
    """After a crash at any event there is something to do, and no write that may have happened is among it unasked."""
    history, at = drawn
    state, last = fold(history[:at]), history[at - 1]
    if state.ended:
        return
    definition = definition_of(state.name)
    advance(state, Event(run_id=state.run_id, seq=state.seq + 1, ts=last.ts, body=RunResumed()))
    actions = decide(definition, state, last.ts)
    assert actions or state.pending
    for action in actions:
        call = state.calls.get(action.step) if isinstance(action, StartCall) else None
        if call is not None and call.attempt >= 1 and call.child_run_id is None and call.status != "cleared":
            tool = definition.tool_at(call.step, call.name)
            assert not tool.writes or tool.idempotent, f"{action} may do it twice"
