"""What a model wrote, checked against the JSON schema that a server gave, its patterns left to the server."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from agentkit.definition import InvalidArguments
from agentkit.errors import ConfigError, EncodingError
from agentkit.jsonvalue import as_json
from agentkit.mcp.schemas import LONGEST_PROBLEM, Checker
from agentkit.problems import Problem, short_input, unencodable, unknown_name
from agentkit.schema import as_object

if TYPE_CHECKING:
    from jsonschema import ValidationError


class Arguments:
    """The arguments of a server's tool.

    Args:
        owner: the tool, for errors.
        schema: as the server gave it; its regular expressions are not run (see `agentkit.mcp.schemas`).

    Raises:
        ConfigError: it is no JSON schema.
    """

    def __init__(self, owner: str, schema: dict[str, Any]) -> None:
        try:
            self._checker = Checker(schema)
        except ValueError as error:
            raise ConfigError(
                f"{owner}: the server's schema for it is no JSON schema ({error}); "
                "leave it out: name the others in .tools(…)"
            ) from None
        self._properties = _properties(schema)

    def validate(self, arguments: Any) -> dict[str, Any]:
        """What a model wrote, with the schema's defaults for what it left out.

        Args:
            arguments: a JSON object, or the raw text where it was not one.

        Raises:
            InvalidArguments: with one entry a problem.
        """
        try:
            given = cast("dict[str, Any]", as_json(as_object(arguments), ""))
        except EncodingError as error:  # a NaN, a NUL or a lone surrogate
            raise InvalidArguments([unencodable(error)]) from error
        problems = self._problems(given)
        if problems:
            raise InvalidArguments(problems)
        defaults = {name: part["default"] for name, part in self._properties.items() if "default" in part}
        filled = {**{name: value for name, value in defaults.items() if name not in given}, **given}
        whole = {name: filled[name] for name in (*self._properties, *filled) if name in filled}
        return given if self._problems(whole) else whole  # a default that the server's own schema refuses is left to it

    def _problems(self, given: dict[str, Any]) -> list[Problem]:
        found = [problem for error in self._checker.errors(given) for problem in _problems(error)]
        return [problem for index, problem in enumerate(found) if problem not in found[:index]]


def _properties(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties at the top that are schemas; True and False are schemas too, and say nothing."""
    given = cast("dict[str, Any]", schema.get("properties", {}))
    return {name: cast("dict[str, Any]", part) for name, part in given.items() if isinstance(part, dict)}


def _problems(error: "ValidationError") -> Iterator[Problem]:
    """One error of jsonschema in the core's words."""
    from jsonschema.exceptions import best_match  # pyright: ignore[reportUnknownVariableType]

    nearest = cast("Callable[[list[ValidationError]], ValidationError]", best_match)
    inner = nearest([error]) if error.context else error  # of several branches
    path = _path(inner.absolute_path)
    instance: Any = inner.instance
    schema = inner.schema if isinstance(inner.schema, dict) else {}
    known = list(cast("dict[str, Any]", schema.get("properties", {})))
    missing = (
        [name for name in cast("list[str]", schema.get("required", [])) if name not in instance]
        if isinstance(instance, dict)
        else []
    )
    if inner.validator == "required" and missing:
        yield from ({"path": _join(path, name), "problem": "missing"} for name in missing)
    elif inner.validator == "additionalProperties" and isinstance(instance, dict):
        items = cast("dict[str, Any]", instance).items()
        for name, value in items:
            if name not in known and repr(name) in inner.message:
                yield {
                    "path": _join(path, name),
                    "problem": unknown_name(name, missing, known),
                    "input": short_input(value),
                }
    else:
        yield {"path": path, "problem": _message(inner), "input": short_input(instance)}


def _message(error: "ValidationError") -> str:
    if len(error.message) <= LONGEST_PROBLEM:
        return error.message
    return f"does not satisfy {error.validator}: {str(error.validator_value)[:LONGEST_PROBLEM]}"


def _path(parts: "Iterable[str | int]") -> str:
    path = ""
    for part in parts:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, part)
    return path


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
