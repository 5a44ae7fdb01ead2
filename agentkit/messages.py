"""What is said to a model and what it answers: provider-neutral, frozen, JSON all the way down."""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field


class Fact(BaseModel):
    """A frozen value that can be written to the log and read back equal."""

    # NaN stays visible in the JSON, so that it is refused there and not turned into null
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class TextPart(Fact):
    """Text among other parts of a message."""

    type: Literal["text"] = "text"
    text: str


class MediaPart(Fact):
    """An image or a file: by `url`, or as base64 `data`."""

    type: Literal["media"] = "media"
    media_type: str
    url: str | None = None
    data: str | None = None
    name: str | None = None


def is_media(value: Any) -> bool:
    """Whether a JSON value is a `MediaPart`, as a log holds one."""
    part = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return part.get("type") == "media" and isinstance(part.get("media_type"), str)


Part = Annotated[TextPart | MediaPart, Field(discriminator="type")]


class UserMessage(Fact):
    """What the user, or agentkit on its behalf (a re-ask, a hint), says."""

    role: Literal["user"] = "user"
    content: str | tuple[Part, ...]


class ToolCall(Fact):
    """A call that a model proposes.

    `arguments` is what the model wrote: a dict when it was valid JSON of an object, else the raw text. The names in
    `reported` (`why`, `instead_of`) were taken out of it: they explain the call and are no part of it.
    """

    id: str
    name: str
    arguments: Any = Field(default_factory=dict)  # JSON as the model wrote it, checked when the call is begun
    reported: dict[str, str] = Field(default_factory=dict)


class AssistantMessage(Fact):
    """One answer of a model. `reasoning` holds the provider's own blocks, whole, to be sent back as they came."""

    role: Literal["assistant"] = "assistant"
    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: tuple[Any, ...] = ()  # provider-specific JSON


class ToolMessage(Fact):
    """The result of a call, or its structured error."""

    role: Literal["tool"] = "tool"
    call_id: str
    name: str
    content: Any  # JSON
    is_error: bool = False


Message = Annotated[UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class ToolSchema(Fact):
    """A tool as a model sees it: `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]  # a JSON schema


class OutputSchema(Fact):
    """The JSON schema that a final answer must satisfy."""

    name: str
    json_schema: dict[str, Any]  # a JSON schema


class ModelRequest(Fact):
    """Everything a model is given for one answer. Which model answers is not part of it."""

    instructions: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...] = ()
    output: OutputSchema | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)  # temperature, max_tokens, …: JSON


class Usage(Fact):
    """Tokens and money. `cost_usd` is None where a price is unknown: never 0 for unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """The sum; an unknown cost makes the sum's cost unknown."""
        if self is NOTHING_USED:
            return other
        cost = None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            model_calls=self.model_calls + other.model_calls,
            tool_calls=self.tool_calls + other.tool_calls,
            cost_usd=cost,
        )


NOTHING_USED = Usage()
"""What everything begins with."""


class ModelResponse(Fact):
    """A model's answer with what it used. `model` is the name that answered, as the provider reports it."""

    message: AssistantMessage
    usage: Usage = Usage(cost_usd=None)
    finish_reason: str | None = None
    model: str | None = None
    response_id: str | None = None
