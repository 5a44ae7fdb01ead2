"""What a tool takes, in words, from the JSON schema that the log has."""

import pytest

from agentkit.arguments import arguments, in_words

DEFS = {
    "$defs": {
        "Level": {"type": "string", "enum": ["low", "high"]},
        "Tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}},
        "Loop": {"$ref": "#/$defs/Loop"},
        "Nest": {"type": "array", "items": {"$ref": "#/$defs/Nest"}},
    }
}


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({}, "anything"),
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, "whole number, at least 1, under 9"),
        ({"type": "string", "maxLength": 20, "pattern": "^A"}, "text, at most 20 characters, like ^A"),
        ({"type": "string", "format": "date"}, "text (date)"),
        ({"enum": ["a", 1, None]}, 'one of "a", 1, null'),
        ({"const": "a"}, '"a"'),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or nothing"),
        ({"type": ["string", "null"]}, "text or nothing"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 1}, "list: each true or false, at least 1 items"),
        ({"$ref": "#/$defs/Level", "description": "how loud"}, 'one of "low", "high"'),
        ({"$ref": "#/$defs/Tree"}, "object"),
        ({"$ref": "#/$defs/Loop"}, "anything"),
        ({"$ref": "#/$defs/Nest"}, "list: each list: each list: each …"),
        ({"$ref": "https://elsewhere/x"}, "anything"),
        (True, "anything"),
    ],
)
def test_what_an_argument_may_be_is_said_in_words(shape, words):
    """Types, choices and bounds; what refers to itself ends somewhere."""
    fields = arguments({"properties": {"x": shape}, **DEFS})
    assert in_words(fields["x"], DEFS) == words


def test_what_stands_beside_a_reference_is_the_arguments_own():
    """Its description, not that of the type."""
    [field] = arguments({"properties": {"x": {"$ref": "#/$defs/Level", "description": "how loud"}}, **DEFS}).values()
    assert field == {"type": "string", "enum": ["low", "high"], "description": "how loud"}
