"""Asking a person in a terminal, where `run.wait()` was called."""

import sys
import threading
from collections.abc import Iterator
from typing import Any, cast

from pydantic_core import from_json

from agentkit.arguments import arguments, in_words
from agentkit.events import Verdict
from agentkit.jsonvalue import canonical
from agentkit.state import Approval
from agentkit.text import inert, one_line

_WAYS: dict[str, dict[str, Verdict]] = {
    "call": {"a": "approve", "e": "edit", "r": "reject"},
    "in_doubt": {"h": "happened", "d": "did_not", "s": "stop"},
    "budget": {"e": "edit", "s": "stop"},
    "loop": {"a": "approve", "s": "stop"},
    "deopt": {"a": "approve", "s": "stop"},
}
_EDITED = {
    "call": ("changed arguments", '{"amount": 5}'),
    "budget": ("a new budget", '{"usd": 1.0}'),
    "price_unknown": ("a new budget", '{"usd": null}'),
}
"""What a person writes to edit: by the kind of the question, or by its reason."""
_LINES = 25
"""Lines of a long argument that are shown; the log has the rest."""


def can_ask() -> bool:
    """Whether somebody sits at a terminal, and the caller may read from it."""
    return sys.stdin is not None and sys.stdin.isatty() and threading.current_thread() is threading.main_thread()


def ask(asked: Approval) -> tuple[Verdict, dict[str, Any]]:
    """Put one question on standard output and read the answer from standard input.

    Args:
        asked: the question.

    Returns:
        The verdict and what goes with it: edits, a value, a comment.
    """
    _say(_shown(f"\n{asked.prompt}".rstrip()))
    if asked.kind == "question":
        return _read_answer(asked.options)
    for line in _about(asked):
        _say(line)
    ways = _WAYS[asked.kind]
    choice = ""
    while choice not in ways:
        named = ", ".join(f"[{key}] {word.replace('_', ' ')}" for key, word in ways.items())
        choice = input(f"  {named}? ").strip()[:1].lower()
    verdict = ways[choice]
    if verdict == "edit":
        what, example = _EDITED.get(asked.because or "", _EDITED.get(asked.kind, _EDITED["call"]))
        return verdict, {"edits": _read_json(f"  {what} as JSON, for example {example}: ")}
    if verdict == "happened":
        return verdict, {"value": _loose(input("  its result as JSON (empty for none): ").strip())}
    if verdict == "reject":
        return verdict, {"comment": input("  reason: ").strip() or None}
    return verdict, {}


def _about(asked: Approval) -> Iterator[str]:
    """What will run, argument by argument, and what a person should know of it."""
    given = asked.arguments
    if isinstance(given, dict):
        takes = _takes(asked)
        for name, value in cast("dict[str, Any]", given).items():
            yield from _field(str(name), value, takes.get(name, ""))
    elif given is not None:
        yield from _field("runs", given)
    for label, value in (("why", asked.why), ("note", asked.because), ("see", asked.shows)):
        if value is not None and value != "policy":
            yield _shown(f"  {label}: {value if isinstance(value, str) else canonical(value).decode()}")


def _takes(asked: Approval) -> dict[str, str]:
    """What each argument may be, where the log says it."""
    if asked.offered is None:
        return {}
    schema = asked.offered.parameters
    return {name: one_line(in_words(field, schema), 80) for name, field in arguments(schema).items()}


def _field(name: str, value: Any, takes: str = "") -> Iterator[str]:
    """An argument: on its line as JSON with what it may be, or a long text's beginning as it will be."""
    if not isinstance(value, str) or "\n" not in value.strip():
        yield inert(f"  {name} = {canonical(value).decode()}{f'   ({takes})' if takes else ''}")
        return
    lines = value.strip().split("\n")
    yield inert(f"  {name} = ({len(value):,} characters)")
    yield from (inert(f"    | {line}") for line in lines[:_LINES])
    if len(lines) > _LINES:
        yield f"    … {len(lines) - _LINES} more lines"


def _read_answer(options: tuple[str, ...]) -> tuple[Verdict, dict[str, Any]]:
    """A question's answer: one of the options by its number or its words, or anything else; nothing rejects it."""
    for number, option in enumerate(options, 1):
        _say(_shown(f"  [{number}] {option}"))
    how = f"1 to {len(options)}" if options else "text or JSON"
    text = input(f"  answer ({how}; empty: no answer): ").strip()
    if not text:
        return "reject", {"comment": "no answer was given"}
    return "answer", {"value": chosen(text, options)}


def chosen(text: str, options: tuple[str, ...]) -> Any:
    """What somebody typed as an answer: an option by its number or its words, else JSON where it is JSON, else text.

    Args:
        text: what was typed.
        options: what there was to choose from, if anything.
    """
    if text.isdecimal() and 1 <= int(text) <= len(options):
        return options[int(text) - 1]
    return next((option for option in options if option.casefold() == text.casefold()), None) or _loose(text)


def _say(text: str) -> None:
    print(text)  # noqa: T201  it was asked for: wait() talks to the person who called it


def _shown(text: str) -> str:
    """Somebody else's words: no control characters, and no line that could pass for one of ours."""
    return inert(text[:1] + text[1:].replace("\n", "\n    | "))


def _read_json(prompt: str) -> dict[str, Any]:
    while True:
        try:
            value = from_json(input(prompt))
        except ValueError as error:
            _say(f"  not JSON: {error}")
            continue
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
        _say("  it has to be an object: {…}")


def _loose(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    if not text:
        return None
    try:
        return from_json(text)
    except ValueError:
        return text
