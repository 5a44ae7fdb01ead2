"""The shapes of a picture as SVG: a node's box, an edge, words."""

from html import escape
from itertools import pairwise

from agentkit.picture.boxes import CHIP, NAME, PAD, Content, Words, progress
from agentkit.picture.graph import MISSING, Edge, Node, whole
from agentkit.picture.icons import icon
from agentkit.picture.labels import Label
from agentkit.picture.layout import LOOP, Box, Point, Route
from agentkit.picture.style import STATUSES

_TIP = 7.0  # an arrow's head, pixels
_STACK = 4.0  # pixels that the sheet behind a fan-out's box looks out
_FRAME = 3.0  # pixels between the two lines around an agent's box
_OFTEN = (2, 10, 100)
"""From so many times on an edge is drawn broader, and broader again: "often1", "often2", "often3"."""
_SHARES = (0.0, 0.2, 0.5)
"""And from such a part of the times that the one most often taken was: the main way stands out of a long run too."""
_GATES = {"writes", "approve"}
"""Marks that stand out: what changes the world, and where a person is asked."""


_KNOWN = str.maketrans("", "", "·…→∥")
"""Characters that are not ASCII, and as wide as one that is."""


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def safe(text: str) -> str:
    """Text as XML and HTML take it; its characters have to be inert already."""
    return escape(text, quote=True)


def words(kind: str, text: str, x: float, y: float, width: float) -> str:
    """Words at their place; in letters whose width no table knows, they are set into the room they have."""
    fit = "" if text.translate(_KNOWN).isascii() else f' textLength="{number(width)}" lengthAdjust="spacingAndGlyphs"'
    return f'<text class="{kind}" x="{number(x)}" y="{number(y)}"{fit}>{safe(text)}</text>'


def box_shape(node: Node, box: Box, inside: Content) -> str:
    """A node: its box, its status, its words, and all of it as a tooltip."""
    parts = [f'<g class="{_classes(node)}" transform="translate({number(box.x)} {number(box.y)})">']
    parts.append(f"<title>{safe(whole(node))}</title>")
    size = f'width="{number(box.width)}" height="{number(box.height)}"'
    round_by = number(min(18.0, box.height / 2)) if node.is_round or node.kind == "person" else "7"
    if _fans_out(node):
        parts.append(f'<rect class="box" x="{number(_STACK)}" y="{number(_STACK)}" {size} rx="{round_by}"/>')
    parts.append(f'<rect class="box" {size} rx="{round_by}"/>')
    if node.kind == "agent":
        inner = f'width="{number(box.width - 2 * _FRAME)}" height="{number(box.height - 2 * _FRAME)}"'
        parts.append(f'<rect class="frame" x="{number(_FRAME)}" y="{number(_FRAME)}" {inner} rx="5"/>')
    if node.status is not None:
        parts.append(icon(node.status, PAD + 7.5, 9 + NAME / 2 + 4.5))
    parts += [_chip(one) if one.kind == "chip" else words(one.kind, *_set(one)) for one in inside.words]
    if inside.bar is not None:
        parts.append(_progress(node, box.width - 2 * PAD, inside.bar))
    return "".join([*parts, "</g>"])


def _classes(node: Node) -> str:
    """How a node looks: only words of ours become classes."""
    found = ["node", "input" if node.is_round else node.kind if node.kind == "person" else "step"]
    if node.status is not None:
        found += ["state", node.status if node.status in STATUSES else "pending"]
    if node.note == MISSING:
        found.append("wrong")
    return " ".join(found)


def _fans_out(node: Node) -> bool:
    return node.items is not None or any(mark == "each" or mark.startswith("each ") for mark in node.marks)


def _set(one: Words) -> tuple[str, float, float, float]:
    return one.text, one.x, one.y, one.width


def _chip(one: Words) -> str:
    gate = ' class="gate"' if one.text in _GATES else ""
    frame = f'x="{number(one.x)}" y="{number(one.y)}" width="{number(one.width)}" height="{number(one.height)}"'
    middle = words("chipword", one.text, one.x + one.width / 2, one.y + CHIP + 1.5, one.width - 10)
    return f'<g{gate}><rect class="chip" {frame} rx="{number(one.height / 2)}"/>{middle}</g>'


def _progress(node: Node, width: float, y: float) -> str:
    """How much of a fan-out is done, and how much of that failed."""
    done, total = progress(node)
    bad = width * min(1.0, max(0, node.failed_items) / total)
    good = max(0.0, width * min(1.0, max(0, done) / total) - bad)
    bars = [("track", 0.0, width), ("done", 0.0, good), ("bad", good, bad)]
    return "".join(
        f'<rect class="{kind}" x="{number(PAD + x)}" y="{number(y)}" width="{number(wide)}" height="3" rx="1.5"/>'
        for kind, x, wide in bars
        if wide > 0
    )


Drawn = set[tuple[str, Point, Point]]
"""What is drawn already: a line that edges share is drawn once, else it would look bolder with each of them."""


def edge_shape(route: Route, edge: Edge, title: str, drawn: Drawn, most: int) -> str:
    """An edge with its arrow; dashed where it has a label, red where it closes a cycle.

    One that is counted is as broad as it was taken often, of `most`; red after failures alone, and in a colour of its
    own where it leads back.
    """
    kind = f"edge{_kind(route, edge, most)}"
    way = _bow(route) if route.loop else _way(route, kind, drawn)
    line = f'<path class="{kind}" d="{way}"/>' if way else ""
    head = (f"{kind} head", route.points[-1], route.points[-1])
    tip = f'<path class="{_tip_kind(route, edge)}" d="{_tip(route)}"/>' if head not in drawn else ""
    drawn.add(head)
    return f"<g><title>{safe(title)}</title>{line}{tip}</g>"


def _kind(route: Route, edge: Edge, most: int) -> str:
    if edge.count is None:
        return f"{' when' if edge.label.strip() else ''}{' back' if route.back else ''}"
    broad = sum(edge.count >= max(least, share * most) for least, share in zip(_OFTEN, _SHARES, strict=True))
    way = " back" if edge.is_failure else " again" if route.back else ""
    return f"{way}{f' often{broad}' if broad else ''}"


def _tip_kind(route: Route, edge: Edge) -> str:
    if edge.count is None:
        return "backtip" if route.back else "tip"
    return "backtip" if edge.is_failure else "againtip" if route.back else "tip"


def _way(route: Route, kind: str, drawn: Drawn) -> str:
    """Straight down within a row, a bow from row to row, up to where the arrow's head begins."""
    end_x, end_y = route.points[-1]
    short = 1 - _TIP if end_y > route.points[0][1] else _TIP - 1
    parts: list[str] = []
    at = None
    for start, end in pairwise([*route.points[:-1], (end_x, end_y + short)]):
        if (kind, start, end) not in drawn:
            drawn.add((kind, start, end))
            parts += [f"M{number(start[0])} {number(start[1])}"] if at != start else []
            parts.append(_piece(start, end))
            at = end
    return "".join(parts)


def _piece(start: Point, end: Point) -> str:
    if start[0] == end[0]:
        return f"V{number(end[1])}"
    middle = number((start[1] + end[1]) / 2)
    return f"C{number(start[0])} {middle} {number(end[0])} {middle} {number(end[0])} {number(end[1])}"


def _bow(route: Route) -> str:
    """Out at the right of a box, and in again."""
    (x, y), (end_x, end_y) = route.points
    bow = number(x + LOOP * 1.2)
    return (
        f"M{number(x)} {number(y)}C{bow} {number(y)} {bow} {number(end_y)} {number(end_x + _TIP - 1)} {number(end_y)}"
    )


def _tip(route: Route) -> str:
    """The arrow's head, its point on the border."""
    x, y = route.points[-1]
    half = _TIP / 2
    if route.loop:
        return f"M{number(x)} {number(y)}l{number(_TIP)} {number(-half)}v{number(_TIP)}z"
    tall = -_TIP if y > route.points[0][1] else _TIP
    return f"M{number(x)} {number(y)}l{number(-half)} {number(tall)}h{number(_TIP)}z"


def edge_label(text: str, place: Label) -> str:
    """What an edge is for, or how often it was taken, at its place."""
    (x, y), width = place
    return words("label", text, x, y, width)
