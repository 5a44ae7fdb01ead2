"""What the commands print: results on standard output, the rest on standard error, and no escape of a model's."""

import functools
import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentkit.text import inert

if TYPE_CHECKING:
    from rich.console import Console


@functools.cache
def errors() -> "Console":
    """The console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(text: str) -> None:
    """Tell the person, on standard error."""
    print(inert(text), file=sys.stderr)  # noqa: T201  the place where the command line prints


def out(value: Any) -> None:  # a result: text, or any JSON value
    """Print a result on standard output: text as it is, control characters made visible; anything else as JSON."""
    print(inert(value) if isinstance(value, str) else as_json(value))  # noqa: T201  as above


def out_line(value: Any) -> None:  # any JSON value
    """Print a JSON value on one line of standard output, for programs."""
    print(_inert_json(json.dumps(value, ensure_ascii=False)))  # noqa: T201  as above


def as_json(value: Any) -> str:  # any JSON value, and times
    """A value as JSON for people and programs; what a terminal would act upon stays escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    return _inert_json(text)


def _inert_json(text: str) -> str:
    """JSON that is the same to a program, and nothing that a terminal acts upon."""
    return "".join(char if char == "\n" or char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
