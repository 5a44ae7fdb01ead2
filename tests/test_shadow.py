"""A pipeline beside its agent: what it would write is compared, and whatever it is made of, it writes nothing."""

import asyncio
import contextlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from math import comb

import pytest
from forked import in_a_child
from hypothesis import given, settings
from hypothesis import strategies as st
from small_agents import SOON

import agentkit as ak
from agentkit.definition import predicting
from agentkit.errors import ResumeError
from agentkit.promote.comparison import upper_bound
from agentkit.promote.shadow import shadow
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore:.*would make the.* easier for a model")


class Shop:
    """A shop whose writes are counted, and its tools."""

    def __init__(self):
        self.read, self.wrote = [], []

        @ak.tool
        def find_order(order_id: str) -> dict:
            """Look up one order. Returns what was paid."""
            self.read.append(order_id)
            return {"id": order_id, "paid": 8.0 if order_id < "C" else 50.0}

        @ak.tool(writes=True)
        def refund(order_id: str, amount: float) -> dict:
            """Refund an order. Returns the receipt."""
            self.wrote.append((order_id, amount))
            return {"receipt": f"R-{order_id}"}

        @ak.tool(writes=True)
        async def mail(to: str) -> str:
            """Write to somebody. Returns a number."""
            self.wrote.append(to)
            return "m1"

        self.find_order, self.refund, self.mail = find_order, refund, mail

    def recorded(self, log, *order_ids, amount=8.0):
        """Runs of the agent that refund these orders; what it wrote is forgotten."""
        runs = []
        for order_id in order_ids:
            said = [call("find_order", order_id=order_id), call("refund", order_id=order_id, amount=amount), "done"]
            agent = ak.Agent("support", ScriptedModel(said), tools=[self.find_order, self.refund])
            runs.append(agent.run(order_id, log=log))
            runs[-1].result(SOON)
        self.wrote.clear()
        self.read.clear()
        return runs

    def pipeline(self, **options):
        """One that refunds what was paid."""
        pipeline = ak.Pipeline("refunds", input={"text": str}, **options)

        @pipeline.step
        def order(text: str, ctx: ak.Context) -> dict:
            return ctx.call(self.find_order, order_id=text)

        @pipeline.step
        def pay(order: dict, ctx: ak.Context) -> dict:
            return ctx.call(self.refund, order_id=order["id"], amount=order["paid"])

        @pipeline.step
        def answer(pay: dict) -> str:
            ak.guard(pay["receipt"].startswith("R-"), "no receipt like this was seen")
            return "done"

        return pipeline

    def of(self, *steps, **options):
        """A pipeline of functions, each with its options: `f` or `(f, {…})`."""
        pipeline = ak.Pipeline("hostile", input={"text": str}, **options)
        for step in steps:
            work, more = step if isinstance(step, tuple) else (step, {})
            pipeline.step(work, **more)
        return pipeline


@pytest.fixture
def shop():
    """A shop."""
    return Shop()


# what is compared ----------------------------------------------------------------------------------------------------


def test_equal_writes_are_equal_and_their_results_go_on(shop, log):
    """The reads are done now, the write's result is the recorded one, and the pipeline gets to its end."""
    found = shadow(shop.pipeline(), shop.recorded(log, "A", "B"))
    assert [run.verdict for run in found.runs] == ["equal", "equal"]
    assert all(run.output_equal for run in found.runs)
    assert (shop.read, shop.wrote) == (["A", "B"], [])
    assert [row[1:4] for row in found.writes] == [("equal", "refund", "pay")] * 2


def test_other_arguments_are_named_field_by_field(shop, log):
    """The agent refunded 8, the pipeline would have refunded 50; there it ends."""
    found = shadow(shop.pipeline(), shop.recorded(log, "A", "C"))
    assert [run.verdict for run in found.runs] == ["equal", "differs"]
    assert list(found.writes[1])[1:] == ["differs", "refund", "pay", "amount", "8.0", "50.0"]
    assert "amount: 8.0 → 50.0" in str(found)
    assert not shop.wrote


def test_missing_and_extra_writes_are_mismatches(shop, log):
    """What only one of them does."""

    def nothing(text: str) -> str:
        return "done"

    def two(text: str, ctx: ak.Context) -> str:
        ctx.call(shop.refund, order_id=text, amount=8.0)
        return ctx.call(shop.mail, to=text)

    runs = shop.recorded(log, "A")
    (missing,) = shadow(shop.of(nothing), runs).runs
    (extra,) = shadow(shop.of(two), runs).runs
    assert (missing.verdict, [one.kind for one in missing.writes]) == ("differs", ["missing"])
    assert (extra.verdict, [one.kind for one in extra.writes]) == ("differs", ["equal", "extra"])
    assert not shop.wrote


def test_an_equal_write_stands_for_one_only(shop, log):
    """The agent refunded once; a pipeline that would do it twice differs."""

    def twice(text: str, ctx: ak.Context) -> str:
        ctx.call(shop.refund, order_id=text, amount=8.0)
        ctx.call(shop.refund, order_id=text, amount=8.0)
        return "done"

    (run,) = shadow(shop.of(twice), shop.recorded(log, "A")).runs
    assert [one.kind for one in run.writes] == ["equal", "extra"]


def test_a_step_that_is_tried_again_writes_once(shop, log):
    """As in a run: what it did before is used again."""
    tried = []

    def flaky(text: str, ctx: ak.Context) -> str:
        ctx.call(shop.refund, order_id=text, amount=8.0)
        tried.append(text)
        if len(tried) == 1:
            raise TimeoutError("once")
        return "done"

    (run,) = shadow(shop.of((flaky, {"retry": ak.Retry(initial=0.001)})), shop.recorded(log, "A")).runs
    assert (run.verdict, len(run.writes), len(tried)) == ("equal", 1, 2)


def test_a_deopt_is_neither(shop, log):
    """It would have handed over: no match, no mismatch; its agent is not run."""
    runs = shop.recorded(log, "A", "B")
    model = ScriptedModel([])
    agent = ak.Agent("support", model, tools=[shop.refund])

    def picky(text: str, ctx: ak.Context) -> str:
        ak.guard(text == "A", "only A was seen")
        ctx.call(shop.refund, order_id=text, amount=8.0)
        return "done"

    found = shadow(shop.of(picky, deopt=agent), runs)
    assert found.counts == {"equal": 1, "deopt": 1}
    assert (found.compared, found.mismatches) == (1, 0)
    assert "only A was seen" in found.runs[1].why
    assert not model.requests


def test_a_pipeline_that_asks_a_person_is_not_answered(shop, log):
    """It says what it waits for; nobody finds it among what is pending."""

    def asks(text: str, ctx: ak.Context) -> str:
        return ctx.call(ak.ask_person, question="may I?")

    (run,) = shadow(shop.of(asks), shop.recorded(log, "A")).runs
    assert (run.verdict, "may I?" in run.why) == ("asked", True)
    assert not log.pending()


def test_an_agents_run_that_did_not_succeed_is_left_out(shop, log):
    """There is nothing to be compared with."""
    agent = ak.Agent("support", ScriptedModel([ValueError("down")]), tools=[shop.refund])
    run = agent.run("A", log=log)
    with pytest.raises(ak.RunFailed):
        run.result(SOON)
    (found,) = shadow(shop.pipeline(), [run]).runs
    assert (found.verdict, found.why) == ("left out", "the agent's run is failed")
    assert not shop.read


def test_what_a_person_edited_is_compared_as_it_was_asked_for(shop, log):
    """The person would edit the pipeline's too."""
    careful = ak.tool(writes=True, approve=True)(shop.refund.function)
    agent = ak.Agent("support", ScriptedModel([call("refund", order_id="A", amount=8.0), "done"]), tools=[careful])
    run = agent.run("A", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    run.approve(edit={"amount": 5.0})
    run.result(SOON)
    shop.wrote.clear()

    def pays(text: str, ctx: ak.Context) -> str:
        ctx.call(careful, order_id=text, amount=8.0)
        return "done"

    assert [one.verdict for one in shadow(shop.of(pays), [run]).runs] == ["equal"]
    assert not shop.wrote


def test_inputs_without_a_run_are_predicted(shop):
    """What would be written, compared with nothing, proving nothing."""
    found = shadow(shop.pipeline(), ["A", {"text": "B"}])
    assert [run.verdict for run in found.runs] == ["predicted", "predicted"]
    assert [row[6] for row in found.writes] == ['{"amount":8.0,"order_id":"A"}', '{"amount":8.0,"order_id":"B"}']
    assert (found.compared, found.bound) == (0, None)
    assert "nothing is proved" in str(found)
    assert not shop.wrote


def test_runs_are_found_by_their_ids(shop, log):
    """As other parts of promotion name them."""
    ids = [run.run_id for run in shop.recorded(log, "A")]
    assert [run.agent_run for run in shadow(shop.pipeline(), ids, log=log).runs] == ids


def test_the_users_log_is_left_alone(shop, log):
    """No event, no run, no write is added to it: no view counts what was predicted."""
    runs = shop.recorded(log, "A", "C")
    before = list(log.sql("SELECT * FROM events"))
    found = shadow(shop.pipeline(), runs)
    assert list(log.sql("SELECT * FROM events")) == before
    assert len(found.log.runs()) == 2
    assert not list(found.log.sql("SELECT 1 FROM tool_calls WHERE name = 'refund'"))


# what it never does --------------------------------------------------------------------------------------------------


def hostile(shop):
    """Pipelines that try to write where nobody expects it, by what they do."""
    agent = ak.Agent(
        "writer",
        FunctionModel(lambda request: "ok" if len(request.messages) > 1 else call("mail", to="x")),
        tools=[shop.mail],
    )

    @ak.tool
    def sly(text: str) -> str:
        """Look, and write by the way. Returns what is there."""
        shop.refund(text, 1.0)
        return text

    reader = ak.Agent(
        "reader",
        FunctionModel(lambda request: "ok" if len(request.messages) > 1 else call("sly", text="x")),
        tools=[sly],
    )

    def calls(text: str, ctx: ak.Context) -> dict:
        return ctx.call(shop.refund, order_id=text, amount=1.0)

    def as_function(text: str) -> dict:
        return shop.refund(order_id=text, amount=1.0)

    async def as_async_function(text: str) -> str:
        return await shop.mail(text)

    async def awaits(text: str, ctx: ak.AsyncContext) -> str:
        return await ctx.call(shop.mail, to=text)

    def by_itself(text: str) -> str:
        shop.wrote.append(text)
        return text

    def swallows(text: str, ctx: ak.Context) -> str:
        for _ in range(3):
            try:
                ctx.call(shop.refund, order_id=text, amount=1.0)
            except BaseException:
                shop.refund(text, 2.0)
        return text

    def calls_agent(text: str, ctx: ak.Context) -> str:
        return ctx.call(agent.as_tool(), task=text)

    def calls_sly(text: str, ctx: ak.Context) -> str:
        return ctx.call(sly, text=text)

    def in_a_thread(text: str) -> list:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(shop.refund, [text], [1.0]))

    async def in_a_known_thread(text: str) -> dict:
        return await asyncio.to_thread(shop.refund, text, 1.0)

    def in_a_run(text: str) -> str:
        return agent.run(text, log="memory:").result(SOON)

    def condition(text: str) -> bool:
        shop.refund(text, 3.0)
        return True

    def rule(asked: ak.Call) -> bool:
        shop.refund("x", 4.0)
        return False

    def reads(text: str) -> str:
        return text

    inner = ak.Pipeline("inner", input={"text": str})
    inner.step(calls)
    innermost = ak.Pipeline("outer", input={"text": str})
    innermost.step(inner)
    fan = ak.Pipeline("fan", input={"text": list[str]})
    fan.step(calls, each=("text", "text"))
    return {
        "through the context": shop.of(calls),
        "as a function": shop.of(as_function),
        "as an async function": shop.of(as_async_function),
        "awaiting the context": shop.of(awaits),
        "by itself": shop.of((by_itself, {"writes": True})),
        "swallowing what stops it": shop.of(swallows),
        "a tool that is a step": shop.of((shop.mail, {"needs": {"to": "text"}})),
        "an agent that is a step": shop.of((agent, {"needs": {"task": "text"}})),
        "an agent that is a tool": shop.of(calls_agent),
        "a read that writes": shop.of(calls_sly),
        "a read of an agent that writes": shop.of((reader, {"needs": {"task": "text"}})),
        "a pipeline in it": shop.of((inner, {"name": "inner"})),
        "a pipeline in a pipeline": shop.of((innermost, {"name": "outer"})),
        "in a thread": shop.of(in_a_thread),
        "in a thread that takes it along": shop.of(in_a_known_thread),
        "in a run of its own": shop.of(in_a_run),
        "a condition": shop.of((reads, {"when": condition})),
        "an approval rule": shop.of((reads, {"approve": rule})),
        "its agent that takes over": shop.of((lambda text: text[9], {"name": "breaks"}), deopt=agent),
    }


with warnings.catch_warnings(action="ignore"):
    HOSTILE = list(hostile(Shop()))


@pytest.mark.parametrize("how", HOSTILE)
def test_it_never_writes(shop, how):
    """However the definition tries it; what it would have written through a tool is known."""
    pipeline = hostile(shop)[how]
    found = shadow(pipeline, ["A"])
    assert not shop.wrote
    if how not in {"its agent that takes over", "in a thread", "in a run of its own"}:
        assert found.runs[0].writes
    with contextlib.suppress(ak.RunFailed):
        pipeline.run(text="A", log="memory:").result(SOON)
    assert shop.wrote, "where it runs it writes: the shadow had something to prevent"


def test_a_fan_out_writes_nothing_either(shop):
    """Every item is predicted."""
    pipeline = ak.Pipeline("fan", input={"texts": list[str]})

    @pipeline.step(each=("text", "texts"), on_error="collect")
    def calls(text: str, ctx: ak.Context) -> dict:
        return ctx.call(shop.refund, order_id=text, amount=1.0)

    (run,) = shadow(pipeline, [{"texts": ["a", "b", "c"]}]).runs
    assert sorted(one.arguments["order_id"] for one in run.writes) == ["a", "b", "c"]
    assert not shop.wrote


def test_a_shadow_run_cannot_be_resumed_as_the_pipeline(shop):
    """No process finds a definition by its name: as the pipeline itself it would write."""

    def asks(text: str, ctx: ak.Context) -> dict:
        ctx.call(ak.ask_person, question="may I?")
        return ctx.call(shop.refund, order_id=text, amount=1.0)

    pipeline = shop.of(asks)
    found = shadow(pipeline, ["A"])
    with pytest.raises(ResumeError):
        ak.resume(found.runs[0].run_id, log=found.log)
    assert not shop.wrote


def test_outside_a_shadow_tools_are_the_functions_they_were(shop, log):
    """Calling one writes, after a shadow as before."""
    shadow(shop.pipeline(), ["A"])
    assert shop.refund("A", 2.0) == {"receipt": "R-A"}
    assert shop.pipeline().run(text="B", log=log).result(SOON) == "done"
    assert shop.wrote == [("A", 2.0), ("B", 8.0)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_is_forked_while_a_shadow_begins_or_ends_can_begin_one_itself():
    """What another thread of its parent held then is not held in it."""

    def begin():
        with predicting.predicting():
            return "begun"

    with predicting._lock:
        assert in_a_child(begin) == "begun"


# what it proves ------------------------------------------------------------------------------------------------------


def test_the_report_says_what_is_proved_and_no_more(shop, log):
    """The number of runs, the bound, and what would prove more."""
    found = shadow(shop.pipeline(), shop.recorded(log, *(f"A{number}" for number in range(20))))
    text = str(found)
    assert "20 would have written what the agent wrote" in text
    assert (
        "at most 13.9% of runs like these would write something else (3/n: 15.0%); 299 without one prove under 1%"
        in text
    )
    assert found.bound == pytest.approx(1 - 0.05 ** (1 / 20))
    assert "13.9%" in found._repr_mimebundle_()["text/html"]


def test_what_is_shown_is_escaped(shop):
    """Inputs and arguments are words of somebody else."""
    found = shadow(shop.pipeline(), ["<script>alert(1)</script>"])
    assert "<script>" not in found._repr_mimebundle_()["text/html"]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(0, 400))
def test_the_bound_is_the_exact_one(compared, differing):
    """At the bound, so few differences are seen in 5% of samples; more differences raise it, more runs lower it."""
    differing = min(differing, compared - 1)
    bound = upper_bound(differing, compared)
    seen = sum(comb(compared, k) * bound**k * (1 - bound) ** (compared - k) for k in range(differing + 1))
    assert seen == pytest.approx(0.05, rel=1e-6)
    assert upper_bound(differing, compared + 1) < bound < (upper_bound(differing + 1, compared) or 1.1)
