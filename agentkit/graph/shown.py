"""A graph that shows itself."""

from dataclasses import dataclass
from html import escape
from typing import Any

from agentkit.picture import Graph, mermaid, svg, text
from agentkit.text import inert


@dataclass(frozen=True, repr=False)
class Picture:
    """A graph that shows itself: as SVG in a notebook, as text in a terminal.

    Args:
        graph: what it shows.
        problems: what keeps the pipeline from running.
    """

    graph: Graph
    problems: tuple[str, ...] = ()

    def svg(self) -> str:
        """The picture as one self-contained `<svg>`."""
        return svg(self.graph)

    def mermaid(self) -> str:
        """The picture as a mermaid flowchart, for a README."""
        return mermaid(self.graph)

    def __str__(self) -> str:
        wrong = "".join(f"\n✗ {inert(problem)}" for problem in self.problems)
        return text(self.graph) + wrong

    __repr__ = __str__

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        wrong = "".join(f"<li>{escape(inert(problem))}</li>" for problem in self.problems)
        listed = f"<p>This pipeline cannot run:</p><ul>{wrong}</ul>" if wrong else ""
        return {"text/plain": str(self), "text/html": self.svg() + listed}
