"""A pipeline done again on what was recorded: which calls it makes, in order, and how it ends; nothing is called."""

import pytest

import agentkit as ak
from agentkit.promote.kept import KeptCall, KeptRun
from agentkit.promote.replay import compare, replay

CALLED = []


@ak.tool
def find_order(order_id: str) -> dict:
    """Look up an order. Returns its lines."""
    CALLED.append(order_id)
    return {}


@ak.tool(writes=True)
def refund(line_id: str, amount: float) -> dict:
    """Refund a line. Returns the refund's number."""
    CALLED.append(line_id)
    return {}


@ak.tool(writes=True)
def tell(line_id: str) -> str:
    """Tell the customer. Returns what was said."""
    CALLED.append(line_id)
    return ""


def make_pipeline():
    pipeline = ak.Pipeline("refunds", input={"order_id": str, "sku": str}, output="result")

    @pipeline.step
    def order(order_id: str, ctx: ak.Context) -> dict:
        return ctx.call(find_order, order_id=order_id)

    @pipeline.step
    def paid(order: dict, sku: str, ctx: ak.Context) -> dict:
        line = ak.only(line for line in order["lines"] if line["sku"] == sku)
        return ctx.call(refund, line_id=line["line_id"], amount=line["price"])

    @pipeline.step
    def result(paid: dict) -> str:
        return paid["refund_id"]

    return pipeline


LINES = [{"line_id": "L-1", "sku": "cup", "price": 4.5}, {"line_id": "L-2", "sku": "rug", "price": 80.0}]
RUN = KeptRun(
    run_id="run-1",
    input={"order_id": "A-1", "sku": "rug"},
    calls=(
        KeptCall("find_order", {"order_id": "A-1"}, {"lines": LINES}),
        KeptCall("refund", {"line_id": "L-2", "amount": 80}, {"refund_id": "R-9"}, writes=True),
    ),
    output="R-9",
)


def changed(run=RUN, **changes):
    return KeptRun(**{name: changes.get(name, getattr(run, name)) for name in KeptRun.__slots__})


def test_what_was_recorded_is_done_again_and_nothing_is_called():
    """The same calls, in order, with equal arguments, and the same output; no tool runs."""
    CALLED.clear()
    found = replay(make_pipeline(), RUN)
    assert [str(made) for made in found.calls] == [
        "find_order(order_id='A-1')",
        "refund(line_id='L-2', amount=80.0)",
    ]
    assert compare(RUN, found) == ("equal", "")
    assert not CALLED


def test_a_call_that_was_not_recorded_is_said_exactly():
    """Nobody knows what it would have brought: the replay says which call it was, and what the run called instead."""
    found = replay(make_pipeline(), changed(input={"order_id": "A-2", "sku": "rug"}))
    assert found.end == "unrecorded"
    assert found.why == "order: the run never called find_order(order_id='A-2'); it called find_order(order_id='A-1')"


def test_another_write_is_different():
    """A write that the run did not make is named, with what the run wrote."""
    run = changed(input={"order_id": "A-1", "sku": "cup"})
    outcome, why = compare(run, replay(make_pipeline(), run))
    assert outcome == "different"
    assert why == (
        "paid writes refund(line_id='L-1', amount=4.5), which the run did not; "
        "it wrote refund(line_id='L-2', amount=80)"
    )


def test_a_guard_that_fails_is_a_deopt():
    """Two lines with the SKU: the step stops, and the replay says why."""
    twice = KeptCall("find_order", {"order_id": "A-1"}, {"lines": [*LINES, LINES[1]]})
    run = changed(calls=(twice, RUN.calls[1]))
    outcome, why = compare(run, replay(make_pipeline(), run))
    assert outcome == "deopt"
    assert "there are 2" in why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"output": "R-10"}, "it ends with 'R-9', the run with 'R-10'"),
        (
            {"calls": (*RUN.calls, KeptCall("tell", {"line_id": "L-2"}, "", writes=True))},
            "the run also wrote tell(line_id='L-2'), and the pipeline does not",
        ),
    ],
)
def test_what_the_run_did_and_the_pipeline_does_not_is_different(changes, why):
    """Less than what was recorded is not the same."""
    run = changed(**changes)
    assert compare(run, replay(make_pipeline(), run)) == ("different", why)


def test_a_call_that_failed_fails_its_step_and_what_needs_it():
    """A recorded error is raised where the call is made; what does not need that step runs on."""
    pipeline = make_pipeline()

    @pipeline.step
    def told(sku: str, ctx: ak.Context) -> str:
        return ctx.call(tell, line_id=sku)

    broken = KeptCall("find_order", {"order_id": "A-1"}, error="the service is busy")
    run = changed(calls=(broken, RUN.calls[1], KeptCall("tell", {"line_id": "rug"}, "said", writes=True)))
    found = replay(pipeline, run)
    assert (found.end, found.why) == ("failed", "order: ToolError: the service is busy")
    assert [made.tool for made in found.calls] == ["find_order", "tell"]


def test_conditions_fan_outs_questions_and_tools_as_steps_are_done_again():
    """Each with what was recorded: the agent's own words answer what a step asks a model."""
    pipeline = ak.Pipeline("news", input={"order_id": str, "loud": bool}, output="told")
    pipeline.step(find_order, name="order", needs={"order_id": "order_id"})

    @pipeline.step
    def lines(order: dict) -> list[dict]:
        return order["lines"]

    @pipeline.step(each=("line", "lines"))
    async def words(line: dict, ctx: ak.AsyncContext) -> str:
        return await ctx.ask({"about": line})

    @pipeline.step(when=lambda loud: loud)
    def shout(words: list[str]) -> list[str]:
        return [word.upper() for word in words]

    @pipeline.step
    def told(words: list[str], shout: list[str] | None) -> str:
        return " ".join(shout or words)

    given = {"order_id": "A-1", "loud": False}
    run = changed(input=given, answers={"words": ["a cup", "a rug"]}, calls=RUN.calls[:1], output="a cup a rug")
    assert compare(run, replay(pipeline, run)) == ("equal", "")
    loud = changed(run, input={**given, "loud": True}, output="A CUP A RUG")
    assert compare(loud, replay(pipeline, loud)) == ("equal", "")
    fewer = changed(run, answers={"words": ["a cup"]})
    assert replay(pipeline, fewer).why == "words: the run has no answer for the question of words[1]"


def test_a_kept_run_comes_back_from_its_json():
    """What is written into the file is what is read."""
    assert KeptRun.from_json(RUN.to_json()) == RUN
    assert KeptRun.from_json(changed(expected="deopt").to_json()).expected == "deopt"
