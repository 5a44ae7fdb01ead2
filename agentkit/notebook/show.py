"""A run as a notebook shows it: live while somebody looks, plain HTML from when it has ended."""

import os
import sys
import threading
from typing import Any

from agentkit import registry
from agentkit.notebook.static import static
from agentkit.render import child_states, trace
from agentkit.runner.run import Run

_PAUSED = 600.0
"""Seconds that a paused run's buttons stay in the cell; then plain HTML says how to bring them back."""


def bundle(run: Run) -> dict[str, str]:
    """What Jupyter chooses from: the trace as plain HTML, and as text.

    Args:
        run: live or recorded; it is shown as it is now.
    """
    shown = {"text/plain": str(trace(run))}
    try:
        shown["text/html"] = static(run.state, children=child_states(run), status=run.status)
    except Exception:  # noqa: BLE001  a display never raises: the text says what is wrong
        return shown
    return shown


def display(run: Run) -> None:
    """Show a run in the cell that is executed: live where a person looks at it, else as it is now.

    Args:
        run: live or recorded.
    """
    show = registry.load("IPython.display:display")  # which has no types
    if not somebody_looks() or run.state.ended:
        show(bundle(run), raw=True)
        return
    from agentkit.notebook.live import LiveTrace

    live = LiveTrace(run)
    handle = show(live, display_id=True)
    threading.Thread(target=_replace, args=(live, run, handle), name="agentkit-cell", daemon=True).start()


def _replace(live: Any, run: Run, handle: Any) -> None:
    """Put plain HTML in the live trace's place when the run has ended, or has waited long: no widget is kept."""
    while not live.over.wait(_PAUSED):
        if run.status == "paused":
            break
    handle.update(bundle(run), raw=True)
    live.close()


def somebody_looks() -> bool:
    """Whether a browser may show what is displayed: not under `jupyter execute`, nbconvert or papermill."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    allows_input = getattr(kernel, "_allow_stdin", False)
    return bool(allows_input) or "JPY_SESSION_NAME" in os.environ
