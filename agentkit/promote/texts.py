"""Values that stand in prose: by what they look like, and by the words around them; and texts that values stand in."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from agentkit.promote.computed import Change, Match, Template, as_text
from agentkit.promote.expressions import Const, Expr, by_position
from agentkit.promote.pool import Pool
from agentkit.promote.values import Vector, number_of

_ODD = {"negative", "absolute", "units", "cents"}
"""Forms that stand in a text by chance only: a hyphen before a number is no minus."""
_TRIED, _PLACES = 8, 4
"""So many values are tried in a text's places, and so many places may it have."""
_LONGEST = 80  # characters of a value that is looked for in prose


def matches(pool: Pool, target: Vector) -> Iterator[Expr]:
    """Patterns that find the value in some text, as the only thing there that looks so.

    Args:
        pool: what can be reached.
        target: the value in each run, a text.
    """
    values = [value for value in target if isinstance(value, str) and 0 < len(value) <= _LONGEST]
    if len(values) < len(target):
        return
    for text in pool.texts:
        pairs = list(zip(values, text.values, strict=True))
        if all(value in where for value, where in pairs) and any(value != where for value, where in pairs):
            shapes = [pattern for pattern in _shapes(values) if _finds(pattern, values, text.values)]
            around: Iterable[str] = () if shapes else _surroundings(values, text.values)
            for pattern in (*shapes, *(one for one in around if _finds(one, values, text.values))):
                yield Match(text.expression, pattern)


def _finds(pattern: str, values: Sequence[str], texts: Sequence[str]) -> bool:
    return all(set(re.findall(pattern, text)) == {value} for value, text in zip(values, texts, strict=True))


def _shapes(values: Sequence[str]) -> Iterator[str]:
    """What the values look like: the same kinds of characters in the same order."""
    runs = [[(_kind(part[0]), part) for part in re.findall(r"\d+|[A-Z]+|[a-z]+|[^\dA-Za-z]", one)] for one in values]
    kinds = [tuple(kind for kind, _ in one) for one in runs]
    if len(set(kinds)) != 1:
        if all(re.fullmatch(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", value) for value in values):
            yield r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
        return
    if all(kind in {"[a-z]", "[A-Z]"} for kind in kinds[0]):
        return  # a word: nothing says which
    pieces: list[str] = []
    for place, kind in enumerate(kinds[0]):
        parts = {one[place][1] for one in runs}
        if len(parts) == 1 and (kind != r"\d"):
            pieces.append(_escaped(parts.pop()))
        else:
            lengths = {len(part) for part in parts}
            pieces.append(kind + (f"{{{lengths.pop()}}}" if len(lengths) == 1 and kind == r"\d" else "+"))
    ends = [values[0][0], values[0][-1]]
    before, after = (r"\b" if end.isalnum() else "" for end in ends)
    yield before + "".join(pieces) + after


def _escaped(text: str) -> str:
    """Text for a pattern, with no more backslashes than are needed."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)


def _kind(character: str) -> str:
    if character.isdigit():
        return r"\d"
    if character.isascii() and character.isalpha():
        return "[A-Z]" if character.isupper() else "[a-z]"
    return _escaped(character)


def _surroundings(values: Sequence[str], texts: Sequence[str]) -> Iterator[str]:
    """The words right before and after the values, where they are the same in every run."""
    befores: list[str] = []
    afters: list[str] = []
    for value, text in zip(values, texts, strict=True):
        if text.count(value) != 1:
            return
        before, _, after = text.partition(value)
        befores.append(before)
        afters.append(after)
    before = _shared_end(befores)
    after = _shared_end([one[::-1] for one in afters])[::-1]
    inner = r"(\S+?)" if all(re.fullmatch(r"\S+", value) for value in values) else r"(.+?)"
    closes = _escaped(after) if after else (r"$" if not any(afters) else None)
    opens = _escaped(before) if before else (r"^" if not any(befores) else None)
    if opens is not None and closes is not None:
        yield opens + inner + closes
    elif opens is not None and inner == r"(\S+?)":
        yield opens + r"(\S*\w)"
    elif closes is not None and inner == r"(\S+?)":
        yield r"(\S+)" + closes


def _shared_end(texts: Sequence[str]) -> str:
    """What all texts end with, cut to whole words."""
    shared = texts[0]
    for text in texts[1:]:
        while not text.endswith(shared):
            shared = shared[1:]
    whole = all(text == shared for text in texts)
    if not whole and shared and shared[0].isalnum():
        shared = re.sub(r"^\w+", "", shared)
    words = re.findall(r"\S+|\s+", shared)
    return "".join(words[-6:]) if re.search(r"\w|[^\s]", shared) else ""


# texts that values stand in ------------------------------------------------------------------------------------------


def templates(pool: Pool, target: Vector) -> Iterator[Expr]:
    """A text made of constant words and of values.

    Args:
        pool: what can be reached.
        target: the text in each run.
    """
    texts = [value for value in target if isinstance(value, str)]
    if len(texts) < len(target) or len(set(texts)) < 2:
        return
    inside = _inside(pool, texts)
    first = [(expressions[0], written) for written, expressions in inside[:_TRIED]]
    found = [
        shape
        for count in range(1, min(_PLACES, len(first)) + 1)
        for chosen in combinations(first, count)
        if (shape := _fill(texts, chosen)) is not None
    ]
    if found:
        best = min(found, key=_by_chance)
        yield Template(best)
        for _, (one, *others) in inside:  # the same values from elsewhere
            if one in best:
                yield from (Template(tuple(other if piece == one else piece for piece in best)) for other in others)


def _by_chance(pieces: Sequence[str | Expr]) -> tuple[int, int, float]:
    """The more of a text values explain, and with the fewer of them, the less of it is chance."""
    constant_text = sum(len(piece) for piece in pieces if isinstance(piece, str))
    values = [piece for piece in pieces if isinstance(piece, Expr)]
    return constant_text, len(values), sum(one.cost for one in values)


def _inside(pool: Pool, texts: Sequence[str]) -> list[tuple[tuple[str, ...], list[Expr]]]:
    """What stands in the text in every run, the longest first, and all that gives it, the cheapest first."""
    found: dict[tuple[str, ...], list[Expr]] = {}
    for scalar in (*pool.scalars, *pool.changed):
        expression = scalar.expression
        if len(set(scalar.vector)) < 2 or by_position(expression):
            continue
        if isinstance(expression, Change) and expression.how in _ODD:
            continue
        if not all(isinstance(value, str) or number_of(value) is not None for value in scalar.values):
            continue
        written = tuple(as_text(value) for value in scalar.values)
        if all(one and one in text for one, text in zip(written, texts, strict=True)):
            found.setdefault(written, []).append(expression)
    for expressions in found.values():
        expressions.sort(key=lambda one: one.cost)
    ranked = sorted(found.items(), key=lambda item: (-min(len(one) for one in item[0]), item[1][0].cost))
    return [(written, _unchanged(expressions)) for written, expressions in ranked]


def _unchanged(expressions: list[Expr]) -> list[Expr]:
    """Those that are no other form of something, where there are such."""
    return [one for one in expressions if not isinstance(one, Change)] or expressions[:1]


def _fill(texts: Sequence[str], values: Sequence[tuple[Expr, tuple[str, ...]]]) -> tuple[str | Expr, ...] | None:
    """The text with the values' places, where it is the same in every run."""
    shapes: set[tuple[str, ...]] = set()
    for run, text in enumerate(texts):
        pieces: list[str] = [text]
        for place, (_, written) in enumerate(values):
            pieces = _split(pieces, written[run], f"\0{place}")
        shapes.add(tuple(piece for piece in pieces if piece))
    if len(shapes) != 1:
        return None
    shape = shapes.pop()
    if not any(piece.startswith("\0") for piece in shape):
        return None
    return tuple(values[int(piece[1:])][0] if piece.startswith("\0") else piece for piece in shape)


def _split(pieces: list[str], value: str, mark: str) -> list[str]:
    found: list[str] = []
    for piece in pieces:
        if piece.startswith("\0"):
            found.append(piece)
            continue
        for position, part in enumerate(piece.split(value)):
            found += [mark] if position else []
            found.append(part)
    return found


def constant(target: Vector) -> Expr | None:
    """The constant that the target is in every run; None where it varies."""
    if len(set(target)) != 1:
        return None
    value = target[0]
    if isinstance(value, tuple):
        return Const(value[1]) if value and value[0] in {"bool", "number"} else None
    return Const(value)
