"""What a step asks of a model, when the run pauses, runs out of budget, is cancelled, or crashes."""

import asyncio
import threading
import time
from collections import Counter

import pytest
from small_agents import SOON, paused
from small_pipelines import READY, Gate, cut, pipeline_of, until, wait_until

import agentkit as ak
from agentkit.errors import AskFailed, ConfigError, ModelError
from agentkit.testing import FunctionModel

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


@ak.tool
def look(what: str) -> str:
    """Look something up. Returns what is known of it."""
    return f"about {what}"


def counting(answer="5", slow=None):
    """A model that counts what it is asked, and waits at a gate for the prompts that hold `slow`."""
    asked, gate = Counter(), Gate()

    async def say(request):
        prompt = str(request.messages[0].content)
        asked[prompt] += 1
        if slow is not None and slow in prompt:
            await asyncio.to_thread(gate)
        return answer

    return FunctionModel(say), asked, gate


def test_a_pause_between_two_asks_takes_up_what_was_asked(log):
    """The step stops after the ask under way; the resumed run uses its answer and asks the second only."""
    model, asked, gate = counting(slow="first")

    def both(x: int, ctx: ak.Context) -> list[str]:
        return [ctx.ask("first"), ctx.ask("second")]

    run = pipeline_of(both, model=model).run(x=1, log=log)
    assert gate.there.wait(SOON)
    run.pause()
    gate.go_on.set()
    assert paused(run) == []
    assert asked == {"first": 1}
    run.resume()
    assert run.result(SOON) == ["5", "5"]
    assert asked == {"first": 1, "second": 1}


def test_a_step_that_writes_is_not_stopped_by_a_pause(log):
    """In doubt it would be: so it goes on to its end, asks and all, and the run pauses after it."""
    model, asked, gate = counting(slow="first")

    def write(x: int, ctx: ak.Context) -> list[str]:
        return [ctx.ask("first"), ctx.ask("second")]

    def after(write: list[str]) -> int:
        return len(write)

    run = pipeline_of((write, {"writes": True}), after, model=model).run(x=1, log=log)
    assert gate.there.wait(SOON)
    run.pause()
    gate.go_on.set()
    assert paused(run) == []
    assert asked == {"first": 1, "second": 1}
    run.resume()
    assert run.result(SOON) == 2


def test_a_budget_that_is_used_up_in_an_ask_pauses_and_more_of_it_goes_on(log):
    """What was asked is not asked again."""
    model, asked, _ = counting()

    def both(x: int, ctx: ak.Context) -> list[str]:
        return [ctx.ask("first"), ctx.ask("second")]

    run = pipeline_of(both, model=model, budget=ak.Budget(model_calls=1)).run(x=1, log=log)
    (question,) = paused(run)
    assert question.kind == "budget"
    run.approve(question.id, edit={"model_calls": 5})
    assert run.result(SOON) == ["5", "5"]
    assert asked == {"first": 1, "second": 1}


def test_every_step_that_a_used_up_budget_stopped_goes_on_with_more(log):
    """Two steps ask at that moment, and a third one still works when the person answers."""
    model, asked, _ = counting()
    gate, meet = Gate(), threading.Barrier(2, timeout=SOON)

    def left(x: int, ctx: ak.Context) -> str:
        meet.wait()
        return ctx.ask("left 1") + ctx.ask("left 2")

    def right(x: int, ctx: ak.Context) -> str:
        meet.wait()
        return ctx.ask("right 1") + ctx.ask("right 2")

    def busy(x: int) -> str:
        gate()
        return "busy"

    run = pipeline_of(left, right, busy, model=model, budget=ak.Budget(model_calls=1)).run(x=1, log=log)
    wait_until(lambda: run.pending)
    time.sleep(0.1)  # the other step finds the budget used up too
    run.approve(edit={"model_calls": 50})
    time.sleep(0.1)
    gate.go_on.set()
    assert run.result(SOON) == {"left": "55", "right": "55", "busy": "busy"}
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("where", ["ask", "call", "sleep"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_cancelled_run_gets_its_threads_back(embedded_log, where, is_async):
    """Whether the step waits for a model, a tool, or the next try: the run ends, and its claim is free."""
    there, back = threading.Event(), threading.Event()

    async def slow():
        there.set()
        await asyncio.sleep(SOON * 10)

    @ak.tool
    async def crawl(what: str) -> str:
        """Take for ever to look something up."""
        await slow()

    class Slow:
        name, price = "slow", READY.price

        async def respond(self, request, on_text=None):
            if where == "sleep":
                there.set()
                raise ModelError("busy", kind="rate_limit", retryable=True, retry_after=1000)
            await slow()

    async def awaits(x: int, ctx: ak.AsyncContext) -> str:
        try:
            return await (ctx.call(crawl, what="x") if where == "call" else ctx.ask("x"))
        finally:
            back.set()

    def waits(x: int, ctx: ak.Context) -> str:
        try:
            return ctx.call(crawl, what="x") if where == "call" else ctx.ask("x")
        finally:
            back.set()

    run = pipeline_of(awaits if is_async else waits, model=Slow()).run(x=1, log=embedded_log)
    assert there.wait(SOON)
    run.cancel("enough")
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    assert back.is_set()
    (call,) = [call for call in run.state.calls.values() if call.is_step]
    assert call.status == "done"
    assert call.error.message.endswith("the run was cancelled while this ran")
    assert embedded_log.store.holder(run.run_id) is None


def test_a_run_that_waits_for_a_steps_next_try_is_cancelled_at_once(log):
    """Nothing sleeps on."""

    def flaky(x: int) -> int:
        raise TimeoutError("not now")

    run = pipeline_of((flaky, {"retry": ak.Retry(initial=1000, max=1000, jitter="none")})).run(x=1, log=log)
    wait_until(lambda: run.status == "waiting")
    run.cancel()
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)


def test_asking_in_a_step_that_writes_without_a_key_is_in_doubt_after_a_crash(log):
    """Whether it wrote before or after it asked, nobody here knows."""
    model, asked, _ = counting()

    def write(x: int, ctx: ak.Context) -> str:
        return ctx.ask("what?")

    run = pipeline_of((write, {"writes": True}), model=model).run(x=1, log=log)
    run.result(SOON)
    again = ak.resume(run.run_id, log=cut(log, run, until("step_succeeded", "write")))
    (question,) = paused(again)
    assert (question.kind, question.step) == ("in_doubt", "write")
    again.resolve(question.id, "did not")
    assert again.result(SOON) == "5"
    assert asked == {"what?": 1}


def test_an_ask_without_an_answer_that_holds_says_what_each_attempt_brought(log):
    """It raises in the step, and the run fails with it where that lets it pass."""

    def asks(x: int, ctx: ak.Context) -> int:
        try:
            return ctx.ask("a number", output=int, max_reasks=1)
        except AskFailed as error:
            return -len(str(error.error.message))

    run = pipeline_of(asks, model=FunctionModel(lambda _request: "many")).run(x=1, log=log)
    assert run.result(SOON) < 0
    assert run.usage.model_calls == 2


def test_a_secret_in_a_call_is_refused_and_one_in_a_prompt_is_taken_out(log):
    """Inputs, prompts, results, arguments: the log has none of it, and neither has the model."""
    secret = "sk-1234567890abcdefghij1234"
    model, asked, _ = counting(answer=f"it is {secret}")

    def leaks(word: str, ctx: ak.Context) -> str:
        said = ctx.ask(f"what of {word} and {secret}?")
        try:
            ctx.call(look, what=secret)
        except ConfigError as error:
            said += str(error)
        return said + secret

    pipeline = ak.Pipeline("p", input={"word": str}, model=model)
    pipeline.step(leaks)
    run = pipeline.run(word=secret, log=log)
    said = run.result(SOON)
    assert "[redacted:api-key] stands where something secret was" in said
    assert secret not in str([event.encode() for event in run.events()])
    assert secret not in str(list(asked))


def test_a_budget_that_is_raised_after_a_crash_asks_nothing_again(log):
    """The question survives the process that put it."""
    model, asked, _ = counting()

    def both(x: int, ctx: ak.Context) -> list[str]:
        return [ctx.ask("first"), ctx.ask("second")]

    run = pipeline_of(both, model=model, budget=ak.Budget(model_calls=1)).run(x=1, log=log)
    paused(run)
    left = cut(log, run, lambda event: event.type == "run_paused")
    again = ak.resume(run.run_id, log=left, budget=ak.Budget(model_calls=9))
    assert again.result(SOON) == ["5", "5"]
    assert asked == {"first": 1, "second": 1}
