"""Answers to approvals in PostgreSQL: each is given once, and announced to who waits for it.

Who executes or watches a run looks for its answers several times a second. What was read of such a run is kept until
its next answer is announced, so that looking costs the server nothing.
"""

import threading
from collections.abc import Callable
from typing import Any

from pydantic_core import to_json

from agentkit.store import Answer
from agentkit.stores.postgres.connections import Connections

_GIVE = """
WITH given AS (
  INSERT INTO answers (run_id, approval_id, answer) VALUES (%s::uuid, %s, %s::json)
  ON CONFLICT DO NOTHING RETURNING run_id
)
SELECT pg_notify(%s, CAST(run_id AS text)) FROM given
"""


class Answers:
    """The answers of a log.

    Args:
        connections: to the server.
        channel: what answers are announced on.
        hears: says whether every announcement reaches this process now.
    """

    def __init__(self, connections: Connections, channel: str, hears: Callable[[], bool]) -> None:
        self._connections = connections
        self._channel = channel
        self._hears = hears
        self._lock = threading.Lock()
        self._kept: dict[str, dict[str, Answer]] = {}
        self._heard = 0  # announcements, of whatever run

    def give(self, run_id: str, approval_id: str, answer: Answer) -> Answer:
        """Put an answer, once; the one that counts."""
        self._connections.execute(_GIVE, [run_id, approval_id, to_json(answer).decode(), self._channel])
        rows = self._connections.execute(
            "SELECT answer FROM answers WHERE run_id = %s AND approval_id = %s", [run_id, approval_id]
        )
        return Answer.model_validate_json(rows[0][0])

    def of(self, run_id: str, *, keep: bool) -> dict[str, Answer]:
        """Every answer of a run.

        Args:
            run_id: the run.
            keep: this process executes or watches it, and will ask again.
        """
        with self._lock:
            kept = self._kept.get(run_id)
            heard = self._heard
        if kept is not None and self._hears():
            return dict(kept)
        rows: list[tuple[Any, ...]] = self._connections.execute(
            "SELECT approval_id, answer FROM answers WHERE run_id = %s", [run_id]
        )
        found = {approval_id: Answer.model_validate_json(given) for approval_id, given in rows}
        with self._lock:
            if keep and self._hears() and heard == self._heard:  # else one may have come after the look
                self._kept[run_id] = found
        return dict(found)

    def forget(self, run_id: str | None) -> None:
        """Something was answered for a run; None: perhaps for any."""
        with self._lock:
            self._heard += 1
            if run_id is None:
                self._kept.clear()
            else:
                self._kept.pop(run_id, None)
