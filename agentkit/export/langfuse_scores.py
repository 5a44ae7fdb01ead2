"""What a person thought of a run, as a score in Langfuse: one a run, whatever is changed about it."""

from collections.abc import Sequence
from typing import Any

from agentkit.events import Event, Graded, iso
from agentkit.ids import digest

NAME = "grade"
PATH = "/api/public/scores"


def scores(events: Sequence[Event], trace_id: str, *, content: bool = True) -> list[dict[str, Any]]:
    """The body of the request that records a run's grade; empty where it has none.

    A score with the same id and the same time takes the place of the one before: so whoever sends it twice, or grades
    a run again, leaves one. The time is that of the first grade.

    Args:
        events: the run's, in order.
        trace_id: of the run's spans, 32 hex digits.
        content: False leaves out why.

    Returns:
        What is posted to `PATH`, JSON.
    """
    graded = [event for event in events if isinstance(event.body, Graded)]
    if not graded:
        return []
    last = graded[-1].body
    assert isinstance(last, Graded), "it was chosen by its type"
    score: dict[str, Any] = {
        "id": digest(["agentkit", "grade", graded[0].run_id])[:32],
        "traceId": trace_id,
        "name": NAME,
        "value": last.verdict,
        "dataType": "CATEGORICAL",
        "timestamp": iso(graded[0].ts),
        "metadata": {"agentkit.run.id": graded[0].run_id, **({"who": last.who} if last.who else {})},
    }
    return [{**score, "comment": last.why} if content and last.why else score]
