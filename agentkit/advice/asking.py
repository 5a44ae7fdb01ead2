"""Asking a log about one agent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.advice.insight import Insight
from agentkit.advice.queries import FIELD
from agentkit.definition import AgentDefinition, ToolSpec
from agentkit.log import Log
from agentkit.rows import Rows


@dataclass(frozen=True)
class Asking:
    """What the rules ask, and of whom.

    Args:
        log: the log.
        definition: the agent.
        newest: how many of its runs are looked at.
    """

    log: Log
    definition: AgentDefinition
    newest: int

    @property
    def tools(self) -> Mapping[str, ToolSpec]:
        """The agent's tools, by name."""
        return self.definition.tools

    @property
    def writes(self) -> list[str]:
        """The names of those that change something."""
        return [name for name, tool in self.tools.items() if tool.writes and FIELD.fullmatch(name)]

    @property
    def parameters(self) -> dict[str, Any]:
        """What every query is given."""
        return {"agent": self.definition.name, "newest": self.newest}

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """What the log answers."""
        return self.log.sql(sql, **(self.parameters if parameters is None else parameters))

    def insight(
        self,
        rule: str,
        tool: str,
        message: str,
        sql: str,
        rows: Rows,
        about: Sequence[tuple[Any, ...]],
        parameters: Mapping[str, Any] | None = None,
    ) -> Insight:
        """What one query says of one tool."""
        given = self.parameters if parameters is None else parameters
        return Insight(rule, tool, message, sql, given, Rows(rows.columns, about, rows.note))
