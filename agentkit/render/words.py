"""The words, the marks and the lines that a run's tree is made of."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from agentkit.events import ErrorInfo, HistoryTrimmed
from agentkit.messages import Usage, is_media
from agentkit.state import Approval, CallStep, Comment, State
from agentkit.text import brief, columns_of, dollars, inert, one_line

WIDTH = 100
"""Columns of a line: what a notebook's cell and a terminal show without breaking it."""

_SAID = 76
"""Columns of a line of a comment: with the tree before it, it fits."""

HEAD, TAIL = 10, 40
"""Of a run with more model calls, so many of the first and of the last are shown."""


@dataclass
class Node:
    """A line, what is to be said about it, and what is below it."""

    line: str
    details: list[str] = field(default_factory=list[str])
    below: list["Node"] = field(default_factory=list["Node"])

    def lines(self, prefix: str, first: str, rest: str) -> Iterator[str]:
        """The lines of it and of all below, each with the tree before it."""
        yield f"{prefix}{first}{self.line}"
        stem = f"{prefix}{rest}{'│  ' if self.below else '   '}"
        yield from (f"{stem}{detail}" for detail in self.details)
        for node in self.below:
            last = node is self.below[-1]
            yield from node.lines(prefix + rest, "└─ " if last else "├─ ", "   " if last else "│  ")


RUN_MARKS = {
    "running": "▸",
    "waiting": "↻",
    "paused": "?",
    "answered": "↻",
    "interrupted": "!",
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "✗",
}
MODEL_MARKS = {"running": "▸", "interrupted": "!", "failed": "✗", "waiting": "↻", "done": "✓"}
CALL_MARKS = {"asked": "?", "running": "▸", "stuck": "!", "interrupted": "!", "failed": "✗", "waiting": "↻"}
BECAUSE = {
    "effect_unknown": "an earlier call's effect is unknown",
    "parent_did_it": "the run this was forked from did it",
    "pipeline_wrote": "the pipeline before it wrote what no tool of the agent's tells",
    "repeated": "the same was done already",
    "changed": "the tool or the arguments changed since they were approved",
    "in_doubt": "the process ended while it ran",
    "price_unknown": "no limit in USD can be kept",
}


def given(value: Any) -> str:
    """What a run was given; a picture or a file as its name, type and size."""
    parts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not any(map(is_media, parts)):
        return brief(value)
    return one_line(", ".join(file_of(part) if is_media(part) else brief(text_of(part)) for part in parts), 80)


def text_of(part: Any) -> Any:
    """A text among media: the user wrote a text, or a text part."""
    return cast("dict[str, Any]", part).get("text", part) if isinstance(part, dict) else part


def file_of(part: dict[str, Any]) -> str:
    """A picture or a file as its name, type and size."""
    what = str(part["media_type"])
    if data := part.get("data"):
        size = len(data) * 3 // 4
        what += f", {size / 1000:,.0f} kB" if size >= 1000 else f", {size} bytes"
    name = part.get("url") or part.get("name")
    return f"{name} ({what})" if name else f"({what})"


def call_mark(call: CallStep, status: str | None = None) -> str:
    """How far a call is, as one character.

    Args:
        call: the call.
        status: its status, where it is known better than the log does: "interrupted".
    """
    if call.status == "done":
        return "✓" if call.outcome == "ok" else "✗"
    return CALL_MARKS.get(status or call.status, "·")


def why_skipped(state: State, step: str) -> str:
    """Why a pipeline's step did not run, in a few words."""
    because, on = state.skipped[step]
    return {"when": "its condition said no", "needs": f"{on} was skipped", "rejected": "a person said no"}[because]


def join(*parts: str) -> str:
    """What is there of a line, with dots between."""
    return " · ".join(part for part in parts if part)


def used(usage: Usage) -> str:
    """Tokens and money as text; nothing where nothing is known to be used."""
    if not (usage.input_tokens or usage.output_tokens or usage.cost_usd is None or usage.cost_usd):
        return ""
    cost = "cost unknown" if usage.cost_usd is None else dollars(usage.cost_usd)
    return f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens · {cost}"


def attempts(count: int) -> str:
    """How often it was tried, where that was more than once."""
    return f"{count} attempts" if count > 1 else ""


def failures(errors: tuple[ErrorInfo, ...]) -> list[str]:
    """One line an attempt that failed; of very many the last ones."""
    return [f"✗ {message(error)}" for error in errors[-HEAD:]]


def message(error: ErrorInfo) -> str:
    """An error on one line, with its context."""
    context = f" {brief(error.context)}" if error.context else ""
    return f"{_error(error.type, error.message)}{context}"


def _error(kind: str, message: str) -> str:
    return f"{one_line(kind, 40)}: {one_line(message, WIDTH)}"


def because(asked: Approval) -> list[str]:
    """Why somebody has to look, where it is not the tool's own rule."""
    if asked.because is None or asked.because == "policy":
        return []
    return [f"asked because {one_line(BECAUSE.get(asked.because, asked.because), 80)}"]


def due_at(due: datetime) -> str:
    """When the next attempt is due."""
    return f"↻ the next attempt is due at {due:%H:%M:%S} UTC"


def trimmed(trim: HistoryTrimmed) -> str:
    """What was left out of the prompts to come."""
    return (
        f"· history trimmed from here on: the oldest messages left out ({trim.dropped}), "
        f"about {trim.tokens_before:,} → {trim.tokens_after:,} tokens"
    )


def notes_of(state: State, step: str | None) -> list[str]:
    """What user code noted in a step; in none, what it noted of the run."""
    return [
        f"note: {one_line(text, 70)}{f' {brief(data)}' if data is not None else ''}"
        for where, text, data in state.notes
        if where == step or (step is None and where not in state.calls)
    ]


def comment_lines(said: Comment, *, named: bool = False) -> list[str]:
    """What somebody said, as lines: whole where it is no longer than a few.

    Args:
        said: the comment.
        named: say which step it is about: it does not stand below it.
    """
    about = f" on {one_line(said.step, 40)}" if named and said.step is not None else ""
    head = f"comment{about} by {one_line(said.who, 40)}, {said.at:%Y-%m-%d %H:%M} UTC"
    text = f"{head}: {inert(' '.join(said.text.split()))}"
    first, *rest = textwrap.wrap(text, _SAID * len(text) // columns_of(text), max_lines=6, placeholder=" …")
    return [first, *(f"  {line}" for line in rest)]


def origin_of(state: State) -> list[str]:
    """Which run this one begins with, if any."""
    if state.origin is None:
        return []
    words = {"fork": "forked from", "after": "goes on after", "deopt": "takes over from"}[state.origin.kind]
    return [f"{words} run {state.origin.run_id[:13]} at event {state.origin.seq}"]
