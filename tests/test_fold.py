"""The laws of the fold, on the histories of real runs."""

import copy
import dataclasses
import functools

import pytest
from event_strategies import events
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_scenarios import DEOPTS, FIRST, scenario_of
from scenarios import finish
from tape import TapeStore, events_of
from test_scenarios import run_whole

from agentkit.decide import decide
from agentkit.errors import LogCorrupt
from agentkit.events import Commented, Event, event_types
from agentkit.fold import advance, fold, request_sha256
from agentkit.runner.driver import Driver
from agentkit.runner.load import load_state
from agentkit.runner.run import Run
from agentkit.runner.start import start

SEEDS = [*range(40), *range(FIRST, FIRST + 40), *range(DEOPTS, DEOPTS + 12)]
lawful = settings(derandomize=True, deadline=None, max_examples=120)


@functools.cache
def histories(seed: int) -> list[list[Event]]:
    """The events of every run of a scenario, as they are read back; but for those that begin with another's."""
    store, _ = run_whole(scenario_of(seed))
    run_ids = dict.fromkeys(event.run_id for event in events_of(store.tape))
    read = [store.read(run_id) for run_id in run_ids]
    return [events for events in read if events[0].body.origin is None]


@st.composite
def cut_histories(draw):
    """A run's events, and where to cut them."""
    history = draw(st.sampled_from(histories(draw(st.sampled_from(SEEDS)))))
    return history, draw(st.integers(1, len(history)))


@lawful
@given(cut_histories())
def test_folding_a_prefix_and_then_the_rest_is_folding_all(drawn):
    """A process that takes a run up holds the state that the one before it held."""
    history, at = drawn
    assert fold(history[at:], fold(history[:at])) == fold(history)


@pytest.mark.parametrize("seed", SEEDS[-12:])
def test_so_it_is_for_an_agent_that_takes_over(seed):
    """Its run begins with the pipeline's: wherever it is cut, the rest makes the same of it; and so is its prompt."""
    store, run_id = run_whole(scenario_of(seed))
    runs = dict.fromkeys(event.run_id for event in events_of(store.tape))
    (events,) = [read for one in runs if (read := store.read(one))[0].body.origin is not None]
    origin = events[0].body.origin
    base = load_state(store, origin.run_id, until=origin.seq)
    before = copy.deepcopy(base)
    whole = fold(events, base)
    for at in range(1, len(events) + 1):
        begun = fold(events[:at], base)
        assert begun.request_sha256() == request_sha256(begun.request())
        assert fold(events[at:], begun) == whole
    assert base == before
    assert origin.run_id == run_id


@lawful
@given(cut_histories())
def test_folding_leaves_its_base_as_it_is(drawn):
    """A snapshot stays what it was, however long the run goes on."""
    history, at = drawn
    base = fold(history[:at])
    before = copy.deepcopy(base)
    fold(history[at:], base)
    assert base == before


@lawful
@given(cut_histories())
def test_the_running_digest_is_that_of_the_prompt(drawn):
    """What is kept at hand from event to event is what the rebuilt prompt has, wherever one looks."""
    history, at = drawn
    state = fold(history[:at])
    assert state.request_sha256() == request_sha256(state.request())
    assert state.tokens == state.tokens_from(state.trimmed_to)


@lawful
@given(cut_histories())
def test_events_that_do_not_follow_are_refused(drawn):
    """One left out, one twice, another run's: never folded as if nothing were wrong."""
    history, at = drawn
    state = fold(history[:at])
    wrong = [history[at - 1], *history[at + 1 : at + 2]]
    if at < len(history):
        wrong.append(history[at].model_copy(update={"run_id": "another"}))
    for event in wrong:
        with pytest.raises(LogCorrupt):
            advance(state.copy(), event)
    with pytest.raises(LogCorrupt):
        fold(history[1:at])


@st.composite
def commented_histories(draw):
    """A run's events, and the same with a comment somewhere after the first: on the run, or on one of its steps."""
    history, at = draw(cut_histories())
    step = draw(st.sampled_from([None, *sorted({event.step for event in history if event.step})]))
    body = Commented(id="c", text="wrong term", who="ada")
    said = history[at - 1].model_copy(update={"seq": at + 1, "body": body, "step": step})
    later = [event.model_copy(update={"seq": event.seq + 1}) for event in history[at:]]
    return history, [*history[:at], said, *later]


@lawful
@given(commented_histories())
def test_a_comment_changes_nothing_but_what_is_said(drawn):
    """Wherever it is in a run's events: the state, and every prompt, are what they are without it."""
    history, commented = drawn
    state, talked = fold(history), fold(commented)
    (said,) = talked.comments
    assert (said.text, said.who) == ("wrong term", "ada")
    assert dataclasses.replace(talked, comments=[], seq=state.seq) == state
    assert talked.request_sha256() == state.request_sha256()


@lawful
@given(st.sampled_from(SEEDS), st.data())
def test_what_to_do_next_is_the_same_with_a_comment(seed, data):
    """Nobody decides anything by what people say of a run."""
    history = histories(seed)[0]
    state = fold(history[: data.draw(st.integers(1, len(history)))])
    talked = state.copy()
    step = data.draw(st.sampled_from([None, *talked.calls, *talked.models]))
    time = history[-1].ts
    body = Commented(id="c", text="stop", who="ada")
    advance(talked, Event(run_id=state.run_id, seq=state.seq + 1, ts=time, step=step, body=body))
    definition = scenario_of(seed).definition
    assert decide(definition, talked, time) == decide(definition, state, time)


@pytest.mark.parametrize("kind", sorted(event_types()))
def test_an_event_is_what_is_read_back(kind):
    """Decoding what was encoded gives an equal event, of every type, whatever is in it."""

    @lawful
    @given(events(kind))
    def check(event):
        assert Event.decode(event.encode()) == event

    check()


@pytest.mark.parametrize("seed", SEEDS[::2])
def test_the_live_state_is_the_fold_of_what_is_recorded(seed):
    """At every event, and for children too: nobody sees a state that the log does not tell."""
    scenario, store = scenario_of(seed), TapeStore()
    scenario.ledger = store.ledger()
    driver = start(store, scenario.definition, scenario.given, deps=scenario)
    differing = []

    def compare(event):
        if driver.live_state != fold(store.read(driver.run_id)):
            differing.append(event)

    driver.audience.listen(compare)
    finish(Run(store, driver.run_id, driver=driver), scenario.ledger)
    assert not differing
    for one in family(driver):
        assert one.live_state == load_state(store, one.run_id)


def family(driver: Driver) -> list[Driver]:
    """A driver and those below it."""
    return [driver, *(one for child in driver.children.values() for one in family(child))]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_prompt_can_be_rebuilt_exactly(seed):
    """The digest that was recorded with a model call is that of the prompt rebuilt from the log."""
    store, _ = run_whole(scenario_of(seed))
    for run_id in dict.fromkeys(event.run_id for event in events_of(store.tape)):
        run = Run(store, run_id)
        for step in run.state.models:
            prompt = run.prompt(step)
            assert prompt.exact, f"{step} of seed {seed}: {prompt.difference}"
