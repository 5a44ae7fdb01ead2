"""Advice on an agent, of what its recorded runs show."""

from typing import Annotated, Any

import typer

from agentkit.advice import Insight, Readiness
from agentkit.advice import advise as look_at
from agentkit.agent import Agent
from agentkit.cli import find
from agentkit.cli.options import AsJson, LogUrl, the_log
from agentkit.cli.screen import out
from agentkit.errors import ConfigError


def advise(
    name: Annotated[str, typer.Argument(help="The agent: module:name, or path/file.py:name.", show_default=False)],
    newest: Annotated[int, typer.Option(min=1, help="So many of its runs are looked at, the newest.")] = 1000,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Say what an agent's runs show of it and of its tools, with the SQL that shows it."""
    agent = find.definition_at(name)
    if not isinstance(agent, Agent):
        raise ConfigError(f"{name} is a pipeline; advise looks at an agent's runs")
    advice = look_at(agent, log=the_log(log), newest=newest)
    if not json:
        out(repr(advice))
        return
    ready = _said(advice.readiness) if advice.readiness is not None else None
    insights = [{"rule": one.rule, "tool": one.tool, **_said(one)} for one in advice]
    out({"agent": advice.agent, "runs": advice.runs, "readiness": ready, "insights": insights})


def _said(one: Insight | Readiness) -> dict[str, Any]:
    return {"message": one.message, "sql": one.sql, "parameters": dict(one.parameters), "rows": one.rows.dicts()}
