"""What a person thought of a run, as a score in Langfuse: one a run, whatever is changed about it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from pydantic_core import from_json, to_json

from agentkit.events import Event, Graded, iso
from agentkit.export.content import Content
from agentkit.export.ids import trace_id
from agentkit.export.post import Packet, Post
from agentkit.export.recorded import Recorded
from agentkit.export.replies import Reply
from agentkit.export.targets import Target
from agentkit.ids import digest
from agentkit.store import Exported, Store

NAME = "grade"
PATH = "/api/public/scores"


def grades_key(target: Target) -> str:
    """What the ledger calls the grades that were sent to a target: a run is graded after it was sent."""
    return f"{target.key} grades"


_GRADED = """
SELECT CAST(run_id AS VARCHAR), max(seq) FROM events
WHERE type = 'graded' AND (CAST($since AS TIMESTAMPTZ) IS NULL OR ts >= $since) GROUP BY run_id
"""


def newly_graded(store: Store, target: Target, since: datetime | None = None) -> set[str]:
    """The runs with a grade that Langfuse does not have yet: they may have been sent long before.

    Args:
        store: the log.
        target: where to; any other system is sent no grades.
        since: only those graded at that time or later, UTC.
    """
    if target.name != "langfuse":
        return set()
    known = store.exports.read(grades_key(target))
    rows = [(str(run_id), seq) for run_id, seq in store.query(_GRADED, {"since": since})]
    return {run_id for run_id, seq in rows if _is_behind(known.get(run_id), seq)}


def _is_behind(line: Exported | None, seq: int) -> bool:
    return line is None or line.events < seq or line.status == "failed"


class Grades:
    """Sends the grades of runs that are sent to Langfuse, those given since included.

    Args:
        store: the log, whose ledger remembers which were acknowledged.
        target: where to.
        post: makes the requests.
        again: also those that were sent before.
    """

    def __init__(self, store: Store, target: Target, post: Post, *, again: bool) -> None:
        self._store = store
        self._target = target
        self._post = post
        self._again = again
        self._waiting: list[Recorded] = []

    def see(self, recorded: Recorded) -> None:
        """Remember a run that was graded."""
        if recorded.grades and self._target.name == "langfuse":
            self._waiting.append(recorded)

    def send(self) -> Reply | None:
        """Send what is not acknowledged yet; the answer of a server that is down, None where there is none.

        Raises:
            LogUnwritable: what was acknowledged cannot be recorded.
        """
        if not self._waiting:
            return None
        key = grades_key(self._target)
        known = self._store.exports.read(key)
        waiting, self._waiting = self._waiting, []
        for recorded in waiting:
            before, newest = known.get(recorded.run_id), recorded.grades[-1].seq
            if self._again or _is_behind(before, newest):
                reply = self._send(recorded, key, newest)
                if reply.meaning in {"later", "closed"}:
                    return reply
        return None

    def _send(self, recorded: Recorded, key: str, newest: int) -> Reply:
        body = to_json(scores(recorded.grades, format(trace_id(recorded.root), "032x"), self._target.content))
        url = self._target.url.partition("/api/public/")[0] + PATH
        reply = _read(self._post.send(Packet(url, body, "application/json", spans=0, compressed=False)))
        now, taken = datetime.now(UTC), reply.meaning == "taken"
        status = "sent" if taken else "failed" if reply.meaning in {"later", "closed"} else "refused"
        line = Exported(
            target=key,
            run_id=recorded.run_id,
            status=status,
            recorded_at=now,
            acknowledged_at=now if taken else None,
            events=newest,
            ended=True,
            size=len(body),
            http_status=reply.http_status,
            attempts=1,
            error=None if taken else reply.message,
        )
        self._store.exports.write([line])
        return reply


def _read(reply: Reply) -> Reply:
    """An answer that counts what was accepted: it is a 207 where anything was not."""
    try:
        told: Any = from_json(reply.body) if reply.http_status == 207 else None
    except ValueError:
        return reply
    if not isinstance(told, dict) or not cast("dict[str, Any]", told).get("rejected"):
        return reply
    errors: list[dict[str, Any]] = cast("dict[str, Any]", told).get("errors") or []
    return Reply("refused", 207, "; ".join(str(error.get("message", error)) for error in errors) or "rejected")


def scores(grades: Sequence[Event], trace: str, content: Content) -> list[dict[str, Any]]:
    """The body of the request that records a run's grade; empty where it has none.

    A score with the same id and the same time takes the place of the one before: so whoever sends it twice, or grades
    a run again, leaves one. The time is that of the first grade.

    Args:
        grades: the run's `graded` events, in order.
        trace: the id of the run's spans, 32 hex digits.
        content: how much of the reason leaves.

    Returns:
        What is posted to `PATH`, JSON.
    """
    bodies = [event.body for event in grades if isinstance(event.body, Graded)]
    if not bodies:
        return []
    first, last = grades[0], bodies[-1]
    why = content.text(last.why)
    score: dict[str, Any] = {
        "id": digest(["agentkit", "grade", first.run_id])[:32],
        "traceId": trace,
        "name": NAME,
        "value": last.verdict,
        "dataType": "CATEGORICAL",
        "timestamp": iso(first.ts),
        "metadata": {"agentkit.run.id": first.run_id, **({"who": last.who} if last.who else {})},
    }
    return [score if why is None else {**score, "comment": why}]
