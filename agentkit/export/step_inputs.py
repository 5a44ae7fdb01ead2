"""What a pipeline's step was given: its event does not repeat what the run's input and the steps before it hold."""

from typing import Any, cast

from agentkit.state import State


def arguments_of(state: State, path: str) -> dict[str, Any]:
    """The arguments of a step, or of one item of a fan-out, as the run's recorded graph wires them.

    Args:
        state: the run, folded up to the step's beginning.
        path: the step's path, for example "order" or "classify[17]".

    Returns:
        JSON by parameter; empty where the graph was not recorded.
    """
    name, bracket, index = path.partition("[")
    graph = cast("dict[str, dict[str, Any]]", state.config.get("steps", {}))
    drawn = graph.get(name, {})
    given = {parameter: _value(state, source, graph) for parameter, source in drawn.get("needs", {}).items()}
    for parameter, source in drawn.get("each", {}).items():
        items = _value(state, source, graph)
        given[parameter] = items[int(index[:-1])] if bracket and isinstance(items, list) else items
    return given


def _value(state: State, source: str, graph: dict[str, dict[str, Any]]) -> Any:
    if source in graph:
        call = state.calls.get(source)
        return call.result if call is not None and call.outcome == "ok" else None
    return cast("dict[str, Any]", state.input).get(source) if state.input else None
