"""What a pipeline's steps gave, one by one."""

from collections.abc import Callable
from typing import Any

from agentkit.definition import Definition, PipelineDefinition
from agentkit.errors import ConfigError
from agentkit.state import State


def result_of(state: State, definition: Definition | None, step: str) -> Any:
    """The result of a step as its return type has it; as JSON where the pipeline is not defined here.

    Args:
        state: the run.
        definition: what it is of, where that is known.
        step: a step, an item ("classify[17]") or a question to a model in one ("facts/ask/1").

    Raises:
        ConfigError: there is none; the message says which there are.
    """
    if step in state.asks and state.asks[step].outcome == "ok":
        return state.asks[step].result
    call = state.calls.get(step)
    if call is None or call.outcome != "ok":
        known = ", ".join(name for name, one in state.calls.items() if one.outcome == "ok" and "[" not in name)
        raise ConfigError(f"run {state.run_id} has no result of {step!r}; it has those of: {known or 'nothing yet'}")
    if not call.is_step or not isinstance(definition, PipelineDefinition) or call.name not in definition.steps:
        return call.result
    read: Callable[[Any], Any] = getattr(definition.steps[call.name].tool, "result_value", _as_it_is)
    return [read(item) for item in call.result] if step in state.fans else read(call.result)


def _as_it_is(value: Any) -> Any:
    return value
