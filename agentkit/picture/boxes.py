"""What stands in a node's box and how much room it takes, without a browser to ask."""

from dataclasses import dataclass
from textwrap import wrap

from agentkit.picture.graph import Node, facts, shown
from agentkit.text import columns_of, cut

NAME, SMALL, CHIP = 13.0, 11.0, 10.0
"""Sizes of letters, pixels."""

PAD = 12.0
ICON = 22.0
"""The room of a status's icon, left of the name."""

_LEAST, _MOST = 88.0, 250.0  # a box's width, pixels
_MONO = 0.61
"""Width of a letter by its size, of the monospaced fonts that systems have (0.55 to 0.602)."""

_NOTE = 36
"""Columns of a line of a note."""

_CHIPS = 8
"""So many marks are shown; the tooltip has them all."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words at a place in a box.

    Args:
        kind: "name", "type", "chip", "facts" or "note": how they look.
        text: the words, fit to be shown.
        x: where they begin, pixels from the box's left.
        y: their baseline, pixels from the box's top.
        width: the room they have, pixels.
        height: of a chip, pixels.
    """

    kind: str
    text: str
    x: float
    y: float
    width: float
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class Content:
    """A box's size in pixels, its words, and where its bar of progress is."""

    width: float
    height: float
    words: tuple[Words, ...]
    bar: float | None = None


def content(node: Node) -> Content:
    """What a node's box shows, and its size.

    Args:
        node: any node; long words are cut.
    """
    left = PAD + (ICON if node.status is not None else 0.0)
    words: list[Words] = []
    y = 9.0
    for kind, text, size in _lines(node):
        y += size + 5
        indent = left if kind in {"name", "type"} else PAD
        words.append(Words(kind, text, indent, round(y - 2, 1), width_of(text, size, mono=kind in {"name", "type"})))
        if kind in {"name", "type"} and _next_is_chips(node, kind):
            chips, y = _chips(node, y + 6)
            words += chips
            y += 2
    width = max([_LEAST, *(word.x + word.width + PAD for word in words)])
    bar = y + 7 if progress(node)[1] > 0 else None
    return Content(round(width, 1), round((y if bar is None else bar + 3) + 9, 1), tuple(words), bar)


def progress(node: Node) -> tuple[int, int]:
    """How much is done of how much, for a bar; of calls that are counted there is one where some failed."""
    if node.items is None and node.calls is not None and node.failed_items:
        return node.calls, node.calls
    return node.items or (0, 0)


def width_of(text: str, size: float, *, mono: bool = False) -> float:
    """How wide a text can be, pixels: as wide as the widest of the usual fonts sets it.

    Args:
        text: one line.
        size: of its letters, pixels.
        mono: whether they are all of one width.
    """
    if mono:
        return columns_of(text) * _MONO * size
    return sum(_letter(char) * columns_of(char) for char in text) * size


def _letter(char: str) -> float:
    if char in "il.,:;'|!()[] ·":
        return 0.4
    return 0.98 if char in "mwMW@%" else 0.8 if char.isupper() else 0.64


def _lines(node: Node) -> list[tuple[str, str, float]]:
    """Kind, words and size of each line but the chips."""
    lines = [("name", shown(node.called, 26) or "(no name)", NAME)]
    if node.type:
        lines.append(("type", shown(node.type, 30), SMALL))
    lines += [("facts", line, SMALL) for line in _filled(facts(node))]
    return lines + [("note", cut(line, _NOTE), SMALL) for line in _wrapped(node.note)]


def _filled(said: list[str]) -> list[str]:
    """Facts on as few lines as they fit on."""
    lines: list[str] = []
    for one in (shown(one, _NOTE) for one in said):
        if lines and columns_of(joined := f"{lines[-1]} · {one}") <= _NOTE:
            lines[-1] = joined
        else:
            lines.append(one)
    return lines


def _wrapped(note: str) -> list[str]:
    """A note on two lines at most."""
    return wrap(shown(note, 3 * _NOTE), _NOTE, max_lines=2, placeholder="…")


def _next_is_chips(node: Node, kind: str) -> bool:
    return bool(node.marks) and kind == ("type" if node.type else "name")


def _chips(node: Node, top: float) -> tuple[list[Words], float]:
    """The marks, in as many rows as they need, and where the last row ends."""
    marks = [shown(mark, 22) for mark in node.marks[:_CHIPS]]
    if len(node.marks) > _CHIPS:
        marks.append(f"+{len(node.marks) - _CHIPS}")
    chips: list[Words] = []
    x, y, height = PAD, top, CHIP + 6
    for mark in marks:
        width = width_of(mark, CHIP) + 10
        if x > PAD and x + width > _MOST - PAD:
            x, y = PAD, y + height + 4
        chips.append(Words("chip", mark, round(x, 1), round(y, 1), round(width, 1), height))
        x += width + 5
    return chips, y + height
