"""What was wrong with a statement, in a few lines: the database's own words, with a guess at what was meant."""

import difflib
import re
from collections.abc import Iterable

from agentkit.stores.views import COLUMNS

_COLUMN = re.compile(r'(?:Referenced column "|does not have a column named ")([^"]*)"')
_TABLE = re.compile(r'(?:Table with name |Referenced table ")([^"\s]+?)"? (?:does not exist|not found)')
_QUOTED = re.compile(r'"([^"]*)"')


def explained(error: Exception, sql: str) -> str:
    """DuckDB's error as its reader needs it.

    Args:
        error: what DuckDB raised.
        sql: the statement.

    Returns:
        What is wrong, the guess, and the place in the statement; never the traceback, nor every overload of a function.
    """
    message, place = _parts(str(error))
    if match := _COLUMN.search(message):
        candidates = _QUOTED.findall(message.partition("Candidate bindings:")[2])  # also those of a WITH
        how = "DESCRIBE lists a view's columns, for example DESCRIBE runs"
        return f"{no_column(match[1], sql, candidates, is_text=bool(candidates), how=how)}{place}"
    if match := _TABLE.search(message):
        return f"{no_view(match[1])}{place}"
    return f"{message.partition('Candidate functions:')[0].strip()}{place}{about_ids(message)}"


def about_ids(message: str) -> str:
    """How a run is found by the beginning of its id, where the database's message is about that type; else nothing.

    Args:
        message: the database's.
    """
    if not re.search(r"\buuid\b", message, re.IGNORECASE):
        return ""
    return "\n\nrun_id is a UUID; by its beginning a run is found so: CAST(run_id AS VARCHAR) LIKE '01a2%'"


def _parts(message: str) -> tuple[str, str]:
    """DuckDB's message, and the line with the caret below it."""
    said, found, line = message.partition("\nLINE ")
    return said.strip(), f"\n\nLINE {line.rstrip()}" if found else ""


def no_view(name: str) -> str:
    """What is said of a table that is not there.

    Args:
        name: as it was written.
    """
    return f"no view {name}{_guess(name, COLUMNS)}\nThe log's views: {', '.join(COLUMNS)}"


def no_column(name: str, sql: str, candidates: Iterable[str], *, is_text: bool, how: str) -> str:
    """What is said of a column that is not there.

    Args:
        name: as it was written.
        sql: the statement.
        candidates: what the database says that it may be.
        is_text: whether it can be a text without its quotes.
        how: what to do where the statement names no view.
    """
    views = [view for view in COLUMNS if re.search(rf"\b{view}\b", sql, re.IGNORECASE)]
    known = [column for view in views for column in COLUMNS[view]]
    said = f"no column {name} in {' or '.join(views)}" if views else f"no column {name}"
    guess = _guess(name, [*known, *candidates])
    elsewhere = [view for view, columns in COLUMNS.items() if name.lower() in columns]
    if guess:
        said += guess
    elif elsewhere:
        said += f"; it is one of {', '.join(elsewhere)}"
    elif is_text and name not in known:
        said += f"; a text goes in single quotes: '{name}'"
    lists = "".join(f"\n{view} has {', '.join(COLUMNS[view])}" for view in views[:2])
    return said + (lists or f"; {how}")


def _guess(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower(), list(dict.fromkeys(known)), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
