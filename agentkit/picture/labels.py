"""Where the words at edges stand: on their edge, near its end, and on none of the others."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from agentkit.picture.layout import LOOP, Point, Route

HEIGHT = 11.0
"""Pixels that a label takes, with its letters' descenders."""

_LETTER = 6.4  # pixels, about, of a letter of 10 pixels
_TRIED = (0.5, 0.36, 0.64, 0.24, 0.76, 0.15, 0.85)
"""Places along a bow that are tried, as parts of it: the middle first."""

Label = tuple[Point, float]
"""The middle of a label's baseline, and its width, pixels."""


def width_of_label(text: str) -> float:
    """The room that a label takes, pixels."""
    return len(text) * _LETTER


def labelled(routes: Sequence[tuple[Route, str]], width: float) -> list[Label]:
    """Places for labels, none on another where there is room.

    Args:
        routes: the edges that have a label, each with it.
        width: of the picture, pixels.

    Returns:
        One place a label, in their order.
    """
    taken: list[Label] = []
    for route, text in routes:
        wide = width_of_label(text)
        places = [(_inside(point, wide / 2, width), wide) for point in _places(route)]
        free = (one for one in places if not any(_touch(one, other) for other in taken))
        taken.append(next(free, places[0]))
    return taken


def _places(route: Route) -> Iterator[Point]:
    """Points of an edge, those first where it is its own and no longer a shared line's."""
    if route.loop:
        (x, low), (_, high) = route.points
        yield x + LOOP * 0.9, (low + high) / 2 + 3.5
        return
    pieces = [(start, end) for start, end in pairwise(route.points) if start[1] != end[1]]
    bows = pieces if route.back else pieces[::-1]
    for start, end in [bows[0], *(one for one in bows[1:] if one[0][0] != one[1][0])]:
        for part in _TRIED:
            x, y = _along(start, end, part)
            yield x, y + 3.5


def _along(start: Point, end: Point, part: float) -> Point:
    """A point of a bow that leaves and arrives vertically."""
    middle = (start[1] + end[1]) / 2
    before, after = (1 - part) ** 3, part**3
    leaving, arriving = 3 * part * (1 - part) ** 2, 3 * part**2 * (1 - part)
    x = start[0] * (before + leaving) + end[0] * (after + arriving)
    return x, start[1] * before + middle * (leaving + arriving) + end[1] * after


def _inside(point: Point, half: float, width: float) -> Point:
    return min(max(point[0], half), max(half, width - half)), point[1]


def _touch(one: Label, other: Label) -> bool:
    (x, y), wide = one
    (at_x, at_y), at_wide = other
    return abs(x - at_x) < (wide + at_wide) / 2 and abs(y - at_y) < HEIGHT
