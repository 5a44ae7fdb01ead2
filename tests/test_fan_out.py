"""Steps that run once for each element of a list: crashes, people, failures, and what an item costs."""

import threading
from collections import Counter

import pytest
from small_agents import SOON, paused
from small_pipelines import READY, cut, events_of, kept, pipeline_of, until

import agentkit as ak
from agentkit.decide import pipeline as deciding
from agentkit.testing import FunctionModel

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


def fan(work, numbers=3, *, log, model=READY, **options):
    """A run of a pipeline that runs `work` for so many numbers."""
    made = kept(ak.Pipeline("p", input={"numbers": list[int]}, model=model))
    made.step(work, each=("n", "numbers"), **options)
    return made.run(numbers=list(range(numbers)), log=log)


def test_an_item_of_which_nothing_was_recorded_before_a_later_one_is_not_lost(log):
    """Their rules are asked at the same time, and the second one's verdict came first; then the process died."""
    first = threading.Event()

    def rule(call):
        assert call.args["n"] != 0 or first.wait(SOON)
        return False

    def work(n: int) -> int:
        first.set()
        return n * 10

    run = fan(work, log=log, approve=rule)
    assert run.result(SOON) == [0, 10, 20]
    before = next(at for at, event in enumerate(run.events()) if event.step == "work[0]")
    assert "work[1]" in [event.step for event in run.events()[:before]]
    left = cut(log, run, lambda event: event.step == "work[0]")
    assert ak.resume(run.run_id, log=left).result(SOON) == [0, 10, 20]


def test_items_of_a_plain_write_that_were_under_way_are_each_asked_about(log):
    """What is in doubt is asked, what ended is kept, what had not begun runs."""
    done, meet = [], threading.Barrier(2, timeout=SOON)

    def work(n: int) -> int:
        if n in {1, 2}:
            meet.wait()
        done.append(n)
        return n

    run = fan(work, 4, log=log, writes=True, concurrency=2)
    run.result(SOON)
    left = cut(log, run, lambda event: event.type == "step_succeeded" and event.step in {"work[1]", "work[2]"})
    done.clear()
    meet.abort()
    again = ak.resume(run.run_id, log=left)
    asked = paused(again)
    assert {(one.kind, one.step, one.arguments["n"]) for one in asked} == {
        ("in_doubt", "work[1]", 1),
        ("in_doubt", "work[2]", 2),
    }
    for one in asked:
        again.resolve(one.id, "happened", result=one.arguments["n"])
    assert again.result(SOON) == [0, 1, 2, 3]
    assert done == [3]


def test_after_an_unknown_effect_the_other_items_are_asked_about(log):
    """Each card shows what is unknown, with its arguments; what a person lets run runs once."""
    done = []

    def work(n: int) -> int:
        done.append(n)
        if n == 0:
            raise ConnectionError("the line dropped")
        return n

    run = fan(work, 3, log=log, writes=True, concurrency=1, on_error="collect")
    seen = []
    while (asked := _next_question(run)) is not None:
        seen.append((asked.step, asked.because, [(one["step"], one["arguments"]) for one in asked.shows]))
        run.approve(asked.id)
    assert seen == [
        ("work[1]", "effect_unknown", [("work[0]", {"n": 0})]),
        ("work[2]", "effect_unknown", [("work[0]", {"n": 0})]),
    ]
    assert (done, run.output[1:]) == ([0, 1, 2], [1, 2])


def _next_question(run):
    try:
        run.result(SOON)
    except ak.RunPaused as paused_:
        return paused_.pending[0]
    return None


def test_an_item_that_waits_for_a_person_holds_up_no_other(log):
    """Neither one that is gated nor one in which a call is, even where one item is worked on at a time."""

    @ak.tool(writes=True, approve=lambda call: call.args["n"] == 0)
    def pay(n: int) -> int:
        """Pay for something. Returns what it was."""
        return n

    def work(n: int, ctx: ak.Context) -> int:
        return ctx.call(pay, n=n)

    run = fan(work, 3, log=log, concurrency=1)
    (asked,) = paused(run)
    assert asked.step == "work[0]/call/pay/1"
    assert [step for step, _ in events_of(run, "step_succeeded")] == ["work[1]", "work[2]"]
    run.approve()
    assert run.result(SOON) == [0, 1, 2]


def test_a_failed_item_stops_those_that_have_not_begun(log):
    """Those under way end; the run fails with the first one's error."""
    begun = []

    def work(n: int) -> int:
        begun.append(n)
        return 1 // n

    run = fan(work, 50, log=log, concurrency=2)
    with pytest.raises(ak.RunFailed, match=r"items failed, the first: work\[0\]: ZeroDivisionError"):
        run.result(SOON)
    assert len(begun) < 5


def test_what_is_no_list_fails_the_step(log):
    """Its type says so where it is known before; where it is not, the run does."""

    def several(x: int):
        return x

    def work(n: int) -> int:
        return n

    run = pipeline_of(several, (work, {"each": ("n", "several")})).run(x=1, log=log)
    with pytest.raises(ak.RunFailed, match="each='several' has to be a list, and this time it is int"):
        run.result(SOON)


def test_an_item_whose_result_is_not_json_is_named(log):
    """The item's place in the list says what is wrong with it."""

    def work(n: int):
        return {"at": object()} if n == 1 else n

    run = fan(work, 3, log=log, on_error="collect")
    said = run.result(SOON)
    assert (said[0], said[2]) == (0, 2)
    assert said[1]["step"] == "work[1]"
    assert said[1]["message"].startswith("result of work.at: not a JSON value")


def rounds_and_events(numbers, log):
    """How many rounds of deciding an item takes, how many events, and how many paths a round looks at at most."""
    rounds, widest = 0, 0
    items = deciding._items

    def counting(state, step, fan_out, now):
        nonlocal rounds, widest
        rounds += 1
        widest = max(widest, len(fan_out.open))
        return items(state, step, fan_out, now)

    def work(n: int, ctx: ak.Context) -> str:
        return ctx.ask(f"number {n}")

    deciding._items = counting
    try:
        run = fan(work, numbers, log=log)
        run.result(120)
    finally:
        deciding._items = items
    return rounds / numbers, len(run.events()) / numbers, widest, run


def test_an_item_of_three_thousand_costs_what_one_of_three_hundred_does(log):
    """As many events an item, no more rounds than events, and a round looks at those under way only."""
    few_rounds, few_events, _, _ = rounds_and_events(300, log)
    rounds, events, widest, run = rounds_and_events(3000, log)
    assert max(rounds, few_rounds) <= few_events
    assert events == pytest.approx(few_events, rel=0.02)
    assert widest <= 16
    assert {ask.conversation for ask in run.state.asks.values()} == {None}
    assert sum(len(ask.models) for ask in run.state.asks.values()) == 3000


def test_a_step_that_asks_a_thousand_times_is_entered_again_without_asking(log):
    """What one step asks in a loop is found again, all of it."""
    model_calls = Counter()

    def say(request):
        model_calls["all"] += 1
        return "5"

    def work(x: int, ctx: ak.Context) -> int:
        return sum(int(ctx.ask(f"number {n}")) for n in range(1000))

    run = pipeline_of(work, model=FunctionModel(say)).run(x=1, log=log)
    assert run.result(60) == 5000
    left = cut(log, run, until("step_succeeded", "work"))
    assert ak.resume(run.run_id, log=left).result(60) == 5000
    assert model_calls["all"] == 1000
