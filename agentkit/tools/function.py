"""Tools: typed Python functions that a model may call.

A tool stays the function it was: it can be called, tested and reused as before. Beside that it knows its JSON schema,
whether it changes anything, when to ask a person, and how to be tried again.
"""

import copy
import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, cast, overload

from agentkit.definition import Approve, Call, Context
from agentkit.definition.predicting import instead_of_write
from agentkit.errors import ToolDefinitionError
from agentkit.functions.result import Result
from agentkit.functions.schema import Parameters
from agentkit.functions.signature import read_signature
from agentkit.functions.used import Used
from agentkit.jsonvalue import JsonValue
from agentkit.messages import ToolSchema
from agentkit.policy import NO_RETRY, Retry
from agentkit.problems import Problem

P = ParamSpec("P")
R = TypeVar("R")

TRANSIENT: tuple[type[BaseException], ...] = (TimeoutError, ConnectionError)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""A tool's name as OpenAI, Anthropic and Google all take it."""

_UNCHANGING = (str, int, float, type(None))
"""What a function cannot change in place."""


class ToolOptions(TypedDict, total=False):
    """What `tool` takes beside the function."""

    writes: bool
    idempotent: bool
    approve: Approve
    retry: Retry | None
    retry_on: tuple[type[BaseException], ...]
    timeout: float | None
    name: str | None
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`ToolOptions` with its defaults."""

    writes: bool = False
    idempotent: bool = False
    approve: Approve = False
    retry: Retry | None = None
    retry_on: tuple[type[BaseException], ...] = TRANSIENT
    timeout: float | None = None
    name: str | None = None
    description: str | None = None


class Tool(Generic[P, R]):
    """A function that a model may call; made by `tool`, and still callable as the function.

    Args:
        function: the function.
        options: as `tool` takes them.
        namespace: local names that its string annotations may use.
        types: what parameters without an annotation have, by name; without it, each needs one.

    Raises:
        ToolDefinitionError: the function or an option cannot be used, and what to write instead.
    """

    kind: Literal["function", "question"] = "function"

    def __init__(
        self,
        function: Callable[P, R],
        options: Options | None = None,
        namespace: Mapping[str, Any] | None = None,
        types: Mapping[str, Any] | None = None,
    ) -> None:
        chosen = options or Options()
        name = _tool_name(function, chosen.name)
        _check_options(f"{name}()", chosen)
        signature = read_signature(function, name, namespace, types)
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.name = name
        self.description = signature.description if chosen.description is None else chosen.description
        self.writes = chosen.writes
        self.idempotent = chosen.idempotent
        self.approve = chosen.approve
        self.retry = chosen.retry or (NO_RETRY if chosen.writes and not chosen.idempotent else Retry())
        self.retry_on = chosen.retry_on
        self.timeout = chosen.timeout
        self.is_async = signature.is_async
        self.child = None
        self.return_type = signature.returns
        self._used = Used(function)
        self.signature = signature
        self._context = signature.context
        self._parameters = Parameters(signature)
        self._result = Result(signature, for_code=types is not None)
        self.schema = ToolSchema(name=name, description=self.description, parameters=self._parameters.json_schema)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as if it were no tool: nothing is logged, nobody is asked."""
        if self.writes and (instead := instead_of_write(self.name)) is not None:
            return instead(self, args, kwargs)
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        marks = [mark for mark in ("writes", "idempotent", "approve") if getattr(self, mark)]
        return f"<Tool {self.name}({', '.join(self._parameters.names)}){''.join(f' {mark}' for mark in marks)}>"

    @property
    def source_sha256(self) -> str:
        """A digest of the function and of what it uses in its user's own code, as it is now."""
        return self._used.sha256

    def validate(self, arguments: Any) -> dict[str, Any]:
        """What a model wrote as the values that the function takes, defaults filled in.

        Args:
            arguments: a JSON object, or the raw text where it was not valid JSON.

        Raises:
            InvalidArguments: with one entry a problem: `path`, `problem`, and `input` where one value is wrong.
        """
        return self._parameters.validate(arguments)

    def arguments_json(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Validated arguments as the JSON that goes to the log, the digest and the key."""
        return self._parameters.to_json(arguments)

    def call(self, arguments: Mapping[str, Any], context: Context) -> Any | Awaitable[Any]:
        """Call the function with validated arguments.

        Args:
            arguments: what `validate` returned. The function gets its own copy: what it changes in place must not
                reach the next attempt.
            context: given to the parameter annotated `ak.Context`, if there is one.
        """
        values: dict[str, Any] = {
            name: value if isinstance(value, _UNCHANGING) else copy.deepcopy(value) for name, value in arguments.items()
        }
        if self._context is not None:
            values[self._context] = context.awaitable() if self.signature.awaits else context
        return cast("Callable[..., Any]", self.function)(**values)

    def result_json(self, value: Any) -> JsonValue:
        """What the function returned as JSON.

        Raises:
            EncodingError: it holds something that is not JSON, naming the tool and the field.
        """
        return self._result.to_json(value)

    def result_value(self, result: JsonValue) -> Any:
        """A logged result as a value of the return type; where it does not fit that, as it is."""
        return self._result.from_json(result)

    def result_problems(self, result: JsonValue) -> list[Problem]:
        """What keeps a result that a person tells from being one of the function's; nothing where it may be."""
        return self._result.problems(result)


@overload
def tool(function: Callable[P, R], /, **options: Unpack[ToolOptions]) -> Tool[P, R]: ...


@overload
def tool(**options: Unpack[ToolOptions]) -> "_Decorator": ...


def tool(  # one keyword an option: they are what a notebook shows on Shift-Tab
    function: Callable[..., Any] | None = None,
    /,
    *,
    writes: bool = False,
    idempotent: bool = False,
    approve: Approve = False,
    retry: Retry | None = None,
    retry_on: tuple[type[BaseException], ...] = TRANSIENT,
    timeout: float | None = None,
    name: str | None = None,
    description: str | None = None,
) -> Any:
    """Make a tool of a typed function: `@ak.tool`, or `@ak.tool(writes=True, …)`.

    The model sees the function's name, its docstring and a JSON schema of its parameters, with their descriptions from
    the docstring. A parameter annotated `ak.Context` is not among them: it receives the run's context.

    Args:
        function: the function, sync or async.
        writes: it changes something outside. A write that was interrupted is never run again unasked.
        idempotent: a write that its service runs once for one `ctx.idempotency_key`, so that it may be retried.
        approve: True asks a person before each call; a function of the `Call` decides.
        retry: how a read or an idempotent write is tried again; None is `Retry()`.
        retry_on: the exceptions that are transient.
        timeout: seconds for one attempt; None is no limit.
        name: what the model calls it; None is the function's name.
        description: what the model is told; None is the docstring's.

    Returns:
        A `Tool`, which is called like the function; or, without a function, a decorator.

    Raises:
        ToolDefinitionError: the function or an option cannot be used, and what to write instead.

    Example:
        >>> @tool
        ... def double(number: int) -> int:
        ...     '''Double a number. Returns the product.'''
        ...     return 2 * number
        >>> double(21), double.validate({"number": "21"})
        (42, {'number': 21})
    """
    options = Options(
        writes=writes,
        idempotent=idempotent,
        approve=approve,
        retry=retry,
        retry_on=retry_on,
        timeout=timeout,
        name=name,
        description=description,
    )
    frame = inspect.currentframe()
    caller = frame.f_back if frame else None
    decorator = _Decorator(options, dict(caller.f_locals) if caller else {})
    return decorator if function is None else decorator(function)


class _Decorator:
    """`@tool(…)` that waits for its function."""

    def __init__(self, options: Options, namespace: Mapping[str, Any]) -> None:
        self._options = options
        self._namespace = namespace

    def __call__(self, function: Callable[P, R]) -> Tool[P, R]:
        return Tool(function, self._options, self._namespace)


def _tool_name(function: Any, given: str | None) -> str:
    """The given name, or the function's; an error says what a name may be."""
    if isinstance(function, Tool):
        raise ToolDefinitionError(f"{function.name} is a tool already; make another one of its `.function`")
    named = function
    while isinstance(named, functools.partial):
        named = named.func
    name = given if given is not None else getattr(named, "__name__", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        what = repr(name) if name else f"a {type(function).__name__} without a name"
        raise ToolDefinitionError(
            f"{what} is no name for a tool: providers take letters, digits, _ and -, at most 64; give name='…'"
        )
    return name


def _check_options(owner: str, options: Options) -> None:
    """Refuse options that contradict each other or would be ignored."""
    if options.idempotent and not options.writes:
        raise ToolDefinitionError(
            f"{owner}: idempotent=True says that a *write* may run again with the same key; a tool that only reads may "
            "always run again: leave it out, or add writes=True"
        )
    _check_retry(owner, options)
    timeout: Any = options.timeout
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        raise ToolDefinitionError(f"{owner}: timeout={timeout!r}; give seconds above 0, or None for no limit")
    check_approve(owner, options.approve)


def _check_retry(owner: str, options: Options) -> None:
    retry: Any = options.retry
    if retry is not None and not isinstance(retry, Retry):
        raise ToolDefinitionError(f"{owner}: retry={retry!r}; give a policy, for example ak.Retry(max_attempts=3)")
    if retry and retry.max_attempts > 1 and options.writes and not options.idempotent:
        raise ToolDefinitionError(
            f"{owner}: a plain write is never retried, since its first attempt may have had its effect; leave retry "
            "out, or add idempotent=True if the service runs it once for one ctx.idempotency_key"
        )
    retry_on: Any = options.retry_on
    if not isinstance(retry_on, tuple) or not all(_is_exception(kind) for kind in cast("tuple[Any, ...]", retry_on)):
        raise ToolDefinitionError(f"{owner}: retry_on={retry_on!r}; give a tuple of exception classes")


def _is_exception(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def check_approve(owner: str, approve: Any) -> None:
    """Refuse what does not say when to ask a person.

    Raises:
        ToolDefinitionError: with what to give.
    """
    if isinstance(approve, bool):
        return
    if not callable(approve):
        raise ToolDefinitionError(f"{owner}: approve={approve!r}; give True, False or a function of the call")
    if inspect.iscoroutinefunction(approve):
        raise ToolDefinitionError(f"{owner}: approve is async, and its coroutine would always count as yes; use def")
    try:
        inspect.signature(approve).bind(cast("Call", None))
    except TypeError as error:
        raise ToolDefinitionError(
            f"{owner}: approve takes one argument, the call, for example `lambda call: call.args['amount'] > 50`"
        ) from error
    except ValueError:  # a builtin without a signature
        return
