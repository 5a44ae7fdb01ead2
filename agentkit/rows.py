"""What a query returns: materialised, the same from every store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_SHOWN_ROWS = 20
_HTML_ROWS = 100
_CELL = 40  # characters of a cell in the text table
_HTML_CELL = 500
_WIDTH = 160  # characters of a line in the text table


@dataclass(frozen=True, repr=False)
class Rows:
    """The rows of a query, already fetched.

    Times are `datetime` in UTC, ids and JSON are text, money is float. Two `Rows` are equal when their columns and
    rows are.

    Args:
        columns: the columns' names.
        rows: one tuple a row.
        note: what the reader should know, for example that a part of the log could not be read; None: nothing.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]  # SQL values
    note: str | None = field(default=None, compare=False)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "tuple[Any, ...] | Rows":
        if isinstance(index, slice):
            return Rows(self.columns, self.rows[index], self.note)
        return self.rows[index]

    def dicts(self) -> list[dict[str, Any]]:
        """One dict a row; where two columns have one name, the later one wins."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def df(self) -> "pd.DataFrame":
        """The rows as a pandas frame.

        Raises:
            ImportError: pandas is missing; the message says how to get it.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise _missing("pandas", "df") from error
        return pd.DataFrame(list(self.rows), columns=list(self.columns))

    def pl(self) -> "pl.DataFrame":
        """The rows as a polars frame.

        Raises:
            ImportError: polars is missing; the message says how to get it.
        """
        try:
            import polars as pl
        except ImportError as error:
            raise _missing("polars", "pl") from error
        return pl.DataFrame(list(self.rows), schema=list(self.columns), orient="row", infer_schema_length=None)

    def arrow(self) -> "pa.Table":  # pyright: ignore[reportUnknownMemberType, reportUnknownParameterType]  pyarrow has no stubs
        """The rows as a pyarrow table.

        Raises:
            ImportError: pyarrow is missing; the message says how to get it.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise _missing("pyarrow", "arrow") from error
        arrays = [pa.array([row[i] for row in self.rows]) for i in range(len(self.columns))]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  as above
        return pa.table(arrays, names=list(self.columns))  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  as above

    def __repr__(self) -> str:
        cells = [[_text(value, _CELL) for value in row] for row in self.rows[:_SHOWN_ROWS]]
        table = [list(self.columns), *cells]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.columns))]
        lines = [_line(row, widths) for row in table]
        lines.insert(1, _line(["-" * width for width in widths], widths))
        return "\n".join([*lines, _summary(self, _SHOWN_ROWS)])

    def _repr_html_(self) -> str:
        return as_html(self, _HTML_ROWS)


def as_html(rows: Rows, shown: int) -> str:
    """The first rows as a plain table, without a script: nothing of the log becomes HTML.

    Args:
        rows: the result.
        shown: at most so many rows.
    """
    first = rows.rows[0] if rows.rows else (None,) * len(rows.columns)
    names = zip(rows.columns, first, strict=True)
    head = "".join(f"<th{_side(value)}>{escape(name)}</th>" for name, value in names)
    body = "".join(
        "<tr>" + "".join(f"<td{_side(value)}>{escape(cell_text(value))}</td>" for value in row) + "</tr>"
        for row in rows.rows[:shown]
    )
    return (
        f'<table class="agentkit-plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"<p>{escape(_summary(rows, shown))}</p>"
    )


def _side(value: Any) -> str:
    """Text stands at the left: a notebook puts all cells of a table to the right."""
    return ' style="text-align:left"' if isinstance(value, str) else ""


def cell_text(value: Any) -> str:  # any SQL value
    """A cell's text as a table in a page shows it: on one line, cut, no character that does anything."""
    return _text(value, _HTML_CELL)


def _summary(rows: Rows, shown: int) -> str:
    count = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    if len(rows) > shown:
        count += f", the first {shown} shown"
    return f"({count})" if rows.note is None else f"({count}) {rows.note}"


def _text(value: Any, limit: int) -> str:
    """A cell's text on one line, cut to a limit."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = "".join(c if c.isprintable() else " " for c in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _missing(package: str, method: str) -> ImportError:
    return ImportError(f"Rows.{method}() needs {package}: pip install {package}")
