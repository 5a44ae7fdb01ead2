"""Which recorded runs are still to be sent to a target."""

from datetime import datetime

from agentkit.export.delivery import TRIES
from agentkit.export.langfuse_scores import grades_key
from agentkit.export.targets import Target
from agentkit.store import Exported, Store

_ENDED = """
SELECT CAST(s.run_id AS VARCHAR) FROM events s JOIN events e ON e.run_id = s.run_id
WHERE s.type = 'run_started' AND s.parent_run_id IS NULL
  AND e.type IN ('run_succeeded', 'run_failed', 'run_cancelled')
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR e.ts >= $since)
ORDER BY s.run_id
"""

_GRADED = """
SELECT CAST(run_id AS VARCHAR), max(seq) FROM events
WHERE type = 'graded' AND (CAST($since AS TIMESTAMPTZ) IS NULL OR ts >= $since) GROUP BY run_id
"""


def backlog(store: Store, target: Target, *, since: datetime | None = None, again: bool = False) -> list[str]:
    """The runs that ended, were called by no other, and are not acknowledged yet.

    Args:
        store: the log.
        target: where to.
        since: only those that ended at that time or later, UTC.
        again: those that were sent or refused before, too.

    Returns:
        Their ids, the oldest first.
    """
    ended = [str(run_id) for (run_id,) in store.query(_ENDED, {"since": since})]
    chosen = [run_id for run_id in ended if target.samples(run_id)]
    if again:
        return chosen
    known = store.exports.read(target.key)
    graded = _newly_graded(store, target, since)
    return [run_id for run_id in chosen if run_id in graded or not _is_over(known.get(run_id))]


def _newly_graded(store: Store, target: Target, since: datetime | None) -> set[str]:
    """The runs with a grade that Langfuse does not have yet: they may have been sent long before."""
    if target.name != "langfuse":
        return set()
    known = store.exports.read(grades_key(target))
    rows = [(str(run_id), seq) for run_id, seq in store.query(_GRADED, {"since": since})]
    return {run_id for run_id, seq in rows if (line := known.get(run_id)) is None or _is_behind(line, seq)}


def _is_behind(line: Exported, seq: int) -> bool:
    return line.events < seq or line.status == "failed"


def _is_over(line: Exported | None) -> bool:
    """Whether there is nothing more to send: what has ended stays as it is."""
    if line is None or not line.ended:
        return False
    return line.status in {"sent", "refused"} or (line.status == "partial" and line.attempts >= TRIES)
