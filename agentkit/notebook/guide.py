"""What there is to ask: the log's views, what their rows are, and their columns."""

import textwrap
from html import escape

from agentkit.rows import Rows, as_html
from agentkit.stores.views import COLUMNS, ROWS

_HOW = "%%log and SQL below it asks; $name is the Python variable of that name; %log runs explains a view's columns"


def guide() -> dict[str, str]:
    """The views, for a display: as text, and as HTML in which each view opens to its columns."""
    return {"text/plain": _text(), "text/html": _html()}


def columns_of_view(view: str) -> dict[str, str]:
    """A view's columns, and what they mean, for a display."""
    columns = COLUMNS[view]
    width = max(map(len, columns))
    lines = [f"{view}: {ROWS[view]}", *(f"  {name:<{width}}  {what}" for name, what in columns.items())]
    rows = Rows(("column", "what it is"), list(columns.items()), ROWS[view])
    return {"text/plain": "\n".join(lines), "text/html": as_html(rows, len(rows))}


def _text() -> str:
    lines: list[str] = []
    for view, columns in COLUMNS.items():
        lines += [f"{view:<12} {ROWS[view]}"]
        lines += textwrap.wrap(", ".join(columns), 100, initial_indent=" " * 13, subsequent_indent=" " * 13)
    return "\n".join([*lines, "", _HOW])


def _html() -> str:
    return (
        "<div class='agentkit-guide' style='font-family:monospace;font-size:12px;line-height:1.6'>"
        f"{''.join(map(_view, COLUMNS))}<div style='opacity:.7'>{escape(_HOW)}</div></div>"
    )


def _view(view: str) -> str:
    rows = "".join(
        f"<tr><td style='text-align:left'>{escape(name)}</td><td style='text-align:left'>{escape(what)}</td></tr>"
        for name, what in COLUMNS[view].items()
    )
    names = escape(", ".join(COLUMNS[view]))
    return (
        f"<details><summary><b>{view}</b> <span style='opacity:.7'>{escape(ROWS[view])}</span>"
        f"<div style='padding-left:1.6em'>{names}</div></summary><table>{rows}</table></details>"
    )
