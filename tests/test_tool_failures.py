"""What a failing tool does to a run: what the model sees, what is tried again, and what a person has to know."""

import asyncio
import sqlite3
import threading

import pytest
from small_agents import SOON, bodies, paused

import agentkit as ak
from agentkit.events import ApprovalRequested, RetryScheduled, ToolFailed, ToolStarted, ToolSucceeded
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

AT_ONCE = ak.Retry(initial=0)


def told(run):
    return [message.content for message in run.state.messages if message.role == "tool"]


def failing(*errors, **options):
    """A tool that raises these errors, one a call, then returns; and the keys it was called with."""
    left = list(errors)
    keys = []

    @ak.tool(**options)
    def act(what: str, ctx: ak.Context) -> dict:
        """Do something that may fail. Returns what was done.

        Args:
            what: a word.
        """
        keys.append(ctx.idempotency_key)
        if left:
            raise left.pop(0)
        return {"did": what}

    return act, keys


def run_of(log, tool, *turns, **options):
    model = ScriptedModel([*turns, "ok"])
    return ak.Agent("a", model, tools=[tool], decisions="off", **options).run("hi", log=log)


def test_tool_error_says_that_nothing_happened(log):
    """The model sees type, message, context and whether trying again can help; a write is not in doubt."""
    tool, keys = failing(ak.ToolError("no such order", order_id="A-1", tried={1, 2}), writes=True)
    run = run_of(log, tool, call("act", what="x"), call("act", what="x"))
    assert run.result(SOON) == "ok"
    error = told(run)[0]["error"]
    assert (error["type"], error["message"], error["retrying_can_help"]) == ("ToolError", "no such order", False)
    assert error["context"] == {"order_id": "A-1", "tried": [1, 2]}
    assert bodies(run, ToolFailed)[0].effect == "none"
    assert bodies(run, ToolFailed)[0].error.traceback is None
    assert keys[0] != keys[1]


def test_tool_error_context_that_is_not_json_is_shown(log):
    """The error is not lost over what came with it."""
    tool, _ = failing(ak.ToolError("odd", thing=object(), nan=float("nan")))
    run = run_of(log, tool, call("act", what="x"))
    assert run.result(SOON) == "ok"
    assert "object" in told(run)[0]["error"]["context"]["thing"]


@pytest.mark.parametrize("options", [{}, {"writes": True, "idempotent": True}])
@pytest.mark.parametrize("error", [TimeoutError("slow"), ConnectionError("gone")])
def test_a_transient_error_is_tried_again_with_the_same_key(log, options, error):
    """A read, or a write that its service runs once for a key."""
    tool, keys = failing(error, error, retry=AT_ONCE, **options)
    run = run_of(log, tool, call("act", what="x"))
    assert run.result(SOON) == "ok"
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert [body.retrying for body in bodies(run, ToolFailed)] == [True, True]
    assert len(bodies(run, RetryScheduled)) == 2
    assert run.usage.tool_calls == 1
    assert [event.attempt for event in run.events() if event.type == "tool_started"] == [1, 2, 3]


def test_retry_on_names_what_is_transient(log):
    """Instead of timeouts and connection errors only."""
    tool, keys = failing(KeyError("x"), retry=AT_ONCE, retry_on=(LookupError,))
    assert run_of(log, tool, call("act", what="x")).result(SOON) == "ok"
    assert len(keys) == 2


def test_retries_end(log):
    """After the last attempt the model is told; an idempotent write's effect is then unknown."""
    tool, keys = failing(*[TimeoutError("slow")] * 9, retry=ak.Retry(max_attempts=2, initial=0))
    run = run_of(log, tool, call("act", what="x"))
    assert run.result(SOON) == "ok"
    assert len(keys) == 2
    assert told(run)[0]["error"]["retrying_can_help"] is True
    tool, keys = failing(
        *[TimeoutError("slow")] * 2, writes=True, idempotent=True, retry=ak.Retry(max_attempts=2, initial=0)
    )
    run = run_of(log, tool, call("act", what="x"))
    assert run.result(SOON) == "ok"
    assert "unknown" in told(run)[0]["error"]["effect"]


def test_any_other_error_goes_to_the_model_and_its_traceback_to_the_log(log):
    """Type and message are enough for the model."""
    tool, _ = failing(ZeroDivisionError("by zero"))
    run = run_of(log, tool, call("act", what="x"))
    assert run.result(SOON) == "ok"
    assert told(run)[0]["error"] == {"type": "ZeroDivisionError", "message": "by zero", "retrying_can_help": False}
    (failed,) = bodies(run, ToolFailed)
    assert "Traceback" in failed.error.traceback
    assert failed.effect == "none"


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), ValueError("a\0b\ud800")]
)
def test_a_tool_may_raise_anything(log, error):
    """It ends the call, not the process."""
    tool, _ = failing(error)
    assert run_of(log, tool, call("act", what="x")).result(SOON) == "ok"

    @ak.tool
    async def leave(what: str) -> dict:
        """Leave by raising something. Returns nothing at all.

        Args:
            what: a word.
        """
        raise error

    assert run_of(log, leave, call("leave", what="x")).result(SOON) == "ok"


def test_an_error_that_cannot_say_what_it_is(log):
    """Its type is said instead."""

    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    tool, _ = failing(Mute())
    run = run_of(log, tool, call("act", what="x"))
    assert run.result(SOON) == "ok"
    assert told(run)[0]["error"]["message"] == "Mute"


@pytest.mark.parametrize("error", [TimeoutError("slow"), ZeroDivisionError("no")])
def test_a_plain_writes_effect_is_unknown_and_the_next_call_asks(log, error):
    """Whatever its arguments; the person sees what is unknown, and an equal call keeps the first key."""
    tool, keys = failing(error, writes=True)
    turns = [call("act", what="x"), call("act", what="other"), call("act", what="x")]
    run = run_of(log, tool, *turns)
    (asked,) = paused(run)
    assert asked.because == "effect_unknown"
    assert asked.shows[0]["arguments"] == {"what": "x"}
    assert "unknown" in told(run)[0]["error"]["effect"]
    run.approve()
    (again,) = paused(run)
    assert again.because == "effect_unknown"
    run.approve()
    assert run.result(SOON) == "ok"
    assert keys[0] == keys[2] != keys[1]


def test_a_call_cleared_before_another_failed_asks_again(log):
    """Two calls of one turn: the rule let both run; the first one's effect became unknown meanwhile."""
    tool, keys = failing(TimeoutError("slow"), writes=True, approve=lambda call: False)
    run = run_of(log, tool, [call("act", what="x"), call("act", what="y")])
    (asked,) = paused(run)
    assert (asked.because, asked.shows[0]["step"]) == ("effect_unknown", "tool/act/1")
    assert len(keys) == 1
    run.reject()
    assert run.result(SOON) == "ok"


def test_a_call_approved_before_another_failed_asks_again(log):
    """The person had not seen that; having seen it, their word is enough."""
    tool, keys = failing(TimeoutError("slow"), writes=True, approve=True)
    run = run_of(log, tool, [call("act", what="x"), call("act", what="y")])
    for asked in paused(run):
        run.approve(asked.id)
    (asked,) = paused(run)
    assert asked.because == "effect_unknown"
    run.approve()
    assert run.result(SOON) == "ok"
    assert len(keys) == 2
    assert len(bodies(run, ApprovalRequested)) == 3


@pytest.mark.parametrize("result", [float("nan"), {"a": "x\0"}, object(), [{"b": {1: object()}}]])
def test_a_result_that_is_not_json_is_an_error(log, result):
    """The model is told which field; a write that returned it has had its effect, so nobody knows."""

    @ak.tool(writes=True)
    def make(what: str):
        """Make something that no log can hold. Returns it.

        Args:
            what: a word.
        """
        return result

    run = run_of(log, make, call("make", what="x"))
    assert run.result(SOON) == "ok"
    assert told(run)[0]["error"]["type"] == "EncodingError"
    assert "result of make" in told(run)[0]["error"]["message"]
    assert bodies(run, ToolFailed)[0].effect == "unknown"


def test_an_object_bound_to_a_thread_is_explained(log):
    """sqlite3's error comes with what to do about it."""
    connection = sqlite3.connect(":memory:")

    @ak.tool
    def count(table: str) -> dict:
        """Count the rows of a table. Returns the number.

        Args:
            table: its name.
        """
        return {"n": connection.execute("SELECT 1").fetchone()[0]}

    run = run_of(log, count, call("count", table="x"))
    assert run.result(SOON) == "ok"
    assert "check_same_thread=False" in told(run)[0]["error"]["message"]


def slow_tool(**options):
    started, go = threading.Semaphore(0), threading.Event()
    running = []

    @ak.tool(timeout=0.05, **options)
    def slow(what: str) -> dict:
        """Take longer than the timeout. Returns something late.

        Args:
            what: a word.
        """
        running.append(what)
        assert len(running) == 1, "two at a time"
        started.release()
        go.wait(SOON)
        running.remove(what)
        return {"did": what}

    return slow, started, go


def wait_for(run, kind):
    while not bodies(run, kind):
        threading.Event().wait(0.005)


@pytest.mark.parametrize("options", [{}, {"writes": True}, {"writes": True, "idempotent": True}])
def test_a_sync_call_that_timed_out_is_in_doubt_until_its_thread_returns(log, options):
    """No retry overlaps it, the run is held, and what it brings back late is used."""
    slow, started, go = slow_tool(**options)
    run = run_of(log, slow, call("slow", what="x"))
    started.acquire(timeout=SOON)
    wait_for(run, ToolFailed)
    (stuck,) = bodies(run, ToolFailed)
    assert stuck.in_doubt
    assert "still running" in stuck.error.message
    assert log.store.holder(run.run_id).activity == "executing"
    assert run.status == "running"
    go.set()
    assert run.result(SOON) == "ok"
    (late,) = bodies(run, ToolSucceeded)
    assert late.late
    assert told(run) == [{"did": "x"}]
    assert len(bodies(run, ToolStarted)) == 1


def test_a_stuck_read_that_fails_late_is_tried_again_then(log):
    """Not before its thread is back."""
    go = threading.Event()
    calls = []

    @ak.tool(timeout=0.05, retry=AT_ONCE)
    def slow(what: str) -> dict:
        """Fail late once, then work. Returns something.

        Args:
            what: a word.
        """
        calls.append(what)
        if len(calls) == 1:
            go.wait(SOON)
            raise ConnectionError("gone")
        return {}

    run = run_of(log, slow, call("slow", what="x"))
    wait_for(run, ToolFailed)
    assert len(calls) == 1
    go.set()
    assert run.result(SOON) == "ok"
    assert len(calls) == 2


def test_an_async_timeout_is_a_transient_error(log):
    """It is stopped and tried again; a plain write's effect is unknown; the error says of what and how long."""
    calls = []

    async def sleep_once():
        calls.append(1)
        if len(calls) == 1:
            await asyncio.sleep(SOON)
        return {}

    @ak.tool(timeout=0.05, retry=AT_ONCE)
    async def read(what: str) -> dict:
        """Read something slowly at first. Returns nothing much.

        Args:
            what: a word.
        """
        return await sleep_once()

    @ak.tool(timeout=0.05, writes=True)
    async def write(what: str) -> dict:
        """Write something slowly at first. Returns nothing much.

        Args:
            what: a word.
        """
        return await sleep_once()

    assert run_of(log, read, call("read", what="x")).result(SOON) == "ok"
    assert len(calls) == 2
    calls.clear()
    run = run_of(log, write, call("write", what="x"))
    assert run.result(SOON) == "ok"
    assert "unknown" in told(run)[0]["error"]["effect"]
    assert bodies(run, ToolFailed)[0].error.message == "write gave no result within 0.05 s"


def test_an_unknown_tool_is_told_with_those_there_are(log):
    """It counts as a wrong argument does, and ends the run where it goes on."""
    tool, _ = failing()
    model = FunctionModel(lambda _request: call("nothing"))
    run = ak.Agent("a", model, tools=[tool], max_reasks=2).run("hi", log=log)
    with pytest.raises(ak.RunFailed, match="no tool named 'nothing'"):
        run.result(SOON)
    assert run.usage.model_calls == 3


def calling_twice(log, tool, *turns):
    """A run that has a sub-agent do the same task twice, with the turns that the sub-agent's model takes."""
    inner = ak.Agent("inner", ScriptedModel([*turns]), tools=[tool], decisions="off")
    return run_of(log, inner, call("inner", task="act"), call("inner", task="act"))


def test_a_sub_agent_that_wrote_and_failed_is_asked_about(log):
    """The next child run would not know what the first one did."""
    tool, keys = failing(writes=True)
    run = calling_twice(log, tool, call("act", what="x"), ValueError("broken model"), call("act", what="x"), "done")
    (asked,) = paused(run)
    assert (asked.name, asked.because, len(keys)) == ("inner", "effect_unknown", 1)
    assert told(run)[0]["error"]["effect"].startswith("unknown")
    run.reject()
    assert run.result(SOON) == "ok"
    assert len(keys) == 1


def test_a_sub_agent_that_failed_before_it_wrote_is_not(log):
    """Nothing happened, and nobody needs to look."""
    tool, keys = failing(writes=True)
    run = calling_twice(log, tool, ValueError("broken model"), call("act", what="x"), "done")
    assert run.result(SOON) == "ok"
    assert len(keys) == 1


def test_a_sub_agent_that_ended_well_keeps_its_doubts(log):
    """Its answer may not say that a write of it may have happened; the person who is asked sees it."""
    tool, keys = failing(OSError("the line went dead"), writes=True)
    run = calling_twice(log, tool, call("act", what="x"), "could not", call("act", what="x"), "done")
    (asked,) = paused(run)
    assert (asked.name, asked.because, len(keys)) == ("inner", "effect_unknown", 1)
    assert "act (tool/act/1): OSError: the line went dead" in asked.shows[0]["error"]
    run.approve()
    assert run.result(SOON) == "ok"
    assert len(keys) == 2
