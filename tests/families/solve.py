"""Having an agent or a pipeline settle a case, with the person who answers what it asks."""

from typing import Any

import agentkit as ak
from families.case import Case

SOON = 60  # seconds; a run that takes longer hangs


def finish(run: ak.Run, case: Case) -> Any:
    """A run's output, as JSON; whoever it asks meanwhile says what the case says.

    Raises:
        AgentKitError: what the run ended with instead.
    """
    while True:
        try:
            output = run.result(SOON)
        except ak.RunPaused as paused:
            for asked in paused.pending:
                answer(run, asked, case)
        else:
            return output.model_dump(mode="json") if hasattr(output, "model_dump") else output


def answer(run: ak.Run, asked: Any, case: Case) -> None:
    """Approve a call, with what the case's person changes in it."""
    edits = case.edits.get(asked.name)
    if edits is not None and set(edits) <= set(asked.arguments or ()):
        run.approve(asked.id, edit=edits)
    else:
        run.approve(asked.id)
