"""What the core and the runner need to know of a tool, a model and an output: protocols and plain values."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import TypeAdapter

from agentkit.definition.context import Context
from agentkit.jsonvalue import JsonValue, as_json, canonical
from agentkit.messages import ModelRequest, ModelResponse, OutputSchema, ToolSchema
from agentkit.policy import Retry

if TYPE_CHECKING:
    from agentkit.definition import Definition


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is about to run, as an approval predicate sees it.

    Args:
        name: the tool's or step's name.
        args: the validated arguments, as the function will get them.
        step: the step's path.
        run_id: the run.
        why: the reason the model gave, if any.
    """

    name: str
    args: Mapping[str, Any]  # whatever types the function takes
    step: str
    run_id: str
    why: str | None = None


Approve: TypeAlias = "bool | Callable[[Call], bool]"


class InvalidArguments(Exception):
    """The model's arguments do not fit the tool. `errors` is what the model is told: a list of path, problem, input."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(f"{len(errors)} invalid arguments")
        self.errors = errors


@runtime_checkable
class ToolSpec(Protocol):
    """A tool as the core sees it. `kind` says who does the work: a function, a child agent, or a person."""

    @property
    def kind(self) -> Literal["function", "agent", "question"]:
        """Who does the work."""
        ...

    @property
    def schema(self) -> ToolSchema:
        """What the model is told."""
        ...

    @property
    def source_sha256(self) -> str:
        """A digest of the source and of what it uses, as they are now: an approval is bound to it."""
        ...

    @property
    def writes(self) -> bool:
        """Whether it changes something outside."""
        ...

    @property
    def idempotent(self) -> bool:
        """Whether its service runs it once for one key."""
        ...

    @property
    def approve(self) -> Approve:
        """When to ask a person first."""
        ...

    @property
    def retry(self) -> Retry:
        """How it is tried again."""
        ...

    @property
    def retry_on(self) -> tuple[type[BaseException], ...]:
        """The exceptions that are transient."""
        ...

    @property
    def timeout(self) -> float | None:
        """Seconds for one attempt; None is no limit."""
        ...

    @property
    def is_async(self) -> bool:
        """Whether `call` returns something to await."""
        ...

    @property
    def child(self) -> "Definition | None":
        """The agent or pipeline that does the work, where `kind` says so."""
        ...

    def validate(self, arguments: Any) -> dict[str, Any]:
        """The arguments as the function takes them; raises `InvalidArguments`."""
        ...

    def arguments_json(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Validated arguments as the JSON that goes to the log, the digest and the key."""
        ...

    def call(self, arguments: Mapping[str, Any], context: Context) -> Any | Awaitable[Any]:
        """Run it. Where `is_async`, what comes back is to be awaited."""
        ...

    def result_json(self, value: Any) -> JsonValue:
        """The result as JSON; raises `EncodingError` naming the field."""
        ...


@runtime_checkable
class Model(Protocol):
    """Something that answers a request. One attempt a call: retries are the runner's."""

    @property
    def name(self) -> str:
        """What the log shows."""
        ...

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """Answer once.

        Args:
            request: what to answer.
            on_text: called with each piece of text as it comes, where the model streams.

        Raises:
            ModelError: with `retryable` and `retry_after` set as the provider said.
        """
        ...

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """What that many tokens cost in USD; None where the price is unknown, 0 where it is free."""
        ...


@runtime_checkable
class QueuedModel(Model, Protocol):
    """A model whose provider is asked by so many at a time: the runner waits for its turn before a call begins."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for the turn, and hold it until the call ended; it must not raise."""
        ...


class Output:
    """What a run ends with: `str`, or any type pydantic can validate.

    Args:
        type_: `str` for free text, else a pydantic model, dataclass, list, …
    """

    def __init__(self, type_: Any = str) -> None:
        self.type = type_
        self.is_text = type_ is str
        self._adapter: TypeAdapter[Any] = TypeAdapter(type_)
        name = getattr(type_, "__name__", None) or "output"
        self.schema = None if self.is_text else OutputSchema(name=name, json_schema=self._adapter.json_schema())
        shape = {} if self.schema is None else self.schema.json_schema
        self._choices = {one for one in (*shape.get("enum", ()), shape.get("const")) if isinstance(one, str)}

    def parse(self, text: str) -> Any:
        """A final answer's text as a value; raises pydantic's `ValidationError`.

        A choice among texts (`Literal`, an enum) may come without its quotation marks: models write it so.
        """
        if self.is_text:
            return text
        bare = text.strip()
        return self._adapter.validate_python(bare) if bare in self._choices else self._adapter.validate_json(text)

    def to_json(self, value: Any) -> JsonValue:
        """A value as the JSON that goes to the log."""
        return as_json(self._adapter.dump_python(value, mode="json"), "output")

    def from_json(self, value: JsonValue) -> Any:
        """A logged output as a value of the type."""
        return self._adapter.validate_json(canonical(value))


Check: TypeAlias = "Callable[..., Any]"
"""Takes the output, and, with a second parameter, the run's tool results; raises, or returns
False, to have the model try again."""
