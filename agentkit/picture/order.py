"""Which node stands left of which: edges as vertices of every row they cross, sorted until few of them cross.

The method is Sugiyama's: an edge that passes a row gets a place of its own there, and rows are sorted in turn by where
their neighbours above, then below, stand (Sugiyama, Tagawa and Toda, 1981; the exchange of neighbours is from Gansner,
Koutsofios, North and Vo, 1993). Edges of one line share their passages: an input that ten steps need is a trunk with
ten branches, not ten lines.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from agentkit.picture.shared import Lined

_STARTS, _SWEEPS = 6, 8
"""Orders to begin from, and how often each is swept down and up: pictures of 40 steps gain next to nothing by more."""

_SOME = 600
"""Vertices of a graph for which there is time to look that hard."""

MANY = 3000
"""Vertices of a graph that nobody reads as a picture: it is drawn in bounded time, with more crossings."""


@dataclass
class Rows:
    """Vertices by row, from left to right: nodes first by number, then the places where edges pass a row.

    Args:
        nodes: how many vertices are nodes; the others are passages.
        rows: the vertices of each row.
        row: the row of each vertex.
        up: the vertices above it that each is joined with.
        down: the same below.
        paths: of each edge the vertices from its upper end to its lower.
    """

    nodes: int
    rows: list[list[int]]
    row: list[int]
    up: list[list[int]]
    down: list[list[int]]
    paths: list[list[int]] = field(default_factory=list[list[int]])

    def place(self) -> list[int]:
        """Where in its row each vertex stands, counted from the left."""
        place = [0] * len(self.row)
        for row in self.rows:
            for index, vertex in enumerate(row):
                place[vertex] = index
        return place


def ordered(row: Sequence[int], edges: Sequence[Lined]) -> Rows:
    """Rows of vertices, sorted so that few edges cross.

    Args:
        row: the row of each node.
        edges: what to join, and by which line.

    Returns:
        The rows, and each edge's path through them.
    """
    rows = _split(row, edges)
    best, least = rows.rows, _all_crossings(rows)
    starts = _STARTS if len(rows.row) <= _SOME else 1
    for start in range(starts):
        rows.rows = [_shuffled(one, start) for one in rows.rows] if start else [list(one) for one in rows.rows]
        for sweep in range(_SWEEPS if len(rows.row) <= MANY else 2):
            if not least:
                break
            _sweep(rows, downwards=sweep % 2 == 0, rightmost=sweep % 4 > 1)
            if len(rows.row) <= _SOME:
                _exchange(rows)
            if (crossings := _all_crossings(rows)) < least:
                best, least = [list(one) for one in rows.rows], crossings
    rows.rows = best
    return rows


def _shuffled(row: list[int], start: int) -> list[int]:
    """Another order to begin from, the same each time."""
    return sorted(row, key=lambda vertex: (vertex + 7) * (start * 7919 + 13) % 10007)


def _split(row: Sequence[int], edges: Sequence[Lined]) -> Rows:
    """Each node in its row, in the order of definition, and a passage in each row that an edge passes."""
    count = len(row)
    found = Rows(count, [[] for _ in range(max(row, default=-1) + 1)], list(row), [[] for _ in row], [[] for _ in row])
    for node in range(count):
        found.rows[row[node]].append(node)
    passages: dict[tuple[str, int], int] = {}
    for edge in edges:
        path = [edge.upper]
        for level in range(row[edge.upper] + 1, row[edge.lower]):
            if (vertex := passages.get((edge.line, level))) is None:
                vertex = passages[edge.line, level] = _passage(found, level)
            path.append(vertex)
        path.append(edge.lower)
        for above, below in pairwise(path):
            if below not in found.down[above]:
                found.down[above].append(below)
                found.up[below].append(above)
        found.paths.append(path)
    return found


def _passage(rows: Rows, level: int) -> int:
    rows.row.append(level)
    rows.up.append([])
    rows.down.append([])
    rows.rows[level].append(len(rows.row) - 1)
    return len(rows.row) - 1


def _sweep(rows: Rows, *, downwards: bool, rightmost: bool) -> None:
    """Sort each row by the middle of its neighbours in the row before; who has none there keeps its place.

    Of those with one middle, the order is kept, or turned round: what one sweep does not find, the next one may.
    """
    place = rows.place()
    beside = rows.up if downwards else rows.down
    for row in rows.rows if downwards else reversed(rows.rows):
        moved = [vertex for vertex in row if beside[vertex]]
        middle = {vertex: sum(place[one] for one in beside[vertex]) / len(beside[vertex]) for vertex in moved}
        if rightmost:
            moved.reverse()
        moved.sort(key=lambda vertex: middle[vertex])
        after = iter(moved)
        row[:] = [next(after) if beside[vertex] else vertex for vertex in row]
        for index, vertex in enumerate(row):
            place[vertex] = index


def _exchange(rows: Rows) -> None:
    """Exchange two neighbours wherever their edges then cross less, until that gains nothing more."""
    place = rows.place()
    gains = True
    while gains:  # ends: each exchange lessens the number of crossings
        gains = False
        for row in rows.rows:
            for index in range(len(row) - 1):
                left, right = row[index], row[index + 1]
                if _pair(rows, place, left, right) > _pair(rows, place, right, left):
                    row[index], row[index + 1] = right, left
                    place[left], place[right] = index + 1, index
                    gains = True


def _pair(rows: Rows, place: list[int], left: int, right: int) -> int:
    """How often the edges of two vertices cross, the one left of the other."""
    return sum(
        place[one] > place[other] for beside in (rows.up, rows.down) for one in beside[left] for other in beside[right]
    )


def _all_crossings(rows: Rows) -> int:
    """How often edges cross: the inversions of their lower ends, read by their upper ends."""
    place, total = rows.place(), 0
    for row in rows.rows:
        seen: list[int] = []
        for vertex in row:
            ends = sorted(place[below] for below in rows.down[vertex])
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
