"""Where everything is: boxes in rows, and edges that pass between them and never through one.

A row is a band as high as its highest box. Within a band an edge goes straight down, in a column of its own; between
two bands it may go anywhere, for no box is there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from agentkit.picture.columns import centres, spread
from agentkit.picture.graph import Link
from agentkit.picture.levels import levels
from agentkit.picture.order import Rows, ordered
from agentkit.picture.shared import Lined, lined

Point = tuple[float, float]

LOOP = 22.0
"""How far to the right of its box an edge from a node to itself goes, pixels."""

_BESIDE, _PASSING = 30.0, 18.0  # pixels between two boxes, and around an edge that passes
_GAP, _WIDEST_GAP = 46.0, 96.0  # pixels between two rows: more where edges go far to the side, so that none lies flat
_PORT = 18.0  # pixels between two edges at one box
_CORNER = 14.0  # pixels at a box's corners without an edge


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, pixels: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """An edge's way from border to border.

    Args:
        points: from the source's border to the target's; between two of one x it is straight, else a curve that leaves
            and arrives vertically.
        back: whether it closes a cycle, and so leads up, or from a node to itself.
        loop: whether it leads from a node to itself: two points at the right border, and a bow of `LOOP` between them.
    """

    points: tuple[Point, ...]
    back: bool = False
    loop: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes and routes, in the order of nodes and edges, and the size of it all in pixels; the corner is (0, 0)."""

    boxes: list[Box]
    routes: list[Route]
    width: float
    height: float


def layout(
    sizes: Sequence[tuple[float, float]],
    links: Sequence[Link],
    falls: Sequence[bool],
    first: set[int],
    last: Collection[int] = (),
) -> Layout:
    """Where to draw each node and each edge.

    Args:
        sizes: width and height of each node's box, pixels.
        links: the edges; a cycle's are drawn too.
        falls: which of them point down; without the others there is no cycle.
        first: the nodes that belong at the top: inputs.
        last: the nodes that belong at the bottom.

    Returns:
        Boxes that do not touch, and routes that touch no box but their own two.
    """
    falling = [_upper_first(link, falls=down) for link, down in zip(links, falls, strict=True) if link[0] != link[1]]
    row = levels(len(sizes), [(upper, lower) for upper, lower, _ in falling], first, last)
    edges = lined(falling, row)
    rows = ordered(row, edges)
    loops = {source for source, target, _ in links if source == target}
    halves = [width / 2 + LOOP * (node in loops) for node, (width, _) in enumerate(sizes)]

    def half(vertex: int) -> float:
        return halves[vertex] + _BESIDE / 2 if vertex < len(sizes) else _PASSING / 2

    x = centres(rows, lambda left, right: half(left) + half(right))
    shift = max((halves[node] - x[node] for node in range(len(sizes))), default=0.0)
    x = [round(one + max(shift, 0.0), 1) for one in x]
    bands = _bands(rows, x, [height for _, height in sizes])
    boxes = [
        Box(round(x[node] - width / 2, 1), bands[row[node]][0], width, height)
        for node, (width, height) in enumerate(sizes)
    ]
    routes = iter(_routes(rows, x, bands, boxes, edges))
    found = [
        _loop(boxes[source]) if source == target else _turned(next(routes), back=not down)
        for (source, target, _), down in zip(links, falls, strict=True)
    ]
    right = max([0.0, *(x[node] + halves[node] for node in range(len(sizes))), *x])
    return Layout(boxes, found, right, bands[-1][1] if bands else 0.0)


def _upper_first(link: Link, *, falls: bool) -> Link:
    """An edge from its upper end; those that lead up share no line with those that lead down."""
    source, target, label = link
    return (source, target, label) if falls else (target, source, f"up {label}")


def _bands(rows: Rows, x: list[float], heights: list[float]) -> list[tuple[float, float]]:
    """Top and bottom of each row."""
    bands: list[tuple[float, float]] = []
    top = 0.0
    for row in rows.rows:
        bottom = top + max((heights[vertex] for vertex in row if vertex < rows.nodes), default=0.0)
        bands.append((round(top, 1), round(bottom, 1)))
        aside = max((abs(x[one] - x[other]) for one in row for other in rows.down[one]), default=0.0)
        top = bottom + min(_WIDEST_GAP, _GAP + aside / 12)
    return bands


def _routes(
    rows: Rows, x: list[float], bands: list[tuple[float, float]], boxes: list[Box], edges: Sequence[Lined]
) -> list[Route]:
    """Each edge from its upper box down to its lower one."""
    both = list(zip(rows.paths, edges, strict=True))
    passing = [x[path[1]] if path[1] >= rows.nodes else None for path in rows.paths]
    leave = _ports(
        boxes, [_End(path[0], edge.leave, x[path[1]], to) for (path, edge), to in zip(both, passing, strict=True)]
    )
    before = [start if len(path) == 2 else x[path[-2]] for path, start in zip(rows.paths, leave, strict=True)]
    arrive = _ports(
        boxes, [_End(path[-1], edge.arrive, x[path[-2]], to) for (path, edge), to in zip(both, before, strict=True)]
    )
    routes: list[Route] = []
    for path, start, end in zip(rows.paths, leave, arrive, strict=True):
        upper, lower = boxes[path[0]], boxes[path[-1]]
        points = [(start, round(upper.y + upper.height, 1)), (start, bands[rows.row[path[0]]][1])]
        for vertex in path[1:-1]:
            points += [(x[vertex], y) for y in bands[rows.row[vertex]]]
        points.append((end, lower.y))
        routes.append(Route(tuple(dict.fromkeys(points))))
    return routes


@dataclass(frozen=True, slots=True)
class _End:
    """An edge's end at a box: which node's, what shares its place, where it comes from, where it could go straight."""

    node: int
    line: str
    other: float
    straight: float | None


def _ports(boxes: list[Box], ends: list[_End]) -> list[float]:
    """Where on its box's border each edge ends: side by side, in the order of where they come from."""
    at: dict[int, dict[str, list[_End]]] = {}
    for end in ends:
        at.setdefault(end.node, {}).setdefault(end.line, []).append(end)
    place: dict[tuple[int, str], float] = {}
    for node, lines in at.items():
        box = boxes[node]
        middle = {line: sum(end.other for end in found) / len(found) for line, found in lines.items()}
        order = sorted(lines, key=lambda line: (middle[line], line))
        wanted = [_wanted(box, lines[line], len(order)) for line in order]
        found = spread(wanted, _PORT, box.x + _CORNER, box.x + box.width - _CORNER)
        place.update({(node, line): round(one, 1) for line, one in zip(order, found, strict=True)})
    return [place[end.node, end.line] for end in ends]


def _wanted(box: Box, ends: list[_End], count: int) -> tuple[float, float]:
    """The middle of the border, or a little aside where that makes the edge straight; and how much that matters."""
    centre = box.x + box.width / 2
    near = _PORT * (count + 1) / 2
    straight = [end.straight for end in ends if end.straight is not None and abs(end.straight - centre) <= near]
    return (straight[0], 1e6) if straight else (centre, 1.0)


def _turned(route: Route, *, back: bool) -> Route:
    return replace(route, points=route.points[::-1], back=True) if back else route


def _loop(box: Box) -> Route:
    """Out at the right border, and in again above."""
    right = round(box.x + box.width, 1)
    low, high = round(box.y + box.height * 0.75, 1), round(box.y + box.height * 0.25, 1)
    return Route(((right, low), (right, high)), back=True, loop=True)
