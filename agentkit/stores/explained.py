"""What was wrong with a statement, in a few lines: DuckDB's own words, with a guess at what was meant."""

import difflib
import re
from collections.abc import Iterable

from agentkit.stores.views import COLUMNS

_COLUMN = re.compile(r'(?:Referenced column "|does not have a column named ")([^"]*)"')
_TABLE = re.compile(r'(?:Table with name |Referenced table ")([^"\s]+?)"? (?:does not exist|not found)')
_QUOTED = re.compile(r'"([^"]*)"')


def explained(error: Exception, sql: str) -> str:
    """A driver's error as its reader needs it.

    Args:
        error: what DuckDB raised.
        sql: the statement.

    Returns:
        What is wrong, the guess, and the place in the statement; never the traceback, nor every overload of a function.
    """
    message, place = _parts(str(error))
    if match := _COLUMN.search(message):
        return f"{_column(match[1], message, sql)}{place}"
    if match := _TABLE.search(message):
        return f"no view {match[1]}{_guess(match[1], COLUMNS)}\nThe log's views: {', '.join(COLUMNS)}{place}"
    return f"{message.partition('Candidate functions:')[0].strip()}{place}"


def _parts(message: str) -> tuple[str, str]:
    """DuckDB's message, and the line with the caret below it."""
    said, found, line = message.partition("\nLINE ")
    return said.strip(), f"\n\nLINE {line.rstrip()}" if found else ""


def _column(name: str, message: str, sql: str) -> str:
    views = [view for view in COLUMNS if re.search(rf"\b{view}\b", sql, re.IGNORECASE)]
    known = [column for view in views for column in COLUMNS[view]]
    candidates = _QUOTED.findall(message.partition("Candidate bindings:")[2])  # also those of a WITH
    said = f"no column {name} in {' or '.join(views)}" if views else f"no column {name}"
    guess = _guess(name, [*known, *candidates])
    elsewhere = [view for view, columns in COLUMNS.items() if name.lower() in columns]
    if guess:
        said += guess
    elif elsewhere:
        said += f"; it is one of {', '.join(elsewhere)}"
    elif candidates and name not in known:
        said += f"; a text goes in single quotes: '{name}'"
    lists = "".join(f"\n{view} has {', '.join(COLUMNS[view])}" for view in views[:2])
    return said + (lists or "; DESCRIBE lists a view's columns, for example DESCRIBE runs")


def _guess(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower(), list(dict.fromkeys(known)), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
