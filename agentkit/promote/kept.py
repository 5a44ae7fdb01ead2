"""Recorded runs as they are kept beside generated code: what went in, the calls with their results, what came out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agentkit.definition import AgentDefinition
from agentkit.jsonvalue import as_json
from agentkit.promote.align import without_repeats
from agentkit.promote.plan import Plan, PlannedStep
from agentkit.promote.recordings import inputs_of, typed_arguments
from agentkit.promote.traces import RecordedCall, Trace
from agentkit.promote.values import Miss, field_of, key


@dataclass(frozen=True, slots=True)
class KeptCall:
    """One call of a tool.

    Args:
        tool: its name.
        arguments: what was asked for, JSON; where a person changed something, what it was before.
        result: what came back, JSON; None where it failed.
        writes: whether the tool changes something.
        error: what it failed with; None where it did not.
    """

    tool: str
    arguments: Mapping[str, Any]  # JSON
    result: Any = None  # JSON
    writes: bool = False
    error: str | None = None

    def is_for(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Whether it answers a call: the same tool, and arguments that are equal as JSON."""
        return self.tool == tool and key(dict(self.arguments)) == key(dict(arguments))


@dataclass(frozen=True, slots=True)
class KeptRun:
    """One recorded run, as far as a pipeline's replay needs it.

    Args:
        run_id: the run.
        input: the pipeline's inputs by name, JSON.
        calls: what the agent called, in order.
        answers: what the agent made itself: by the step that asks a model for it; of a fan-out one for each element.
        output: what it ended with, JSON.
        expected: "equal" where the pipeline does the same; "deopt" where it is known to hand over.
    """

    run_id: str
    input: Mapping[str, Any]  # JSON
    calls: tuple[KeptCall, ...]
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])  # JSON
    output: Any = None  # JSON
    expected: str = "equal"

    def __str__(self) -> str:
        return self.run_id

    def writes(self) -> list[KeptCall]:
        """The calls that changed something, in order."""
        return [call for call in self.calls if call.writes]

    def to_json(self) -> dict[str, Any]:
        """As it goes to a file."""
        calls = [{name: value for name, value in asdict(call).items() if name != "error"} for call in self.calls]
        found = {"run_id": self.run_id, "input": dict(self.input), "calls": calls, "output": self.output}
        if self.answers:
            found["answers"] = dict(self.answers)
        return found if self.expected == "equal" else {**found, "expected": self.expected}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "KeptRun":
        """A run out of a file."""
        given: dict[str, Any] = {**value, "calls": tuple(KeptCall(**call) for call in value["calls"])}
        return cls(**given)


def kept_run(agent: AgentDefinition, plan: Plan, trace: Trace) -> KeptRun:
    """A recorded run as it is kept.

    Args:
        agent: whose run it is.
        plan: the pipeline: it says what a model is asked for.
        trace: the run; one that the plan was not made of too.
    """
    calls = without_repeats(trace.calls)
    return KeptRun(
        run_id=trace.run_id,
        input=as_json(inputs_of(trace, plan.inputs), "input"),  # pyright: ignore[reportArgumentType]  an object stays one
        calls=tuple(KeptCall(call.name, dict(call.arguments), call.result, call.writes) for call in calls),
        answers=_answers(agent, plan, trace, calls),
        output=trace.output,
    )


def _answers(agent: AgentDefinition, plan: Plan, trace: Trace, calls: Sequence[RecordedCall]) -> dict[str, Any]:
    """What the agent made itself in a run, by the step that asks for it."""
    at = plan.runs.index(trace.run_id) if trace.run_id in plan.runs else None
    found: dict[str, Any] = {one.step: True for one in plan.wanted}
    for step in plan.steps:
        if not step.asks:
            continue
        if at is not None and step.name in plan.envs[at]:
            found[step.name] = as_json(plan.envs[at][step.name], step.name)
        elif (answer := _answer(agent, step, trace, calls)) is not None:
            found[step.name] = as_json(answer, step.name)
    return found


def _answer(agent: AgentDefinition, step: PlannedStep, trace: Trace, calls: Sequence[RecordedCall]) -> Any:
    """The same, of a run or a way that the plan has no values of; None where the run does not say it."""
    if not step.tool:
        return _of_output(agent, step, trace)
    of_tool = [typed_arguments(agent, step.tool, call.arguments) for call in calls if call.name == step.tool]
    answers = [_of_arguments(step, arguments) for arguments in of_tool]
    if step.over is not None:
        return answers
    return answers[0] if len(answers) == 1 else None


def _of_arguments(step: PlannedStep, arguments: Mapping[str, Any]) -> Any:
    values = {name: arguments.get(name) for name in step.arguments}
    return next(iter(values.values())) if len(values) == 1 else values


def _of_output(agent: AgentDefinition, step: PlannedStep, trace: Trace) -> Any:
    output = agent.output.from_json(trace.output)
    if list(step.arguments) == [""]:
        return output
    try:
        return _of_arguments(step, {name: field_of(output, name) for name in step.arguments})
    except Miss:
        return None
