"""Recorded runs of an agent, as far as promotion needs them: the input, the calls with their results, the output."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from pydantic_core import from_json

from agentkit.definition import AgentDefinition
from agentkit.log import Log
from agentkit.rows import Rows

_WANTED = (
    "run_started",
    "model_responded",
    "model_failed",
    "tool_started",
    "tool_succeeded",
    "tool_failed",
    "approval_requested",
    "approval_answered",
    "graded",
    "run_succeeded",
    "run_failed",
    "run_cancelled",
)


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call that succeeded.

    Args:
        name: the tool's.
        arguments: what the agent asked for: where a person edited a call, what it was before; JSON.
        ran: what ran; JSON.
        result: JSON.
        writes: whether the tool changes something.
        turn: which of the model's answers asked for it, from 1: calls of one answer have no order among themselves.
        tries: how often it was tried.
    """

    name: str
    arguments: Mapping[str, Any]  # JSON
    ran: Mapping[str, Any]  # JSON
    result: Any  # JSON
    writes: bool
    turn: int
    tries: int = 1

    @property
    def edited(self) -> frozenset[str]:
        """The arguments that a person changed."""
        return frozenset(name for name in self.ran if self.ran[name] != self.arguments.get(name))


@dataclass(slots=True)
class Trace:
    """One recorded run.

    Args:
        run_id: the run.
        input: what the user gave; JSON.
        calls: those that succeeded, in the order in which they began.
        output: what it ended with; JSON.
        status: how it ended; None where it has not.
        grade: "good", "bad" or None.
        definition: the digest of the agent's definition.
        model_calls: attempts at model calls.
        cost_usd: of its model calls; None where one's price is unknown.
        seconds: from its start to its end.
        trouble: why it is no example, where it is none.
    """

    run_id: str
    input: Any = None  # JSON
    calls: list[RecordedCall] = field(default_factory=list[RecordedCall])
    output: Any = None  # JSON
    status: str | None = None
    grade: str | None = None
    definition: str = ""
    model_calls: int = 0
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    trouble: str | None = None


def read_traces(log: Log, agent: AgentDefinition, run_ids: Iterable[str] | None) -> list[Trace]:
    """Read an agent's runs from the log, in one query.

    Args:
        log: where they are.
        agent: whose runs.
        run_ids: only these; all of the agent's where None.

    Returns:
        A trace for each, in the order in which they began; `trouble` says which are no examples.
    """
    wanted = ", ".join(f"'{kind}'" for kind in _WANTED)
    chosen = None if run_ids is None else list(run_ids)
    rows = log.sql(
        "SELECT CAST(run_id AS VARCHAR) AS run_id, seq, ts, type, step, attempt, name, cost_usd, approval_id, body "  # noqa: S608
        f"FROM events WHERE type IN ({wanted}) AND run_id IN (SELECT run_id FROM events WHERE type = 'run_started' "
        "AND name = $name AND (body->>'kind') = 'agent' "
        "AND (CAST($chosen AS VARCHAR[]) IS NULL OR CAST(run_id AS VARCHAR) IN (SELECT unnest($chosen)))) "
        "ORDER BY run_id, seq",
        name=agent.name,
        chosen=chosen,
    )
    return [_trace(log, agent, run_id, events) for run_id, events in _by_run(rows)]


def _by_run(rows: Rows) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    events: list[dict[str, Any]] = []
    for row in rows:
        event = dict(zip(rows.columns, row, strict=True))
        if events and events[0]["run_id"] != event["run_id"]:
            yield events[0]["run_id"], events
            events = []
        events.append(event)
    if events:
        yield events[0]["run_id"], events


def _trace(log: Log, agent: AgentDefinition, run_id: str, events: list[dict[str, Any]]) -> Trace:
    reader = _Reader(agent, Trace(run_id))
    whole: dict[int, Any] = {}
    for event in events:
        body = from_json(event["body"]) if isinstance(event["body"], str) else event["body"]
        if "$blob" in body:  # a large one, kept in a file
            whole = whole or {one.seq: one.body for one in log.store.read(run_id)}
            body = whole[event["seq"]].model_dump(mode="json")
        getattr(reader, event["type"])(event, body)
    return reader.trace


class _Reader:
    """Makes a trace of a run's events, one method a type."""

    def __init__(self, agent: AgentDefinition, trace: Trace) -> None:
        self.trace = trace
        self._agent = agent
        self._began: dict[str, dict[str, Any]] = {}  # step → what ran
        self._order: list[str] = []
        self._asked: dict[str, Any] = {}  # step → what the agent asked for, where a person was asked
        self._turns: dict[str, int] = {}
        self._done: dict[str, RecordedCall] = {}
        self._started: datetime | None = None

    def run_started(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        self._started = event["ts"]
        self.trace.input = body.get("input")
        self.trace.definition = body.get("definition_sha256", "")
        if body.get("origin"):
            self.trace.trouble = (
                "it is a fork of another run" if body["origin"]["kind"] == "fork" else "it goes on with another run"
            )

    def model_responded(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        del body
        trace = self.trace
        trace.model_calls += 1
        cost = event["cost_usd"]
        trace.cost_usd = None if cost is None or trace.cost_usd is None else trace.cost_usd + cost

    model_failed = model_responded

    def tool_started(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        step = event["step"]
        if step not in self._began:
            self._order.append(step)
            self._turns[step] = self.trace.model_calls
        self._began[step] = cast("dict[str, Any]", body["arguments"])

    def tool_succeeded(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        step, name = event["step"], event["name"]
        tool = self._agent.tools.get(name)
        ran = self._began.get(step, {})
        self._done[step] = RecordedCall(
            name=name,
            arguments=self._asked.get(step, ran),
            ran=ran,
            result=body.get("result"),
            writes=tool is not None and tool.writes,
            turn=self._turns.get(step, 0),
            tries=event["attempt"] or 1,
        )

    def tool_failed(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        if body.get("retrying") or body.get("reask"):
            return
        if body.get("rejected"):
            self.trace.trouble = f"a person rejected {event['name']}"
        elif body.get("effect") == "unknown" or body.get("in_doubt"):
            self.trace.trouble = f"nobody knows what {event['name']} did"

    def approval_requested(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        if body.get("kind") == "call":
            self._asked[event["step"]] = body.get("arguments")
        elif body.get("kind") in {"in_doubt", "loop"}:
            self.trace.trouble = f"a person had to decide what became of {event['step'] or 'it'}"

    def approval_answered(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        pass

    def graded(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        del event
        self.trace.grade = body["verdict"]

    def run_succeeded(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        self._end("succeeded", event)
        self.trace.output = body.get("output")
        self.trace.calls = [self._done[step] for step in self._order if step in self._done]

    def run_failed(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        del body
        self._end("failed", event)

    def run_cancelled(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        del body
        self._end("cancelled", event)

    def _end(self, status: str, event: Mapping[str, Any]) -> None:
        self.trace.status = status
        if self._started is not None:
            self.trace.seconds = (event["ts"] - self._started).total_seconds()
