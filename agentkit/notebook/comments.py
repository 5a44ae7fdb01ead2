"""What people said of a run, by the rows of its trace; who shows it makes their words inert."""

from collections.abc import Iterable
from typing import Any

from agentkit.notebook.rows import has_row, seconds
from agentkit.state import Comment, State


def by_row(state: State, said: Iterable[Comment] | None = None) -> dict[str, list[Comment]]:
    """The comments of each row, oldest first, by the row's id; those of a step that has none are the run's.

    Args:
        state: the run.
        said: only the rows that these comments are about; all where it is left out.
    """
    wanted = None if said is None else {row_of(state, one) for one in said}
    found: dict[str, list[Comment]] = {}
    for one in state.comments:
        row = row_of(state, one)
        if wanted is None or row in wanted:
            found.setdefault(row, []).append(one)
    return found


def row_of(state: State, said: Comment) -> str:
    """The id of the row that a comment stands below."""
    return f"{state.run_id}/{said.step}" if said.step is not None and has_row(state, said.step) else state.run_id


def plain(said: Comment) -> dict[str, Any]:
    """A comment as JSON, for a page."""
    return {"who": said.who, "at": seconds(said.at), "step": said.step or "", "text": said.text}
