"""The picture of a pipeline, or of a run: plain SVG, mermaid's text, or lines for a terminal.

A pipeline's edges say what needs what. An agent's run has none before it ran: its edges say what came after what, and
how often.

Pure functions of a `Graph`: the same graph gives the same bytes. Nothing in it is trusted and nothing of it is run. A
graph that is wrong (a cycle, an edge to nowhere, a name twice) is drawn all the same, for that is when it is looked at.
"""

from agentkit.picture.drawing import svg
from agentkit.picture.flowchart import mermaid
from agentkit.picture.graph import Edge, Graph, Node
from agentkit.picture.lines import text

__all__ = ["Edge", "Graph", "Node", "mermaid", "svg", "text"]
