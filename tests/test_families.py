"""The families of tasks that promotion is measured by: their agents solve them, and their cases are what they say."""

import pytest
from families.catalogue import FAMILIES
from families.controls import CONTROLS
from families.solve import finish

import agentkit as ak
from agentkit.testing import FunctionModel

each_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def settled(family, seed, log, *, noise=0.0, entities="training"):
    return solved(family, family.case(seed, entities), seed, log, noise=noise)


def solved(family, case, seed, log, *, noise):
    case.world.fails, case.world.seed = noise, seed
    run = family.new_agent(family.policy(noise, seed)).run(case.input, deps=case.world, log=log)
    return run, case, finish(run, case)


@each_family
@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("entities", ["training", "held_out"])
def test_a_policy_does_the_true_writes_and_ends_with_the_true_output(family, noise, entities, log):
    """With noise as without it, every case is settled right: what is learned from is never wrong by itself."""
    for seed in range(12):
        _run, case, output = settled(family, seed, log, noise=noise, entities=entities)
        assert case.world.writes == case.writes
        assert case.output == output


@each_family
def test_a_case_is_the_same_for_the_same_seed(family):
    """Figures can be had again: a seed and a pool say everything of a case."""
    assert repr(family.case(3, "training")) == repr(family.case(3, "training"))
    assert repr(family.case(3, "training")) != repr(family.case(4, "training"))


@each_family
def test_noise_is_the_same_for_the_same_seed_and_changes_how_a_case_is_settled(family, log):
    """The same run comes of the same seed; and with noise, agents do more than they have to."""

    def calls(noise):
        runs = [settled(family, seed, log, noise=noise)[0] for seed in range(8)]
        return [[(call.name, call.arguments) for call in run.state.calls.values()] for run in runs]

    noisy = calls(0.5)
    assert noisy == calls(0.5)
    assert sum(map(len, noisy)) > sum(map(len, calls(0.0)))


@each_family
def test_what_is_held_out_was_never_seen_in_training(family):
    """The truths of training and of held-out cases share no id, no address, no amount."""

    def values(entities):
        cases = [family.case(seed, entities) for seed in range(150)]
        given = [write.arguments for case in cases for write in case.writes]
        found = {value for arguments in given for name, value in arguments.items() if name.endswith(("_id", "email"))}
        return found | {str(case.input) for case in cases}

    training, held_out = values("training"), values("held_out")
    assert len(training) > 100
    assert not training & held_out


@each_family
def test_an_agent_of_a_family_can_be_imported(family):
    """Code that is generated from its runs can name the agent and its tools where they are defined."""
    assert family.agent.definition.module == f"{family.__name__}:agent"
    assert {tool.name for tool in family.TOOLS} == set(family.agent.definition.tools)
    assert family.new_agent(FunctionModel(str)).definition.header == family.agent.definition.header
    assert isinstance(family.agent, ak.Agent)


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_the_runs_of_a_control_are_right_and_its_held_out_cases_differ_from_them(control, log):
    """What misleads is no wrong run: each one that is learned from did what was right."""
    for seed in range(5):
        _run, case, output = solved(control.family, control.training(seed), seed, log, noise=0.3)
        assert case.world.writes == case.writes
        assert case.output == output
        assert control.held_out(seed).input != case.input


def test_a_workload_without_repetition_has_none(log):
    """No two of twenty requests are settled by the same calls."""
    control = CONTROLS["no repetition"]
    runs = [solved(control.family, control.training(seed), seed, log, noise=0)[0] for seed in range(20)]
    assert len({tuple(call.name for call in run.state.calls.values()) for run in runs}) == 20
