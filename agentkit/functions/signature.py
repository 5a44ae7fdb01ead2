"""What a function declares: its parameters with their types, defaults and descriptions, and its result."""

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, cast, get_args, get_origin

from agentkit.definition import AsyncContext, Context
from agentkit.errors import ToolDefinitionError

NOTHING: Any = inspect.Parameter.empty  # no annotation, or no default
_VARIADIC = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that a caller gives: its resolved annotation, its default or `NOTHING`, its description."""

    name: str
    annotation: Any  # a type, as pydantic understands it
    default: Any  # the user's own
    description: str | None


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as a caller sees it.

    Args:
        owner: the function in words for errors, for example `find_order()`.
        parameters: those a caller gives, in order.
        context: the name of the parameter that receives the `Context`, if there is one.
        awaits: whether that is an `AsyncContext`.
        returns: the resolved return annotation, or `NOTHING`.
        description: what the docstring says that it does and returns, or "".
        is_async: whether calling it gives an awaitable.
    """

    owner: str
    parameters: tuple[Parameter, ...]
    context: str | None
    awaits: bool
    returns: Any  # a type
    description: str
    is_async: bool


def read_signature(
    function: Callable[..., Any],
    name: str,
    namespace: Mapping[str, Any] | None = None,
    types: Mapping[str, Any] | None = None,
) -> Signature:
    """Read what a function declares.

    Args:
        function: a function, a bound method, a partial (what it fixes is hidden) or an object with `__call__`.
        name: what to call it in errors.
        namespace: local names that string annotations may use, beside the function's module.
        types: what parameters without an annotation have, by name; without it, each needs one.

    Returns:
        The signature, annotations resolved.

    Raises:
        ToolDefinitionError: naming the parameter and what to write instead.
    """
    owner = f"{name}()"
    plain = plain_function(function)
    _refuse_odd_functions(function, plain, owner)
    names = _Names(owner, plain, namespace or {})
    fixed = fixed_by_partials(function)
    is_async = _is_async(function)
    documented, description = _read_docstring(_docstring(function, plain))
    parameters: list[Parameter] = []
    contexts: list[str] = []
    awaits = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in fixed:
            continue
        annotation = _annotation(parameter, names, types)
        if _is_context(annotation):
            awaits = _awaits(annotation, owner, is_async=is_async)
            contexts.append(parameter.name)
            continue
        parameters.append(
            Parameter(parameter.name, annotation, parameter.default, documented.get(parameter.name.lstrip("*")))
        )
    if len(contexts) > 1:
        raise ToolDefinitionError(f"{owner}: {' and '.join(contexts)} are both the context; keep one")
    returns = getattr(plain, "__annotations__", {}).get("return", NOTHING)
    return Signature(
        owner=owner,
        parameters=tuple(parameters),
        context=contexts[0] if contexts else None,
        awaits=awaits,
        returns=returns if returns is NOTHING else names.resolve(returns, "the result"),
        description=description,
        is_async=is_async,
    )


def plain_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under partials, bound methods, decorators that used `functools.wraps`, and `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def _is_async(function: Callable[..., Any]) -> bool:
    """Of the outermost function: a decorator may have made an async one sync."""
    if inspect.isroutine(function) or isinstance(function, functools.partial):
        return inspect.iscoroutinefunction(cast("Callable[..., Any]", function))
    return inspect.iscoroutinefunction(type(function).__call__)


class _Names:
    """The names that annotations of one function may use."""

    def __init__(self, owner: str, plain: Callable[..., Any], namespace: Mapping[str, Any]) -> None:
        self.owner = owner
        self._globals = getattr(plain, "__globals__", {})
        self._locals = {**namespace, **_closure(plain)}

    def resolve(self, annotation: Any, what: str) -> Any:
        """The annotation with its strings evaluated."""
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            return typing.get_type_hints(holder, self._globals, self._locals, include_extras=True)["it"]
        except NameError as error:
            raise ToolDefinitionError(
                f"{self.owner}: the type of {what}, {annotation!r}, cannot be read ({error}); define or import that "
                "name at run time, before the function (not under TYPE_CHECKING)"
            ) from error
        except (TypeError, SyntaxError, AttributeError) as error:
            raise ToolDefinitionError(
                f"{self.owner}: the type of {what}, {annotation!r}, is not a type ({error})"
            ) from error


def _closure(plain: Callable[..., Any]) -> dict[str, Any]:
    """What the function's free variables hold, those not yet set left out."""
    names = getattr(getattr(plain, "__code__", None), "co_freevars", ())
    values: dict[str, Any] = {}
    for name, cell in zip(names, getattr(plain, "__closure__", None) or (), strict=False):
        try:
            values[name] = cell.cell_contents
        except ValueError:
            continue
    return values


def _refuse_odd_functions(function: Callable[..., Any], plain: Callable[..., Any], owner: str) -> None:
    if isinstance(function, type):
        raise ToolDefinitionError(f"{owner}: a class is no function; write one that makes and returns it")
    if not callable(function):
        raise ToolDefinitionError(
            f"{owner}: {type(function).__name__} is not callable; decorate a plain function, or make the tool "
            "of a bound method, `ak.tool(thing.method)`"
        )
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise ToolDefinitionError(f"{owner}: a generator has no single result to log; return a list")


def _annotation(parameter: inspect.Parameter, names: _Names, types: Mapping[str, Any] | None) -> Any:
    """The parameter's resolved type, or an error that says what to write."""
    label, owner = parameter.name, names.owner
    if parameter.kind in _VARIADIC:
        stars = _VARIADIC[parameter.kind]
        instead = f"{label}: list[str]" if stars == "*" else f"{label}: dict[str, str]"
        raise ToolDefinitionError(
            f"{owner}: {stars}{label} has no schema; name each parameter, or take one, for example `{instead}`"
        )
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise ToolDefinitionError(
            f"{owner}: {label} is positional-only, and arguments are given by name; remove the `/`"
        )
    if label in {"self", "cls"}:
        raise ToolDefinitionError(
            f"{owner}: {label} makes it a method that nothing is bound to; give the bound one, for example "
            "`ak.tool(thing.method)`, or a plain function"
        )
    if parameter.annotation is NOTHING and types is not None:
        return types.get(label, Any)
    if parameter.annotation is NOTHING:
        raise ToolDefinitionError(f"{owner}: {label} has no type; annotate it, for example `{label}: str`")
    return names.resolve(parameter.annotation, label)


def _is_context(annotation: Any) -> bool:
    """Whether it is a context's class, also as `Context | None` or `Annotated[Context, …]`."""
    if get_origin(annotation) in {Union, types.UnionType, Annotated}:
        return any(_is_context(part) for part in get_args(annotation))
    return annotation is Context or annotation is AsyncContext


def _awaits(annotation: Any, owner: str, *, is_async: bool) -> bool:
    """Whether it is the context of an asynchronous function."""
    awaits = annotation is AsyncContext or AsyncContext in get_args(annotation)
    if awaits and not is_async:
        raise ToolDefinitionError(f"{owner}: only an `async def` can await; annotate the context as ak.Context")
    return awaits


def fixed_by_partials(function: Callable[..., Any]) -> dict[str, Any]:
    """What partials give by name."""
    fixed: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        fixed = {**function.keywords, **fixed}
        function = function.func
    return fixed


def _docstring(function: Callable[..., Any], plain: Callable[..., Any]) -> str:
    """The function's own docstring; for an object with `__call__` that method's, else its class's."""
    if inspect.isroutine(function) or isinstance(function, functools.partial):
        return inspect.getdoc(plain) or ""
    return inspect.getdoc(plain) or inspect.getdoc(type(function)) or ""


def _read_docstring(text: str) -> tuple[dict[str, str], str]:
    """The parameters' descriptions by name, and the description with what is returned (Google, NumPy, reST)."""
    if not text.strip():
        return {}, ""
    from docstring_parser import ParseError, parse

    try:
        parsed = parse(text)
    except ParseError:  # a docstring in a style of its own still describes the tool
        return {}, text.strip()
    documented = {
        name.strip().lstrip("*"): _one_line(entry.description)
        for entry in parsed.params
        for name in entry.arg_name.split(",")
        if entry.description
    }
    description = (parsed.description or "").strip()
    if parsed.returns and parsed.returns.description:
        description = f"{description}\n\nReturns: {_one_line(parsed.returns.description)}".strip()
    return documented, description


def _one_line(text: str) -> str:
    return " ".join(text.split())


def type_name(annotation: Any) -> str:
    """A type as its user wrote it, about."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def first_sentence(error: Exception) -> str:
    """What an error says, without the advice on models that pydantic adds."""
    return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
