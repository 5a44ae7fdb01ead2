"""The picture as text that mermaid draws: for a README, a pull request, a wiki."""

import re
from itertools import pairwise

from agentkit.picture.graph import MARKS, Edge, Graph, Node, edges_of, facts, linked, shown
from agentkit.picture.style import LIGHT, STATUSES

_PLAIN = frozenset(" ,[]·…→←✓✗▸↻»")
"""What stands for itself in a label, with letters and digits."""

_INSIDE = frozenset("_-.")
"""What stands for itself between two letters; elsewhere Markdown could take it for emphasis or a list."""


_FRAMES = {
    **dict.fromkeys(("input", "start", "end"), ("([", "])")),
    "agent": ("[[", "]]"),
    "person": ("{{", "}}"),
}
"""What stands around a label, by the kind of the node."""


def mermaid(graph: Graph) -> str:
    """The picture as a mermaid flowchart, top to bottom; of a run, with each node's status as its colour and a sign.

    Args:
        graph: a pipeline, or a run of one.

    Returns:
        Text for a block of the language "mermaid". Mermaid draws at most 500 edges by default.

    Example:
        >>> print(mermaid(Graph("triage", (Node("ticket", "input"), Node("facts", "step", "Facts")), ())))
        flowchart TD
            n0(["ticket"])
            n1["facts<br>Facts"]
    """
    nodes, links = linked(graph)
    lines = ["flowchart TD"]
    lines += [f"    n{place}{_shape(node)}" for place, node in enumerate(nodes)]
    edges = edges_of(graph, links)
    lines += [f"    n{link[0]} {_arrow(edge)} n{link[1]}" for link, edge in zip(links, edges, strict=True)]
    if failed := [f"{place}" for place, edge in enumerate(edges) if edge.is_failure]:
        lines.append(f"    linkStyle {','.join(failed)} stroke:{LIGHT['failed']}")
    return "\n".join(lines + _colours(nodes))


def _arrow(edge: Edge) -> str:
    """A condition's is dotted; one that is counted is drawn through, and thick where it was taken again and again."""
    label = _words(shown(edge.words.strip(), 16))
    if edge.count is None:
        return f'-. "{label}" .->' if label else "-->"
    line, head = ("==", "==>") if edge.count > 1 else ("--", "-->")
    return f'{line} "{label}" {head}' if label else head


def _shape(node: Node) -> str:
    sign = f"{MARKS.get(node.status, '·')} " if node.status is not None else ""
    said = [
        shown(node.called, 40) or "(no name)",
        shown(node.type, 40),
        ", ".join(shown(mark, 22) for mark in node.marks[:8]),
    ]
    said += [" · ".join(facts(node)), shown(node.note, 80)]
    label = "<br>".join(_words(one) for one in said if one)
    left, right = _FRAMES.get(node.kind, ("[", "]"))
    return f'{left}"{sign}{label}"{right}'


def _words(text: str) -> str:
    """Words of a label: whatever could mean something to mermaid, to Markdown or to HTML is written as its number."""
    around = [" ", *text, " "]
    kept = (
        char if char in _PLAIN or char.isalnum() or (char in _INSIDE and before.isalnum() and after.isalnum()) else None
        for (before, char), (_, after) in pairwise(pairwise(around))
    )
    label = "".join(one or f"#{ord(char)};" for one, char in zip(kept, text, strict=True))
    return re.sub("(direction) ", r"\1#32;", label)  # "direction LR" is an order to mermaid inside quotes too


def _colours(nodes: list[Node]) -> list[str]:
    """A class for each status that there is: words and borders in its colour, on paper that is light everywhere."""
    lines: list[str] = []
    for status in STATUSES:
        if having := [f"n{place}" for place, node in enumerate(nodes) if node.status == status]:
            colour = LIGHT[status]
            dashes = ",stroke-dasharray:4 3" if status in {"pending", "skipped"} else ""
            lines.append(f"    classDef {status} fill:{LIGHT['fill']},stroke:{colour},color:{colour}{dashes}")
            lines.append(f"    class {','.join(having)} {status}")
    return lines
