"""Values against JSON schemas that others wrote, as far as they are checked here: regular expressions are never run.

Python's `re` backtracks and holds the interpreter meanwhile: `^(a+)+$` on forty letters stops every run of the process
for hours. The schema that a model sees keeps its patterns, and whose they are checks them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from agentkit.problems import Problem, short_input, unknown_name

if TYPE_CHECKING:
    from jsonschema import ValidationError

    Keyword = Callable[[Any, Any, Any, dict[str, Any]], Iterable[ValidationError]]

LONGEST_PROBLEM = 300  # characters: jsonschema repeats the whole value in its messages

_NOT_CHECKED = (
    "pattern",
    "patternProperties",
    # a part without its patterns accepts too much, from which these would conclude too much
    *("not", "disallow", "if", "contains", "unevaluatedProperties", "unevaluatedItems"),
)


class Checker:
    """One schema: of a server, or of a tool that only the log knows.

    Args:
        schema: as it was given. With a regular expression anywhere in it, what depends on one is left out.

    Raises:
        ValueError: it is no JSON schema; the message says why, briefly.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        from jsonschema import Draft202012Validator
        from jsonschema.validators import validator_for
        from referencing import Registry

        kind = validator_for(schema, default=Draft202012Validator)
        wrong = cast("Iterable[ValidationError]", kind(kind.META_SCHEMA).iter_errors(schema))
        for error in wrong:  # without formats, as check_schema has them: a pattern may be another language's
            raise ValueError(error.message[:LONGEST_PROBLEM])
        if _has_pattern(schema):
            kind = _without_patterns(kind)
        self._validator = kind(schema, registry=cast("Any", Registry)())  # an empty one: no $ref is ever fetched

    def errors(self, value: Any) -> "list[ValidationError]":
        """What is wrong with a value; nothing where the schema refers to one elsewhere: the server knows that."""
        from referencing.exceptions import Unresolvable

        try:
            return list(cast("Iterable[ValidationError]", self._validator.iter_errors(value)))
        except Unresolvable:
            return []

    def problems(self, value: Any) -> list[Problem]:
        """What is wrong with a value, in the words that a model or a person can act on; each thing once."""
        found = [problem for error in self.errors(value) for problem in _problems(error)]
        return [problem for index, problem in enumerate(found) if problem not in found[:index]]


def _has_pattern(part: Any) -> bool:
    """Whether a regular expression is anywhere in a schema; a property that is called pattern has a schema instead."""
    if isinstance(part, list):
        return any(map(_has_pattern, cast("list[Any]", part)))
    if not isinstance(part, dict):
        return False
    shape = cast("dict[str, Any]", part)
    return (
        isinstance(shape.get("pattern"), str) or "patternProperties" in shape or any(map(_has_pattern, shape.values()))
    )


def _without_patterns(kind: Any) -> Any:
    """A dialect of JSON schema that accepts at least what the whole one does, and runs no regular expression."""
    from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType]

    whole: dict[str, Keyword] = kind.VALIDATORS
    changed: dict[str, Keyword] = {name: _nothing for name in _NOT_CHECKED if name in whole}
    if "additionalProperties" in whole:
        changed["additionalProperties"] = _unless_patterns(whole["additionalProperties"])
    if "oneOf" in whole:
        changed["oneOf"] = whole["anyOf"]  # two branches that differ by a pattern are both right here
    return cast("Callable[..., Any]", extend)(kind, validators=changed)


def _nothing(*_given: Any) -> "Iterable[ValidationError]":
    return ()


def _unless_patterns(keyword: "Keyword") -> "Keyword":
    def check(validator: Any, value: Any, instance: Any, schema: dict[str, Any]) -> "Iterator[ValidationError]":
        if not schema.get("patternProperties"):  # else they say which names are additional
            yield from keyword(validator, value, instance, schema) or ()

    return check


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
