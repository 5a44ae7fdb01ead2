"""A pipeline, and a run of it, as a graph: what needs what."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from agentkit.definition import DEOPT
from agentkit.events import ToolFact
from agentkit.graph.shown import Picture
from agentkit.picture import Edge, Graph, Node
from agentkit.pipeline import Pipeline
from agentkit.render.words import why_skipped
from agentkit.state import CallStep, State
from agentkit.wiring import asks_inside


def of_pipeline(pipeline: Pipeline) -> Picture:
    """The graph of a pipeline as it is defined, one that cannot run yet too."""
    if pipeline.problems:
        return Picture(_draft(pipeline), tuple(pipeline.problems))
    definition = pipeline.definition
    return Picture(_graph(definition.name, definition.config, definition.header.tools, {}))


def run_graph(state: State, status: str, time: datetime) -> Graph:
    """The graph of a pipeline's run.

    Args:
        state: the run.
        status: the run's status, which may say more than the log does ("interrupted").
        time: now, UTC: how long what has not ended takes so far.
    """
    costs = _costs(state)
    told = {name: _told(state, name, status, time, costs) for name in state.config.get("steps", {})}
    drawn = _graph(state.name, state.config, state.header.tools, told)
    if state.deopted is None or state.deopted.agent is None:
        return drawn
    taking_over = Node(
        DEOPT, "step", marks=(f"runs {state.deopted.agent}",), **_told(state, DEOPT, status, time, costs)
    )
    return Graph(drawn.name, (*drawn.nodes, taking_over), (*drawn.edges, Edge(state.deopted_by or "", DEOPT, "when")))


def _graph(
    name: str, config: Mapping[str, Any], tools: Sequence[ToolFact], told: Mapping[str, Mapping[str, Any]]
) -> Graph:
    types: dict[str, str] = config.get("types", {})
    steps: dict[str, Any] = config.get("steps", {})
    facts = {tool.offered.name: tool for tool in tools}
    inputs = [Node(each, "input", type=types.get(each, "")) for each in config.get("input", {}).get("properties", {})]
    drawn = [
        Node(step, "step", type=types.get(step, ""), marks=tuple(_marks(wired, facts.get(step))), **told.get(step, {}))
        for step, wired in steps.items()
    ]
    return Graph(name, (*inputs, *drawn), tuple(_edges(steps)))


def _edges(steps: Mapping[str, Any]) -> Iterator[Edge]:
    for step, wired in steps.items():
        data = dict.fromkeys([*wired.get("needs", {}).values(), *wired.get("each", {}).values()])
        yield from (Edge(source, step) for source in data)
        yield from (Edge(source, step, "when") for source in dict.fromkeys(wired.get("when", ())) if source not in data)


def _marks(wired: Mapping[str, Any], fact: ToolFact | None) -> Iterator[str]:
    if "runs" in wired:
        yield f"runs {wired['runs']}"
    if "each" in wired:
        yield f"each {next(iter(wired['each'].values()))}"
    if "when" in wired and set(wired["when"]) <= {*wired.get("needs", {}).values()}:
        yield "when"
    if fact is not None and fact.writes:
        yield "writes"
    if "approve" in wired:
        yield "approve"
    if wired.get("cache"):
        yield "cache"


def _costs(state: State) -> dict[str, float | None]:
    """What the model calls of each step cost; None where a price is unknown."""
    costs: dict[str, float | None] = {}
    for path, model in state.models.items():
        step = path.partition("/")[0].partition("[")[0]
        before, cost = costs.get(step, 0.0), model.usage.cost_usd
        costs[step] = None if before is None or cost is None else before + cost
    return costs


def _told(state: State, name: str, status: str, time: datetime, costs: Mapping[str, float | None]) -> dict[str, Any]:
    """What a run says of one step."""
    if name in state.skipped:
        return {"status": "skipped", "note": why_skipped(state, name)}
    call = state.calls.get(name)
    if call is None:
        return {"status": "pending"}
    fan = state.fans.get(name)
    until = call.ended or (None if state.rests(status) else time)
    return {
        "status": _status(state, call, status),
        "seconds": (until - call.started).total_seconds() if until is not None and call.started is not None else None,
        "cost_usd": costs.get(name) or None,
        "items": (fan.done, fan.total) if fan is not None else None,
        "failed_items": len(fan.failed) if fan is not None else 0,
        "note": f"{call.error.type}: {call.error.message}" if call.error is not None else "",
    }


def _status(state: State, call: CallStep, status: str) -> str:
    if call.status == "done":
        return {"ok": "succeeded", "rejected": "rejected"}.get(call.outcome or "", "failed")
    if state.deopted is not None and call.step != DEOPT:
        return "interrupted" if call.attempt else "pending"
    fan = state.fans.get(call.step)
    items = [state.calls.get(f"{call.step}[{index}]") for index in fan.open] if fan is not None else []
    asked = [item is not None and (item.status == "asked" or asks_inside(state, item)) for item in items]
    if not state.ended and (call.status == "asked" or asks_inside(state, call) or (asked and all(asked))):
        return "asked"
    if status != "paused" and state.rests(status):
        return "interrupted"
    return "waiting" if call.status in {"failed", "waiting"} else "running"


def _draft(pipeline: Pipeline) -> Graph:
    """What is known of a pipeline that cannot run: every step, and every name that one asks for."""
    nodes = [Node(name, "input", type=type_) for name, type_ in pipeline.input_types.items()]
    edges: list[Edge] = []
    for name, sources in pipeline.drafted().items():
        nodes.append(Node(name, "step"))
        edges += [Edge(source, name) for source in sources]
    return Graph(pipeline.name, tuple(nodes), tuple(edges))
