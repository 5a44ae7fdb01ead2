"""Which row a node stands in: below all that it needs, in rows that a page can show."""

from collections.abc import Collection, Iterable, Sequence
from heapq import heappop, heappush

from agentkit.picture.graph import Edge, Link

ROW = 7
"""So many nodes stand side by side; more than that make another row, for a page is only so wide."""


def downward(count: int, pairs: Iterable[tuple[int, int]]) -> list[bool]:
    """Which edges point down; the others close a cycle, or lead from a node to itself.

    Args:
        count: how many nodes there are.
        pairs: source and target of each edge.

    Returns:
        One answer an edge. Without the edges that are False there is no cycle.
    """
    pairs = list(pairs)
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in pairs:
        below[source].append(target)
    entered, left = [0] * count, [0] * count
    clock = 0
    for root in range(count):
        if entered[root]:
            continue
        clock = entered[root] = clock + 1
        path = [(root, iter(below[root]))]
        while path:  # depth first, without Python's own stack: a chain of a thousand steps is one path
            node, targets = path[-1]
            fresh = next((target for target in targets if not entered[target]), None)
            clock += 1
            if fresh is None:
                left[node] = clock
                path.pop()
            else:
                entered[fresh] = clock
                path.append((fresh, iter(below[fresh])))
    return [left[target] < left[source] for source, target in pairs]


def falling(count: int, links: Sequence[Link], edges: Sequence[Edge]) -> list[bool]:
    """Which links point down: what is needed by what; or, in a run, to where it had not been before.

    Args:
        count: how many nodes there are, in a run in the order in which it first came to them.
        links: the links between them.
        edges: the edges of the links.
    """
    if any(edge.count is not None for edge in edges):
        return [source < target for source, target, _ in links]
    return downward(count, [link[:2] for link in links])


def levels(count: int, pairs: list[tuple[int, int]], first: set[int], last: Collection[int] = ()) -> list[int]:
    """The row of each node, from 0 at the top: the longest path to it, unless its row is full.

    Args:
        count: how many nodes there are.
        pairs: source and target of each edge; no cycle.
        first: the nodes that stand at the top where nothing is above them: a pipeline's inputs.
        last: the node that stands at the bottom where nothing is below it: the end of a run.

    Returns:
        A row a node; none has more than `ROW` nodes, each edge leads to a row further down.
    """
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in pairs:
        below[source].append(target)
        above[target].append(source)
    order = topological(count, pairs)
    row, used = [0] * count, dict[int, int]()
    for node in sorted(order, key=lambda node: node not in first):
        if node in first and not above[node]:
            row[node] = _free(0, used)
    for node in order:
        if node not in first or above[node]:
            row[node] = _free(max((row[source] + 1 for source in above[node]), default=0), used)
    for node in reversed(order):  # what needs nothing stands right above what needs it, not far away at the top
        if below[node] and not above[node] and node not in first:
            near = min(row[target] for target in below[node]) - 1
            if near > row[node] and used.get(near, 0) < ROW:
                used[row[node]] -= 1
                used[near] = used.get(near, 0) + 1
                row[node] = near
    bottom = max(row, default=0) + 1
    return _dense([bottom if node in last and not below[node] else at for node, at in enumerate(row)])


def topological(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    """The nodes, each after all it needs; of those that could come next the first defined.

    Args:
        count: how many nodes there are.
        pairs: source and target of each edge; no cycle.

    Example:
        >>> topological(3, [(2, 0), (0, 1)])
        [2, 0, 1]
    """
    waits = [0] * count
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in pairs:
        waits[target] += 1
        below[source].append(target)
    ready = [node for node in range(count) if not waits[node]]
    order: list[int] = []
    while ready:
        order.append(node := heappop(ready))
        for target in below[node]:
            waits[target] -= 1
            if not waits[target]:
                heappush(ready, target)
    return order


def _free(row: int, used: dict[int, int]) -> int:
    """The first row from that one on with a place, which it takes."""
    while used.get(row, 0) >= ROW:
        row += 1
    used[row] = used.get(row, 0) + 1
    return row


def _dense(row: list[int]) -> list[int]:
    """The same rows without empty ones between them."""
    number = {old: new for new, old in enumerate(sorted(set(row)))}
    return [number[old] for old in row]
