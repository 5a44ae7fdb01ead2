"""`run.wait()` in a notebook: the card in its cell, where a click can arrive; else the cell's own input box."""

import threading
import time
from collections.abc import Callable, Sequence

from agentkit.notebook.cell import Cell
from agentkit.notebook.show import display
from agentkit.runner.run import Run
from agentkit.runner.shell import somebody_looks
from agentkit.runner.waiting import SLICE
from agentkit.state import Approval

_PATIENCE = 2.0
"""Seconds in which a browser has to be heard from, though a cell keeps the kernel busy."""
_WORD = "agentkit: clicks do not reach a kernel that executes a cell, so it is asked here."


def asker(run: Run) -> Callable[[Sequence[Approval], float | None], bool]:
    """Show a run in the cell that is executed; what then asks a person for what it waits for.

    Args:
        run: the run.

    Returns:
        Of the questions and a deadline (of `time.monotonic`): whether somebody was there to be asked.
    """
    cell = display(run)

    def put(pending: Sequence[Approval], deadline: float | None) -> bool:
        if not somebody_looks():
            return False
        if cell is not None and cell.hears(_PATIENCE):
            _until_answered(run, pending, deadline)
            return True
        if threading.current_thread() is not threading.main_thread():
            return False
        _ask_below(run, cell, pending)
        return True

    return put


def _until_answered(run: Run, pending: Sequence[Approval], deadline: float | None) -> None:
    """Wait for a click, or for anybody who answers from elsewhere."""
    while not any(asked.id in run.store.answers(asked.run_id) for asked in pending):
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"run {run.run_id} still waits for a person: {pending[0]}")
        time.sleep(SLICE)


def _ask_below(run: Run, cell: Cell | None, pending: Sequence[Approval]) -> None:
    """Ask by the input box, which reaches a busy kernel; the cards say so meanwhile."""
    _mark(cell, pending)
    try:
        print(_WORD)  # noqa: T201  wait() talks to the person who called it
        for asked in pending:
            if asked.id not in run.store.answers(asked.run_id):
                run.by("notebook").ask(asked)
    finally:
        _mark(cell, ())


def _mark(cell: Cell | None, boxed: Sequence[Approval]) -> None:
    if cell is not None:
        cell.tell({"kind": "boxed", "ids": [asked.id for asked in boxed]})
