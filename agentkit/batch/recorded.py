"""What the log holds of earlier calls with the same items."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from agentkit.definition import Definition
from agentkit.events import RunStarted
from agentkit.jsonvalue import JsonValue
from agentkit.messages import Usage
from agentkit.store import Store

_CHUNK = 500  # runs whose outputs are in memory at one time

_BEGUN = """
SELECT run_id, CASE WHEN CAST(body AS VARCHAR) LIKE '{"$blob"%' THEN NULL ELSE ((body->'config')->'map')->>'item' END
  AS item
FROM events WHERE type = 'run_started' AND name = $name AND (CAST(body AS VARCHAR) LIKE '{"$blob"%'
  OR (body->>'definition_sha256' = $sha256 AND ((body->'config')->'map')->>'item' IS NOT NULL))
"""
_BELOW = "CAST(sum(CAST((body->'child_usage')->>'{0}' AS {1})) AS {1}) AS below_{0}"
_SUMS = ("input_tokens", "output_tokens", "model_calls", "tool_calls")
_FIND = f"""
WITH begun AS ({_BEGUN}), failed AS (
  SELECT run_id, (body->'error')->>'type' AS error_type FROM events WHERE type = 'run_failed'
), below AS (
  SELECT run_id, {", ".join(_BELOW.format(name, "BIGINT") for name in _SUMS)},
    {_BELOW.format("cost_usd", "DOUBLE PRECISION")},
    sum(CASE WHEN (body->'child_usage')->>'cost_usd' IS NULL THEN 1 ELSE 0 END) AS unpriced
  FROM events WHERE type IN ('step_succeeded', 'step_failed', 'tool_succeeded', 'tool_failed')
    AND (body->'child_usage')->>'model_calls' IS NOT NULL GROUP BY run_id
), submitted AS (
  SELECT DISTINCT run_id, TRUE AS is_submitted FROM events
  WHERE type IN ('run_started', 'run_resumed') AND name = $name AND body->>'submitted' = 'true'
)
SELECT CAST(run_id AS VARCHAR), item, coalesce(is_submitted, FALSE), status, error_type, error, duration_ms,
  {", ".join(f"{name} + coalesce(below_{name}, 0)" for name in _SUMS)},
  CASE WHEN coalesce(unpriced, 0) = 0 THEN cost_usd + coalesce(below_cost_usd, 0) END
FROM begun JOIN runs USING (run_id) LEFT JOIN failed USING (run_id) LEFT JOIN below USING (run_id)
  LEFT JOIN submitted USING (run_id)
ORDER BY run_id
"""  # noqa: S608  constants of this module


@dataclass(frozen=True, slots=True)
class Recorded:
    """The newest run of an item.

    Args:
        run_id: the run.
        status: as it was last recorded.
        error: why it failed.
        seconds: how long it took; None where it has not ended.
        usage: what it used, its child runs too; cached tokens are not among it.
        submitted: it was left to the log's workers.
    """

    run_id: str
    status: str
    error: str | None
    seconds: float | None
    usage: Usage
    submitted: bool

    @property
    def ended(self) -> bool:
        """Whether it succeeded, failed or was cancelled."""
        return self.status in {"succeeded", "failed", "cancelled"}


def find_recorded(store: Store, definition: Definition) -> dict[str, Recorded]:
    """The newest run of each item that was ever begun with this definition, by the item's key.

    Raises:
        LogError: the log cannot be read.
    """
    of_it = {"name": definition.name, "sha256": definition.sha256}
    if not store.query(f"{_BEGUN} LIMIT 1", of_it):  # a look at the beginnings is cheap, however large the log
        return {}
    rows = store.query(_FIND, of_it)
    found: dict[str, Recorded] = {}
    for run_id, key, submitted, status, error_type, error, duration, *used in rows:  # oldest first: the newest stays
        known, here = (key, submitted) if key else _of_large(store, run_id, definition.sha256)
        if known is not None:
            usage = Usage(**dict(zip((*_SUMS, "cost_usd"), used, strict=True)))
            said = f"{error_type}: {error}" if status == "failed" else None
            seconds = None if duration is None else duration / 1000
            found[known] = Recorded(run_id, status, said, seconds, usage, submitted or here)
    return found


def _of_large(store: Store, run_id: str, sha256: str) -> tuple[str | None, bool]:
    """Key of a run whose input is so large that it is in a file, where no query looks; and whether it was submitted."""
    started = first_event(store, run_id)
    key = started.config.get("map", {}).get("item") if started.definition_sha256 == sha256 else None
    return key, started.submitted


def first_event(store: Store, run_id: str) -> RunStarted:
    """How a run began."""
    body = store.read(run_id, until=1)[0].body
    assert isinstance(body, RunStarted), "a run's first event is run_started"
    return body


def read_outputs(store: Store, run_ids: Iterable[str]) -> Iterator[tuple[str, JsonValue]]:
    """The outputs of runs that succeeded, a few hundred at a time.

    Args:
        store: the log.
        run_ids: the runs; ids as the log gave them.
    """
    chunk: list[str] = []
    for run_id in run_ids:
        chunk.append(run_id)
        if len(chunk) == _CHUNK:
            yield from _outputs(store, chunk)
            chunk = []
    if chunk:
        yield from _outputs(store, chunk)


def _outputs(store: Store, run_ids: Sequence[str]) -> Iterator[tuple[str, JsonValue]]:
    listed = ", ".join(f"'{run_id}'" for run_id in run_ids)
    bodies = dict(
        store.query(
            "SELECT CAST(run_id AS VARCHAR), CAST(body AS VARCHAR) FROM events "  # noqa: S608  ids hold hex digits
            f"WHERE type = 'run_succeeded' AND run_id IN ({listed})",
            {},
        ).rows
    )
    for run_id in run_ids:
        body: Mapping[str, Any] = from_json(bodies[run_id]) if run_id in bodies else {}
        if "$blob" in body:
            body = store.read(run_id)[-1].body.model_dump()
        yield run_id, body.get("output")
