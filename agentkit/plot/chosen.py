"""Which events a picture is about: those of the runs of one name, those since a time."""

import difflib
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from agentkit.errors import ConfigError
from agentkit.log import Log

Since: TypeAlias = datetime | timedelta | None

CHOSEN = """(CAST($since AS TIMESTAMPTZ) IS NULL OR ts >= $since) AND (CAST($name AS VARCHAR) IS NULL OR run_id IN
  (SELECT run_id FROM events WHERE type = 'run_started' AND name = $name))"""
"""A condition on `events`, with the parameters that `parameters` gives."""


def parameters(name: str | None, since: Since) -> dict[str, Any]:
    """The values of that condition's parameters.

    Args:
        name: only runs of this agent or pipeline; those that it called have names of their own.
        since: only what happened after this time (UTC where it says no zone), or in this last stretch.
    """
    if isinstance(since, timedelta):
        since = datetime.now(UTC) - since
    elif since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return {"name": name, "since": since}


def nothing(log: Log, what: str, name: str | None, since: Since) -> str:
    """What an empty picture says.

    Raises:
        ConfigError: no run has that name; the message guesses which was meant.
    """
    if name is not None:
        rows = log.sql("SELECT DISTINCT name FROM events WHERE type = 'run_started' ORDER BY name")
        names = [str(row[0]) for row in rows]
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            known = f"did you mean {close[0]!r}?" if close else f"its runs are of: {', '.join(names[:20]) or 'nothing'}"
            raise ConfigError(f"no run of {name!r} in the log {log.url}; {known}")
    of = f" of {name}" if name is not None else ""
    return f"no {what}{of} in this log{' since then' if since is not None else ' yet'}"
