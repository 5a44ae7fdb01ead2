"""A run as a text tree: what it did, why, what it cost, and what it waits for; a pipeline as its picture.

`tree` is pure: states in, text out. Everything a model, a tool or a person wrote stays words (`agentkit.text`), and
stands in quotes or after a word of ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from agentkit.errors import RunNotFound
from agentkit.render.view import View
from agentkit.render.words import WIDTH, used
from agentkit.runner.recorder import now
from agentkit.runner.run import Run
from agentkit.state import State
from agentkit.store import Answer
from agentkit.text import cut, one_line

__all__ = ["WIDTH", "Children", "Trace", "child_states", "trace", "tree", "used"]

Children: TypeAlias = Callable[[str], State | None]
Answers: TypeAlias = Callable[[str], Mapping[str, Answer]]


@dataclass(frozen=True, repr=False)
class Trace:
    """A run as a text tree, as it was when it was asked for: `print(run.trace)`.

    Args:
        text: the tree.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        return {"text/plain": self.text}


def trace(run: Run) -> Trace:
    """The tree of a run, its child runs' trees nested.

    Args:
        run: a run, live or recorded.

    Returns:
        The tree; where the log cannot be read, one line that says so: a display never raises.
    """
    try:
        state = run.look_again()
        text = tree(
            state,
            children=child_states(run),
            status=run.status,
            time=now(),
            progress=run.progress,
            answers=run.store.answers,
        )
    except Exception as error:  # noqa: BLE001  Python shows a repr that raises as a traceback of agentkit's
        text = f"✗ run {run.run_id} cannot be shown: {type(error).__name__}: {one_line(str(error), 500)}"
    return Trace(text)


def tree(
    state: State,
    *,
    children: Children | None = None,
    status: str | None = None,
    time: datetime | None = None,
    progress: Mapping[str, tuple[float, float | None]] | None = None,
    answers: Answers = lambda _run_id: {},
) -> str:
    """The text tree of a run.

    Args:
        state: the run.
        children: gives a child run's state by its id; None where it has not begun or cannot be read.
        status: the run's status, where it is known better than the log does: "interrupted".
        time: now, UTC: how long what has not ended takes so far; left out, that is not shown.
        progress: how far steps are that say so: done, and in all.
        answers: gives by approval what people answered a run, whether anybody went on with it or not.

    Returns:
        Lines of at most `WIDTH` columns.
    """
    view = View(children or (lambda _run_id: None), time, progress or {}, answers)
    view.family(state)
    root = view.run(state, status or state.status)
    return "\n".join(cut(line, WIDTH) for line in root.lines("", "", ""))


def child_states(run: Run) -> Children:
    """What gives the states of a run's child runs, and of theirs, from the run's own log.

    Args:
        run: the run at the top.

    Returns:
        A function to give to `tree`, again and again: what has ended is read once.
    """
    known: dict[str, Run] = {run.run_id: run}
    ended: dict[str, State] = {}

    def load(run_id: str) -> State | None:
        if run_id in ended:
            return ended[run_id]
        if run_id not in known:  # one that began since
            known.update((below.run_id, below) for above in list(known.values()) for below in above.children())
        try:
            state = known[run_id].state
        except (KeyError, RunNotFound):  # its caller is on disk before it is
            return None
        if state.ended:
            ended[run_id] = state
        return state

    return load
