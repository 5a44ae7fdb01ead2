"""What `--input` and `--set` give to a run, or to many: JSON, checked before anything starts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from agentkit.cli.options import json_value, read_file
from agentkit.errors import AgentKitError, ConfigError
from agentkit.pipeline import Pipeline


class Lines:
    """The items of a JSONL file, read again each time somebody goes through them; empty lines are left out.

    Args:
        name: the file's, for errors.
        lines: opens it.
    """

    def __init__(self, name: str, lines: Callable[[], Iterator[str]]) -> None:
        self._name = name
        self._lines = lines

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self.numbered())

    def numbered(self) -> Iterator[tuple[str, Any]]:
        """Each item and where it is.

        Raises:
            ConfigError: a line is no JSON.
        """
        for number, line in enumerate(self._lines(), 1):
            if line.strip():
                place = f"{self._name}, line {number}"
                try:
                    yield place, from_json(line)
                except ValueError as error:
                    raise ConfigError(f"{place}: no JSON: {error}") from error

    def check(self, read: Callable[[Any], Any]) -> int:
        """See whether every item can be used, before anything starts.

        Args:
            read: takes an item; raises where a run would not take it.

        Returns:
            How many items there are.

        Raises:
            ConfigError: the first that cannot: file, line and problem.
        """
        count = 0
        for place, value in self.numbered():
            try:
                read(value)
            except AgentKitError as error:
                raise ConfigError(f"{place}: {error}") from error
            count += 1
        return count


class Counted:
    """Items whose number is known, read lazily.

    Args:
        items: the items.
        count: how many they are.
    """

    def __init__(self, items: Lines, count: int) -> None:
        self._items = items
        self._count = count

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return self._count


def lines_of(file: str) -> Lines:
    """The lines of a file; raises `ConfigError` where it cannot be read."""
    if file == "-":
        return lines_in("standard input", read_file(file))

    def lines() -> Iterator[str]:
        try:
            with Path(file).open(encoding="utf-8-sig") as opened:
                yield from opened
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--input {file} cannot be read: {error}") from error

    return Lines(file, lines)


def lines_in(name: str, text: str) -> Lines:
    """The lines of a text."""
    return Lines(name, lambda: iter(text.split("\n")))


class Elements(Lines):
    """The items of a JSON array.

    Args:
        name: where it is, for errors.
        items: the elements.
    """

    def __init__(self, name: str, items: list[Any]) -> None:
        self._name = name
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def numbered(self) -> Iterator[tuple[str, Any]]:
        """Each element and where it is."""
        for number, item in enumerate(self._items):
            yield f"{self._name}[{number}]", item


def for_pipeline(file: str) -> "dict[str, Any] | Lines":
    """What a pipeline is given: an object is one run; an array, or several lines, are many.

    Raises:
        ConfigError: it cannot be read, or is no JSON.
    """
    if file.endswith(".jsonl"):
        return lines_of(file)
    text, name = read_file(file), "standard input" if file == "-" else f"--input {file}"
    try:
        value = from_json(text)
    except ValueError:
        if file == "-" and len(text.strip().splitlines()) > 1:
            return lines_in(name, text)
        value = json_value(text, name)
    if isinstance(value, list):
        return Elements(name, value)  # pyright: ignore[reportUnknownArgumentType]  what JSON held
    if isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType]  as above
    raise ConfigError(f"{name} holds {text.strip()[:40]}: give an object of inputs, or an array or lines of items")


def with_set(pipeline: Pipeline, inputs: Any, given: list[str]) -> dict[str, Any]:
    """The inputs of one run, those named by `--set name=value` put over the others.

    Args:
        pipeline: says which inputs are texts; the others' values are JSON where they are JSON.
        inputs: an item, or an object of some inputs.
        given: "name=value" each.

    Raises:
        ConfigError: one is not of that form, or no input.
    """
    return {**({} if inputs is None else pipeline.as_inputs(inputs)), **inputs_of(pipeline.input_schema, given)}


def inputs_of(schema: dict[str, Any], given: list[str]) -> dict[str, Any]:
    """Named inputs as they were typed.

    Args:
        schema: the JSON schema of a pipeline's inputs.
        given: "name=value" each.

    Raises:
        ConfigError: one is not of that form, or no input.
    """
    properties: dict[str, Any] = schema.get("properties", {})
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name not in properties:
            known = ", ".join(properties) or "none"
            raise ConfigError(f"--set {one}: write name=value with one of the inputs: {known}")
        found[name] = json_or_text(properties[name], value)
    return found


def only_input(pipeline: Pipeline, text: str) -> Any:  # any JSON value
    """What was said on the command line, as the pipeline's only input is typed.

    Raises:
        ConfigError: it has not one input.
    """
    properties: dict[str, Any] = pipeline.input_schema.get("properties", {})
    if len(properties) != 1:
        known = ", ".join(properties) or "none"
        raise ConfigError(f"{pipeline.name} takes its inputs by name: --set name=value (inputs: {known})")
    return json_or_text(next(iter(properties.values())), text)


def json_or_text(schema: dict[str, Any], value: str) -> Any:  # any JSON value
    """A value as typed: text where a text is wanted, else JSON where it is JSON."""
    if schema.get("type") == "string":
        return value
    try:
        return from_json(value)
    except ValueError:
        return value
