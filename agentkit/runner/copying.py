"""Copies of recorded runs in another log: a team's, for runs that began in a notebook's own.

Only what has ended is copied. A run that waits or executes would be in two places, and each could do its next write.
"""

from collections.abc import Iterable

from agentkit.errors import LogError
from agentkit.events import Event, RunStarted, StepStarted, ToolStarted
from agentkit.store import Store

_ENDED = ("run_succeeded", "run_failed", "run_cancelled")


def copy_run(source: Store, target: Store, run_id: str, done: set[str]) -> int:
    """Copy a run with the runs that it called and the one that it begins with; what is there already is not sent again.

    Args:
        source: the log it is in.
        target: where to.
        run_id: the run.
        done: the runs that this copy has come across, which are not looked at once more.

    Returns:
        How many runs were new in the target, or had new events.

    Raises:
        LogError: one has not ended, or the target has another run of that id.
    """
    if run_id in done:
        return 0
    done.add(run_id)
    events = source.read(run_id)
    if not any(event.type in _ENDED for event in events):
        raise LogError(f"run {run_id} has not ended, and a copy could do its next step too: let it end, or cancel it")
    copied = sum(copy_run(source, target, other, done) for other in _needed(source, events))
    return copied + _copy(target, run_id, events)


def _needed(source: Store, events: Iterable[Event]) -> list[str]:
    """The runs that these events refer to; a child that never began is nowhere."""
    found: list[str | None] = []
    for event in events:
        body = event.body
        if isinstance(body, RunStarted) and body.origin is not None:
            found.append(body.origin.run_id)
        elif isinstance(body, ToolStarted | StepStarted):
            found.append(body.child_run_id)
    return [run_id for run_id in dict.fromkeys(found) if run_id is not None and source.read(run_id, until=1)]


def _copy(target: Store, run_id: str, events: list[Event]) -> bool:
    """Append what the target does not have of a run. Whether there was something."""
    there = target.read(run_id)
    if there != events[: len(there)]:
        raise LogError(f"the log {target.url} has another run {run_id}: nothing of it was copied")
    if len(there) == len(events):
        return False
    claim = target.claim(run_id)
    try:
        if claim.head != len(there):
            raise LogError(f"run {run_id} was changed in {target.url} while it was copied; copy it again")
        target.append(claim, events[claim.head :]).result()
    finally:
        target.release(claim)
    return True
