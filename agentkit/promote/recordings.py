"""What the recorded calls were: their arguments as functions take them, their results as code sees them."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

from agentkit.definition import AgentDefinition, InvalidArguments
from agentkit.promote.align import Slot
from agentkit.promote.traces import RecordedCall, Trace


def input_names(traces: Sequence[Trace]) -> tuple[str, ...]:
    """The names of the inputs: the fields of an object, or "text" for anything else."""
    inputs = [cast("dict[str, Any]", trace.input) for trace in traces]
    if all(isinstance(one, dict) and all(name.isidentifier() for name in one) for one in inputs):  # pyright: ignore[reportUnnecessaryIsInstance]
        return tuple(dict.fromkeys(name for one in inputs for name in one))
    return ("text",)


def inputs_of(trace: Trace, names: tuple[str, ...]) -> dict[str, Any]:
    """A run's inputs by name."""
    given = cast("dict[str, Any]", trace.input)
    if names == ("text",) and not (isinstance(given, dict) and "text" in given):  # pyright: ignore[reportUnnecessaryIsInstance]
        return {"text": trace.input}
    return {name: copy.copy(given.get(name)) for name in names}


def result_of(agent: AgentDefinition, tool: str, result: Any) -> Any:
    """A recorded result as code sees it."""
    read = getattr(agent.tools[tool], "result_value", None)
    return result if read is None else read(result)


def argument_names(calls: Sequence[RecordedCall]) -> list[str]:
    """The names of all arguments that some call has."""
    return list(dict.fromkeys(name for call in calls for name in call.arguments))


def typed_arguments(agent: AgentDefinition, tool: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments as the function takes them."""
    try:
        return agent.tools[tool].validate(dict(arguments))
    except InvalidArguments:
        return arguments


def defaults_of(agent: AgentDefinition, tool: str) -> Mapping[str, Any]:
    """What a tool's arguments are where nobody gives them."""
    properties: Mapping[str, Any] = agent.tools[tool].schema.parameters.get("properties", {})
    return {name: shape["default"] for name, shape in properties.items() if "default" in shape}


def edited_in(slot: Slot) -> dict[str, int]:
    """In how many runs a person changed an argument, by its name."""
    counts: dict[str, int] = {}
    for calls in slot.calls:
        for name in {name for call in calls for name in call.edited}:
            counts[name] = counts.get(name, 0) + 1
    return counts
