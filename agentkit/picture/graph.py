"""What a picture shows: nodes, edges, and the words for them that every kind of picture uses."""

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agentkit.text import dollars, duration, one_line

MARKS = {
    "pending": "·",
    "succeeded": "✓",
    "running": "▸",
    "waiting": "↻",
    "asked": "?",
    "failed": "✗",
    "rejected": "✗",
    "skipped": "»",
    "interrupted": "!",
}
"""A status as one character, as a run's tree has it: colour is never the only sign."""

MISSING = "not defined"
"""What is said of a node that an edge names and nobody defined."""

_COMBINING = 3
"""So many marks on one letter any script needs; more of them only paint over what is beside."""


@dataclass(frozen=True, slots=True)
class Node:
    """An input or a step.

    Args:
        name: its name, which edges refer to.
        kind: "input", or "step".
        type: the value it gives, as text: "Ticket", "list[Label]".
        marks: short words for its options: "writes", "approve", "each tickets", "retry 5".
        status: in a run "pending", "running", "waiting", "asked", "succeeded", "failed", "rejected", "skipped" or
            "interrupted"; None in a definition.
        seconds: how long it took, or takes so far.
        cost_usd: what it cost; None where that is unknown, or nothing was paid for.
        items: of a fan-out, how many are done, and how many there are.
        failed_items: how many of those that are done failed.
        note: one line: an error, why it was skipped.
    """

    name: str
    kind: Literal["input", "step"]
    type: str = ""
    marks: tuple[str, ...] = ()
    status: str | None = None
    seconds: float | None = None
    cost_usd: float | None = None
    items: tuple[int, int] | None = None
    failed_items: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """One node needs another's value.

    Args:
        source: the name of the node that gives it.
        target: the name of the node that needs it.
        label: "when" where a condition asks for it; "" where the step itself does.
    """

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline, or one run of it.

    Args:
        name: the pipeline's.
        nodes: in the order of their definition.
        edges: what needs what.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


Link = tuple[int, int, str]
"""An edge by its nodes' places, and its label."""


def linked(graph: Graph) -> tuple[list[Node], list[Link]]:
    """Nodes and edges by place: what an edge names and nobody defined is a node too, an edge drawn twice is one.

    Args:
        graph: any graph; of nodes with one name, edges mean the first.

    Returns:
        The nodes, and the edges as places in that list.
    """
    nodes = list(graph.nodes)
    places: dict[str, int] = {}
    for place, node in enumerate(nodes):
        places.setdefault(node.name, place)
    for name in (name for edge in graph.edges for name in (edge.source, edge.target)):
        if name not in places:
            places[name] = len(nodes)
            nodes.append(Node(name, "step", note=MISSING))
    links = dict.fromkeys((places[edge.source], places[edge.target], edge.label.strip()) for edge in graph.edges)
    return nodes, list(links)


def shown(text: str, columns: int) -> str:
    """Untrusted words as they may stand in a picture: inert, on one line, cut, no tower of marks on a letter."""
    kept: list[str] = []
    marks = 0
    for char in one_line(text, columns):
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _COMBINING:
            kept.append(char)
    return "".join(kept)


def facts(node: Node) -> list[str]:
    """What became of a node, a few words each: its status unless it succeeded, how long it took, what it cost."""
    found: list[str] = []
    if node.status not in {None, "succeeded"}:
        found.append(shown(str(node.status), 20))
    if node.items is not None:
        found.append(f"{node.items[0]:,} of {node.items[1]:,}")
    if node.failed_items:
        found.append(f"{node.failed_items:,} failed")
    if node.seconds is not None and math.isfinite(node.seconds):
        found.append(duration(max(0.0, node.seconds)))
    if node.cost_usd is not None and math.isfinite(node.cost_usd):
        found.append(dollars(node.cost_usd))
    return found


def whole(node: Node) -> str:
    """All that is known of a node, a line each; long texts cut where no screen shows them."""
    head = shown(node.name, 200) + (f": {shown(node.type, 400)}" if node.type else "")
    lines = [f"{head} (input)" if node.kind == "input" else head]
    if node.marks:
        lines.append(", ".join(shown(mark, 80) for mark in node.marks))
    said = ["succeeded"] if node.status == "succeeded" else []
    if said := said + facts(node):
        lines.append(", ".join(said))
    if node.note:
        lines.append(shown(node.note, 600))
    return "\n".join(lines)


def summary(nodes: Sequence[Node]) -> str:
    """How many steps there are, and in a run how many have which status.

    Example:
        >>> from dataclasses import replace
        >>> step = Node("facts", "step")
        >>> summary([Node("ticket", "input"), step, replace(step, name="pay")])
        '2 steps'
        >>> summary([replace(step, status="succeeded"), replace(step, status="failed")])
        '2 steps: 1 succeeded, 1 failed'
    """
    steps = [node for node in nodes if node.kind == "step"]
    head = f"{len(steps) or 'no'} step{'' if len(steps) == 1 else 's'}"
    counts = Counter(shown(node.status, 20) for node in steps if node.status is not None)
    known = [*list(MARKS)[1:], "pending"]  # what is still to come is said last
    parts = [f"{counts[status]} {status}" for status in [*known, *sorted(set(counts) - set(known))] if counts[status]]
    return f"{head}: {', '.join(parts)}" if parts else head
