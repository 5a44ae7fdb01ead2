"""A JSON schema in a few words: what a small model can read, at a fifth of the schema's tokens."""

import json
from collections.abc import Mapping
from typing import Any, cast

_DEEPEST = 6  # a schema that refers to itself ends here


def outline(schema: Mapping[str, Any]) -> str:
    """The schema as a type in one line.

    Args:
        schema: a JSON schema; `$ref`s into its own `$defs` are followed.

    Example:
        >>> outline({"properties": {"city": {"type": "string", "description": "in English"}}, "required": ["city"]})
        '{city: string (in English)}'
        >>> outline({"type": "array", "items": {"enum": ["red", "green"]}})
        '["red" | "green", …]'
    """
    return _outline(schema, cast("Mapping[str, Any]", schema.get("$defs", {})), 0)


def _outline(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> str:
    if depth > _DEEPEST:
        return "…"
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name in definitions:
        return _outline(definitions[name], definitions, depth + 1)
    if "const" in schema or "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema.get("enum", [schema.get("const")]))
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " | ".join(_outline(option, definitions, depth + 1) for option in schema[choice])
    if "properties" in schema:
        return _object(schema, definitions, depth)
    if "items" in schema:
        return f"[{_outline(schema['items'], definitions, depth + 1)}, …]"
    kind = schema.get("type", "any")
    return "{}" if kind == "object" else str(kind)


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> str:
    required = schema.get("required", ())
    fields: list[str] = []
    for name, inner in schema["properties"].items():
        told = f" ({inner['description']})" if inner.get("description") else ""
        fields.append(f"{name}{'' if name in required else '?'}: {_outline(inner, definitions, depth + 1)}{told}")
    return "{" + ", ".join(fields) + "}"
