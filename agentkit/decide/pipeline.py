"""What a pipeline's run does next: every step whose needs have ended.

A round costs what the steps and the items under way are, not what has ended: so an item of 10,000 costs what one of ten
does.
"""

from collections.abc import Iterator
from datetime import datetime

from agentkit.decide.actions import Action, CloseFan, FailRun, FinishRun, JudgeWhen, OpenFan, RecordDeopt, SkipStep
from agentkit.decide.budget import ask_budget
from agentkit.decide.calls import go_on_with_call
from agentkit.decide.deopt import hand_over
from agentkit.definition import DEOPT, PipelineDefinition, StepDefinition
from agentkit.events import ErrorInfo
from agentkit.state import CallStep, FanOut, State
from agentkit.wiring import asks_inside, failed_steps, guard_that_failed, is_ready, missing, outcome


def decide_pipeline(definition: PipelineDefinition, state: State, now: datetime) -> list[Action]:
    """The next actions of a pipeline's run that has not ended; the arguments are those of `decide`."""
    if state.budget_reached is not None:
        return ask_budget(state)
    if failed_steps(definition, state):
        guard = guard_that_failed(definition, state)
        if guard is not None and definition.deopt is not None and failure(definition, state) is None:
            return hand_over(definition, state, guard, now)
        return [] if state.in_flight else end_failed(definition, state)
    outcomes = {name: outcome(state, name) for name in definition.steps}
    if all(ended != "open" for ended in outcomes.values()):
        return [FinishRun()]
    actions: list[Action] = []
    for name, ended in outcomes.items():
        if ended == "open":
            actions += _step(definition, state, definition.steps[name], now)
    return actions


def end_failed(definition: PipelineDefinition, state: State) -> list[Action]:
    """How a run that failed ends; nothing where it did not fail."""
    error, guard = failure(definition, state), guard_that_failed(definition, state)
    if error is None:
        return []
    unsaid = guard is not None and state.deopted is None
    return [*([RecordDeopt(guard.step)] if guard is not None and unsaid else []), FailRun(error)]


def failure(definition: PipelineDefinition, state: State) -> ErrorInfo | None:
    """What the run fails with: its first failed step's error, which says what it is about; None where none failed.

    A guard that failed fails no run in which an agent takes over; that agent may.
    """
    call = next(iter(failed_steps(definition, state)), None)
    if definition.deopt is not None and guard_that_failed(definition, state) is not None:
        call = state.calls.get(DEOPT)
    if call is None or call.status != "done" or call.outcome == "ok":
        return None
    error = call.error or ErrorInfo(type="StepFailed", message="it failed")
    message = error.message if call.step in error.context.get("steps", ()) else f"{call.step}: {error.message}"
    return error.model_copy(update={"message": message, "context": {**error.context, "step": call.step}})


def _step(definition: PipelineDefinition, state: State, step: StepDefinition, now: datetime) -> Iterator[Action]:
    call = state.calls.get(step.name)
    if step.name in state.fans:
        yield from _items(state, step, state.fans[step.name], now)
    elif call is not None:
        yield from _go_on(state, call, step, now)
    elif is_ready(definition, state, step):
        yield from _begin(state, step, now)


def _begin(state: State, step: StepDefinition, now: datetime) -> Iterator[Action]:
    needs = (*step.needs, *((step.each,) if step.each is not None else ()))
    lacking = missing(state, needs)
    if lacking is None and step.when is not None and step.name not in state.judged:
        lacking = missing(state, step.when.needs)
        if lacking is None:
            yield JudgeWhen(step.name)
            return
    if lacking is not None:
        yield SkipStep(step.name, "needs", lacking)
    elif not state.judged.get(step.name, True):
        yield SkipStep(step.name, "when")
    elif step.each is not None:
        yield OpenFan(step.name)
    else:
        yield from _go_on(state, CallStep(step=step.name, name=step.name, is_step=True), step, now)


def _go_on(state: State, call: CallStep, step: StepDefinition, now: datetime) -> Iterator[Action]:
    """A step in which a call waits for a person is entered again when that has its answer."""
    if not _waits_inside(state, call):
        yield from go_on_with_call(state, call, step.tool, now)


def _waits_inside(state: State, call: CallStep) -> bool:
    """Whether a step made way for a question about a call that it made."""
    return call.status not in {"running", "stuck", "done"} and asks_inside(state, call)


def _items(state: State, step: StepDefinition, fan: FanOut, now: datetime) -> Iterator[Action]:
    """Those under way go on, and so many begin that `concurrency` are; those that wait for a person count for none."""
    active, stops = 0, bool(fan.failed) and step.on_error == "fail"
    for index in fan.open:
        path = f"{step.name}[{index}]"
        call = state.calls.get(path) or CallStep(step=path, name=step.name, is_step=True)
        if call.status == "asked" or _waits_inside(state, call) or (stops and call.status == "proposed"):
            continue
        if active < step.concurrency or call.status in {"running", "stuck"}:
            active += 1
            yield from _go_on(state, call, step, now)
    if not stops:
        for index in range(fan.begun, min(fan.total, fan.begun + step.concurrency - active)):
            path = f"{step.name}[{index}]"
            yield from _go_on(state, CallStep(step=path, name=step.name, is_step=True), step, now)
    if fan.done == fan.total or (stops and not active):
        yield CloseFan(step.name)
