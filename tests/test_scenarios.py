"""A run that was cut anywhere ends as if it had never been cut."""

import random
from collections import Counter
from typing import Any

import pytest
from pipeline_scenarios import DEOPTS, FIRST, PipelineScenario, scenario_of
from scenario_tools import Ledger
from scenarios import Scenario, finish
from tape import Item, TapeStore, cuts, events_of, world_of
from what_matters import (
    answered_prompts,
    assert_nothing_ran_twice,
    assert_recorded_first,
    effects,
    same_but_for_doubt,
    what_matters,
)

from agentkit.events import event_types
from agentkit.runner.load import load_state
from agentkit.runner.run import Run
from agentkit.runner.start import start

LONG = {19, 20, 71, 73, 104}  # five take as long as fifty of the others
SEEDS = [*range(200), *range(FIRST, FIRST + 16), *(DEOPTS + more for more in (5, 11, 18, 19, 20))]


def run_whole(scenario: Scenario | PipelineScenario) -> tuple[TapeStore, str]:
    """Run a scenario to its end without a crash; returns its log and the run."""
    store = TapeStore()
    scenario.ledger = store.ledger()
    driver = start(store, scenario.definition, scenario.given, deps=scenario)
    run = Run(store, driver.run_id, driver=driver)
    finish(run, scenario.ledger)
    return store, run.run_id


def resume_cut(scenario: Scenario | PipelineScenario, cut: list[Item], run_id: str) -> TapeStore:
    """Put back what a crash left, and go on to the end."""
    store = TapeStore(cut)
    scenario.ledger = store.ledger()
    for entry in world_of(cut):
        scenario.ledger._entries.append(entry)
    run = Run(store, run_id, definition=scenario.definition)
    if not load_state(store, run_id).ended:
        run.resume(deps=scenario)
        finish(run, scenario.ledger)
    return store


def assert_survives(
    scenario: Scenario | PipelineScenario,
    cut: list[Item],
    run_id: str,
    expected: dict[str, Any],
    done: Counter[tuple[str, int]],
) -> TapeStore:
    """Go on from a cut, and assert that it ends as expected with these effects."""
    assert_recorded_first(events_of(cut), Ledger(world_of(cut)))
    store = resume_cut(scenario, cut, run_id)
    same_but_for_doubt(what_matters(store, run_id), expected)
    assert effects(scenario.ledger) == done
    assert_nothing_ran_twice(scenario.ledger)
    asked = {entry["sha256"] for entry in world_of(store.tape) if entry["kind"] == "model"}
    assert not asked & answered_prompts(events_of(cut)), "the model was asked again for a recorded answer"
    return store


def assert_survives_every_cut(seed: int) -> int:
    """Cut a scenario everywhere, and one in twenty of those that go on once more; returns how often."""
    scenario = scenario_of(seed)
    whole, run_id = run_whole(scenario)
    expected, done = what_matters(whole, run_id), effects(scenario.ledger)
    assert_nothing_ran_twice(scenario.ledger)
    histories = cuts(whole.tape)
    rng = random.Random(seed)
    for at, cut in enumerate(histories):
        try:
            store = assert_survives(scenario, cut, run_id, expected, done)
            if rng.random() < 0.05 and (later := cuts([*cut, *store.tape], begin=len(cut))):
                assert_survives(scenario, rng.choice(later), run_id, expected, done)
        except BaseException as error:
            error.add_note(f"seed {seed}, cut {at} of {len(histories)}, after {cut[-1]}")
            raise
    return len(histories)


@pytest.mark.parametrize(
    "seed", [seed if seed not in LONG else pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS]
)
def test_a_run_cut_anywhere_ends_as_if_it_had_not_been(seed):
    """Every boundary of every scenario: same end, every effect once, no recorded answer asked for again."""
    assert assert_survives_every_cut(seed) >= 5


def test_the_scenarios_hold_what_can_happen():
    """Every type of event, and every way a call can end, is in some scenario."""
    seen, ends, verdicts = set(), set(), set()
    for seed in [*range(60), *range(FIRST, FIRST + 16), *range(DEOPTS, DEOPTS + 8)]:
        store, _ = run_whole(scenario_of(seed))
        for event in events_of(store.tape):
            seen.add(event.type)
            verdicts.add(getattr(event.body, "verdict", None))
        for run_id in {event.run_id for event in events_of(store.tape)}:
            calls = load_state(store, run_id).calls.values()
            ends |= {(call.outcome, call.effect, call.reask, call.edited) for call in calls}
    never = {"approval_expired", "commented", "fault_injected", "graded", "run_cancelled"}
    assert set(event_types()) - seen <= never
    assert {"approve", "edit", "reject", "answer", "not_required"} <= verdicts
    assert {(outcome, effect) for outcome, effect, _, _ in ends} >= {
        ("ok", None),
        ("error", "none"),
        ("error", "unknown"),
        ("rejected", "none"),
    }
    assert any(reask for _, _, reask, _ in ends)
    assert any(edited for *_, edited in ends)
