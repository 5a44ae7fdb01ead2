"""Reading a JSON schema: its alternatives, their types and values, items and properties, and what to call them.

The keys `x-name`, `x-names`, `x-optional` and `x-closed` are those of `wire`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from agentkit.functions.fields import Shape

ANYTHING: Shape = {}
_KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "NoneType": "null"}
_WORDS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_JSON_TYPES = frozenset({*_WORDS, "array", "object"})
_FORMATS = {
    "date": "date",
    "date-time": "datetime",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
    "binary": "bytes",
    "path": "Path",
    "decimal": "Decimal",
}


class Property(NamedTuple):
    """One property of an object.

    Args:
        names: what it may be called on the way, the likeliest first.
        shape: its schema.
        required: whether it has to be there (of what is read), or always is (of what is written).
    """

    names: list[str]
    shape: Shape
    required: bool

    def always_is(self, other: "Property") -> bool:
        """Whether the other is there whenever this one is written, by whichever name."""
        return self.required and set(self.names) <= set(other.names)

    def among(self, others: "list[Property]") -> "list[Property]":
        """Those of the others that may be meant by a name of this one."""
        return [one for one in others if not set(self.names).isdisjoint(one.names)]


def as_shape(part: Any) -> Shape:
    """A part of a schema as a dict: True and a missing one are schemas too."""
    return cast("Shape", part) if isinstance(part, dict) else ANYTHING


def alternatives(shape: Shape, root: Shape, entered: frozenset[str] = frozenset()) -> list[Shape]:
    """What a schema allows, `$ref` and unions resolved; the dicts are those of the root, not copies."""
    name = _definition(shape)
    if name:
        if name in entered:
            return []
        return alternatives(as_shape(root.get("$defs", {}).get(name)), root, entered | {name})
    for key in ("anyOf", "oneOf"):
        if key in shape:
            return [one for part in shape[key] for one in alternatives(as_shape(part), root, entered)]
    return [shape]


def _definition(shape: Shape) -> str:
    return str(shape.get("$ref", "")).removeprefix("#/$defs/")


def values(shape: Shape) -> list[Any]:
    """The values that it enumerates; none where any may be."""
    found = cast("list[Any]", [shape["const"]] if "const" in shape else shape.get("enum", []))
    return [] if any(isinstance(value, list | dict) for value in found) else found


def kinds(shape: Shape) -> frozenset[str]:
    """Its JSON types; empty where anything may be."""
    declared = shape.get("type", ())
    found = [_KINDS.get(type(value).__name__, "") for value in values(shape)]
    found = found or ([declared] if isinstance(declared, str) else cast("list[str]", declared))
    return frozenset(found) if _JSON_TYPES.issuperset(found) else frozenset()  # a schema that its user wrote


def type_in_words(shape: Shape, root: Shape, levels: int = 4) -> str:
    """A type about as its user wrote it.

    Args:
        shape: a schema within the root.
        root: the whole, with its `$defs`.
        levels: how deep to go; what is deeper is `…`.
    """
    while "x-name" not in shape and _definition(shape):
        shape = as_shape(root.get("$defs", {}).get(_definition(shape)))
    if "x-name" in shape or levels == 0:
        return shape.get("x-name", "…")
    if "anyOf" in shape or "oneOf" in shape:
        parts = cast("list[Any]", shape.get("anyOf") or shape["oneOf"])
        return " | ".join(dict.fromkeys(type_in_words(as_shape(part), root, levels - 1) for part in parts))
    if values(shape):
        return f"Literal[{', '.join(map(repr, values(shape)))}]"
    words = [_one_in_words(kind, shape, root, levels - 1) for kind in sorted(kinds(shape))]
    return " | ".join(words) or "Any"


def _one_in_words(kind: str, shape: Shape, root: Shape, levels: int) -> str:
    if kind == "array" and shape.get("maxItems") == 0:
        return "tuple[()]"
    if kind == "array" and "prefixItems" in shape:
        return f"tuple[{', '.join(type_in_words(as_shape(part), root, levels) for part in shape['prefixItems'])}]"
    if kind == "array":
        name = "set" if shape.get("uniqueItems") else "list"
        return f"{name}[{type_in_words(as_shape(shape.get('items')), root, levels)}]"
    if kind == "object":
        return f"dict[str, {type_in_words(as_shape(shape.get('additionalProperties')), root, levels)}]"
    form = shape.get("format")
    return _FORMATS.get(form, f"str ({form})") if form and kind == "string" else _WORDS[kind]


def length(array: Shape) -> tuple[int, float]:
    """The fewest and the most items: a tuple's; that of a list is a constraint."""
    if "prefixItems" in array or array.get("maxItems") == 0:
        return array.get("minItems", 0), array.get("maxItems", float("inf"))
    return 0, float("inf")


def item_at(array: Shape, at: int) -> Shape:
    """What the item at a position is, counted from 0."""
    first = cast("list[Shape]", array.get("prefixItems", []))
    return as_shape(first[at] if at < len(first) else array.get("items"))


def properties(shape: Shape) -> Iterator[Property]:
    """Those that an object has by name."""
    required = shape.get("required", ())
    for key, value in cast("dict[str, Any]", shape.get("properties", {})).items():
        part = as_shape(value)
        names = list(dict.fromkeys(name or key for name in part.get("x-names", [key])))
        yield Property(names, part, key in required and not part.get("x-optional"))


def is_closed(shape: Shape) -> bool:
    """Whether an object has no other properties."""
    return bool(shape.get("x-closed")) or shape.get("additionalProperties") is False


def others(shape: Shape) -> Shape:
    """What properties without a name of their own are."""
    return ANYTHING if "patternProperties" in shape else as_shape(shape.get("additionalProperties"))
