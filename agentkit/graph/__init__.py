"""A pipeline, or a run, as a graph to be drawn: of what is defined, or of what the log recorded."""

from agentkit.graph.pipeline import of_pipeline
from agentkit.graph.run import of_run
from agentkit.graph.shown import Picture

__all__ = ["Picture", "of_pipeline", "of_run"]
