"""A run's tree on a terminal while the run executes: redrawn in place, as much as fits of it."""

import re
from typing import TYPE_CHECKING

from agentkit import render
from agentkit.cli.screen import errors, say
from agentkit.runner.recorder import now
from agentkit.runner.run import Run
from agentkit.text import duration

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = (
    (r"^[│├└─ ]*(✓)", "green"),
    (r"^[│├└─ ]*(✗)", "red"),
    (r"^[│├└─ ]*([?↻])", "yellow"),
    (r"^[│├└─ ]*([▸·])", "blue"),
    (r"^[│├└─ ]+", "dim"),
    (r"^[│├└─ ]*((?:why|text|input|note|instead of): )", "dim"),
    (r"^[│├└─ ]*(?:· )?(comment (?:on .*)?by .*?, [0-9-]{10} [0-9:]{5} UTC: )", "dim"),
)


class Tree:
    """What a live display draws: the run's header, and the end of its tree.

    Args:
        run: the run.
        lines: how many fit; None is all of them.
    """

    def __init__(self, run: Run, lines: int | None = None) -> None:
        self._run = run
        self._lines = lines
        self._children = render.child_states(run)

    def __rich__(self) -> "Text":
        return coloured(self.text())

    def text(self) -> str:
        """The tree as it stands."""
        state = self._run.state
        lines = render.tree(
            state,
            children=self._children,
            status=self._run.status,
            time=now(),
            progress=self._run.progress,
            answers=self._run.store.answers,
        ).splitlines()
        if self._lines is None or len(lines) <= self._lines:
            return "\n".join(lines)
        kept = self._lines - 2
        return "\n".join([lines[0], f"   … {len(lines) - 1 - kept} lines above …", *lines[-kept:]])


class Steps:
    """What a run did since it was last told of, a line a step, for where nothing can be redrawn.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._seq = run.state.seq

    def tell(self) -> None:
        """Say what is new, on standard error."""
        for event in self._run.events(after=self._seq):
            self._seq = event.seq
            if event.type in _TOLD:
                took = "" if event.duration_ms is None else f" · {duration(event.duration_ms / 1000)}"
                say(f"{'✗' if event.status == 'error' else '✓'} {event.step} {event.name or ''}{took}")


_TOLD = {"tool_succeeded", "tool_failed", "model_responded", "model_failed"}


def coloured(tree: str) -> "Text":
    """A tree with its marks in colour."""
    from rich.text import Text

    text = Text(tree, no_wrap=True, overflow="ellipsis")
    for pattern, style in _STYLES:
        for found in re.finditer(pattern, tree, re.MULTILINE):
            text.stylize(style, *found.span(found.lastindex or 0))
    return text


def room() -> int:
    """How many lines of a tree fit on the terminal."""
    return max(8, errors().size.height - 2)
