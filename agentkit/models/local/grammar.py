"""What a local model may write, as an llguidance grammar: compact JSON, calls that exist, quotations that are true.

A schema goes to llguidance as it is, except for its parts that hold a quotation: no JSON schema can say "words of that
text", so those are written out as rules around the text's words.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from agentkit.messages import ToolSchema
from agentkit.models.local.words import chunks
from agentkit.quotation import QUOTE

FINAL = '{"final":true}'
"""What a model writes instead of a call when it has what it needs; the answer itself is asked for next."""

# Compact JSON: no spaces, 36% fewer tokens. Keywords that llguidance does not know are ignored; arguments and output
# are validated against the whole schema afterwards.
_COMPACT = {"whitespace_flexible": False, "lenient": True}

# A small model that is lost repeats itself to the end of the room it has; these are ends for what has none.
_LONGEST_STRING, _LONGEST_ARRAY, _LONGEST_NAME = 600, 16, 60  # characters, items, characters of a map's key
_TIMES, _LONGEST_TIME = {"date-time", "time", "duration"}, 40  # with microseconds and zone
_LARGEST = 2**53 - 1  # the integers that every reader of JSON has exactly (RFC 8259, section 6)
_VALUES = {"const", "enum", "default", "examples"}


def for_turn(tools: Iterable[ToolSchema], texts: Iterable[str], *, may_finish: bool) -> str:
    """The grammar of one turn: a call of one of the tools or, where allowed, `FINAL`.

    Args:
        tools: what may be called; a call is `{"tool":name,"args":arguments}`.
        texts: what a quotation may quote.
        may_finish: whether the model may decide that it has what it needs.
    """
    rules = _Rules(texts)
    turns = [_tool(rules, tool) for tool in tools] + ([_literal(FINAL)] if may_finish else [])
    return rules.grammar(" | ".join(turns))


def for_answer(schema: Mapping[str, Any], texts: Iterable[str]) -> str:
    """The grammar of a structured answer.

    Args:
        schema: the answer's JSON schema.
        texts: what a quotation may quote.
    """
    rules = _Rules(texts)
    return rules.grammar(_Schema(rules, schema).rule(schema))


def _tool(rules: "_Rules", tool: ToolSchema) -> str:
    begin = '{"tool":' + json.dumps(tool.name) + ',"args":'
    arguments = _Schema(rules, tool.parameters).rule(tool.parameters)
    return f"({_literal(begin)} {arguments} {_literal('}')})"


def _literal(text: str) -> str:
    """A text as a terminal of the grammar, whose strings are JSON's."""
    return json.dumps(text)


class _Rules:
    """The grammar's rules as they are found."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._chunks = chunks(texts)
        self._lines: dict[str, str] = {}

    def grammar(self, start: str) -> str:
        lines = [f"{name}: {body}" for name, body in self._lines.items()]
        return "\n".join(["%llguidance {}", f"start: {start}", *lines])

    def reserve(self) -> str:
        name = f"r{len(self._lines)}"
        self._lines[name] = ""
        return name

    def add(self, body: str, name: str | None = None) -> str:
        name = name or self.reserve()
        self._lines[name] = body
        return name

    def quotation(self, schema: Mapping[str, Any]) -> str:
        """A string of the text's words, at least one; an empty one where there is no text."""
        if not self._chunks:
            return _literal('""')
        shortest, longest = max(1, schema.get("minLength", 1)), schema.get("maxLength", _LONGEST_STRING)
        words = "%regex " + json.dumps({"substring_chunks": self._chunks})
        terminal = f"Q{len(self._lines)}"
        # it begins with a word, does not run over the end of one text into the next, and has the length asked for
        self._lines[terminal] = rf"{words} & /\w[^\x01]*/ & /(?s:.){{{shortest},{longest}}}/"
        return f"({_literal(chr(34))} {terminal} {_literal(chr(34))})"


class _Schema:
    """One JSON schema as rules: what holds no quotation stays a schema."""

    def __init__(self, rules: _Rules, root: Mapping[str, Any]) -> None:
        self._rules = rules
        self._definitions = cast("dict[str, Any]", root.get("$defs", {}))
        self._named: dict[str, str] = {}

    def rule(self, schema: Mapping[str, Any]) -> str:
        """The name of the rule, or the expression, for a part of the schema."""
        if not self._quotes(schema, frozenset()):
            whole: dict[str, Any] = {"x-guidance": _COMPACT, **_ending(schema)}
            if self._definitions:
                whole["$defs"] = _ending(self._definitions)
            return self._rules.add("%json " + json.dumps(whole))
        if schema.get(QUOTE):
            return self._rules.quotation(schema)
        if "$ref" in schema:
            return self._definition(str(schema["$ref"]).rpartition("/")[2])
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                return "(" + " | ".join(self.rule(option) for option in schema[choice]) + ")"
        if "prefixItems" in schema:
            return self._tuple(schema)
        if "items" in schema:
            return self._array(schema)
        return self._object(schema) if schema.get("properties") else self._map(schema)

    def _definition(self, name: str) -> str:
        if name not in self._named:
            self._named[name] = self._rules.reserve()
            self._rules.add(self.rule(self._definitions[name]), self._named[name])
        return self._named[name]

    def _object(self, schema: Mapping[str, Any]) -> str:
        """Its properties in their order; the first is always written, so that each other one brings its comma."""
        parts: list[str] = []
        for name, inner in schema.get("properties", {}).items():
            comma = "," if parts else ""
            part = f"{_literal(comma + json.dumps(name) + ':')} {self.rule(inner)}"
            parts.append(part if not parts or name in schema.get("required", ()) else f"({part})?")
        return f"({_literal('{')} {' '.join(parts)} {_literal('}')})"

    def _map(self, schema: Mapping[str, Any]) -> str:
        """Names of the model's own, each with the same kind of value."""
        name = self._rules.add("%json " + json.dumps({"type": "string", "maxLength": _LONGEST_NAME}))
        entry = f'{name} ":" {self.rule(schema["additionalProperties"])}'
        return self._many("{", entry, "}", schema.get("minProperties", 0), schema.get("maxProperties"))

    def _array(self, schema: Mapping[str, Any]) -> str:
        return self._many("[", self.rule(schema["items"]), "]", schema.get("minItems", 0), schema.get("maxItems"))

    def _tuple(self, schema: Mapping[str, Any]) -> str:
        items = ' "," '.join(self.rule(item) for item in schema["prefixItems"])
        return f'("[" {items} "]")'

    def _many(self, opening: str, item: str, closing: str, fewest: int, most: int | None) -> str:
        most = max(_LONGEST_ARRAY, fewest) if most is None else most
        if most == 0:
            return _literal(opening + closing)
        one = self._rules.add(item)
        more = f'("," {one}){{{max(0, fewest - 1)},{most - 1}}}' if most > 1 else ""
        full = f"({_literal(opening)} {one} {more} {_literal(closing)})"
        return full if fewest else f"({_literal(opening + closing)} | {full})"

    def _quotes(self, schema: Any, seen: frozenset[str]) -> bool:
        """Whether there is a quotation in it, through references too."""
        if isinstance(schema, list):
            return any(self._quotes(part, seen) for part in cast("list[Any]", schema))
        if not isinstance(schema, Mapping):
            return False
        parts = cast("Mapping[str, Any]", schema)
        if parts.get(QUOTE) is True:
            return True
        name = str(parts["$ref"]).rpartition("/")[2] if isinstance(parts.get("$ref"), str) else None
        if name in self._definitions and name not in seen and self._quotes(self._definitions[name], seen | {name}):
            return True
        return any(self._quotes(part, seen) for key, part in parts.items() if key != "$defs")


def _ending(schema: Any) -> Any:
    """The schema with an end to each text, number, list and object that has none of its own."""
    if isinstance(schema, list):
        return [_ending(part) for part in cast("list[Any]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    ended: dict[str, Any] = {
        key: part if key in _VALUES else _ending(part) for key, part in cast("Mapping[str, Any]", schema).items()
    }
    if isinstance(kind := ended.get("type"), str) and not ended.keys() & {"const", "enum"}:
        _end_one(ended, kind)
    return ended


def _end_one(schema: dict[str, Any], kind: str) -> None:
    match kind:
        case "string":
            longest = _LONGEST_TIME if schema.get("format") in _TIMES else _LONGEST_STRING
            schema.setdefault("maxLength", max(longest, schema.get("minLength", 0)))
        case "integer":
            if not schema.keys() & {"maximum", "exclusiveMaximum"}:
                schema["maximum"] = max(_LARGEST, schema.get("minimum", 0), schema.get("exclusiveMinimum", 0) + 1)
            if not schema.keys() & {"minimum", "exclusiveMinimum"}:
                schema["minimum"] = min(-_LARGEST, schema.get("maximum", 0), schema.get("exclusiveMaximum", 0) - 1)
        case "array":
            schema.setdefault("maxItems", max(_LONGEST_ARRAY, schema.get("minItems", 0)))
        case "object" if schema.get("properties"):
            schema.setdefault("additionalProperties", False)
        case "object":
            schema.setdefault("maxProperties", max(_LONGEST_ARRAY, schema.get("minProperties", 0)))
        case _:
            pass
