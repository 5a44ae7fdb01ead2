"""The picture as SVG: one element that needs nothing else, and can do nothing.

No script, no link, no id that another picture on the page could have too. It says what it is to a screen reader, and
each node's tooltip has the whole of what its box has no room for.
"""

from agentkit.picture.boxes import SMALL, content, width_of
from agentkit.picture.graph import Edge, Graph, Link, Node, edges_of, linked, passage, shown, summary, whole
from agentkit.picture.labels import labelled
from agentkit.picture.layout import Layout, layout
from agentkit.picture.levels import falling
from agentkit.picture.shapes import Drawn, box_shape, edge_label, edge_shape, number, safe, words
from agentkit.picture.style import CLASS, SHEET

_MARGIN, _HEADER = 18.0, 62.0  # pixels around it all, and from the top to the first row

_SPOKEN = 40
"""So many nodes are described to a screen reader; a longer description nobody listens to."""


_MOST = 6000
"""Nodes and edges that are still drawn, in 3 seconds at most; nobody reads that many."""


def svg(graph: Graph) -> str:
    """The picture as one self-contained `<svg>` element, top to bottom, in light and in dark.

    Args:
        graph: a pipeline, or a run of one.

    Returns:
        XML without a declaration, fit to stand in HTML or to be saved as a file.

    Example:
        >>> svg(Graph("triage", (Node("facts", "step"),), ()))[:4]
        '<svg'
    """
    nodes, links = linked(graph)
    said = shown(graph.said, 120) or summary(graph.nodes)
    if len(nodes) + len(links) > _MOST:
        nodes, links, said = [], [], f"{said}, too many for a picture: as text they can be read"
    edges = edges_of(graph, links)
    contents = [content(node) for node in nodes]
    falls = falling(len(nodes), links, edges)
    where = layout([(one.width, one.height) for one in contents], ways(links, edges), falls, *ends(nodes))
    title = shown(graph.name, 60)
    wide = max(where.width, width_of(title, 16), width_of(said, SMALL))
    said_at = [(route, shown(edge.words, 16)) for route, edge in zip(where.routes, edges, strict=True)]
    labels = [one for one in said_at if one[1]]
    parts = [
        *_head(
            f"{title}: {said}", _description(nodes, links, edges), wide + 2 * _MARGIN, where.height + _HEADER + _MARGIN
        ),
        words("title", title, _MARGIN, 29, width_of(title, 16)),
        words("sum", said, _MARGIN, 45, width_of(said, SMALL)),
        f'<g transform="translate({number(_MARGIN + (wide - where.width) / 2)} {number(_HEADER)})">',
        *_edges(where, nodes, links, edges),
        *(box_shape(*one) for one in zip(nodes, where.boxes, contents, strict=True)),
        *(edge_label(text, at) for (_, text), at in zip(labels, labelled(labels, where.width), strict=True)),
        "</g>\n</svg>",
    ]
    return "\n".join(parts)


def _head(title: str, description: str, width: float, height: float) -> list[str]:
    """The element's beginning, what it is called, its style, and the page it stands on.

    The two further classes keep MathJax, which notebooks run over what they show, from reading dollars as formulas.
    """
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{CLASS} mathjax_ignore tex2jax_ignore" role="img" {size}>',
        f"<title>{safe(title)}</title>",
        f"<desc>{safe(description)}</desc>",
        f"<style>\n{SHEET}</style>",
        f'<rect class="page" width="{number(width)}" height="{number(height)}" rx="8"/>',
    ]


def ends(nodes: list[Node]) -> tuple[set[int], set[int]]:
    """The places of the nodes that belong at the top: inputs, or where a run began; and of those at the bottom.

    Args:
        nodes: a graph's nodes.
    """
    first = {place for place, node in enumerate(nodes) if node.kind in {"input", "start"}}
    return first, {place for place, node in enumerate(nodes) if node.kind == "end"}


def ways(links: list[Link], edges: list[Edge]) -> list[Link]:
    """The links as they are laid out: those that are counted share no line, for each has its own number.

    Args:
        links: a graph's links.
        edges: their edges.
    """
    both = enumerate(zip(links, edges, strict=True))
    return [link if edge.count is None else (*link[:2], f"{place}") for place, (link, edge) in both]


def _edges(where: Layout, nodes: list[Node], links: list[Link], edges: list[Edge]) -> list[str]:
    """Each edge, with what it joins as its tooltip."""
    drawn: Drawn = set()
    most = max((edge.count or 0 for edge in edges), default=0)
    return [
        edge_shape(route, edge, passage(nodes, link, edge), drawn, most)
        for route, link, edge in zip(where.routes, links, edges, strict=True)
    ]


def _description(nodes: list[Node], links: list[Link], edges: list[Edge]) -> str:
    """The graph in words: each node, and what it needs, or came after."""
    needs: dict[int, list[str]] = {}
    for (source, target, _), edge in zip(links, edges, strict=True):
        name = shown(nodes[source].called, 40)
        word = f"{shown(edge.words, 16)} " if edge.count is None and edge.words else ""
        needs.setdefault(target, []).append(f"{word}{name}")
    verb = "comes after" if any(edge.count is not None for edge in edges) else "needs"
    said = [
        "; ".join(whole(node).split("\n")) + (f"; {verb} {', '.join(needs[place][:12])}" if place in needs else "")
        for place, node in enumerate(nodes[:_SPOKEN])
    ]
    more = [f"and {len(nodes) - _SPOKEN} more"] if len(nodes) > _SPOKEN else []
    return ". ".join(shown(one, 300) for one in said + more)
