"""The run of an agent as a graph: what it called, in which order and how often, whom it asked, where it failed.

A node is a tool, not a call: a run of ten thousand steps has as many nodes as it has tools. The model calls that led
from one to the next are what its edges are.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from agentkit.graph.few import few
from agentkit.graph.tally import Moment, Tally
from agentkit.graph.way import END, START, Branch, Place, Stop, turns
from agentkit.picture import Edge, Graph, Node
from agentkit.state import State
from agentkit.text import brief, dollars, duration


def agent_graph(state: State, status: str, time: datetime, child: Callable[[str], State | None]) -> Graph:
    """The graph of an agent's run.

    Args:
        state: the run.
        status: the run's status, which may say more than the log does ("interrupted").
        time: now, UTC: how long what has not ended takes so far.
        child: gives the state of a run that a call started; it is asked for those that have not ended.
    """
    walk = _Walk(Moment(time, state.ended or status == "interrupted", child))
    for branches in turns(state):
        walk.turn(branches)
    end = _end(state, status)
    if end is not None:
        walk.go_on([Stop(END)])
    drawn = [_start(state), *walk.nodes(_writes(state)), *([end] if end is not None else [])]
    return few(Graph(state.name, tuple(drawn), tuple(walk.edges.values()), _said(state, walk, time)))


class _Walk:
    """Goes the way of a run, and counts.

    Args:
        moment: when it is looked at.
    """

    def __init__(self, moment: Moment) -> None:
        self.edges: dict[tuple[str, str], Edge] = {}
        self.tallies: dict[Place, Tally] = {}
        self._moment = moment
        self._at: list[Stop] = [Stop(START)]

    def turn(self, branches: Sequence[Branch]) -> None:
        """Take one turn: to the beginnings of its branches, and along each of them."""
        for branch in branches:
            for stop in branch:
                self._tally(stop.place).add(stop)
            for one, other in pairwise(branch):
                self._count(one, other.place, beside=False)
        for place, often in Counter(stop.place for branch in branches for stop in branch[-1:]).items():
            self._tally(place).at_once = max(self._tally(place).at_once, often)
        self.go_on([branch[0] for branch in branches])
        self._at = [branch[-1] for branch in branches]

    def go_on(self, stops: Sequence[Stop]) -> None:
        """From where the run is to where it goes on; once a pair of places, however many calls of a turn are theirs."""
        beside = len(stops) > 1
        for one in _each_once(self._at):
            for other in _each_once(stops):
                self._count(one, other.place, beside=beside)

    def nodes(self, writes: set[str]) -> Iterable[Node]:
        """The places in the order in which the run came to them."""
        marks = {"person": "a person", "check": "check"}
        for place, tally in self.tallies.items():
            mark = "writes" if place.kind == "tool" and place.called in writes else marks.get(place.kind)
            yield tally.node((mark,) if mark else ("agent",) if tally.is_agent else ())

    def _tally(self, place: Place) -> Tally:
        return self.tallies.setdefault(place, Tally(place, self._moment))

    def _count(self, one: Stop, other: Place, *, beside: bool) -> None:
        key = (one.place.name, other.name)
        edge = self.edges.get(key) or Edge(*key, count=0)
        count = (edge.count or 0) + 1
        self.edges[key] = replace(edge, count=count, failed=edge.failed + one.failed, beside=edge.beside + beside)


def _each_once(stops: Iterable[Stop]) -> Iterable[Stop]:
    """The stops of a turn by their places; of several at one place it failed there where all of them did."""
    found: dict[Place, Stop] = {}
    for stop in stops:
        before = found.get(stop.place)
        found[stop.place] = stop if before is None or before.failed else before
    return found.values()


def _writes(state: State) -> set[str]:
    return {tool.offered.name for tool in state.header.tools if tool.writes}


def _start(state: State) -> Node:
    note = brief(state.input, 70) if not isinstance(state.input, str) else state.input
    if state.origin is not None:
        words = {"fork": "forked from", "after": "goes on after", "deopt": "takes over from"}[state.origin.kind]
        note = f"{words} run {state.origin.run_id[:13]}: {note}"
    return Node(START.name, "start", label=START.called, note=note)


def _end(state: State, status: str) -> Node | None:
    """Where the run ended, or what it goes on with: the next answer; None while calls or questions are under way."""
    if state.ended:
        note = _outcome(state)
        shown = {"cancelled": "interrupted"}.get(state.status, state.status)
        return Node(END.name, "end", label=END.called, status=shown, note=note)
    if state.pending or any(state.calls[step].status != "done" for step in state.open_calls):
        return None
    model = state.models.get(state.turn or "")
    shown = {"paused": "waiting"}.get(status, status)
    error = model.error if model is not None and model.status in {"failed", "waiting"} else None
    return Node(END.name, "end", label="the next answer", status=shown, note=error.message if error is not None else "")


def _outcome(state: State) -> str:
    if state.error is not None:
        return f"{state.error.type}: {state.error.message}"
    if state.status == "cancelled":
        why = f": {state.stopped_why}" if state.stopped_why else ""
        return f"cancelled by {state.stopped_by or 'somebody'}{why}"
    return state.output if isinstance(state.output, str) else brief(state.output, 70)


def _said(state: State, walk: _Walk, time: datetime) -> str:
    """How much there was of everything."""
    tools = [tally for place, tally in walk.tallies.items() if place.kind == "tool"]
    calls, failed = sum(tally.calls for tally in tools), sum(tally.failed for tally in tools)
    usage = state.usage + state.child_usage
    cost = "cost unknown" if usage.cost_usd is None else dollars(usage.cost_usd) if usage.cost_usd else ""
    took = ((state.ended_at or time) - state.started_at).total_seconds()
    parts = [
        _counted(usage.model_calls, "model call"),
        _counted(calls, "tool call") + (f" ({failed:,} failed)" if failed else ""),
        cost,
        duration(max(0.0, took)) if state.ended else "",
    ]
    return ", ".join(part for part in parts if part)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
