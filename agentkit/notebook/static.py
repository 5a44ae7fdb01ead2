"""A run as plain HTML: what a saved notebook shows without a kernel, and GitHub, nbconvert and e-mail with it.

No script, no style sheet, no SVG, which readers of notebooks take out: `<details>` that open by themselves, and inline
styles. Everything that a model, a tool or a person wrote is escaped.
"""

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

from agentkit.notebook.comments import by_row
from agentkit.notebook.details import Section, details
from agentkit.notebook.rows import Children, Row, rows
from agentkit.state import Comment, State
from agentkit.text import dollars, duration, inert, one_line

_MARKS = {
    "pending": "·",
    "running": "▸",
    "waiting": "↻",
    "asked": "?",
    "in doubt": "!",
    "interrupted": "!",
    "paused": "?",
    "ok": "✓",
    "error": "✗",
    "rejected": "✗",
    "skipped": "»",
    "cancelled": "✗",
}
_COLOURS = {
    "ok": "#188038",
    "error": "#c5221f",
    "rejected": "#c5221f",
    "cancelled": "#c5221f",
    "asked": "#9334e6",
    "paused": "#9334e6",
    "in doubt": "#b06000",
    "interrupted": "#b06000",
    "waiting": "#b06000",
}
"""On white and on black alike readable; the mark and the word say the same."""

_SMALL = "font-family:monospace;font-size:12px;line-height:1.5"
_TEXT = "padding-left:1.6em;white-space:pre-wrap;overflow-wrap:anywhere"
"""On what holds a row's details: what is inherited need not be said of each."""
_LONG = "max-height:24em;overflow:auto"
_GREY = "opacity:.7"

_URGENT = frozenset({"error", "asked", "in doubt"})
"""What a reader looks for: it is open from the start."""

_SAID = "border-left:3px solid #9334e6;padding-left:.5em;margin-bottom:.3em"
"""On what somebody said: readable on white and on black."""

_MOST_COMMENTS = 30
"""Comments of a row that are shown: the last ones."""

MOST_ROWS = 600
"""Rows of a very long run that are shown: the first, the last, those that failed, and those with comments."""

_ROOM = 80_000
"""Characters of details in all; each row's share of it gets smaller the more rows there are."""


_Said: TypeAlias = dict[str, list[Comment]]  # by row


def static(
    state: State,
    *,
    children: Children = lambda _run_id: None,
    status: str | None = None,
    place: str | None = None,
    links: Iterable[tuple[str, str]] = (),
) -> str:
    """The run as HTML.

    Args:
        state: the run.
        children: gives a child run's state by its id.
        status: the run's status, where it is known better than the log does.
        place: a class by which a live trace finds the element that it stands before.
        links: where else the run is shown: names and http(s) addresses.

    Returns:
        One `<div>`; of a run with very many steps not all of them, which it says.
    """
    every = rows(state, children=children, status=status)
    states = {state.run_id: state}
    for row in every:
        if row.kind == "run" and row.run_id not in states and (child := children(row.run_id)) is not None:
            states[row.run_id] = child
    said = {row: ones for one in states.values() for row, ones in by_row(one).items()}
    kept = _kept(every, said)
    room = max(160, min(4000, _ROOM // max(1, len(kept))))
    body = _tree(kept, states, said, room)
    left = len(every) - len(kept)
    more = f"<div style='{_GREY}'>{left:,} steps are left out here; the log has them all</div>" if left else ""
    also = "".join(
        f" <a href='{escape(url)}' target='_blank' rel='noopener noreferrer'>{escape(inert(name))} ↗</a>"
        for name, url in links
        if url.startswith(("https://", "http://"))
    )
    how = f"<div style='{_GREY}'>{escape(_how_to_go_on(state))}{also}</div>"
    named = f"agentkit-trace {place}" if place else "agentkit-trace"
    return f"<div class='{named}' style='{_SMALL}'>{body}{more}{how}</div>"


def _how_to_go_on(state: State) -> str:
    if state.ended:
        return f"ak.open_log().run({state.run_id!r}) is this run"
    return f"ak.resume({state.run_id!r}) goes on with it, and brings the buttons back"


def _kept(every: Sequence[Row], said: _Said) -> list[Row]:
    """The rows that are shown, with all that they stand below."""
    if len(every) <= MOST_ROWS:
        return list(every)
    wanted = {row.id for row in (*every[: MOST_ROWS // 4], *every[-MOST_ROWS // 2 :])}
    bad = [row.id for row in every if row.status in {"error", "asked", "in doubt", "rejected"}]
    wanted |= set(bad[: MOST_ROWS // 4]) | set([row.id for row in every if row.id in said][-MOST_ROWS // 4 :])
    above = {row.id: row.parent for row in every}
    for row_id in list(wanted):
        parent = above[row_id]
        while parent is not None and parent not in wanted:
            wanted.add(parent)
            parent = above.get(parent)
    return [row for row in every if row.id in wanted]


def _tree(kept: Sequence[Row], states: dict[str, State], said: _Said, room: int) -> str:
    """Rows within rows, made from the last to the first: a run of 10,000 steps in a row is no deep recursion."""
    below: dict[str | None, list[str]] = {}
    urgent = {row.id for row in kept if row.status in _URGENT or row.id in said}
    for row in reversed(kept):
        inside = "".join(reversed(below.pop(row.id, [])))
        below.setdefault(row.parent, []).append(
            _row(row, states, said.get(row.id, []), inside, room, is_open=row.id in urgent)
        )
        if row.id in urgent and row.parent is not None:  # what is to be seen stands in what is open
            urgent.add(row.parent)
    return "".join(reversed(below.get(None, [])))


def _row(row: Row, states: dict[str, State], said: Sequence[Comment], inside: str, room: int, *, is_open: bool) -> str:
    state = states.get(row.run_id)
    sections = "".join(_section(section, room) for section in details(state, row.step)) if state is not None else ""
    words = _comments(said, row.step, room)
    if not (sections or inside or words):
        return f"<div style='padding-left:1.1em'>{_line(row, 0)}</div>"
    opened = " open" if is_open or row.kind == "run" else ""
    shown = f"<div style='{_TEXT}'>{sections}</div>" if sections else ""
    if row.kind == "run":  # what it was given and gave is looked at less often than what it did
        shown = f"<details style='padding-left:1.6em'><summary>input and output</summary>{shown}</details>"
    below = f"<div style='padding-left:1.1em'>{inside}</div>" if inside else ""
    return f"<details{opened}><summary>{_line(row, len(said))}</summary>{words}{shown}{below}</details>"


def _comments(said: Sequence[Comment], step: str, room: int) -> str:
    """What people said of a row: who, when, and the words."""
    if not said:
        return ""
    shown = "".join(_comment(one, step, room) for one in said[-_MOST_COMMENTS:])
    left = len(said) - _MOST_COMMENTS
    more = f"<div style='{_GREY}'>{left:,} earlier comments are left out here</div>" if left > 0 else ""
    return f"<div style='{_TEXT}'>{more}{shown}</div>"


def _comment(said: Comment, step: str, room: int) -> str:
    about = f" on {one_line(said.step, 60)}" if said.step is not None and said.step != step else ""
    words = f"{said.text[:room]}\n… {len(said.text) - room:,} more characters" if len(said.text) > room else said.text
    when = f"<span style='{_GREY}'>{said.at:%Y-%m-%d %H:%M} UTC{escape(about)}</span>"
    return f"<div style='{_SAID}'><b>{escape(one_line(said.who, 60))}</b> {when}<div>{escape(inert(words))}</div></div>"


def _line(row: Row, comments: int) -> str:
    colour = _COLOURS.get(row.status)
    style = f" style='color:{colour}'" if colour is not None else ""
    name = escape(one_line(row.name, 60))
    facts = [] if row.status == "ok" else [row.status]
    if row.started is not None and row.ended is not None:
        facts.append(duration(max(0.0, row.ended - row.started)))
    if row.input_tokens or row.output_tokens:
        facts.append(f"{row.input_tokens:,} + {row.output_tokens:,} tokens")
    if row.cost_usd is None or row.cost_usd:
        facts.append("cost unknown" if row.cost_usd is None else dollars(row.cost_usd))
    if row.attempts > 1:
        facts.append(f"{row.attempts} attempts")
    note = f" <span style='{_GREY}'>{escape(one_line(row.note, 80))}</span>" if row.note else ""
    said = f" <span style='{_GREY}'>{escape(' · '.join(facts))}</span>" if facts else ""
    talked = f" <span style='color:#9334e6'>✎ {comments}</span>" if comments else ""
    return f"<span{style}>{_MARKS[row.status]}</span> <b>{name}</b>{talked}{said}{note}"


def _section(section: Section, room: int) -> str:
    if section.form == "text":
        text = str(section.value)
    elif section.form == "error":
        error = dict(section.value)
        trace = error.pop("traceback", None)
        text = f"{error.pop('type', '')}: {error.pop('message', '')}"
        text += f"\n{json.dumps(error, ensure_ascii=False, indent=1)}" if error else ""
        text += f"\n{trace}" if trace else ""
    else:
        text = json.dumps(section.value, ensure_ascii=False, indent=1)
    cut = f"{text[:room]}\n… {len(text) - room:,} more characters" if len(text) > room else text
    style = f" style='{_LONG}'" if cut.count("\n") > 20 or len(cut) > 2000 else ""
    return f"<div style='{_GREY}'>{escape(section.title)}</div><div{style}>{escape(inert(cut))}</div>"
