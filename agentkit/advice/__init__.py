"""Advice that only a log can give: what an agent's recorded runs say of its tools, with the SQL that shows it."""

from agentkit.advice import flow, tools
from agentkit.advice.asking import Asking
from agentkit.advice.insight import Advice, Insight, Readiness
from agentkit.advice.queries import RUNS
from agentkit.advice.readiness import readiness
from agentkit.agent import Agent
from agentkit.errors import ConfigError
from agentkit.log import Log, open_log

__all__ = ["Advice", "Insight", "Readiness", "advise"]

FEW = tools.ENOUGH_RUNS
"""Runs below which most of what could be said is left unsaid."""


def advise(agent: Agent, *, log: "Log | str | None" = None, newest: int = 1000) -> Advice:
    """Say what an agent's runs show of it: how it settles, and which of its tools could be better.

    Nothing is said of what was seen too seldom, and every share is given with its 95% interval.

    Args:
        agent: the agent.
        log: where its runs are, or its URL; `ak.open_log()` when left out.
        newest: so many of its runs are looked at, the newest.

    Returns:
        The advice: it prints, shows itself in a notebook, and is a list of insights, each with its `sql`, the
        `parameters` of that and the `rows` that it gave.

    Raises:
        ConfigError: it is no agent, or `newest` is below 1.
        LogError: the log cannot be used.

    Example:
        >>> from agentkit.testing import ScriptedModel
        >>> advise(Agent("quiet", ScriptedModel([])), log="memory:")
        no run of quiet is in this log: there is nothing to say yet
    """
    if not isinstance(agent, Agent):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"advise looks at an agent's runs; {agent!r} is none (it is a {type(agent).__name__})")
    if newest < 1:
        raise ConfigError(f"newest={newest}; give how many runs to look at, 1 or more")
    asking = Asking(log if isinstance(log, Log) else open_log(log), agent.definition, newest)
    (count,) = asking.rows(RUNS)[0]
    if not count:
        return Advice(agent.definition.name, 0, None, ())
    insights = [found for rule in (*flow.RULES, *tools.RULES) for found in rule(asking)]
    unsaid = f"{FEW} runs and more say more" if count < FEW else None
    return Advice(agent.definition.name, count, readiness(asking), insights, unsaid)
