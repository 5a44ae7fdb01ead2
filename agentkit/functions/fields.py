"""Every field that a JSON schema describes, nested ones included, each with its path."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

Shape: TypeAlias = "dict[str, Any]"  # a JSON schema without $ref at its top


@dataclass(frozen=True, slots=True)
class Field:
    """One property of the schema, or of an object within it.

    Args:
        name: the property's name.
        path: from the top, for example `items[].price`.
        description: as the schema gives it, or "".
        required: whether it must be given.
        has_examples: whether the schema gives examples.
        shapes: the alternatives it allows, `$ref` and `anyOf` resolved; null is one of them.
    """

    name: str
    path: str
    description: str
    required: bool
    has_examples: bool
    shapes: tuple[Shape, ...]

    @property
    def types(self) -> frozenset[str]:
        """The JSON types it allows; empty where it allows anything."""
        kinds = {shape.get("type") or ("enum" if {"enum", "const"} & shape.keys() else "") for shape in self.shapes}
        return frozenset() if "" in kinds else frozenset(kinds)


def fields(schema: Shape) -> Iterator[Field]:
    """Walk a schema of an object.

    Args:
        schema: a JSON schema, with its `$defs`.

    Yields:
        Each property before those within it; a schema that refers to itself is entered once.

    Example:
        >>> items = {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}}
        >>> [field.path for field in fields({"type": "object", "properties": {"items": items}})]
        ['items', 'items[].price']
    """
    yield from _fields(schema, "", schema.get("$defs", {}), frozenset())


def _fields(shape: Shape, prefix: str, defs: Shape, entered: frozenset[str]) -> Iterator[Field]:
    required = shape.get("required", ())
    for name, given in cast("dict[str, Any]", shape.get("properties", {})).items():
        path = f"{prefix}.{name}" if prefix else name
        part = _schema(given)
        shapes, seen = _alternatives(part, defs, entered)
        yield Field(
            name=name,
            path=path,
            description=_first(part, shapes, "description") or "",
            required=name in required,
            has_examples=bool(_first(part, shapes, "examples")),
            shapes=shapes,
        )
        yield from _within(shapes, path, defs, seen)


def _within(shapes: tuple[Shape, ...], path: str, defs: Shape, entered: frozenset[str]) -> Iterator[Field]:
    """The fields of objects, of lists' items and of mappings' values."""
    for shape in shapes:
        yield from _fields(shape, path, defs, entered)
        for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
            inner = shape.get(key)
            if isinstance(inner, dict):
                parts, seen = _alternatives(cast("Shape", inner), defs, entered)
                yield from _within(parts, path + mark, defs, seen)


def _alternatives(part: Shape, defs: Shape, entered: frozenset[str]) -> tuple[tuple[Shape, ...], frozenset[str]]:
    """What a schema allows, with `$ref`, `anyOf`, `oneOf` and `allOf` resolved, and the definitions entered."""
    name = str(part.get("$ref", "")).removeprefix("#/$defs/")
    if name:
        if name in entered or name not in defs:
            return ({"type": defs.get(name, {}).get("type", "object"), "additionalProperties": False},), entered
        return _alternatives(defs[name], defs, entered | {name})
    for key in ("anyOf", "oneOf", "allOf"):
        if key in part:
            found: list[Shape] = []
            seen = entered
            for option in cast("list[Shape]", part[key]):
                shapes, inner = _alternatives(_schema(option), defs, entered)
                found += shapes
                seen |= inner
            return tuple(found), seen
    kinds = part.get("type")
    if isinstance(kinds, list):  # "type": ["string", "null"]
        return tuple({**part, "type": kind} for kind in cast("list[str]", kinds)), entered
    return (part,), entered


def _schema(given: Any) -> Shape:
    """A schema as a dict: True and False are schemas too."""
    return cast("Shape", given) if isinstance(given, dict) else {}


def _first(part: Shape, shapes: tuple[Shape, ...], key: str) -> Any:
    """What the property itself says, else its type."""
    return part.get(key) or next((shape[key] for shape in shapes if shape.get(key)), None)
