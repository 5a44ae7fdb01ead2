"""Asking for more budget."""

from agentkit.decide.actions import Action, AskBudget
from agentkit.state import State


def ask_budget(state: State) -> list[Action]:
    """Ask a person for more budget, once; a child run leaves that to its parent, whose budget it is."""
    if state.parent_run_id is not None:
        return []
    asked = any(state.approvals[key].kind == "budget" for key in state.pending)
    return [] if asked else [AskBudget()]
