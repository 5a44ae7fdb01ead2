"""A pipeline's step whose work is a run of its own: an agent's, or another pipeline's."""

from collections.abc import Mapping
from typing import Any, Literal

from agentkit.definition import AgentDefinition, Approve, Context, Definition
from agentkit.definition.current import current_digest
from agentkit.errors import ConfigError
from agentkit.jsonvalue import JsonValue, as_json
from agentkit.messages import ToolSchema
from agentkit.policy import NO_RETRY, Retry


def taking_over(owner: str, agent: Any) -> "ChildStep | None":
    """The work of the step in which an agent goes on after a pipeline that met what it was not made for.

    Args:
        owner: the pipeline's name, for the error.
        agent: an `ak.Agent`; None where nobody takes over.

    Raises:
        ConfigError: it is something else.
    """
    definition = getattr(agent, "definition", None)
    if agent is not None and not isinstance(definition, AgentDefinition):
        raise ConfigError(f"{owner}: deopt={agent!r}; give the ak.Agent that goes on where a guard fails")
    return ChildStep(definition) if isinstance(definition, AgentDefinition) else None


TASK = "task"
"""The parameter by which an agent gets what it is to do."""


class ChildStep:
    """The work of such a step. After a crash the child run is resumed, never begun again.

    Args:
        definition: the agent or the pipeline.
        approve: when a person is asked first.
    """

    kind: Literal["agent"] = "agent"

    def __init__(self, definition: Definition, *, approve: Approve = False) -> None:
        self.child = definition
        if isinstance(definition, AgentDefinition):
            said = definition.instructions.strip().partition("\n")[0]
            parameters: dict[str, Any] = {"type": "object", "properties": {TASK: {}}, "required": [TASK]}
        else:
            said = f"The pipeline {definition.name}."
            parameters = definition.inputs.schema()
        self.schema = ToolSchema(name=definition.name, description=said, parameters=parameters)
        self.writes = any(tool.writes for tool in definition.tools.values())
        self.idempotent = False
        self.approve: Approve = approve
        self.retry: Retry = NO_RETRY
        self.retry_on: tuple[type[BaseException], ...] = ()
        self.timeout: float | None = None
        self.is_async = True

    @property
    def source_sha256(self) -> str:
        """A digest of the child, and of what its tools or steps do now."""
        return current_digest(self.child)

    def validate(self, arguments: Any) -> dict[str, Any]:
        """The child run's input; raises `InvalidArguments` where a pipeline's does not fit."""
        if isinstance(self.child, AgentDefinition):
            return dict(arguments)
        return self.child.inputs.validate(arguments)

    def arguments_json(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The input as it goes to the log."""
        if isinstance(self.child, AgentDefinition):
            return {name: as_json(value, name) for name, value in arguments.items()}
        return self.child.inputs.to_json(arguments)

    def call(self, arguments: Mapping[str, Any], context: Context) -> Any:
        """Never called: the runner executes the child run."""
        raise ConfigError(
            f"{self.schema.name} has runs of its own; only a run can call it ({arguments!r}, {context.step})"
        )

    def result_json(self, value: Any) -> JsonValue:
        """The child's output, which is JSON already."""
        return value
