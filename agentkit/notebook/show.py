"""A run as a notebook shows it."""

from agentkit.notebook.static import static
from agentkit.render import child_states, trace
from agentkit.runner.run import Run


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
