"""The part of a large graph that a person can read: what was called most, and the ways that were taken most."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from agentkit.graph.way import Place
from agentkit.picture import Edge, Graph, Node

MOST_NODES = 24
"""Nodes that are drawn; the rarest of more of them are one."""
MOST_EDGES = 40
"""Edges that are drawn, besides those without which a node would hang in the air."""


def few(graph: Graph) -> Graph:
    """A graph with the most telling of its nodes and edges, which says what it leaves out.

    Args:
        graph: the graph of an agent's run.

    Returns:
        The graph itself where it is small.
    """
    graph = _fewer_nodes(graph)
    if len(graph.edges) <= MOST_EDGES:
        return graph
    kept = _telling(graph.edges)
    left = len(graph.edges) - len(kept)
    edges = tuple(edge for edge in graph.edges if edge in kept)
    return replace(graph, edges=edges, said=f"{graph.said}, {left:,} rare ways are not drawn")


def _telling(edges: Sequence[Edge]) -> set[Edge]:
    """By which each node was first come to, and most often left; then those most often taken."""
    into: dict[str, Edge] = {}
    out: dict[str, Edge] = {}
    for edge in edges:
        into.setdefault(edge.target, edge)
        best = out.get(edge.source)
        out[edge.source] = edge if best is None or (edge.count or 0) > (best.count or 0) else best
    kept = {*into.values(), *out.values()}
    for edge in sorted(edges, key=lambda one: one.count or 0, reverse=True):
        if len(kept) >= MOST_EDGES:
            break
        kept.add(edge)
    return kept


def _fewer_nodes(graph: Graph) -> Graph:
    ends = [node for node in graph.nodes if node.is_round]
    inner = [node for node in graph.nodes if not node.is_round]
    if len(inner) <= MOST_NODES:
        return graph
    often = sorted(inner, key=lambda node: (node.status == "failed", node.calls or 1), reverse=True)
    rare = {node.name for node in often[MOST_NODES - 1 :]}
    more = _as_one([node for node in inner if node.name in rare])
    nodes = dict.fromkeys(more if node.name in rare else node for node in inner)  # where the first of them was
    return replace(graph, nodes=(*ends[:1], *nodes, *ends[1:]), edges=tuple(_joined(graph.edges, rare, more.name)))


def _as_one(nodes: Sequence[Node]) -> Node:
    times = [node.seconds for node in nodes if node.seconds is not None]
    costs = [node.cost_usd for node in nodes if node.cost_usd is not None]
    return Node(
        Place("more", "more").name,
        "step",
        label=f"{len(nodes)} more",
        status="failed" if all(node.status == "failed" for node in nodes) else "succeeded",
        calls=sum(node.calls or 1 for node in nodes),
        failed_items=sum(node.failed_items for node in nodes),
        seconds=sum(times) if times else None,
        cost_usd=sum(costs) if costs else None,
        note=", ".join(node.called for node in nodes),
    )


def _joined(edges: Sequence[Edge], rare: set[str], name: str) -> list[Edge]:
    """The edges with those of the rare nodes at the one that stands for them."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for edge in edges:
        ends = (name if edge.source in rare else edge.source, name if edge.target in rare else edge.target)
        of = counts.setdefault(ends, Counter())
        of.update(count=edge.count or 0, failed=edge.failed, beside=edge.beside)
    return [Edge(*ends, count=of["count"], failed=of["failed"], beside=of["beside"]) for ends, of in counts.items()]
