"""How an activation of a run that was begun before begins."""

from agentkit.definition import Definition
from agentkit.events import RunResumed
from agentkit.policy import Budget
from agentkit.state import State
from agentkit.store import Store


def resumed(store: Store, definition: Definition, state: State, budget: Budget | None) -> RunResumed:
    """The event, with what changed since.

    Args:
        store: the log, as the process has it open that goes on.
        definition: what goes on.
        state: the run's so far.
        budget: a new one.
    """
    return RunResumed(
        process=store.process,
        definition_sha256=definition.sha256 if definition.sha256 != state.definition_sha256 else None,
        header=definition.header if definition.header != state.header else None,
        budget=budget.model_dump(mode="json") if budget is not None else None,
    )


def names_of_pauses(state: State, *, for_worker: bool) -> set[str]:
    """How a pause of the next activation is named in the inbox.

    Args:
        state: before that activation.
        for_worker: no person asked for it: a pause of the last one counts that nobody got to see.
    """
    missed = for_worker and state.status != "paused"
    return {f"pause-{state.activation + 1}"} | ({f"pause-{state.activation}"} if missed else set())
