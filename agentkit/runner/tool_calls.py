"""Performing calls of tools and steps: validate, record, run, record; threads that outlive their timeout."""

import asyncio
import contextlib
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from agentkit import failpoints
from agentkit.decide import GateCall, StartCall
from agentkit.definition import Calls, Context, InvalidArguments, ToolSpec
from agentkit.errors import Deopt, LogError, Rejected, RunCancelled, RunError, RunFailed, RunPaused, ToolError
from agentkit.events import BudgetReached, ErrorInfo, Note
from agentkit.ids import digest, idempotency_key, new_id
from agentkit.jsonvalue import clean_text
from agentkit.redact import find_marker
from agentkit.runner import deopt, observe, words
from agentkit.runner.engine import engine, is_being_cancelled
from agentkit.runner.recorder import since
from agentkit.runner.records import error_info, place_of
from agentkit.runner.threads import threads
from agentkit.state import CallStep

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation

REDACTED = (
    "{} stands where something secret was: it is not known here and cannot be passed on. Tools that need a secret have "
    "it already; call without it, or say what is missing."
)

_MOMENT = 0.0002  # seconds a lone run waits for a quick tool in place: waking its loop costs a third of that

FAIL_POINTS = ("tool.started", "tool.returned", "tool.recorded", "tool.failed")


def call_digest(tool: ToolSpec, arguments: dict[str, Any]) -> str:
    """What an approval is bound to: the tool's name, its source and schema, and the arguments."""
    return digest([tool.schema.name, tool.source_sha256, tool.schema.parameters, arguments])


def equal_writes(act: "Activation", tool: ToolSpec, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The writes that did the same already, as a person is shown them: a model that repeats one may not know it.

    They are this run's, and those of the pipeline that an agent goes on after.
    """
    if not tool.writes or tool.kind != "function" or act.definition.kind != "agent":
        return []
    name = tool.schema.name
    before = [write for write in act.state.written if write.name == name and write.arguments == arguments]
    done = [call for call in act.state.calls.values() if call.name == name and call.outcome == "ok"]
    return [write.model_dump(mode="json") for write in before] + [
        {"step": call.step, "arguments": call.arguments, "result": call.result}
        for call in done
        if call.arguments == arguments
    ]


def validated(act: "Activation", step: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The arguments of a call as its function takes them and as JSON; None when the model was told that they are wrong.

    What a person edited, or an earlier attempt recorded, is taken before what the model wrote.
    """
    call = act.call(step)
    tool = act.tool(step)
    try:
        arguments = tool.validate(_given(act, call, tool))
        return arguments, tool.arguments_json(arguments)
    except InvalidArguments as error:
        info = ErrorInfo(type="InvalidArguments", message=_first(error), context={"errors": error.errors})
    except Exception as error:  # noqa: BLE001  a type's own validator may raise anything; nothing has run
        info = error_info(error, traced=True)
    met = deopt.of_arguments(act, call, info)
    act.record(
        words.failed(call, met or info, reask=True, deopt=met is not None), step=step, name=call.name, status="error"
    )
    return None


def _given(act: "Activation", call: CallStep, tool: ToolSpec) -> Any:
    given = call.arguments if call.arguments is not None else act.given(call)
    only_shown = call.is_step or tool.kind == "question"  # a person may be asked about what somebody else's words hide
    if not only_shown and (marker := find_marker(given)) is not None:
        raise InvalidArguments([{"path": "", "problem": REDACTED.format(marker), "input": marker}])
    return given


def begin(act: "Activation", action: StartCall) -> None:
    """Record that the call is about to run, and run it once that is on disk."""
    from agentkit.runner import steps
    from agentkit.runner.questions import ask_again, gate

    call = act.call(action.step)
    tool = act.tool(action.step)
    if (problem := _unfit_edit(act, call, tool)) is not None:
        ask_again(act, action.step, problem)
        return
    checked = validated(act, action.step)
    if checked is None:
        return
    arguments, logged = checked
    if _changed(call, tool, logged):
        gate(act, GateCall(action.step, "changed"))
        return
    if call.approval is None and call.attempt == 0 and equal_writes(act, tool, logged):
        gate(act, GateCall(action.step, "repeated"))
        return
    child_run_id = (call.child_run_id or new_id()) if tool.kind == "agent" else None
    key = call.key or _key(act, call, logged)
    act.record(
        words.started(call, logged, key=key, child=child_run_id, writes=tool.writes),
        step=action.step,
        attempt=action.attempt,
        name=call.name,
    )
    if child_run_id is not None:
        act.start(action.step, run_child(act, action.step))
    elif call.is_step:
        steps.begin(act, action, tool, arguments, key)
    else:
        act.start(action.step, _run(act, action, tool, arguments, key))


def _unfit_edit(act: "Activation", call: CallStep, tool: ToolSpec) -> str | None:
    """What is wrong with an edit of a step's own call, whose tool was not at hand when the edit was given."""
    if not call.edited or call.within is None or call.arguments == call.raw:
        return None
    try:
        tool.validate(_given(act, call, tool))
    except InvalidArguments as error:
        return _first(error)
    except Exception as error:  # noqa: BLE001  a type's own validator may raise anything; nothing has run
        return clean_text(f"{type(error).__name__}: {error}")
    return None


def _first(error: InvalidArguments) -> str:
    """The first of the problems, on a line."""
    if not error.errors:
        return "they do not fit"
    return f"{error.errors[0].get('path')}: {error.errors[0].get('problem')}"


def _changed(call: CallStep, tool: ToolSpec, arguments: dict[str, Any]) -> bool:
    """Whether the call is no longer what a person or a rule let run, or, under its key, no longer what was started."""
    if call.child_run_id is not None:  # it goes on as it began, and its own tools ask for themselves
        return False
    if call.cleared_digest is not None:
        return call.cleared_digest != call_digest(tool, arguments)
    if call.is_step:
        return tool.writes and call.attempt >= 1 and call.input_sha256 != digest(arguments)
    return tool.writes and call.attempt >= 1 and call.ran_with != arguments


def _key(act: "Activation", call: CallStep, arguments: dict[str, Any]) -> str:
    """The call's idempotency key.

    A call that a person lets run after one with the same arguments, whose effect is unknown, keeps that one's key: if
    it did happen, the service recognises it. Other arguments are another operation, and so is one more call after the
    key has had its success: under the same key the service would leave it out.
    """
    if not act.state.unknown:
        return idempotency_key(act.state.run_id, call.step, arguments)
    done = {other.key for other in act.state.calls.values() if other.outcome == "ok"}
    for effect in act.state.unknown:
        if effect.name == call.name and effect.arguments == arguments and effect.key and effect.key not in done:
            return effect.key
    return idempotency_key(act.state.run_id, call.step, arguments)


def context_of(act: "Activation", action: StartCall, key: str, calls: Calls | None = None) -> Context:
    """What a call's function can know and do; `calls` is what a pipeline's step asks and calls through."""
    return Context(
        run_id=act.state.run_id,
        step=action.step,
        attempt=action.attempt,
        idempotency_key=key,
        deps=act.deps,
        _note=partial(note, act, action.step),
        _calls=calls,
    )


async def _run(act: "Activation", action: StartCall, tool: ToolSpec, arguments: dict[str, Any], key: str) -> None:
    await act.recorder.durable()
    failpoints.hit("tool.started")
    context = context_of(act, action, key)
    began = time.perf_counter()
    try:
        value = await perform(act, action, tool, arguments, context)
        late = act.state.calls[action.step].status == "stuck"
        failpoints.hit("tool.returned")
        result = tool.result_json(value)
    except LogError:
        raise
    except BaseException as error:  # whatever a tool raises, SystemExit included, is data
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            record_failure(act, action, tool, TimeoutError("the run was cancelled while this ran"), began, final=True)
            raise
        record_failure(act, action, tool, error, began)
        failpoints.hit("tool.failed")
        return
    call = act.state.calls[action.step]
    act.record(
        words.succeeded(call, result, late=late),
        step=action.step,
        attempt=action.attempt,
        name=call.name,
        status="ok",
        duration_ms=since(began),
    )
    failpoints.hit("tool.recorded")


async def perform(
    act: "Activation", action: StartCall, tool: ToolSpec, arguments: dict[str, Any], context: Context
) -> Any:
    """Have the function run, for as long as it may take, and return what it returns."""
    with observe.within(context.run_id, action.step):
        if tool.is_async:
            return await _in_time(tool, arguments, context)
        return await _in_thread(act, action, tool, partial(tool.call, arguments, context))


async def _in_time(tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Any:
    """Run an asynchronous tool, for as long as it may take."""
    if tool.timeout is None:
        return await tool.call(arguments, context)
    patience = asyncio.timeout(tool.timeout)
    try:
        async with patience:
            return await tool.call(arguments, context)
    except TimeoutError as error:
        if not patience.expired():  # the tool's own
            raise
        shown = getattr(tool, "shown", tool.schema.name)  # a server's tool says which server it is of
        raise TimeoutError(f"{shown} gave no result within {tool.timeout:g} s") from error


async def _in_thread(act: "Activation", action: StartCall, tool: ToolSpec, function: Any) -> Any:
    """Run a synchronous tool. After its timeout it is in doubt until its thread returns; that can still settle it."""
    began = time.perf_counter()
    future = threads.run(function, patience=_MOMENT if act.alone else 0.0)
    try:
        if tool.timeout is not None:
            done, _ = await asyncio.wait([future], timeout=tool.timeout)
            if not done:
                _record_stuck(act, action, tool, began)
        return await future  # the tool's own error passes with its traceback: a future gives that away once
    except asyncio.CancelledError:
        while not future.done():  # the claim is held until the thread is back: what it brings is recorded
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        return future.result()


def _record_stuck(act: "Activation", action: StartCall, tool: ToolSpec, began: float) -> None:
    call = act.state.calls[action.step]
    message = f"no result after {tool.timeout} s; its thread is still running"
    info = ErrorInfo(type="TimeoutError", message=message, retryable=True)
    act.record(
        words.failed(call, info, effect="unknown", in_doubt=True),
        step=action.step,
        attempt=action.attempt,
        name=call.name,
        status="error",
        duration_ms=since(began),
    )


def record_failure(
    act: "Activation",
    action: StartCall,
    tool: ToolSpec,
    error: BaseException,
    began: float,
    *,
    final: bool = False,
) -> None:
    """Classify what a tool raised: nothing happened, try again, or nobody knows."""
    call = act.state.calls[action.step]
    says_nothing_happened = isinstance(error, ToolError | Deopt)
    transient = isinstance(error, (TimeoutError, *tool.retry_on)) and not says_nothing_happened
    if call.is_step and isinstance(error, ToolError):  # there is no model that could try again
        transient = error.retryable
    repeatable = (not tool.writes or tool.idempotent) and not isinstance(error, Rejected)  # a person's no is one
    retrying = transient and repeatable and not final and call.failures + 1 < tool.retry.max_attempts
    unknown = tool.writes and not says_nothing_happened and not retrying
    met = None if retrying else deopt.as_guard(act, call, tool, error)
    retryable = error.retryable if isinstance(error, ToolError) else transient
    act.record(
        words.failed(
            call,
            met or _told(call, error, retryable=retryable, traced=not says_nothing_happened),
            effect="unknown" if unknown else "none",
            retrying=retrying,
            rejected=call.is_step and isinstance(error, Rejected),
            deopt=met is not None,
        ),
        step=action.step,
        attempt=action.attempt,
        name=call.name,
        status="error",
        duration_ms=since(began),
    )


def _told(call: CallStep, error: BaseException, *, retryable: bool, traced: bool) -> ErrorInfo:
    """What a tool raised as data, with what helps to mend it: where a step raised it, what threads ask for."""
    info = error_info(error, retryable=retryable, traced=traced)
    if call.is_step and traced and (place := place_of(error)) is not None:
        info = info.model_copy(update={"context": {**info.context, "at": place}})
    if isinstance(error, sqlite3.ProgrammingError) and "thread" in str(error):
        advice = (
            "synchronous tools run in worker threads: open the connection inside the tool, or make it with "
            "check_same_thread=False, or write the tool as `async def`"
        )
        info = info.model_copy(update={"message": f"{info.message} — {advice}"})
    return info


def note(act: "Activation", step: str, text: str, data: Any) -> None:
    """`ctx.note`, from whatever thread the tool runs in."""
    engine().call(lambda: act.record(Note(text=text, data=data), step=step))


# child runs ----------------------------------------------------------------------------------------------------------


async def run_child(act: "Activation", step: str) -> None:
    """Start or go on with the run of a sub-agent; park the call while that run waits for a person."""
    await act.recorder.durable()
    failpoints.hit("tool.started")
    call = act.state.calls[step]
    tool = act.tool(step)
    began = time.perf_counter()
    assert tool.child is not None, "a tool of kind 'agent' has a definition"
    assert call.child_run_id is not None, "tool_started named the child run"
    given = call.arguments if call.arguments is not None else act.given(call)
    try:
        result, usage = await act.family.execute(step, tool.child, call.child_run_id, given)
    except RunPaused as paused:
        if (reached := act.family.own_limit(step)) is not None:
            await _end_broke(act, call, reached, paused, began)
            return
        act.parked[step] = frozenset({step})
        if act.family.is_broke(step):
            _take_over_budget(act, step)
        return
    except RunCancelled as error:
        _child_failed(act, call, error, began, type_="Cancelled")
        return
    except RunError as error:
        _child_failed(act, call, error, began, type_="SubAgentFailed")
        return
    act.record(
        words.succeeded(
            call,
            result,
            child_usage=usage.model_dump(mode="json"),
            child_unknown=act.family.unknown(step),
        ),
        step=step,
        attempt=call.attempt,
        name=call.name,
        status="ok",
        duration_ms=since(began),
    )
    failpoints.hit("tool.recorded")


async def _end_broke(
    act: "Activation", call: CallStep, reached: BudgetReached, paused: RunPaused, began: float
) -> None:
    """An agent in a pipeline used up what it was given: its step fails, since in a pipeline that is no surprise."""
    await act.family.end([call.step], ("agentkit", "its budget is used up"))
    limit = (
        f"{reached.budget['model_calls']} model calls"
        if reached.limit == "model_calls"
        else (f"{reached.budget['usd']} USD")
    )
    message = f"{call.name} used up its own budget of {limit}; give the agent a larger budget="
    error = RunFailed(message, run_id=paused.run_id, usage=paused.usage)
    _child_failed(act, call, error, began, type_="BudgetReached")


def _take_over_budget(act: "Activation", step: str) -> None:
    """A child may not ask for money: the run whose budget it is does."""
    if act.state.budget_reached is None and (reached := act.family.budget_reached(step)) is not None:
        act.record(reached, step=step)


def _child_failed(act: "Activation", call: CallStep, error: RunError, began: float, *, type_: str) -> None:
    """The model sees that the sub-agent failed. A new one would not know what this one wrote: a person is asked."""
    info = ErrorInfo(type=type_, message=str(error), context={"run_id": error.run_id})
    act.record(
        words.failed(
            call,
            info,
            effect="unknown" if act.family.wrote(call.step) else "none",
            child_usage=error.usage.model_dump(mode="json") if error.usage else None,
        ),
        step=call.step,
        attempt=call.attempt,
        name=call.name,
        status="error",
        duration_ms=since(began),
    )
