"""The paths of a run's steps in the order in which they are shown: each before those below it."""

from collections.abc import Iterator

from agentkit.definition import DEOPT
from agentkit.state import State
from agentkit.wiring import turns


def every_path(state: State) -> Iterator[str]:
    """The paths of a run's rows, each before those below it."""
    yield from _pipeline_paths(state) if state.kind == "pipeline" else _agent_paths(state)


def _agent_paths(state: State) -> Iterator[str]:
    for step, model in state.models.items():
        yield step
        yield from model.calls


def _pipeline_paths(state: State) -> Iterator[str]:
    for name in state.config.get("steps", {}):
        yield name
        yield from _inside(state, name)
        if name in state.fans:
            for index in range(state.fans[name].begun):
                yield f"{name}[{index}]"
                yield from _inside(state, f"{name}[{index}]")
    if DEOPT in state.calls:
        yield DEOPT


def _inside(state: State, step: str) -> Iterator[str]:
    for path in state.inner.get(step, ()):
        yield path
        yield from (turn for turn, _ in turns(state, path))
