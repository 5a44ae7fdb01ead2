"""Asking a person in a terminal, where `run.wait()` was called."""

import sys
import threading
from typing import Any, cast

from pydantic_core import from_json

from agentkit.events import Verdict
from agentkit.jsonvalue import canonical
from agentkit.state import Approval
from agentkit.text import inert

_WAYS: dict[str, dict[str, Verdict]] = {
    "call": {"a": "approve", "e": "edit", "r": "reject"},
    "question": {"a": "answer", "r": "reject"},
    "in_doubt": {"h": "happened", "d": "did_not", "s": "stop"},
    "budget": {"e": "edit", "s": "stop"},
    "loop": {"a": "approve", "s": "stop"},
}


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
    ways = _WAYS[asked.kind]
    print(_shown(f"\n{asked.prompt}".rstrip()))  # noqa: T201  it was asked for: wait() talks to the person who called it
    for label, value in (("runs", asked.arguments), ("why", asked.why), ("note", asked.because), ("see", asked.shows)):
        if value is not None:
            print(_shown(f"  {label}: {value if isinstance(value, str) else canonical(value).decode()}"))  # noqa: T201
    choice = ""
    while choice not in ways:
        choice = input(
            "  " + ", ".join(f"[{key}] {word.replace('_', ' ')}" for key, word in ways.items()) + "? "
        ).strip()
        choice = choice[:1].lower()
    verdict = ways[choice]
    if verdict == "edit":
        return verdict, {"edits": _read_json('  changed arguments as JSON, for example {"amount": 5}: ')}
    if verdict in {"answer", "happened"}:
        text = input("  answer: " if verdict == "answer" else "  its result as JSON (empty for none): ").strip()
        return verdict, {"value": _loose(text)}
    if verdict == "reject":
        return verdict, {"comment": input("  reason: ").strip() or None}
    return verdict, {}


def _shown(text: str) -> str:
    """Somebody else's words: no control characters, and no line that could pass for one of ours."""
    return inert(text[:1] + text[1:].replace("\n", "\n    | "))


def _read_json(prompt: str) -> dict[str, Any]:
    while True:
        try:
            value = from_json(input(prompt))
        except ValueError as error:
            print(f"  not JSON: {error}")  # noqa: T201
            continue
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
        print("  it has to be an object: {…}")  # noqa: T201


def _loose(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    if not text:
        return None
    try:
        return from_json(text)
    except ValueError:
        return text
