"""Which edges share a line: those that one node gives to many, or that many give to one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.picture.graph import Link

_INTO = 4
"""So many edges into one node, over more than a row each, are easier to follow as one line than each alone."""


@dataclass(frozen=True, slots=True)
class Lined:
    """An edge by its ends, and the line that it shares.

    Args:
        upper: the node it is drawn from.
        lower: the node further down that it is drawn to.
        line: what has the same line goes the same way until it branches off, or from where it joins.
        leave: what has the same of these leaves its upper node at the same place.
        arrive: what has the same of these arrives at its lower node at the same place.
    """

    upper: int
    lower: int
    line: str
    leave: str
    arrive: str


def lined(links: Sequence[Link], row: Sequence[int]) -> list[Lined]:
    """Edges with their lines: all of one line come from one node, or lead to one, so none can be mistaken.

    Args:
        links: upper node, lower node and label of each edge, which is what only like edges share.
        row: the row of each node.
    """
    long = [row[lower] - row[upper] > 1 for upper, lower, _ in links]
    out_of = Counter((upper, label) for (upper, _, label), far in zip(links, long, strict=True) if far)
    into = Counter((lower, label) for (_, lower, label), far in zip(links, long, strict=True) if far)
    found: list[Lined] = []
    for (upper, lower, label), far in zip(links, long, strict=True):
        joins = far and into[lower, label] >= _INTO and into[lower, label] > out_of[upper, label]
        line = f"to {lower} {label}" if joins else f"from {upper} {label}"
        leave = f"joins {lower} {label}" if joins and out_of[upper, label] > 1 else label
        found.append(Lined(upper, lower, line, leave, line if joins else f"from {upper} {label}"))
    return found
