"""What bodies of events are made of, and the register of their types."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field

from agentkit.ids import digest
from agentkit.messages import Fact, OutputSchema, ToolSchema

RunKind = Literal["agent", "pipeline"]
PauseReason = Literal["approval", "asked", "child", "budget", "handover", "lost"]
RunStatus = Literal["running", "paused", "waiting", "succeeded", "failed", "cancelled"]
Effect = Literal["none", "unknown"]
ApprovalKind = Literal["call", "question", "in_doubt", "budget", "loop", "deopt"]
Verdict = Literal[
    "approve", "edit", "reject", "answer", "happened", "did_not", "stop", "not_required", "expired", "withdrawn"
]

BODIES: dict[str, "type[Body]"] = {}


class Body(Fact):
    """What one type of event says beyond the envelope."""

    TYPE: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        BODIES[cls.TYPE] = cls


class ErrorInfo(Fact):
    """An error as data: what a model, a person and a query see."""

    type: str
    message: str
    context: dict[str, Any] = Field(default_factory=dict)  # JSON
    retryable: bool = False
    traceback: str | None = None


class ToolFact(Fact):
    """A tool as a run offered it: what the model saw, and enough to see later that it changed."""

    offered: ToolSchema
    source_sha256: str
    writes: bool = False
    idempotent: bool = False


class PromptOrigin(Fact):
    """Where instructions are kept that are not in the code, and which of their versions these are.

    `version` is None for the text that stands in where the registry could not be reached.
    """

    registry: str
    name: str
    version: int | None = None
    label: str | None = None


class Header(Fact):
    """What every prompt of a run begins with. Kept once; a prompt is this and the fold of the events before it."""

    instructions: str = ""
    prompt: PromptOrigin | None = None  # where the instructions are from; a model is not told
    tools: tuple[ToolFact, ...] = ()
    output: OutputSchema | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)  # JSON

    @cached_property
    def sha256(self) -> str:
        """The digest of what a prompt takes from it: it stays the same from turn to turn, and from run to run."""
        return header_sha256(self.instructions, [tool.offered for tool in self.tools], self.output, self.parameters)


def header_sha256(
    instructions: str, tools: Sequence[ToolSchema], output: OutputSchema | None, parameters: Mapping[str, Any]
) -> str:
    """The digest of all of a prompt but its messages.

    Returns:
        64 hex digits.
    """
    offered: list[Any] = [tool.model_dump(mode="json") for tool in tools]
    return digest([instructions, offered, output.model_dump(mode="json") if output else None, dict(parameters)])


class ParentWrite(Fact):
    """A write of another run that this one may repeat, with what became of it.

    Of a fork: what its parent began after the fork's point. Of an agent that goes on after a pipeline: what that wrote.
    """

    step: str
    name: str
    arguments: Any  # JSON
    outcome: Any = None  # JSON: the result, the error, or None while unknown


class Origin(Fact):
    """The run and the seq whose events this run begins with: a fork, a follow-up, or an agent after a pipeline."""

    kind: Literal["fork", "after", "deopt"]
    run_id: str
    seq: int
    later_writes: tuple[ParentWrite, ...] = ()
    again: tuple[str, ...] = ()  # a pipeline's fork: the steps that are done again, with what they began
    changed: tuple[str, ...] = ()  # and the inputs that are other ones
