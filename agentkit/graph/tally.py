"""What became of a place over a whole run: how often it was come to, what failed there, what it took and cost."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from agentkit.graph.way import Place, Stop
from agentkit.picture import Node
from agentkit.state import Approval, CallStep, State

_VERDICTS = {
    "approve": "approved",
    "edit": "edited",
    "reject": "rejected",
    "answer": "answered",
    "happened": "happened",
    "did_not": "did not happen",
    "stop": "stopped",
    "expired": "expired",
    "withdrawn": "withdrawn",
}
_OPEN = ("asked", "running", "waiting", "interrupted", "pending")
"""The statuses of what has not ended, the most telling first."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and how a run is looked at.

    Args:
        time: now, UTC.
        over: whether nobody executes the run: what did not end was interrupted.
        child: gives the state of a child run.
    """

    time: datetime
    over: bool
    child: Callable[[str], State | None]


@dataclass(slots=True)
class Tally:
    """One place's."""

    place: Place
    moment: Moment
    calls: int = 0
    failed: int = 0
    retries: int = 0
    at_once: int = 1
    seconds: float | None = None
    cost: float | None = 0.0
    model_calls: int = 0
    is_agent: bool = False
    last: str = "pending"
    note: str = ""
    unfinished: Counter[str] = field(default_factory=Counter[str])
    verdicts: Counter[str] = field(default_factory=Counter[str])
    who: set[str] = field(default_factory=set[str])

    def add(self, stop: Stop) -> None:
        """Count a stop at it."""
        self.calls += 1
        self.failed += stop.failed
        if stop.asked is not None:
            self._ask(stop.asked)
        elif stop.call is not None:
            self._call(stop.call)
        else:
            self.last, self.note = "failed", stop.why

    def _ask(self, asked: Approval) -> None:
        until = asked.answered_at if asked.verdict is not None else self.moment.time
        self._took(asked.requested_at, until)
        if asked.verdict is None:
            self.unfinished["interrupted" if self.moment.over else "asked"] += 1
            return
        self.verdicts[_VERDICTS.get(asked.verdict, asked.verdict)] += 1
        self.last = "rejected" if asked.verdict in {"reject", "stop", "expired", "withdrawn"} else "succeeded"
        self.who |= {asked.who} if asked.who else set()
        self.note = asked.comment or self.note

    def _call(self, call: CallStep) -> None:
        self.retries += max(0, call.attempt - 1)
        self.is_agent = self.is_agent or call.child_run_id is not None
        self._pay(call)
        if call.error is not None:
            self.note = f"{call.error.type}: {call.error.message}"
        if call.status == "done":
            self._took(call.started, call.ended)
            self.last = {"ok": "succeeded", "rejected": "rejected"}.get(call.outcome or "", "failed")
            return
        self._took(call.started, None if self.moment.over else self.moment.time)
        self.unfinished[self._going_on(call)] += 1

    def _pay(self, call: CallStep) -> None:
        used = call.child_usage
        if used is not None:
            self.model_calls += used.model_calls
            self.cost = None if self.cost is None or used.cost_usd is None else self.cost + used.cost_usd

    def _took(self, started: datetime | None, ended: datetime | None) -> None:
        if started is not None and ended is not None:
            self.seconds = (self.seconds or 0.0) + max(0.0, (ended - started).total_seconds())

    def _going_on(self, call: CallStep) -> str:
        child = self.moment.child(call.child_run_id) if call.child_run_id is not None else None
        if child is not None and child.status == "paused":
            return "asked"
        if self.moment.over:
            return "interrupted" if call.attempt else "pending"
        known = {"running": "running", "stuck": "running", "interrupted": "interrupted", "parked": "asked"}
        return known.get(call.status, "waiting" if call.attempt else "pending")

    def node(self, marks: tuple[str, ...]) -> Node:
        """The place as it is drawn.

        Args:
            marks: what is special about it.
        """
        kind: Literal["agent", "step", "person"] = "agent" if self.is_agent else "step"
        is_person = self.place.kind == "person"
        often = (f"{self.at_once} at once",) if self.at_once > 1 else ()
        more: dict[str, Any] = {"calls": self.calls} if self.place.kind in {"tool", "more"} else {}
        return Node(
            self.place.name,
            "person" if is_person else kind,
            label=self.place.called,
            marks=(*marks, *often),
            status=next((one for one in _OPEN if self.unfinished[one]), self.last),
            seconds=self.seconds,
            cost_usd=self.cost or None,
            failed_items=self.failed if self.place.kind in {"tool", "more"} else 0,
            note=self.note,
            told=self._told(),
            **more,
        )

    def _told(self) -> tuple[str, ...]:
        if self.place.kind == "person":
            answers = [f"{count} {verdict}" for verdict, count in self.verdicts.items()]
            waits = self.unfinished["asked"]
            named = f"by {next(iter(self.who))}" if len(self.who) == 1 else f"by {len(self.who)} people"
            return (*answers, *([f"{waits} waits"] if waits and answers else []), *([named] if self.who else []))
        if self.place.kind == "check":
            return (f"refused {self.calls} answer{'' if self.calls == 1 else 's'}",)
        retries = [f"{self.retries} retr{'y' if self.retries == 1 else 'ies'}"] if self.retries else []
        models = [f"{self.model_calls} model call{'' if self.model_calls == 1 else 's'}"] if self.model_calls else []
        return (*retries, *models, *(["cost unknown"] if self.cost is None else []))
