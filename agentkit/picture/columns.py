"""How far to the right each vertex stands: lines as straight as they can be, nothing on anything else.

Brandes and Köpf, "Fast and simple horizontal coordinate assignment" (2001), with the compaction as a longest path over
blocks. Four layouts, each aligned to one corner, and of the four the middle: an order that all of them keep, with the
distances that all of them keep, is kept by their middle too.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from agentkit.picture.order import MANY, Rows

Apart = Callable[[int, int], float]
"""How far the centres of two neighbours in a row have to be from each other."""


def centres(rows: Rows, apart: Apart) -> list[float]:
    """The centre of each vertex; the leftmost is at 0.

    Args:
        rows: the vertices, sorted.
        apart: the least distance of two neighbours' centres, in pixels.

    Returns:
        One coordinate a vertex, in pixels.
    """
    if not rows.row:
        return []
    crossed = _conflicts(rows)
    layouts = [
        _one_layout(rows, crossed, apart, upwards=upwards, leftwards=leftwards)
        for upwards in (False, True)
        for leftwards in (False, True)
    ]
    widths = [max(layout) - min(layout) for layout in layouts]
    narrow = layouts[widths.index(min(widths))]
    low, high = min(narrow), max(narrow)
    for index, layout in enumerate(layouts):  # each flush with the narrowest, on the side it is aligned to
        shift = low - min(layout) if index % 2 == 0 else high - max(layout)
        layouts[index] = [x + shift for x in layout]
    middle = [sum(sorted(four)[1:3]) / 2 for four in zip(*layouts, strict=True)]
    least = min(middle)
    return [x - least for x in middle]


def _one_layout(
    rows: Rows, crossed: set[tuple[int, int]], apart: Apart, *, upwards: bool, leftwards: bool
) -> list[float]:
    """The layout that leans to one corner, made as if it were the upper left one."""
    order = [list(reversed(row)) if leftwards else row for row in rows.rows]
    if upwards:
        order.reverse()
    ahead, behind = (rows.down, rows.up) if upwards else (rows.up, rows.down)
    beside = [_straight(rows, vertex, around, behind) for vertex, around in enumerate(ahead)]
    block = _blocks(order, beside, crossed)
    x = _compact(order, block, apart)
    return [-one for one in x] if leftwards else x


def _straight(rows: Rows, vertex: int, around: list[int], behind: list[list[int]]) -> list[int]:
    """What a vertex may stand right below: a long edge goes on straight, whatever branches off or joins."""

    def passages(of: list[int]) -> list[int]:
        return [one for one in of if one >= rows.nodes]

    if vertex >= rows.nodes:
        return passages(around) or around
    return [one for one in around if one < rows.nodes or not passages(behind[one])]


def _conflicts(rows: Rows) -> set[tuple[int, int]]:
    """The joints that give way: they cross a long edge, whose straightness the eye follows."""
    place = rows.place()
    if len(place) > MANY:
        return set()
    crossed: set[tuple[int, int]] = set()
    for row in rows.rows:
        joints = [(place[above], place[below], above, below) for above in row for below in rows.down[above]]
        inner = [joint for joint in joints if joint[2] >= rows.nodes and joint[3] >= rows.nodes]
        crossed |= {
            (above, below)
            for top, bottom, above, below in joints
            if above < rows.nodes or below < rows.nodes
            for other_top, other_bottom, _, _ in inner
            if (top - other_top) * (bottom - other_bottom) < 0
        }
    return crossed


def _blocks(order: list[list[int]], beside: list[list[int]], crossed: set[tuple[int, int]]) -> list[int]:
    """Vertices that stand exactly below one another, named by the first of them: each with its middle neighbour."""
    place = {vertex: index for row in order for index, vertex in enumerate(row)}
    block = list(range(len(place)))
    taken: set[int] = set()
    for row in order:
        reached = -1
        for vertex in row:
            around = sorted(beside[vertex], key=lambda one: place[one])
            last = len(around) - 1
            for one in around[last // 2 : last // 2 + 1 + last % 2]:
                free = block[vertex] == vertex and one not in taken and reached < place[one]
                if free and (vertex, one) not in crossed and (one, vertex) not in crossed:
                    block[vertex] = block[one]
                    taken.add(one)
                    reached = place[one]
    return block


def _compact(order: list[list[int]], block: list[int], apart: Apart) -> list[float]:
    """Each block as far left as its neighbours let it, then as near to the block at its right as it can be."""
    gaps: dict[int, dict[int, float]] = {one: {} for one in block}
    waits = dict.fromkeys(gaps, 0)
    for row in order:
        for left, right in pairwise(row):
            one, other = block[left], block[right]
            waits[other] += other not in gaps[one]
            gaps[one][other] = max(gaps[one].get(other, 0.0), apart(left, right))
    x = dict.fromkeys(gaps, 0.0)
    ready = [one for one, count in waits.items() if not count]
    done: list[int] = []
    while ready:
        done.append(one := ready.pop())
        for other, gap in gaps[one].items():
            x[other] = max(x[other], x[one] + gap)
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    for one in reversed(done):
        x[one] = max(x[one], min((x[other] - gap for other, gap in gaps[one].items()), default=x[one]))
    return [x[one] for one in block]


def spread(wanted: Sequence[tuple[float, float]], gap: float, low: float, high: float) -> list[float]:
    """Places on a line in the given order, each near where it wants to be, none nearer to another than the gap.

    Args:
        wanted: where each wants to be, and how much.
        gap: the least distance, in pixels; less where the line has no room for it.
        low: where the line begins.
        high: where it ends.

    Returns:
        The places that lie nearest to what is wanted, by weighted least squares.

    Example:
        >>> spread([(50, 1), (50, 1), (50, 1)], 10, 0, 100)
        [40.0, 50.0, 60.0]
    """
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    groups: list[tuple[float, float, int]] = []  # what its members want, less their distance in it; weight; how many
    for index, (want, weight) in enumerate(wanted):
        total, heavy, count = (want - index * gap) * weight, weight, 1
        while groups and groups[-1][0] / groups[-1][1] >= total / heavy:
            before = groups.pop()
            total, heavy, count = total + before[0], heavy + before[1], count + before[2]
        groups.append((total, heavy, count))
    flat = [total / heavy for total, heavy, count in groups for _ in range(count)]
    top = max(low, high - gap * (len(wanted) - 1))
    return [min(max(base, low), top) + index * gap for index, base in enumerate(flat)]
