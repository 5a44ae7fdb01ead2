"""What comes next is a function of definition, state and time, and of nothing else."""

import copy
from datetime import timedelta

from hypothesis import given
from scenarios import Scenario
from test_fold import cut_histories, lawful

from agentkit.decide import WaitUntil, decide
from agentkit.definition import AgentDefinition
from agentkit.fold import fold


def definition_of(name: str) -> AgentDefinition:
    """The definition of a scenario's run, made anew: another process has other objects."""
    found = [Scenario(int(name.rpartition("_")[2])).agent.definition]
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
