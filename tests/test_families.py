"""The families of tasks that promotion is measured by: their agents solve them, and their cases are what they say."""

import pytest
from families import refunds, reminders, returns, tickets
from families.by_hand import ByHand, refund_pipeline, return_pipeline, ticket_pipeline
from families.case import ANY_TEXT
from families.catalogue import FAMILIES
from families.controls import CONTROLS
from families.harness import RUNS, control_figures, evaluate, family_figures, not_right, upper_bound
from families.judging import all_done, same, untrue
from families.solve import SOON, finish

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


def test_noise_is_what_models_do(log):
    """Reads in another order, several in one turn, failed ones again, mistyped ones, the same twice, unneeded ones."""
    seen = set()
    for seed in range(30):
        run, _case, _output = settled(refunds, seed, log, noise=0.4)
        calls = list(run.state.calls.values())
        done = [(call.name, str(call.arguments)) for call in calls if call.outcome == "ok"]
        first = [name for name, _ in dict.fromkeys(done) if name != "refund_rules"]
        turns = [message.tool_calls for message in run.state.messages if message.role == "assistant"]
        errors = " ".join(call.error.message for call in calls if call.error)
        seen |= {"reordered"} if first[0] == "find_payments" else set()
        seen |= {"at once"} if any(len(made) > 1 for made in turns) else set()
        seen |= {"failed"} if "busy" in errors else set()
        seen |= {"mistyped"} if "no such record" in errors else set()
        seen |= {"twice"} if len(done) > len(set(done)) else set()
        seen |= {"unneeded"} if "refund_rules" in dict(done) else set()
    assert seen == {"reordered", "at once", "failed", "mistyped", "twice", "unneeded"}


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


def figures(family, promote, *, runs=2, held_out=24):
    return family_figures(promote, family, runs=runs, seeds=[1, 2], held_out=held_out)


def test_the_right_pipeline_is_judged_equal():
    """Every held-out case: its writes and its output are the true ones."""
    for family, build in (
        (refunds, refund_pipeline(careful=False)),
        (returns, return_pipeline),
        (tickets, ticket_pipeline(shows=True)),
    ):
        found = figures(family, ByHand(build))
        assert found.counts == {"equal": 48}
        assert (found.equal, found.refused, found.kept) == (1.0, [], 0)


def test_a_pipeline_that_stops_where_it_does_not_know_is_judged_a_deopt():
    """It wrote nothing that is not true: where one line is there it is right, and elsewhere it stops."""
    found = figures(refunds, ByHand(refund_pipeline(careful=True, reads=("status",))))
    assert set(found.counts) == {"equal", "deopt"}
    assert "could be the line" in found.whys("deopt")[0]


def test_a_pipeline_that_writes_what_is_not_true_is_judged_wrong():
    """Taking the first of a list is right by chance only, and a single wrong write is counted as one."""
    found = figures(refunds, ByHand(refund_pipeline(careful=False, reads=())))
    assert found.counts["wrong"] > found.counts["equal"] > 0
    assert upper_bound(found.counts["wrong"], 48) is None


def test_a_step_that_fails_for_another_reason_is_judged_an_error():
    """A prompt without what the choice hangs on: no model could answer, and no guard said so."""
    found = figures(tickets, ByHand(ticket_pipeline(shows=False)), held_out=3)
    assert found.counts == {"error": 6}
    assert "no case at hand" in found.whys("error")[0]


def test_an_input_that_a_pipeline_does_not_take_is_judged_an_error():
    """It is counted, and the others are judged all the same."""
    assert figures(returns, ByHand(refund_pipeline(careful=True)), held_out=2).counts == {"error": 4}


def test_what_goes_a_way_that_no_run_showed_is_told_apart():
    """Two runs of delivered orders do not say what is done with a lost one; it is counted all the same."""
    found = evaluate(
        ByHand(return_pipeline),
        returns,
        [returns.case(seed, "training", status="delivered") for seed in range(2)],
        [returns.case(seed, "held_out", status=status) for seed, status in enumerate(["delivered", "lost"])],
        seed=1,
    )
    assert [one.shown for one in found.judged] == [True, False]
    assert (found.equal, found.equal_of_shown) == (1.0, 1.0)


def test_a_refusal_leaves_its_cases_with_the_agent():
    """Nothing is judged, and why is told."""
    found = figures(refunds, ByHand(refused=("no two runs are alike",)), held_out=5)
    assert (found.judged, found.kept, found.equal) == ([], 10, None)
    assert found.refused == ["no two runs are alike"] * 2


def test_training_and_held_out_cases_of_every_figure_differ():
    """Each training set is one of its own, and has as many runs as it says."""
    promote = ByHand(return_pipeline)
    figures(returns, promote, runs=3, held_out=1)
    assert len(set(promote.runs)) == 6


@pytest.mark.parametrize(
    ("truth", "found", "is_same"),
    [
        ("5.40", "5.4", True),
        ("0", "0.00", True),
        ("5.40", "5.41", False),
        ("A-10", "A-10.0", False),
        (5, 5.0, True),
        (1, True, False),
        (True, True, True),
        ({"a": ["1.0"]}, {"a": ["1"]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": ANY_TEXT}, {"a": "anything"}, True),
        ({"a": ANY_TEXT}, {"a": ""}, False),
        ({"a": ANY_TEXT}, {"a": None}, False),
    ],
)
def test_what_counts_as_the_same(truth, found, is_same):
    """Amounts by their value, free text by being there, anything else as it stands."""
    assert same(truth, found) is is_same


def test_a_true_write_that_is_done_twice_is_a_wrong_write(log):
    """Each true write stands for one."""
    case = refunds.case(1, "held_out")
    case.world.writes += [*case.writes, *case.writes]
    assert untrue(case) == case.writes


def test_a_loop_may_write_in_any_order_and_has_to_write_all():
    """What is done for each element of a list has no order; leaving one out is not right."""
    case = reminders.case(1, "held_out", guests=3)
    case.world.writes += reversed(case.writes)
    assert all_done(case)
    case.world.writes.pop()
    assert not all_done(case)
    assert untrue(case) == []


def test_a_control_says_what_is_not_right():
    """A refusal is right wherever it is not said that one has to be promoted; a wrong write never is."""
    extra = CONTROLS["extra element"]
    assert not_right(extra, control_figures(ByHand(refused=("no",)), extra, seeds=[1], held_out=3)) is None
    careless = control_figures(ByHand(refund_pipeline(careful=False, reads=("status",))), extra, seeds=[1], held_out=12)
    assert "wrong" in not_right(extra, careless)
    careful = control_figures(ByHand(refund_pipeline(careful=True, reads=("status",))), extra, seeds=[1], held_out=12)
    assert not_right(extra, careful) is None
    twice = CONTROLS["two that match"]
    careful = control_figures(ByHand(refund_pipeline(careful=True)), twice, seeds=[1], held_out=12)
    assert careful.counts == {"deopt": 12}


promoted = pytest.mark.skipif(not hasattr(ak, "promote"), reason="there is no promotion yet")
SEEDS = (1, 2)  # training sets a figure; the bench has more
HELD_OUT = 12  # held-out cases each is judged on; the bench has more than 3,000 a family


@promoted
@each_family
@pytest.mark.parametrize("runs", [one if one in {3, 5} else pytest.param(one, marks=pytest.mark.slow) for one in RUNS])
def test_a_promoted_pipeline_writes_nothing_wrong(family, runs):
    """Whatever it learned from: each held-out case is settled right, or left alone."""
    found = family_figures(ak.promote, family, runs=runs, seeds=SEEDS, held_out=HELD_OUT)
    assert not found.whys("wrong")
    assert not found.whys("error")


@promoted
@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.DETERMINED])
def test_ten_runs_are_enough_where_the_runs_determine_everything(name):
    """At least 95% of what is held out, and goes a way that the runs showed, is settled by the pipeline, and right."""
    found = family_figures(ak.promote, FAMILIES[name], runs=10, seeds=SEEDS, held_out=40)
    assert not found.refused
    assert found.equal_of_shown >= 0.95, found.whys("deopt")


@promoted
@pytest.mark.parametrize("name", ["reminders", "restocks"])
def test_five_runs_of_a_loop_that_writes_are_enough(name):
    """What is written once for each element counts as written."""
    found = family_figures(ak.promote, FAMILIES[name], runs=5, seeds=SEEDS, held_out=HELD_OUT)
    assert not found.refused
    assert found.equal_of_shown >= 0.95, found.whys("deopt")


@promoted
def test_an_agent_that_may_write_and_never_did_is_refused(log):
    """Three runs in which nothing had to be written do not say when something has to be."""
    agent = returns.new_agent(returns.policy())
    for seed in range(3):
        case = returns.case(seed, "training", status="lost")
        agent.run(case.input, deps=case.world, log=log).result(SOON)
    [why] = ak.promote(agent, log=log).refused
    assert why.startswith("no run called create_return, and 3 runs do not say when one would")


@promoted
def test_a_real_choice_keeps_its_model():
    """Each held-out ticket is routed by a model that reads it, and by nothing else."""
    found = family_figures(ak.promote, tickets, runs=10, seeds=SEEDS, held_out=HELD_OUT)
    assert not found.refused
    assert all(one.model_calls >= 1 for one in found.judged if one.outcome == "equal")


@promoted
@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_has_the_right_outcome(name):
    """What misleads is refused, or stops where it would mislead."""
    control = CONTROLS[name]
    assert not_right(control, control_figures(ak.promote, control, seeds=SEEDS, held_out=HELD_OUT)) is None
