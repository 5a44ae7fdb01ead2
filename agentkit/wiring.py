"""What flows through a pipeline's run: the outcome of each step, and the values that the next ones take."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, cast

from agentkit.definition import Need, PipelineDefinition, StepDefinition
from agentkit.state import CallStep, ModelStep, State

StepOutcome: TypeAlias = Literal["open", "ok", "error", "rejected", "skipped"]


def outcome(state: State, step: str) -> StepOutcome:
    """How a step ended; "open" where it has not."""
    if step in state.skipped:
        return "skipped"
    call = state.calls.get(step)
    if call is None or call.status != "done":
        return "open"
    return call.outcome or "error"


def value(definition: PipelineDefinition, state: State, source: str) -> Any:
    """The value of an input or of a step that ended, JSON; None of one that was skipped."""
    if source in definition.steps:
        return state.calls[source].result if outcome(state, source) == "ok" else None
    return cast("dict[str, Any]", state.input)[source]


def arguments(definition: PipelineDefinition, state: State, path: str) -> dict[str, Any]:
    """The arguments of a step, or of one item of a fan-out, as JSON.

    Args:
        definition: the pipeline.
        state: its run, in which everything that the step needs has ended.
        path: the step's path, for example "order" or "classify[17]".
    """
    step = definition.steps[path.partition("[")[0]]
    given = {need.parameter: value(definition, state, need.source) for need in step.needs}
    if step.each is not None:
        index = int(path[path.rindex("[") + 1 : -1])
        given[step.each.parameter] = value(definition, state, step.each.source)[index]
    return given


def missing(state: State, needs: "tuple[Need, ...]") -> str | None:
    """The first skipped step of which these needs cannot do without the value."""
    return next((need.source for need in needs if need.source in state.skipped and not need.optional), None)


def asks_inside(state: State, call: CallStep) -> bool:
    """Whether a call that the step made waits for a person."""
    return bool(asked_inside(state, call))


def asked_inside(state: State, call: CallStep) -> list[CallStep]:
    """The calls that the step made and that wait for a person."""
    made = (state.calls.get(path) for path in state.inner.get(call.step, ()))
    return [inner for inner in made if inner is not None and inner.status == "asked"]


def turns(state: State, ask: str) -> Iterator[tuple[str, ModelStep]]:
    """Each time that an ask asked its model, in order: the path of the call, and the call."""
    number = 1
    while (model := state.models.get(path := f"{ask}/model/{number}")) is not None:
        yield path, model
        number += 1


def is_ready(definition: PipelineDefinition, state: State, step: StepDefinition) -> bool:
    """Whether everything that a step needs has ended."""
    return all(outcome(state, source) != "open" for source in step.sources if source in definition.steps)


def failed_steps(definition: PipelineDefinition, state: State) -> list[CallStep]:
    """The steps that failed or were rejected, in the pipeline's order."""
    return [state.calls[name] for name in definition.steps if outcome(state, name) in {"error", "rejected"}]


def guard_that_failed(definition: PipelineDefinition, state: State) -> CallStep | None:
    """The step that met what the pipeline was not made for; None where none did, or where one failed otherwise too."""
    failed = failed_steps(definition, state)
    return failed[0] if failed and all(call.deopt for call in failed) else None


def begun_writes(state: State) -> list[CallStep]:
    """The writes of a pipeline's run that happened, may have happened or are under way, in their order."""
    steps = {tool.offered.name for tool in state.header.tools if tool.writes}
    return [
        call
        for call in state.calls.values()
        if call.attempt >= 1
        and (call.writes or (call.is_step and call.name in steps))
        and (call.status != "done" or call.outcome == "ok" or call.effect == "unknown")
        and not _did_not_happen(state, call)
    ]


def _did_not_happen(state: State, call: CallStep) -> bool:
    """Whether a person said so of a call that was in doubt, and it has not run again since."""
    asked = state.approvals.get(call.approval or "")
    return call.status == "cleared" and asked is not None and asked.verdict == "did_not"
