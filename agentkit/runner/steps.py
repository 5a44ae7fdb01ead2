"""Performing a pipeline's steps: conditions, fan-outs, the work itself, and what a person's no leads to."""

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any, cast

from agentkit import failpoints, wiring
from agentkit.decide import SkipStep, StartCall
from agentkit.definition import DEOPT, PipelineDefinition, StepDefinition, ToolSpec
from agentkit.errors import LogError
from agentkit.events import Checked, ErrorInfo, RunSucceeded, StepFailed, StepSkipped, StepStarted, StepSucceeded
from agentkit.runner import cache, deopt, tool_calls, words
from agentkit.runner.calling import Parked, StepCalls
from agentkit.runner.engine import is_being_cancelled
from agentkit.runner.recorder import since
from agentkit.runner.records import error_info
from agentkit.runner.threads import threads
from agentkit.state import CallStep

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation

FAIL_POINTS = (
    "step.judged",
    "step.started",
    "step.returned",
    "step.recorded",
    "step.failed",
    "fan.opened",
    "fan.closed",
)


def pipeline(act: "Activation") -> PipelineDefinition:
    """The definition of a run that is a pipeline's."""
    assert isinstance(act.definition, PipelineDefinition), "only a pipeline has steps"
    return act.definition


def step_of(act: "Activation", path: str) -> StepDefinition:
    """The definition of a step, or of the one that an item belongs to."""
    return pipeline(act).steps[path.partition("[")[0]]


def fresh_call(act: "Activation", path: str) -> CallStep:
    """A call before anything is recorded of it."""
    if "/" in path:
        tool, _ = act.inner[path]
        return CallStep(step=path, name=tool.schema.name, call_id=path, within=path.partition("/")[0])
    return CallStep(step=path, name=path.partition("[")[0], call_id=path, is_step=True)


def arguments_of(act: "Activation", path: str) -> dict[str, Any]:
    """The arguments of a step as JSON: inputs, and what the steps before it gave."""
    if path == DEOPT:
        return deopt.arguments(act)
    return wiring.arguments(pipeline(act), act.state, path)


# conditions and lists ------------------------------------------------------------------------------------------------


async def judge(act: "Activation", name: str) -> None:
    """Ask a step's condition once; its verdict is a fact from then on."""
    when = step_of(act, name).when
    assert when is not None, "a step without a condition is not judged"
    given = {need.parameter: wiring.value(pipeline(act), act.state, need.source) for need in when.needs}
    try:
        values = when.values.validate(given)
        if inspect.iscoroutinefunction(when.function):
            said = bool(await when.function(**values))
        else:
            said = await threads.run(lambda: bool(when.function(**values)))
    except BaseException as error:  # the user's code may raise anything, and then nobody knows whether to go on
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        met = deopt.of_code(act, error)
        info = met or error_info(error, traced=True)
        problem = info.model_copy(update={"message": f"its condition: {info.message}"})
        act.record(StepFailed(error=problem, deopt=met is not None), step=name, name=name, status="error")
        return
    failpoints.hit("step.judged")
    act.record(Checked(passed=said), step=name, name="when", status="ok")


def skip(act: "Activation", action: SkipStep) -> None:
    """Record that a step does not run."""
    act.record(StepSkipped(because=action.because, on=action.on), step=action.step, name=action.step)


def open_fan(act: "Activation", name: str) -> None:
    """Record of how many elements the list is."""
    each = step_of(act, name).each
    assert each is not None, "only a fan-out is opened"
    elements: Any = wiring.value(pipeline(act), act.state, each.source)
    if not isinstance(elements, list):
        message = f"each={each.source!r} has to be a list, and this time it is {type(elements).__name__}"
        guarded = pipeline(act).guarded
        error = ErrorInfo(type="Deopt" if guarded else "TypeError", message=message)
        act.record(StepFailed(error=error, deopt=guarded), step=name, name=name, status="error")
        return
    act.record(StepStarted(items=len(cast("list[Any]", elements))), step=name, name=name)
    failpoints.hit("fan.opened")


def close_fan(act: "Activation", name: str) -> None:
    """Record what came of a fan-out's items."""
    fan = act.state.fans[name]
    if not fan.failed or step_of(act, name).on_error == "collect":
        act.record(StepSucceeded(gathered=True), step=name, name=name, status="ok")
    else:
        calls = [act.state.calls[f"{name}[{index}]"] for index in sorted(fan.failed)]
        rejected, met = all(call.outcome == "rejected" for call in calls), all(call.deopt for call in calls)
        first = calls[0].error or ErrorInfo(type="Error", message="")
        error = ErrorInfo(
            type="Rejected" if rejected else "Deopt" if met else "ItemsFailed",
            message=f"{len(calls)} of {fan.total} items failed, the first: {calls[0].step}: {first.type}: "
            f"{first.message}",
            context={"failed": [call.step for call in calls[:50]]},
        )
        act.record(StepFailed(error=error, rejected=rejected, deopt=met), step=name, name=name, status="error")
    failpoints.hit("fan.closed")


def finish(act: "Activation") -> None:
    """End the run with what its last steps gave, or the agent that went on after them."""
    if DEOPT in act.state.calls:
        deopt.finish(act)
        return
    steps = pipeline(act).output.steps
    values = {name: wiring.value(pipeline(act), act.state, name) for name in steps}
    output = values[steps[0]] if len(steps) == 1 else values
    act.record(RunSucceeded(output=output), status="succeeded")


# the work ------------------------------------------------------------------------------------------------------------


def begin(act: "Activation", action: StartCall, tool: ToolSpec, arguments: dict[str, Any], key: str) -> None:
    """Have a step run that was recorded as started."""
    act.start(action.step, _run(act, action, tool, arguments, key))


async def enter_again(act: "Activation", path: str) -> None:
    """Go on with a step that made way for a child run's question, from its beginning: its calls are not made again."""
    checked = tool_calls.validated(act, path)
    if checked is not None:
        call = act.state.calls[path]
        await _run(act, StartCall(path, call.attempt), act.tool(path), checked[0], call.key or "")


async def _run(act: "Activation", action: StartCall, tool: ToolSpec, arguments: dict[str, Any], key: str) -> None:
    step = step_of(act, action.step)
    if _needs_the_disk(act, action, step):
        await act.recorder.durable()
    failpoints.hit("step.started")
    began = time.perf_counter()
    if step.cache and (found := await cache.find(act, step, action.step)) is not None:
        _record(act, action, StepSucceeded(result=found.result, cached_from=found.run_id), began)
        return
    calls = act.calls[action.step] = StepCalls(act, action.step, tool)
    context = tool_calls.context_of(act, action, key, calls)
    try:
        try:
            value = await tool_calls.perform(act, action, tool, arguments, context)
        finally:
            await calls.end()
        failpoints.hit("step.returned")
        result = None if calls.parked else tool.result_json(value)
    except LogError:
        raise
    except BaseException as error:  # noqa: BLE001  whatever a step raises, SystemExit included, is data
        if isinstance(error, asyncio.CancelledError | Parked) and is_being_cancelled():
            ended = TimeoutError("the run was cancelled while this ran")
            tool_calls.record_failure(act, action, tool, ended, began, final=True)
            raise asyncio.CancelledError from None
        if not calls.parked:
            tool_calls.record_failure(act, action, tool, error, began)
            failpoints.hit("step.failed")
            return
        result = None
    finally:
        act.progress.pop(action.step, None)
        act.calls.pop(action.step, None)
    if calls.parked:
        calls.make_way()
        return
    call = act.state.calls[action.step]
    key_of_cache = cache.key_of(step, call.input_sha256) if step.cache else None
    _record(act, action, words.succeeded(call, result, late=call.status == "stuck", cache_key=key_of_cache), began)
    if step.each is not None:  # what depends on no other item does not wait for it; yet it is not lost
        await act.recorder.durable()


def _needs_the_disk(act: "Activation", action: StartCall, step: StepDefinition) -> bool:
    """A write's beginning is on disk before it runs, and so is every result that a step works with."""
    if step.tool.writes:
        return True
    if step.each is not None:
        return action.step.endswith("[0]")
    return any(source in pipeline(act).steps for source in step.sources)


def _record(act: "Activation", action: StartCall, body: Any, began: float) -> None:
    act.record(
        body,
        step=action.step,
        attempt=action.attempt,
        name=action.step.partition("[")[0],
        status="ok",
        duration_ms=since(began),
    )
    failpoints.hit("step.recorded")


# a person's no -------------------------------------------------------------------------------------------------------


def take_on_reject(act: "Activation", path: str, reason: str) -> bool:
    """Begin what is planned for a step that a person rejected; False where it is to fail."""
    plan = step_of(act, path).on_reject
    if plan == "fail":
        return False
    if callable(plan):
        act.start(path, _give_instead(act, path, plan, reason))
    elif path.endswith("]"):  # an item keeps its place in the list
        act.record(StepSucceeded(result=None, on_reject=True), step=path, name=path.partition("[")[0], status="ok")
    else:
        act.record(StepSkipped(because="rejected"), step=path, name=path)
    return True


async def _give_instead(act: "Activation", path: str, plan: Any, reason: str) -> None:
    name = path.partition("[")[0]
    try:
        result = act.tool(path).result_json(await threads.run(lambda: plan(reason)))
    except BaseException as error:  # the user's code may raise anything
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        info = error_info(error, traced=True)
        problem = info.model_copy(update={"message": f"its on_reject: {info.message}"})
        act.record(StepFailed(error=problem, rejected=True), step=path, name=name, status="error")
        return
    act.record(StepSucceeded(result=result, on_reject=True), step=path, name=name, status="ok")
