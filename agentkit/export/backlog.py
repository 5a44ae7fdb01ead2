"""Which recorded runs are still to be sent to a target."""

from datetime import datetime

from agentkit.export.delivery import is_over
from agentkit.export.langfuse_scores import newly_graded
from agentkit.export.targets import Target
from agentkit.store import Store

_ENDED = """
SELECT CAST(s.run_id AS VARCHAR) FROM events s JOIN events e ON e.run_id = s.run_id
WHERE s.type = 'run_started' AND s.parent_run_id IS NULL
  AND e.type IN ('run_succeeded', 'run_failed', 'run_cancelled')
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR e.ts >= $since)
ORDER BY s.run_id
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
    graded = newly_graded(store, target, since)
    return [run_id for run_id in chosen if run_id in graded or not is_over(known.get(run_id))]
