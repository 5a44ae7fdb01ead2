"""The picture in words, for a terminal: a line a node, each below all it needs."""

from collections.abc import Iterable

from agentkit.picture.graph import MARKS, Edge, Graph, Link, Node, edges_of, facts, linked, shown, summary
from agentkit.picture.levels import falling, topological
from agentkit.text import columns_of, cut

_NARROWEST = 32
"""Columns of a line that still has room for words beside the names."""


_INDENT = " " * 6

_MARKS = 8
"""So many of a node's marks are shown."""


def text(graph: Graph, width: int = 100) -> str:
    """The picture as lines: each node, what it gives, what became of it, and what it needs.

    Args:
        graph: a pipeline, or a run of one.
        width: columns of a line, at least 32.

    Returns:
        Lines that are no wider, in an order in which the steps can run.

    Example:
        >>> from agentkit.picture import Edge
        >>> nodes = (Node("ticket", "input", "Ticket"), Node("facts", "step", "Facts", ("agent",)))
        >>> print(text(Graph("triage", nodes, (Edge("ticket", "facts"),))))
        triage: 1 step
          ticket  Ticket  (input)
          facts   Facts   ← ticket  [agent]
    """
    width = max(width, _NARROWEST)
    nodes, links = linked(graph)
    edges = edges_of(graph, links)
    falls = falling(len(nodes), links, edges)
    order = topological(len(nodes), [link[:2] for link, down in zip(links, falls, strict=True) if down])
    needs = _needs(nodes, links, falls, edges)
    ran = any(node.status is not None for node in nodes)
    signs = [f"  {_sign(node)} " if ran else "  " for node in nodes]
    heads = _table([[shown(node.called, width // 4) or "(no name)", shown(node.type, width // 5)] for node in nodes])
    became = [" · ".join(facts(node)) for node in nodes]
    wide = _table([[head, one] for head, one in zip(heads, became, strict=True)])
    if wide and columns_of(wide[0]) <= width * 2 // 3:  # in columns where there is room for them
        heads, became = wide, [""] * len(nodes)
    said = [f"{one}," for one in (shown(graph.said, 120) or summary(graph.nodes)).split(", ")]
    lines = _filled(f"{shown(graph.name, width // 2)}:", [*said[:-1], said[-1][:-1]], width, indent="    ")
    for place in order:
        lines += _filled(f"{signs[place]}{heads[place]} ", [became[place], *_tail(nodes[place], needs[place])], width)
        if nodes[place].note:
            lines.append(cut(f"{_INDENT}{shown(nodes[place].note, width)}", width))
    return "\n".join(lines)


def _sign(node: Node) -> str:
    return MARKS.get(node.status, "·") if node.status is not None else " "


def _table(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell; a column without words is left out."""
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_padded(cell, wide) for cell, wide in zip(row, widths, strict=True) if wide) for row in rows]


def _padded(cell: str, columns: int) -> str:
    return cell + " " * (columns - columns_of(cell))


def _needs(nodes: list[Node], links: list[Link], falls: list[bool], edges: list[Edge]) -> list[list[str]]:
    """Of each node the names of those it needs, conditions last; or of those that it came after, and how often."""
    needs: list[list[str]] = [[] for _ in nodes]
    every = sorted(zip(links, falls, edges, strict=True), key=lambda each: bool(each[0][2]))
    for (source, target, label), down, edge in every:
        name = shown(nodes[source].called, 40)
        if edge.count is None:
            word = f"{shown(label, 16)} " if label else ""
            needs[target].append(f"{word}{name}{'' if down else ' (a cycle)'}")
        else:
            again = "" if down or source == target else " (again)"
            needs[target].append(f"{'itself' if source == target else name} {edge.words}".rstrip() + again)
    return needs


def _tail(node: Node, needs: list[str]) -> Iterable[str]:
    """What fills the rest of the line, in pieces that are not broken."""
    if node.kind == "input":
        yield "(input)"
    for index, need in enumerate(needs):
        yield f"{'' if index else '← '}{need}{',' if index < len(needs) - 1 else ''}"
    if node.marks:
        yield f" [{', '.join(shown(mark, 22) for mark in node.marks[:_MARKS])}{', …' * (len(node.marks) > _MARKS)}]"


def _filled(head: str, pieces: Iterable[str], width: int, *, indent: str = "") -> list[str]:
    """The head and the pieces on as few lines as they fit on, further ones indented, else to below the first piece."""
    start = columns_of(head) + 1
    beside = width - start >= width // 4
    indent = indent or (" " * start if beside else _INDENT)
    lines, line = ([], head) if beside else ([head], "")
    for piece in filter(None, pieces):
        if line and columns_of(line) + 1 + columns_of(piece) > width:
            lines.append(line)
            line = ""
        line = f"{line} {piece}" if line else f"{indent}{piece.lstrip()}"
    return [cut(one.rstrip(), width) for one in [*lines, line] if one]
