"""What a tool takes, argument by argument: as a form has fields, and in words for who reads it without one.

Both are made of the JSON schema that the log has, so that they are the same where the tool itself is not at hand.
"""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

Shape: TypeAlias = "dict[str, Any]"  # a JSON schema

_KINDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "null": "nothing",
    "array": "list",
    "object": "object",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "over {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "under {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "like {}",
}
_LEVELS = 3
"""How deep a list of lists, or a type that holds itself, is told."""


def arguments(parameters: Shape) -> dict[str, Shape]:
    """The arguments by their names, each with its schema; one that is defined elsewhere in it has it in its place.

    Args:
        parameters: the JSON schema of an object, with its `$defs`.

    Example:
        >>> level = {"enum": ["low", "high"], "type": "string"}
        >>> arguments({"properties": {"level": {"$ref": "#/$defs/Level"}}, "$defs": {"Level": level}})
        {'level': {'enum': ['low', 'high'], 'type': 'string'}}
    """
    found = _as_shape(parameters.get("properties"))
    return {name: _resolved(_as_shape(part), parameters) for name, part in found.items()}


def in_words(shape: Shape, parameters: Shape, levels: int = _LEVELS) -> str:
    """What an argument may be.

    Args:
        shape: its schema.
        parameters: the whole schema, for what it refers to.
        levels: how deep to go.

    Example:
        >>> in_words({"type": "number", "exclusiveMinimum": 0, "maximum": 50}, {})
        'number, over 0, at most 50'
    """
    if levels == 0:
        return "…"
    shape = _resolved(shape, parameters)
    branches = cast("list[Any]", shape.get("anyOf") or shape.get("oneOf") or [])
    if branches:
        return " or ".join(dict.fromkeys(in_words(_as_shape(one), parameters, levels - 1) for one in branches))
    choices = cast("list[Any]", [shape["const"]] if "const" in shape else shape.get("enum", []))
    if choices:
        return f"{'one of ' if len(choices) > 1 else ''}{', '.join(map(_written, choices))}"
    return ", ".join(_parts(shape, parameters, levels)) or "anything"


def _parts(shape: Shape, parameters: Shape, levels: int) -> Iterator[str]:
    kinds = shape.get("type")
    named = [kinds] if isinstance(kinds, str) else cast("list[str]", kinds or [])
    words = " or ".join(_KINDS.get(kind, kind) for kind in named)
    if named == ["array"] and isinstance(shape.get("items"), dict):
        words = f"list: each {in_words(shape['items'], parameters, levels - 1)}"
    if isinstance(shape.get("format"), str):
        words = f"{words} ({shape['format']})"
    if words:
        yield words
    for key, said in _BOUNDS.items():
        if isinstance(shape.get(key), int | float | str):
            yield said.format(shape[key])


def _resolved(shape: Shape, parameters: Shape) -> Shape:
    """A schema with what it refers to in its place; what stands beside the reference is said of this one."""
    for _ in range(_LEVELS):
        name = str(shape.get("$ref", "")).removeprefix("#/$defs/")
        if not name:
            break
        beside = {key: value for key, value in shape.items() if key != "$ref"}
        shape = {**_as_shape(_as_shape(parameters.get("$defs")).get(name)), **beside}
    return shape


def _as_shape(part: Any) -> Shape:
    """A schema as a dict: True and a missing one are schemas too."""
    return cast("Shape", part) if isinstance(part, dict) else {}


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
