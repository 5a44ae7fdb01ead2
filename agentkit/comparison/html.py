"""A comparison as plain HTML: no script, inline styles, everything that anybody wrote escaped."""

from html import escape
from typing import TYPE_CHECKING

from agentkit.comparison import text
from agentkit.text import inert, one_line

if TYPE_CHECKING:
    from agentkit.comparison.compared import Comparison, Pair
    from agentkit.comparison.difference import Difference

_COLOURS = {"differs": "#c5221f", "a": "#b06000", "b": "#b06000", "shared": "", "same": ""}
"""On white and on black alike readable; the mark says the same."""
_LEFT = "text-align:left;vertical-align:top"
_RIGHT = "text-align:right;vertical-align:top"
_TEXT = "text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere"
_DETAILS = 40
"""Differences that are listed of one place."""


def table(both: "Comparison") -> str:
    """The comparison as one `<div>`."""
    return (
        "<div class='agentkit-comparison' style='font-family:monospace;font-size:12px;line-height:1.5'>"
        f"<div><b>{_e(text.where(both))}</b></div>"
        f"{_differences(both)}{_totals(both)}{_steps(both)}</div>"
    )


def _e(words: str) -> str:
    return escape(inert(words))


def _differences(both: "Comparison") -> str:
    found = [*_rows("began", both.began), *_rows("first step", both.details), *_rows("ended", both.ended)]
    if not found:
        return ""
    head = f"<tr><th></th><th style='{_LEFT}'>what</th><th style='{_LEFT}'>a</th><th style='{_LEFT}'>b</th></tr>"
    return f"<table>{head}{''.join(found)}</table>"


def _rows(place: str, differences: "tuple[Difference, ...]") -> list[str]:
    rows = [
        f"<tr><td style='{_LEFT};opacity:.7'>{place if not index else ''}</td><td style='{_LEFT}'>{_e(one.where)}</td>"
        f"<td style='{_TEXT}'>{_e(one.a)}</td><td style='{_TEXT}'>{_e(one.b)}</td></tr>"
        for index, one in enumerate(differences[:_DETAILS])
    ]
    left = len(differences) - _DETAILS
    return [*rows, *([f"<tr><td></td><td style='{_LEFT}'>… {left:,} more</td></tr>"] if left > 0 else [])]


def _totals(both: "Comparison") -> str:
    sides = "".join(
        f"<th style='{_RIGHT}'>{key}: {_e(one_line(side.name, 40))}<br>"
        f"<span style='font-weight:normal;opacity:.7'>{_e(side.run_id)}</span></th>"
        for key, side in (("a", both.a), ("b", both.b))
    )
    rows = "".join(
        f"<tr><td style='{_LEFT}'>{what}</td><td style='{_RIGHT}'>{_e(a)}</td><td style='{_RIGHT}'>{_e(b)}</td>"
        f"<td style='{_RIGHT}'>{_e(apart)}</td></tr>"
        for what, a, b, apart in text.totals(both)
    )
    note = f"<div style='opacity:.7'>{_e(text.note(both))}</div>"
    return f"<table><tr><th></th>{sides}<th style='{_RIGHT}'>b - a</th></tr>{rows}</table>{note}"


def _steps(both: "Comparison") -> str:
    begin, until = text.shown(both)
    rows = "".join(map(_step, both.pairs[begin:until]))
    left = len(both.pairs) - (until - begin)
    more = f"<div style='opacity:.7'>{left:,} more steps: .rows has all</div>" if left else ""
    head = (
        f"<tr><th></th><th style='{_LEFT}'>step</th><th style='{_RIGHT}'>a</th><th style='{_RIGHT}'>b</th>"
        f"<th style='{_LEFT}'>differs in</th></tr>"
    )
    is_open = " open" if until - begin <= 30 else ""
    return f"<details{is_open}><summary>{len(both.pairs):,} steps</summary><table>{head}{rows}</table>{more}</details>"


def _step(pair: "Pair") -> str:
    how = text.mark(pair)
    words = ", ".join(pair.differs) or {"a": "only a", "b": "only b", "shared": "shared with its parent"}.get(how, "")
    colour = f"color:{_COLOURS[how]}" if _COLOURS[how] else ""
    path = _e(one_line(pair.path, 80))
    return (
        f"<tr><td style='{colour}'>{text.MARKS[how]}</td><td style='{_LEFT};{colour}'>{path}</td>"
        f"<td style='{_RIGHT}'>{_e(text.took(pair.a))}</td><td style='{_RIGHT}'>{_e(text.took(pair.b))}</td>"
        f"<td style='{_LEFT}'>{_e(words)}</td></tr>"
    )
