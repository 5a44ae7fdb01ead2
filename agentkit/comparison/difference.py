"""Where two JSON values differ, in words that stand on a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from agentkit.text import brief, one_line

_BEFORE = 24
"""Characters of two long texts that are shown before the place where they differ."""
_WIDTH = 72


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ.

    Args:
        where: the path to it, for example "arguments.amount".
        a: what the first has there, on one line.
        b: what the second has.
    """

    where: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.where}: {self.a} → {self.b}"


NOTHING = "—"
_MISSING = object()


def differences(where: str, a: Any, b: Any) -> Iterator[Difference]:
    """Every place where two JSON values differ, in order.

    Args:
        where: what the values are.
        a: the first.
        b: the second.
    """
    if a == b and type(a) is type(b):
        return
    if isinstance(a, dict) and isinstance(b, dict):
        one, other = cast("dict[str, Any]", a), cast("dict[str, Any]", b)
        for key in dict.fromkeys([*one, *other]):
            yield from differences(f"{where}.{key}", one.get(key, _MISSING), other.get(key, _MISSING))
    elif isinstance(a, list) and isinstance(b, list):
        first, second = cast("list[Any]", a), cast("list[Any]", b)
        for index in range(max(len(first), len(second))):
            yield from differences(f"{where}[{index}]", _at(first, index), _at(second, index))
    else:
        yield Difference(one_line(where, 60), *_texts(a, b))


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else _MISSING


def _texts(a: Any, b: Any) -> tuple[str, str]:
    """Both on a line each; of two long texts the part where they begin to differ."""
    if isinstance(a, str) and isinstance(b, str) and max(len(a), len(b)) > _WIDTH:
        same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        if same > _BEFORE:
            return tuple(f"…{brief(text[same - _BEFORE :], _WIDTH)}" for text in (a, b))  # type: ignore[return-value]
    return _text(a), _text(b)


def _text(value: Any) -> str:
    return NOTHING if value is _MISSING or value is None else brief(value, _WIDTH)
