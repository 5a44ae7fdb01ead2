"""A run as a notebook shows it: plain HTML in the document, and in the page, while the kernel lives, the live trace.

The document holds HTML and never a widget: whoever opens it later, without this kernel, would read "model not found".
So the live trace is a widget that is displayed nowhere: in the page it takes the place that the HTML marks by a class.
"""

from contextlib import suppress

from agentkit import registry
from agentkit.notebook.cell import Cell
from agentkit.notebook.static import static
from agentkit.render import child_states, trace
from agentkit.runner.run import Run
from agentkit.runner.shell import somebody_looks, the_kernel, the_shell
from agentkit.text import inert


def bundle(run: Run, place: str | None = None) -> dict[str, str]:
    """What Jupyter chooses from: the trace as plain HTML, and as text.

    Args:
        run: live or recorded; it is shown as it is now.
        place: the name of the place in the page that a live trace takes.
    """
    shown = {"text/plain": str(trace(run))}
    with suppress(Exception):  # a display never raises: the text says what is wrong
        shown["text/html"] = static(
            run.look_again(), children=child_states(run), status=run.status, place=place, links=run.links
        )
    return shown


def display(run: Run) -> Cell | None:
    """Show a run in the cell that is executed; in a kernel what is shown keeps up with the run.

    Args:
        run: live or recorded.

    Returns:
        Where it is shown; None outside of a kernel.
    """
    show = registry.load("IPython.display:display")  # which has no types
    try:
        if the_kernel() is not None:
            cell = Cell(run, bundle)
            cell.show(show, the_shell().events, live=somebody_looks())
            return cell
        show(bundle(run), raw=True)  # a terminal has no place that could be written again
    except Exception as error:  # noqa: BLE001  a display never raises: it says what is wrong
        show({"text/plain": inert(f"run {run.run_id} cannot be shown: {type(error).__name__}: {error}")}, raw=True)
    return None
