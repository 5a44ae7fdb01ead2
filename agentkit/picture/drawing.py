"""The picture as SVG: one element that needs nothing else, and can do nothing.

No script, no link, no id that another picture on the page could have too. It says what it is to a screen reader, and
each node's tooltip has the whole of what its box has no room for.
"""

from agentkit.picture.boxes import SMALL, content, width_of
from agentkit.picture.graph import Graph, Link, Node, linked, shown, summary, whole
from agentkit.picture.layout import Layout, layout
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
    said = summary(graph.nodes)
    if len(nodes) + len(links) > _MOST:
        nodes, links, said = [], [], f"{said}, too many for a picture: as text they can be read"
    contents = [content(node) for node in nodes]
    inputs = {place for place, node in enumerate(nodes) if node.kind == "input"}
    where = layout([(one.width, one.height) for one in contents], links, inputs)
    title = shown(graph.name, 60)
    wide = max(where.width, width_of(title, 16), width_of(said, SMALL))
    labels = zip(where.routes, links, strict=True)
    parts = [
        *_head(f"{title}: {said}", _description(nodes, links), wide + 2 * _MARGIN, where.height + _HEADER + _MARGIN),
        words("title", title, _MARGIN, 29, width_of(title, 16)),
        words("sum", said, _MARGIN, 45, width_of(said, SMALL)),
        f'<g transform="translate({number(_MARGIN + (wide - where.width) / 2)} {number(_HEADER)})">',
        *_edges(where, nodes, links),
        *(box_shape(*one) for one in zip(nodes, where.boxes, contents, strict=True)),
        *(edge_label(route, link[2], where.width) for route, link in labels if link[2]),
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


def _edges(where: Layout, nodes: list[Node], links: list[Link]) -> list[str]:
    """Each edge, with what it joins as its tooltip."""
    drawn: Drawn = set()
    return [
        edge_shape(route, label, f"{shown(nodes[source].name, 80)} → {shown(nodes[target].name, 80)}", drawn)
        for route, (source, target, label) in zip(where.routes, links, strict=True)
    ]


def _description(nodes: list[Node], links: list[Link]) -> str:
    """The graph in words: each node, and what it needs."""
    needs: dict[int, list[str]] = {}
    for source, target, label in links:
        word = f"{shown(label, 16)} " if label else ""
        needs.setdefault(target, []).append(f"{word}{shown(nodes[source].name, 40)}")
    said = [
        "; ".join(whole(node).split("\n")) + (f"; needs {', '.join(needs[place][:12])}" if place in needs else "")
        for place, node in enumerate(nodes[:_SPOKEN])
    ]
    more = [f"and {len(nodes) - _SPOKEN} more"] if len(nodes) > _SPOKEN else []
    return ". ".join(shown(one, 300) for one in said + more)
