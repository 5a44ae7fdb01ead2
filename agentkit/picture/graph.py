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
    """An input or a step; in an agent's run where it began, a tool, another agent, a person who was asked, its end.

    Args:
        name: its name, which edges refer to.
        kind: "input" or "step"; "start", "agent", "person" or "end".
        type: the value it gives, as text: "Ticket", "list[Label]".
        marks: short words for its options: "writes", "approve", "each tickets", "retry 5".
        status: in a run "pending", "running", "waiting", "asked", "succeeded", "failed", "rejected", "skipped" or
            "interrupted"; None in a definition.
        seconds: how long it took, or takes so far.
        cost_usd: what it cost; None where that is unknown, or nothing was paid for.
        items: of a fan-out, how many are done, and how many there are.
        failed_items: how many of those that are done failed.
        note: one line: an error, why it was skipped.
        label: what it is called in the picture, where that is not its name.
        calls: how often it was called, where that is counted; `failed_items` of them failed.
        told: more facts about it, a few words each: "2 approved", "3 retries".
    """

    name: str
    kind: Literal["input", "step", "start", "agent", "person", "end"]
    type: str = ""
    marks: tuple[str, ...] = ()
    status: str | None = None
    seconds: float | None = None
    cost_usd: float | None = None
    items: tuple[int, int] | None = None
    failed_items: int = 0
    note: str = ""
    label: str = ""
    calls: int | None = None
    told: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """What the picture calls it."""
        return self.label or self.name

    @property
    def is_round(self) -> bool:
        """Whether it is no work but where something comes from, or goes to."""
        return self.kind in {"input", "start", "end"}


@dataclass(frozen=True, slots=True)
class Edge:
    """One node needs another's value; or it came after the other.

    Args:
        source: the name of the node that gives it, or came before.
        target: the name of the node that needs it, or came after.
        label: "when" where a condition asks for it; "" where the step itself does.
        count: how often the one came after the other; None where nothing is counted: one needs the other.
        failed: how many of these times the first of the two had failed.
        beside: how many of these times the second was begun beside others, in one turn.
    """

    source: str
    target: str
    label: str = ""
    count: int | None = None
    failed: int = 0
    beside: int = 0

    @property
    def is_failure(self) -> bool:
        """Whether it was taken after a failure alone."""
        return self.count is not None and self.failed >= self.count

    @property
    def words(self) -> str:
        """What stands at it: its label, or how often it was taken, unless that was once."""
        if self.count is None:
            return self.label
        often = f"{self.count:,}x" if self.count > 1 else ""
        return f"∥ {often}".strip() if self.beside else often


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline, or one run of it; or the run of an agent.

    Args:
        name: the pipeline's, the agent's.
        nodes: in the order of their definition, or in that in which they were first come to.
        edges: what needs what, or what came after what.
        said: what is said of it all, instead of how many steps there are.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    said: str = ""


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


def edges_of(graph: Graph, links: Sequence[Link]) -> list[Edge]:
    """The edge of each link; of those that are drawn as one the first.

    Args:
        graph: a graph.
        links: as `linked` gives them.
    """
    found: dict[tuple[str, str, str], Edge] = {}
    for edge in graph.edges:
        found.setdefault((edge.source, edge.target, edge.label.strip()), edge)
    nodes = linked(graph)[0]
    return [found[nodes[source].name, nodes[target].name, label] for source, target, label in links]


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
    if node.calls is not None:
        found.append(f"{node.calls:,} call{'' if node.calls == 1 else 's'}")
    if node.failed_items:
        found.append(f"{node.failed_items:,} failed")
    found += [shown(one, 40) for one in node.told]
    if node.seconds is not None and math.isfinite(node.seconds):
        found.append(duration(max(0.0, node.seconds)))
    if node.cost_usd is not None and math.isfinite(node.cost_usd):
        found.append(dollars(node.cost_usd))
    return found


def whole(node: Node) -> str:
    """All that is known of a node, a line each; long texts cut where no screen shows them."""
    head = shown(node.called, 200) + (f": {shown(node.type, 400)}" if node.type else "")
    lines = [f"{head} ({node.kind})" if node.kind in {"input", "agent", "person"} else head]
    if node.marks:
        lines.append(", ".join(shown(mark, 80) for mark in node.marks))
    said = ["succeeded"] if node.status == "succeeded" else []
    if said := said + facts(node):
        lines.append(", ".join(said))
    if node.note:
        lines.append(shown(node.note, 600))
    return "\n".join(lines)


def passage(nodes: Sequence[Node], link: Link, edge: Edge) -> str:
    """All that is known of an edge, on a line.

    Args:
        nodes: the nodes of its graph.
        link: where it leads.
        edge: the edge.
    """
    line = f"{shown(nodes[link[0]].called, 80)} → {shown(nodes[link[1]].called, 80)}"
    if edge.count is None:
        return line
    said = ["once" if edge.count == 1 else f"{edge.count:,} times"]
    failure = "after a no" if nodes[link[0]].kind == "person" else "after it failed"
    said += [f"{edge.failed:,} {failure}"] if edge.failed else []
    said += [f"{edge.beside:,} with others in the same turn"] if edge.beside else []
    return f"{line}: {', '.join(said)}"


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
