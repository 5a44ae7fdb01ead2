"""What a model wrote, checked against the JSON schema that a server gave, its patterns left to the server."""

from typing import Any, cast

from agentkit.definition import InvalidArguments
from agentkit.errors import ConfigError, EncodingError
from agentkit.functions.schema import as_object
from agentkit.json_schema import Checker
from agentkit.jsonvalue import as_json
from agentkit.problems import unencodable


class Arguments:
    """The arguments of a server's tool.

    Args:
        owner: the tool, for errors.
        schema: as the server gave it; its regular expressions are not run (see `agentkit.json_schema`).

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
        problems = self._checker.problems(given)
        if problems:
            raise InvalidArguments(problems)
        defaults = {name: part["default"] for name, part in self._properties.items() if "default" in part}
        filled = {**{name: value for name, value in defaults.items() if name not in given}, **given}
        whole = {name: filled[name] for name in (*self._properties, *filled) if name in filled}
        return (
            given if self._checker.problems(whole) else whole
        )  # a default that the server's own schema refuses is left to it


def _properties(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties at the top that are schemas; True and False are schemas too, and say nothing."""
    given = cast("dict[str, Any]", schema.get("properties", {}))
    return {name: cast("dict[str, Any]", part) for name, part in given.items() if isinstance(part, dict)}
