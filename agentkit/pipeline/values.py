"""What goes into a pipeline and what comes out of it, between Python's values and JSON."""

import difflib
import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import TypeAdapter

from agentkit.definition import InvalidArguments
from agentkit.errors import ConfigError, ToolDefinitionError
from agentkit.functions.schema import Parameters
from agentkit.functions.signature import NOTHING, Parameter, Signature, type_name
from agentkit.jsonvalue import JsonValue, canonical
from agentkit.problems import Problem
from agentkit.text import brief


def is_name(name: object) -> bool:
    """Whether a parameter can have this name."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


class Inputs(Parameters):
    """A pipeline's declared inputs.

    Args:
        owner: the pipeline's name, for errors.
        declared: name → type, or (type, default).
    """

    def __init__(self, owner: str, declared: Mapping[str, Any]) -> None:
        parameters = tuple(
            Parameter(name, given[0], given[1], None)
            if isinstance(given, tuple)
            else Parameter(name, given, NOTHING, None)
            for name, given in declared.items()
        )
        self.types = {parameter.name: parameter.annotation for parameter in parameters}
        super().__init__(
            Signature(
                owner=owner,
                parameters=parameters,
                context=None,
                awaits=False,
                returns=NOTHING,
                description="",
                is_async=False,
            )
        )

    def schema(self) -> dict[str, Any]:
        """The JSON schema of an object that holds the inputs."""
        return self.json_schema

    def shown(self) -> dict[str, str]:
        """The inputs' types, as text."""
        return {name: shown_type(type_) for name, type_ in self.types.items()}

    def in_words(self, error: InvalidArguments, options: Sequence[str]) -> str:
        """What is wrong with the inputs, for who called `run`.

        Args:
            error: what `validate` raised.
            options: what `run` takes beside them, for the guess at a misspelled one.
        """
        said = "; ".join(self._in_words(problem, options) for problem in error.errors)
        return f"{said} (run takes: {', '.join(self.names) or 'no input'})"

    def _in_words(self, problem: Problem, options: Sequence[str]) -> str:
        path, said = str(problem.get("path", "")), str(problem.get("problem", ""))
        if said == "missing" and path in self.names:
            return f"the input {path!r} is missing"
        if path.isidentifier() and path not in self.names:
            close = difflib.get_close_matches(path, [*self.names, *(one for one in options if one != path)], n=1)
            return f"there is no input {path!r}{f', did you mean {close[0]!r}?' if close else ''}"
        given = f", not {brief(problem['input'])}" if "input" in problem else ""
        return f"the input {path!r}: {said}{given}"


def read_inputs(owner: str, declared: Any, reserved: Sequence[str]) -> Inputs:
    """A pipeline's inputs as its user declared them.

    Args:
        owner: the pipeline's name.
        declared: name → type, or (type, default).
        reserved: names that no input can have.

    Raises:
        ConfigError: with what to write instead.
    """
    if not isinstance(declared, Mapping):
        raise ConfigError(f"{owner}: input={declared!r}; give names and types, for example input={{'ticket': str}}")
    inputs = cast("Mapping[Any, Any]", declared)
    for name, given in inputs.items():
        if isinstance(given, tuple) and len(cast("tuple[Any, ...]", given)) != 2:
            raise ConfigError(f"{owner}: the input {name!r} is {given!r}; give a type, or (type, default)")
        if name in reserved:
            raise ConfigError(f"{owner}: an input cannot be named {name!r}: `run({name}=…)` is an option of the run")
        if not is_name(name):
            raise ConfigError(f"{owner}: {name!r} is no name for an input: steps need it by its name")
    try:
        return Inputs(owner, inputs)
    except ToolDefinitionError as error:
        raise ConfigError(str(error)) from error


def shown_type(annotation: Any) -> str:
    """A type for a picture: "Ticket", "list[Label]"; nothing where there is none."""
    if annotation is NOTHING or annotation is Any:
        return ""
    return re.sub(r"[A-Za-z_]\w*\.", "", type_name(annotation))


def read_output(owner: str, output: Any) -> str | Sequence[str] | None:
    """Which steps a pipeline's output is of, as its user declared it; None leaves that to the graph.

    Raises:
        ConfigError: with what to write instead.
    """
    if output is None or isinstance(output, str):
        return output
    if not isinstance(output, Sequence) or not output or not all(map(is_name, cast("Sequence[Any]", output))):
        raise ConfigError(
            f"{owner}: output={output!r}; give the name of the step whose result a run ends with, or a list"
        )
    return cast("Sequence[str]", output)


class StepsOutput:
    """What a run ends with: the result of one step, or of several by their names.

    Args:
        types: step → the type of what it gives.
    """

    def __init__(self, types: Mapping[str, Any]) -> None:
        self.steps = tuple(types)
        self.type = next(iter(types.values())) if len(types) == 1 else dict[str, Any]
        self._adapters = {name: _adapter(type_) for name, type_ in types.items()}

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the output."""
        schemas = {name: adapter.json_schema(mode="serialization") for name, adapter in self._adapters.items()}
        if len(schemas) == 1:
            return next(iter(schemas.values()))
        return {"type": "object", "properties": schemas}

    def from_json(self, value: JsonValue) -> Any:
        """A logged output as values of the steps' return types; None of a step that was skipped."""
        if len(self.steps) == 1:
            return self._read(self.steps[0], value)
        given = cast("dict[str, JsonValue]", value)
        return {name: self._read(name, given.get(name)) for name in self.steps}

    def _read(self, step: str, value: JsonValue) -> Any:
        return None if value is None else self._adapters[step].validate_json(canonical(value))


def _adapter(type_: Any) -> "TypeAdapter[Any]":
    return TypeAdapter(Any if type_ is NOTHING else type_)
