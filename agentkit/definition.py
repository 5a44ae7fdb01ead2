"""What the core and the runner need to know of an agent, its tools and its models: protocols and plain values."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import TypeAdapter

from agentkit.events import Header, ToolFact
from agentkit.jsonvalue import JsonValue, as_json, canonical
from agentkit.messages import ModelRequest, ModelResponse, OutputSchema, ToolSchema
from agentkit.policy import Budget, Retry
from agentkit.redact import Redactor


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


@dataclass(frozen=True, slots=True)
class Context:
    """What a tool can know of the run it is called in; a parameter annotated `ak.Context` receives it.

    Args:
        run_id: the run.
        step: the step's path, for example `tool/refund/2`.
        attempt: which try this is, from 1.
        idempotency_key: the same in every attempt of this step and after every crash; give it to the service called.
        deps: what `run(deps=…)` or `resume(deps=…)` was given: connections, clients, secrets. Never in the log.
    """

    run_id: str
    step: str
    attempt: int
    idempotency_key: str
    deps: Any = None  # the user's own
    _note: Callable[[str, JsonValue], None] = field(default=lambda _text, _data: None, repr=False)

    def note(self, text: str, **data: Any) -> None:
        """Write a note to the run's log; it rides along with the next durable event.

        Args:
            text: what to remember.
            data: JSON values that go with it.

        Raises:
            EncodingError: a value that JSON cannot hold.
        """
        self._note(text, as_json(data, "note") if data else None)


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
        """A digest of the source: an approval is bound to it."""
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
    def child(self) -> "AgentDefinition | None":
        """The agent that does the work, where `kind` says so."""
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

    def parse(self, text: str) -> Any:
        """A final answer's text as a value; raises pydantic's `ValidationError`."""
        return text if self.is_text else self._adapter.validate_json(text)

    def to_json(self, value: Any) -> JsonValue:
        """A value as the JSON that goes to the log."""
        return as_json(self._adapter.dump_python(value, mode="json"), "output")

    def from_json(self, value: JsonValue) -> Any:
        """A logged output as a value of the type."""
        return self._adapter.validate_json(canonical(value))


Check: TypeAlias = "Callable[..., Any]"
"""Takes the output, and, with a second parameter, the run's tool results; raises, or returns
False, to have the model try again."""


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

    @cached_property
    def header(self) -> Header:
        """What every prompt begins with, and what a resumed run is compared by."""
        header = Header(
            instructions=self.instructions,
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
