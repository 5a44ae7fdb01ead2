"""What a tool or a pipeline's step can know of the run it is called in, and do in it."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar, Unpack, overload

from agentkit.errors import ConfigError
from agentkit.jsonvalue import JsonValue, as_json

if TYPE_CHECKING:
    from agentkit.definition.parts import Check, Model, ToolSpec
    from agentkit.policy import Retry

T = TypeVar("T")


class AskOptions(TypedDict, total=False):
    """What `ask` takes beside the prompt and the output's type."""

    model: "str | Model | None"
    fallback: "Sequence[str | Model]"
    instructions: str
    checks: "Sequence[Check]"
    retry: "Retry | None"
    max_reasks: int
    settings: Mapping[str, Any]  # the provider's own


class Calls(Protocol):
    """What a step's context calls and asks through: the runner, which records it."""

    def ask(self, prompt: Any, output: Any, options: AskOptions) -> Coroutine[Any, Any, Any]:
        """Ask a model."""
        ...

    def call(self, tool: "ToolSpec", arguments: Mapping[str, Any]) -> Coroutine[Any, Any, Any]:
        """Call a tool."""
        ...

    def progress(self, done: float, total: float | None) -> None:
        """Show how far the step is."""
        ...

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have the runner do the work, and wait for what comes of it."""
        ...


@dataclass(frozen=True, slots=True)
class _RunContext:
    run_id: str
    step: str
    attempt: int
    idempotency_key: str
    deps: Any = None  # the user's own
    _note: Callable[[str, JsonValue], None] = field(default=lambda _text, _data: None, repr=False)
    _calls: Calls | None = field(default=None, repr=False)

    def note(self, text: str, **data: Any) -> None:
        """Write a note to the run's log; it rides along with the next durable event.

        Args:
            text: what to remember.
            data: JSON values that go with it.

        Raises:
            EncodingError: a value that JSON cannot hold.
        """
        self._note(text, as_json(data, "note") if data else None)

    def progress(self, done: float, total: float | None = None) -> None:
        """Show how far a pipeline's step is, live; it is not recorded.

        Args:
            done: how much is done.
            total: how much there is in all; None where that is not known.
        """
        if self._calls is not None:
            self._calls.progress(done, total)

    def _through(self, what: str) -> Calls:
        if self._calls is None:
            raise ConfigError(f"ctx.{what} works in a step of a pipeline; {self.step} is a tool's call by an agent")
        return self._calls


class Context(_RunContext):
    """What a tool or a step can know of the run it is called in; a parameter annotated `ak.Context` receives it.

    Args:
        run_id: the run.
        step: the step's path, for example `tool/refund/2`.
        attempt: which try this is, from 1.
        idempotency_key: the same in every attempt of this step and after every crash; give it to the service called.
        deps: what `run(deps=…)` or `resume(deps=…)` was given: connections, clients, secrets. Never in the log.
    """

    __slots__ = ()

    @overload
    def ask(self, prompt: Any, **options: Unpack[AskOptions]) -> str: ...

    @overload
    def ask(self, prompt: Any, output: type[T], **options: Unpack[AskOptions]) -> T: ...

    @overload
    def ask(self, prompt: Any, output: Any, **options: Unpack[AskOptions]) -> Any: ...

    def ask(self, prompt: Any, output: Any = str, **options: Unpack[AskOptions]) -> Any:
        """Ask a model, in a step of a pipeline; the call is recorded, and used again when the step runs again.

        Args:
            prompt: text, a list of texts and `ak.media(…)`, or any JSON value.
            output: what the answer is to be: `str`, or a type pydantic can validate.
            options: `model` (a name or a `Model`; the pipeline's, else `ak.default_model()`), `fallback` (models to try
                after it), `instructions` (the system prompt), `checks` (functions of the answer that raise, or return
                False, to have the model try again), `retry`, `max_reasks` (3), `settings` (temperature, …).

        Returns:
            The validated answer.

        Raises:
            AskFailed: no model gave an answer that holds; it says what each attempt brought.
        """
        calls = self._through("ask")
        return calls.wait(calls.ask(prompt, output, options))

    def call(self, tool: "ToolSpec", /, **arguments: Any) -> Any:
        """Call a tool, in a step of a pipeline: with its approval, retries and timeout, recorded and never done twice.

        Args:
            tool: made with `@ak.tool`, or `agent.as_tool()`, `ak.ask_person`, a tool of an MCP server.
            arguments: the tool's.

        Returns:
            What it returned, as the JSON that the log holds read as its return type.

        Raises:
            ToolError: the tool said that nothing happened, or a person said no (`Rejected`), or it failed for good.
        """
        calls = self._through("call")
        return calls.wait(calls.call(tool, arguments))

    def awaitable(self) -> "AsyncContext":
        """This context for an asynchronous function."""
        return AsyncContext(*(getattr(self, name) for name in _RunContext.__slots__))


class AsyncContext(_RunContext):
    """`Context` for an `async def`, with `await ctx.ask(…)` and `await ctx.call(…)`."""

    __slots__ = ()

    @overload
    async def ask(self, prompt: Any, **options: Unpack[AskOptions]) -> str: ...

    @overload
    async def ask(self, prompt: Any, output: type[T], **options: Unpack[AskOptions]) -> T: ...

    @overload
    async def ask(self, prompt: Any, output: Any, **options: Unpack[AskOptions]) -> Any: ...

    async def ask(self, prompt: Any, output: Any = str, **options: Unpack[AskOptions]) -> Any:
        """As `Context.ask`, to be awaited."""
        return await self._through("ask").ask(prompt, output, options)

    async def call(self, tool: "ToolSpec", /, **arguments: Any) -> Any:
        """As `Context.call`, to be awaited."""
        return await self._through("call").call(tool, arguments)


def calling_through(context: Context, wrap: Callable[[Calls], Calls]) -> Context:
    """The same context for code whose calls go through something else first.

    Args:
        context: a step's.
        wrap: makes what its calls go through of what they went through.

    Returns:
        The context itself where it calls nothing: a tool's of an agent.
    """
    return context if context._calls is None else replace(context, _calls=wrap(context._calls))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  this module's own
