"""Results of steps that another run, or another item, already has: found by what went in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from agentkit.definition import StepDefinition
from agentkit.events import StepSucceeded
from agentkit.ids import digest
from agentkit.runner.recorder import now
from agentkit.runner.threads import threads
from agentkit.store import Store

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation

_Place: TypeAlias = tuple[str, int, datetime]  # the run, the seq of its event, when

_QUERY = """\
SELECT body->>'cache_key', CAST(run_id AS VARCHAR), seq, ts FROM events
WHERE type = 'step_succeeded' AND name = $name AND body->>'cache_key' IS NOT NULL ORDER BY ts"""


@dataclass(frozen=True)
class Found:
    """A result, and the run whose it is."""

    result: Any  # JSON
    run_id: str


def key_of(step: StepDefinition, input_sha256: str) -> str:
    """What a result is found by: the step's source and what it uses, its schema, and its arguments.

    Returns:
        32 hex digits.
    """
    return digest([step.name, step.tool.source_sha256, step.tool.schema.parameters, input_sha256])[:32]


async def find(act: "Activation", step: StepDefinition, path: str) -> Found | None:
    """An earlier result of a step for the same arguments; None where there is none that is young enough.

    The log is asked once an activation; what others find out meanwhile is computed here once more.
    """
    if path in act.state.again or step.name in act.state.again:
        return None  # somebody wants it done again
    store = act.recorder.store
    if step.name not in act.cached:
        act.cached[step.name] = await threads.run(lambda: _places(store, step.name))
    place = act.cached[step.name].get(key_of(step, act.state.calls[path].input_sha256))
    if place is None:
        return None
    run_id, seq, ended = place
    if step.cache is not True and now() - ended > timedelta(seconds=step.cache):
        return None
    return await threads.run(lambda: _read(store, run_id, seq))


def _places(store: Store, name: str) -> dict[str, _Place]:
    return {key: (run_id, seq, ended) for key, run_id, seq, ended in store.query(_QUERY, {"name": name})}


def _read(store: Store, run_id: str, seq: int) -> Found | None:
    """The event itself; None where it was removed meanwhile."""
    events = store.read(run_id, after=seq - 1, until=seq)
    body = events[0].body if events else None
    return Found(body.result, run_id) if isinstance(body, StepSucceeded) else None
