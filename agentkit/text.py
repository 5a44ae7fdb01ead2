"""Words as they can be shown on a screen: on one line, of a bounded width, with control characters that do nothing."""

import unicodedata
from collections.abc import Mapping
from typing import Any, cast

_LOOKED_AT = 2000
"""So many characters of a long value are looked at: more than any screen shows of it."""


def inert(text: str) -> str:
    r"""Text whose control characters do nothing in a terminal: what a model wrote stays words.

    Example:
        >>> print(inert("red: \x1b[31m"))
        red: \x1b[31m
    """
    if text.isprintable():  # as nearly all is: looking at each character takes long
        return text
    return "".join(char if char in "\n\t" or char.isprintable() else repr(char)[1:-1] for char in text)


def one_line(text: str, columns: int) -> str:
    r"""Inert text on one line, cut with "…" where it is wider than that many columns.

    Example:
        >>> one_line("first line\nsecond line", 12)
        'first line …'
    """
    return cut(inert(" ".join(text[:_LOOKED_AT].split())), columns)


def cut(text: str, columns: int) -> str:
    """Text cut with "…" where it is wider than that many columns; a CJK character takes two."""
    if len(text) * 2 <= columns or columns_of(text) <= columns:
        return text
    if text.isascii():
        return f"{text[: columns - 1]}…"
    used = 0
    for index, char in enumerate(text):
        used += _width(char)
        if used > columns - 1:
            return text[:index] + "…"
    return text


def brief(value: Any, columns: int = 80) -> str:  # any JSON value
    """A value as Python would show it, on one line and cut.

    Example:
        >>> brief({"status": "delivered", "items": [1, 2, 3]}, 24)
        "{'status': 'delivered',…"
    """
    if isinstance(value, str):
        value = value[:_LOOKED_AT]
    return one_line(repr(value), columns)


def call_text(name: str, arguments: Any, columns: int = 120) -> str:  # JSON: an object, or what a model wrote instead
    """A call as Python would write it, on one line and cut.

    Example:
        >>> call_text("refund", {"order_id": "A-1042", "amount": 80.0})
        "refund(order_id='A-1042', amount=80.0)"
    """
    room = columns - len(name) - 2
    if isinstance(arguments, Mapping):
        items = cast("Mapping[Any, Any]", arguments).items()
        text = one_line(", ".join(f"{key}={brief(value, room)}" for key, value in items), room)
    else:
        text = brief(arguments, room)
    return f"{inert(name)}({text})"


def duration(seconds: float) -> str:
    """A duration as text, in the unit that suits it.

    Example:
        >>> duration(0.0123), duration(4.56), duration(3725)
        ('12 ms', '4.6 s', '1 h 2 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def dollars(cost: float) -> str:
    """An amount of USD as text; a very small one is not shown as nothing.

    Example:
        >>> dollars(0.0312), dollars(0.00002), dollars(0)
        ('$0.0312', '<$0.0001', '$0')
    """
    if 0 < cost < 0.0001:
        return "<$0.0001"
    return f"${cost:.4f}" if cost else "$0"


def columns_of(text: str) -> int:
    """How many columns a text takes; a CJK character takes two."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
