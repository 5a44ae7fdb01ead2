"""Between SQL and a notebook's variables: what `$name` stands for, and what a result is kept as."""

import difflib
import importlib.util
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

from agentkit.errors import QueryError
from agentkit.rows import Rows
from agentkit.runner.run import Run

FRAMES = ("pandas", "polars", "rows")
"""What a result may be kept as."""

_PLAIN = (str, int, float, bool, bytes, Decimal, datetime, date, time, timedelta, UUID)


def parameters(sql: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a statement's `$name`s stand for. They are bound, never pasted into the text.

    Args:
        sql: the statement.
        names: a notebook's variables.

    Raises:
        QueryError: there is no such variable, or it holds what is no value of SQL.
    """
    return {name: _value(name, names) for name in sorted(_wanted(sql))}


def _wanted(sql: str) -> set[str]:
    import duckdb

    with suppress(duckdb.Error):  # it is no SQL: who runs it says what is wrong
        with duckdb.connect(":memory:") as connection:
            statements = connection.extract_statements(sql)
        return {str(name) for statement in statements for name in statement.named_parameters if not name.isdigit()}
    return set()


def _value(name: str, names: Mapping[str, Any]) -> object:
    if name not in names:
        close = difflib.get_close_matches(name, [known for known in names if not known.startswith("_")], n=1)
        guess = f"; did you mean ${close[0]}?" if close else ""
        raise QueryError(f"${name} is the Python variable {name}, and there is none{guess}")
    value: object = _plain(names[name])
    if value is not None and not isinstance(value, (*_PLAIN, list, dict)):
        kind = type(names[name]).__name__
        raise QueryError(f"${name} is a {kind}: a parameter is a text, a number, a time, a run or a list of those")
    return cast("object", value)


def _plain(value: Any) -> Any:
    """A value as a driver takes it: a run is its id, an array or a column a list."""
    if isinstance(value, Run):
        return value.run_id
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_plain(item) for item in cast("list[Any]", value)]
    if not isinstance(value, (*_PLAIN, dict)):
        for method in ("tolist", "to_list"):  # numpy's and pandas', polars'
            if callable(convert := getattr(value, method, None)):
                return convert()
    return cast("Any", value)


def frame(rows: Rows, kind: str | None = None) -> Any:  # a frame of a library that may not be there
    """A result as a frame.

    Args:
        rows: the result.
        kind: "pandas", "polars" or "rows"; None is the library that is imported already, else the one that is
            installed, pandas first; and the rows themselves where there is neither.

    Raises:
        QueryError: that library is missing.
    """
    chosen = kind or _installed()
    try:
        return {"pandas": rows.df, "polars": rows.pl, "rows": lambda: rows}[chosen]()
    except ImportError as error:
        raise QueryError(str(error)) from error


def _installed() -> str:
    libraries = ("pandas", "polars")
    imported = (name for name in libraries if name in sys.modules)
    installed = (name for name in libraries if importlib.util.find_spec(name) is not None)
    return next(imported, None) or next(installed, "rows")
