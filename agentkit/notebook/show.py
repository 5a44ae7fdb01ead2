"""A run as a notebook shows it: plain HTML in the document, and in the page, while the kernel lives, the live trace.

The document holds HTML and never a widget: whoever opens it later, without this kernel, would read "model not found".
So the live trace is a widget that is displayed nowhere: in the page it takes the place that the HTML marks by a class.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agentkit import registry
from agentkit.notebook.cell import Cell
from agentkit.notebook.static import static
from agentkit.render import child_states, trace
from agentkit.runner.run import Run
from agentkit.text import inert


def bundle(run: Run, place: str | None = None) -> dict[str, str]:
    """What Jupyter chooses from: the trace as plain HTML, and as text.

    Args:
        run: live or recorded; it is shown as it is now.
        place: the name of the place in the page that a live trace takes.
    """
    shown = {"text/plain": str(trace(run))}
    with suppress(Exception):  # a display never raises: the text says what is wrong
        shown["text/html"] = static(run.state, children=child_states(run), status=run.status, place=place)
    return shown


def display(run: Run) -> None:
    """Show a run in the cell that is executed; in a kernel what is shown keeps up with the run.

    Args:
        run: live or recorded.
    """
    show = registry.load("IPython.display:display")  # which has no types
    try:
        _display(run, show)
    except Exception as error:  # noqa: BLE001  a display never raises: it says what is wrong
        show({"text/plain": inert(f"run {run.run_id} cannot be shown: {type(error).__name__}: {error}")}, raw=True)


def _display(run: Run, show: Callable[..., Any]) -> None:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kernel = getattr(shell, "kernel", None)
    if shell is None or kernel is None:  # a terminal has no place that could be written again
        show(bundle(run), raw=True)
        return
    Cell(run, bundle).show(show, shell.events, live=_somebody_looks(kernel))


def _somebody_looks(kernel: Any) -> bool:
    """Whether a person executes the cell: `jupyter execute`, nbconvert and papermill allow no input."""
    return bool(getattr(kernel, "_allow_stdin", False))
