"""What an agent is, resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from agentkit.definition.limits import check_limits
from agentkit.definition.parts import Check, KeptPrompt, Model, Output, ToolSpec
from agentkit.events import Header, ToolFact
from agentkit.messages import ToolSchema
from agentkit.policy import Budget, Retry
from agentkit.redact import Redactor


@dataclass(frozen=True)
class AgentDefinition:
    """Everything an agent is, resolved: what `decide` and the runner work from.

    Args:
        name: the agent's name.
        instructions: the system prompt.
        models: the model, then its fallbacks in order.
        tools: by name, in the order the model sees them.
        output: what a run ends with.
        checks: functions that a final answer must pass.
        budget: what a run may use.
        retry: for model calls; a tool has its own.
        max_reasks: how often in a row a model may be told that its answer or arguments are wrong.
        decisions: whether tools are given a `why` argument.
        history_tokens: about how many tokens of messages a prompt may hold; None is no limit.
        approval_expires: seconds after which an unanswered approval counts as a rejection; None is never.
        parameters: passed to the model (temperature, max_tokens, …).
        redactor: takes secrets out of what goes to the log.
        place: the module that defined it; `__main__` in a notebook.
        module: `module:name` where another process finds it; None in a notebook.
        sha256: a digest of all of it that a resumed run is compared by.

    Raises:
        ConfigError: a budget, a retry or a number is none.
    """

    name: str
    instructions: str
    models: tuple[Model, ...]
    tools: Mapping[str, ToolSpec] = field(default_factory=lambda: MappingProxyType({}))
    output: Output = field(default_factory=Output)
    checks: tuple[Check, ...] = ()
    budget: Budget = field(default_factory=Budget)
    retry: Retry = field(default_factory=Retry)
    max_reasks: int = 3
    decisions: bool = True
    history_tokens: int | None = None
    approval_expires: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    redactor: Redactor = field(default_factory=Redactor)
    place: str | None = None
    module: str | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        check_limits(self)

    @cached_property
    def header(self) -> Header:
        """What every prompt begins with, and what a resumed run is compared by."""
        kept = self.instructions if isinstance(self.instructions, KeptPrompt) else None
        header = Header(
            instructions=str(self.instructions),
            prompt=kept.origin if kept is not None else None,
            tools=tuple(
                ToolFact(
                    offered=self._offered(tool.schema),
                    source_sha256=tool.source_sha256,
                    writes=tool.writes,
                    idempotent=tool.idempotent,
                )
                for tool in self.tools.values()
            ),
            output=self.output.schema,
            parameters=dict(self.parameters),
        )
        return self.redactor.patterns_only.fact(header)

    @property
    def is_current(self) -> bool:
        """Whether the header still says what its tools do: something that one of them uses may be another since."""
        facts = zip(self.header.tools, self.tools.values(), strict=True)
        return all(fact.source_sha256 == tool.source_sha256 for fact, tool in facts)

    @property
    def sent(self) -> dict[str, Any]:
        """The header as far as it is sent to a model, JSON: another version with the same words is the same agent."""
        return self.header.model_dump(mode="json", exclude={"prompt"})

    kind: ClassVar[Literal["agent"]] = "agent"

    def tool_at(self, step: str, name: str) -> ToolSpec | None:
        """The tool of a call: the one of that name."""
        del step
        return self.tools.get(name)

    @property
    def config(self) -> dict[str, Any]:
        """What a run records of it beside the header, JSON."""
        return {
            "models": [model.name for model in self.models],
            "budget": self.budget.model_dump(mode="json"),
            "retry": self.retry.model_dump(mode="json"),
            "max_reasks": self.max_reasks,
            "decisions": self.decisions,
            "history_tokens": self.history_tokens,
            "approval_expires": self.approval_expires,
        }

    def _offered(self, schema: ToolSchema) -> ToolSchema:
        """A tool as the model sees it: with `why` and `instead_of`, unless the tool has such arguments of its own."""
        if not self.decisions:
            return schema
        own: dict[str, Any] = schema.parameters.get("properties", {})
        asked = {name: {"type": "string", "description": text} for name, text in REPORTED.items() if name not in own}
        required = [*schema.parameters.get("required", []), *(name for name in asked if name == "why")]
        parameters = {**schema.parameters, "properties": {**own, **asked}, "required": required}
        return schema.model_copy(update={"parameters": parameters})


REPORTED = {
    "why": "In one sentence: why this call, now.",
    "instead_of": "What you considered doing instead, if anything.",
}
"""Arguments that a model is asked to add to each call; they are taken out before the tool sees it."""
