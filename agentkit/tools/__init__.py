"""What a model may call: typed functions, agents, a question to a person; and what would hinder it there."""

from agentkit.tools.function import NAME, TRANSIENT, Options, Tool, check_approve, tool

__all__ = ["NAME", "TRANSIENT", "Options", "Tool", "check_approve", "tool"]
