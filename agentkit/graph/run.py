"""The graph of a run, whatever it is of."""

from agentkit.errors import RunNotFound
from agentkit.graph.agent import agent_graph
from agentkit.graph.pipeline import run_graph
from agentkit.graph.shown import Picture
from agentkit.runner.load import load_state
from agentkit.runner.recorder import now
from agentkit.runner.run import Run
from agentkit.state import State


def of_run(run: Run) -> Picture:
    """The graph of a run, as its log tells it.

    A pipeline's has the state of each step, how long it took and what it cost; an agent's has what it called, in which
    order and how often, whom it asked, and where it failed or went round.
    """
    state = run.state
    if state.kind == "pipeline":
        return Picture(run_graph(state, run.status, now()))

    def child(run_id: str) -> State | None:
        try:
            return load_state(run.store, run_id)
        except RunNotFound:  # of a call that has only just begun
            return None

    return Picture(agent_graph(state, run.status, now(), child))
