"""What is wrong with a value that a model wrote, as a list that the model can act on."""

import difflib
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agentkit.errors import EncodingError
from agentkit.jsonvalue import as_json, canonical

Problem: TypeAlias = "dict[str, Any]"  # path and problem, and input where one value is to blame: JSON

_LONGEST_INPUT = 500  # characters of a wrong value that are told: enough to recognise it, not to pay for it again


def problems(error: ValidationError, value: Any, names: Sequence[str] = ()) -> list[Problem]:
    """A validation error as JSON.

    Args:
        error: what pydantic raised.
        value: the JSON value that was validated.
        names: the names that the top level knows, for the guess at a misspelled one.

    Returns:
        One dict an error: `path` such as `items[0].price`, `problem` in words, `input` where one value is wrong.
    """
    details = error.errors(include_url=False)
    missing = [str(detail["loc"][0]) for detail in details if detail["type"] == "missing" and len(detail["loc"]) == 1]
    return [_problem(detail, value, missing, names) for detail in details]


def _problem(detail: ErrorDetails, value: Any, missing: Sequence[str], names: Sequence[str]) -> Problem:
    path, branch = _locate(detail, value)
    kind = detail["type"]
    if kind == "missing":
        return {"path": path, "problem": "missing"}
    problem = detail["msg"] + (f" (as {branch})" if branch else "")
    if kind == "extra_forbidden":
        top = len(detail["loc"]) == 1
        problem = unknown_name(str(detail["loc"][-1]), missing if top else (), names if top else ())
    return {"path": path, "problem": problem, "input": short_input(detail["input"])}


def unencodable(error: EncodingError) -> Problem:
    """What to say of a value that JSON, or the log, cannot hold: its path may be as odd as the value."""
    path = error.where.removeprefix(".").encode("utf-8", "backslashreplace").decode()
    return {"path": path.replace("\0", "\\0"), "problem": error.problem}


def unknown_name(name: str, likely: Sequence[str], names: Sequence[str]) -> str:
    """What to say of a name that nothing has: the one that was probably meant, else those there are.

    Args:
        name: the unknown name.
        likely: names that were expected and not given; they are guessed first.
        names: every name there is.

    Example:
        >>> unknown_name("order_di", [], ["order_id", "amount"])
        "unknown argument; did you mean 'order_id'?"
    """
    for candidates in (likely, names):
        close = difflib.get_close_matches(name, candidates, n=1)
        if close:
            return f"unknown argument; did you mean {close[0]!r}?"
    return f"unknown argument; there is {', '.join(names)}" if names else "unknown argument; leave it out"


def _locate(detail: ErrorDetails, value: Any) -> tuple[str, str]:
    """The path in the value, and the branch of a union that was tried: pydantic's location mixes both."""
    path, branch = "", ""
    last = len(detail["loc"]) - 1
    for index, part in enumerate(detail["loc"]):
        if isinstance(part, int) and isinstance(value, list):
            items = cast("list[Any]", value)
            path, value = f"{path}[{part}]", items[part] if part < len(items) else None
        elif isinstance(value, dict) and (part in value or (index == last and detail["type"] == "missing")):
            path, value = f"{path}.{part}", cast("dict[Any, Any]", value).get(part)
        elif part == "[key]":
            path += " (the key)"
        else:
            branch = str(part)
    return path.removeprefix("."), branch


def short_input(value: Any) -> Any:
    """A wrong value as JSON, cut where it is long."""
    try:
        given = as_json(value, "input")
    except EncodingError:
        return repr(value)[:_LONGEST_INPUT]
    text = canonical(given).decode()
    return given if len(text) <= _LONGEST_INPUT else f"{text[:_LONGEST_INPUT]}… ({len(text)} characters)"
