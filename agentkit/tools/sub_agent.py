"""An agent as a tool of another agent: the call is a child run."""

from collections.abc import Mapping
from typing import Any, Literal

from agentkit.definition import AgentDefinition, Approve, Context, InvalidArguments
from agentkit.definition.current import current_digest
from agentkit.errors import ConfigError
from agentkit.jsonvalue import JsonValue
from agentkit.messages import ToolSchema
from agentkit.policy import NO_RETRY, Retry


class SubAgent:
    """A tool whose work is a run of another agent, with a log, approvals and checks of its own.

    It shares the caller's budget and deps. It counts as a write where one of its own tools does, so that it keeps its
    place among the caller's writes; after a crash the child run is resumed, never begun again.

    Args:
        definition: the agent that does the work.
        description: what the calling model is told.
        name: the tool's name.
    """

    kind: Literal["agent"] = "agent"

    def __init__(self, definition: AgentDefinition, *, description: str | None = None, name: str | None = None) -> None:
        first_line = definition.instructions.strip().partition("\n")[0]
        self.child = definition
        self.schema = ToolSchema(
            name=name or definition.name,
            description=description or f"Have the agent {definition.name} do a task. {first_line} Returns its answer.",
            parameters={
                "type": "object",
                "properties": {
                    "task": {"type": "string", "description": "The whole task: the agent sees nothing else of this."}
                },
                "required": ["task"],
                "additionalProperties": False,
            },
        )
        self.writes = any(tool.writes for tool in definition.tools.values())
        self.idempotent = False
        self.approve: Approve = False
        self.retry: Retry = NO_RETRY
        self.retry_on: tuple[type[BaseException], ...] = ()
        self.timeout: float | None = None
        self.is_async = True

    @property
    def source_sha256(self) -> str:
        """A digest of the child, and of what its tools or steps do now."""
        return current_digest(self.child)

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.schema.name

    def validate(self, arguments: Any) -> dict[str, Any]:
        """The task; raises `InvalidArguments`."""
        task = arguments.get("task") if isinstance(arguments, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(task, str) or not task.strip():
            raise InvalidArguments([{"path": "task", "problem": "give the whole task as text", "input": arguments}])
        return {"task": task}

    def arguments_json(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The task as it goes to the log."""
        return dict(arguments)

    def call(self, arguments: Mapping[str, Any], context: Context) -> Any:
        """Never called: the runner executes the child run."""
        raise ConfigError(f"{self.name} is an agent; only a run can call it ({arguments!r}, {context.step})")

    def result_json(self, value: Any) -> JsonValue:
        """The child's output, which is JSON already."""
        return value
