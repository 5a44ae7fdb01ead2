"""Forms of a value: how it is changed, and how that is written."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from agentkit.promote.values import Miss
from agentkit.promote.writing import literal


class Form:
    """How a value is changed, and how that is written.

    Args:
        kind: the types of values that have the form.
        apply: what makes it; it raises where a value has no such form.
        written: the Python, with `{0}` for the value.
    """

    def __init__(self, kind: type | tuple[type, ...], apply: Callable[[Any], Any], written: str) -> None:
        self._kind = kind
        self._apply = apply
        self._written = written

    def apply(self, value: Any) -> Any:
        """The changed value; raises `Miss` where it has none."""
        if not isinstance(value, self._kind) or isinstance(value, bool):
            raise Miss(self._written)
        try:
            return self._apply(value)
        except (ValueError, TypeError, IndexError, ArithmeticError):
            raise Miss(self._written) from None

    def write(self, value: str) -> str:
        """The Python for it."""
        return self._written.format(value)


def _whole(number: float) -> int:
    if number != int(number):
        raise ValueError(number)
    return int(number)


def _round(number: Any) -> Any:
    return round(number, 2)


def _cents(number: Any) -> int:
    if round(number, 2) != number:
        raise ValueError(number)
    return round(number * 100)


def _units(number: int) -> float:
    return number / 100


def _negative(number: Any) -> Any:
    return -number


def _day(text: str) -> str:
    if not re.match(r"\d{4}-\d\d-\d\dT", text):
        raise ValueError(text)
    return text[:10]


def _part(mark: str, index: int) -> Callable[[str], str]:
    def part(text: str) -> str:
        if mark not in text:
            raise ValueError(text)
        return text.split(mark)[index]

    return part


_NUMBERS = (int, float, Decimal)
CHANGES: Mapping[str, Form] = {
    "upper": Form(str, str.upper, "{0}.upper()"),
    "lower": Form(str, str.lower, "{0}.lower()"),
    "title": Form(str, str.title, "{0}.title()"),
    "capitalize": Form(str, str.capitalize, "{0}.capitalize()"),
    "strip": Form(str, str.strip, "{0}.strip()"),
    "int": Form(str, int, "int({0})"),
    "float": Form(str, float, "float({0})"),
    "str": Form(_NUMBERS, str, "str({0})"),
    "whole": Form(float, _whole, "int({0})"),
    "round": Form((float, Decimal), _round, "round({0}, 2)"),
    "round0": Form((float, Decimal), round, "round({0})"),
    "cents": Form(_NUMBERS, _cents, "round({0} * 100)"),
    "units": Form(int, _units, "{0} / 100"),
    "negative": Form(_NUMBERS, _negative, "-{0}"),
    "absolute": Form(_NUMBERS, abs, "abs({0})"),
    "day": Form(str, _day, "{0}[:10]"),
    **{
        f"{which} of {mark}": Form(str, _part(mark, index), "{0}.split(" + literal(mark) + f")[{index}]")
        for mark in "@-/:_ ,"
        for which, index in (("first", 0), ("last", -1))
    },
}
"""The forms by name."""


def calculate(left: Any, sign: str, right: Any) -> Any:
    """Two numbers, also where one is a Decimal and one a float; raises `Miss` where they do not mix."""
    try:
        match sign:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case _:
                return left / right
    except TypeError:
        raise Miss("numbers of one kind") from None
