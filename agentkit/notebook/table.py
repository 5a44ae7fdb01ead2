"""A query's result in a cell: the first rows as plain HTML, and in the page a table that sorts and pages.

As with a run's trace, the document never holds a widget: without this kernel a reader would see "model not found". The
live table is a widget that is displayed nowhere; in the page it takes the place that the HTML marks by a class.
"""

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import uuid4

from agentkit.rows import Rows, as_html, cell_text

FIRST = 20
"""Rows of a page, and of the document."""
MOST = 10_000
"""Rows that a browser is given: more than anybody pages through; the rest is for ORDER BY and LIMIT."""
_ROOM = 4_000_000
"""Characters that a browser is given at most."""
_LIVE = 20
"""Live tables of a process: an older one gives its place back to plain HTML."""

_live: deque[Any] = deque()


def show_table(rows: Rows, show: Callable[..., Any], *, live: bool) -> None:
    """Show a result in the cell that is executed.

    Args:
        rows: the result.
        show: `IPython.display.display`.
        live: whether a person looks, for whom the table sorts and pages.
    """
    live = live and len(rows) > 1
    place = f"agentkit-at-{uuid4().hex}" if live else None
    show(bundle(rows, place), raw=True)
    if place is not None:
        with suppress(Exception):  # without widgets there is the document
            _open_live(rows, place)


def bundle(rows: Rows, place: str | None = None) -> dict[str, str]:
    """What the document holds: the first rows as HTML and as text.

    Args:
        rows: the result.
        place: the name of the place in the page that a live table takes.
    """
    named = f"agentkit-result {place}" if place else "agentkit-result"
    return {"text/plain": repr(rows), "text/html": f"<div class='{named}'>{as_html(rows, FIRST)}</div>"}


def page(rows: Rows) -> dict[str, Any]:
    """What a browser needs of a result, JSON: each cell as text, and numbers to sort by where a column is of them."""
    first = rows.rows[:MOST]
    cells: list[list[str | None]] = []
    room = _ROOM
    for row in first:
        texts = [None if value is None else cell_text(value) for value in row]
        room -= sum(len(text or "") + 4 for text in texts)
        if room < 0:
            break
        cells.append(texts)
    columns = [[row[i] for row in first[: len(cells)]] for i in range(len(rows.columns))]
    return {
        "columns": [cell_text(name) for name in rows.columns],
        "keys": [_keys(column) for column in columns],
        "cells": cells,
        "total": len(rows),
        "note": rows.note,
        "size": FIRST,
    }


def _keys(column: list[Any]) -> list[float | None] | None:
    """A column's numbers, None where it is not of numbers: text sorts as text."""
    values = [value for value in column if value is not None]
    if not values or not all(map(_is_number, values)):
        return None
    return [None if value is None or math.isnan(value) else max(-1e308, min(1e308, float(value))) for value in column]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _open_live(rows: Rows, place: str) -> None:
    from agentkit.notebook.live_table import LiveTable

    _live.append(LiveTable(page(rows), place))
    while len(_live) > _LIVE:
        _live.popleft().close()
