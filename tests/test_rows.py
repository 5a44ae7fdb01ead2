"""Rows: what a query returns, as values, as frames and as tables."""

import builtins
from datetime import UTC, datetime

import pytest

from agentkit.rows import Rows

ROWS = Rows(("name", "cost"), [("a", 0.5), ("b", None)])


def test_rows_are_a_sequence():
    """They iterate, count, index and slice like a list of tuples."""
    assert list(ROWS) == [("a", 0.5), ("b", None)]
    assert len(ROWS) == 2
    assert ROWS[0] == ("a", 0.5)
    assert ROWS[-1] == ("b", None)
    assert ROWS[1:] == Rows(("name", "cost"), [("b", None)])
    assert ROWS.dicts() == [{"name": "a", "cost": 0.5}, {"name": "b", "cost": None}]


def test_equality_is_by_value():
    """Equal columns and rows are equal; a note is about how they were read, not part of them."""
    assert Rows(("x",), [(1,)]) == Rows(("x",), [(1,)], note="only hot")
    assert Rows(("x",), [(1,)]) != Rows(("y",), [(1,)])


def test_frames():
    """The three frame libraries get the same names and values, empty results too."""
    assert ROWS.df().to_dict("list")["name"] == ["a", "b"]
    assert ROWS.pl().rows() == [("a", 0.5), ("b", None)]
    assert ROWS.arrow().to_pydict() == {"name": ["a", "b"], "cost": [0.5, None]}
    empty = Rows(("x", "y"), [])
    assert list(empty.df().columns) == empty.pl().columns == empty.arrow().column_names == ["x", "y"]


def test_frames_keep_utc_times():
    """A time stays that moment, in UTC."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    rows = Rows(("ts",), [(moment,)])
    assert rows.df()["ts"][0].to_pydatetime() == moment
    assert rows.pl()["ts"][0] == moment
    assert rows.arrow()["ts"][0].as_py() == moment


@pytest.mark.parametrize(("method", "package"), [("df", "pandas"), ("pl", "polars"), ("arrow", "pyarrow")])
def test_a_missing_library_is_named(monkeypatch, method, package):
    """Without the library, the error says what to install."""
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=f"pip install {package}"):
        getattr(ROWS, method)()


def test_repr_is_a_table():
    """The text form is an aligned table with a count."""
    assert repr(ROWS) == "name  cost\n----  ----\na     0.5\nb\n(2 rows)"
    assert repr(Rows(("x",), [(1,)], note="only hot")).endswith("(1 row) only hot")


def test_repr_is_bounded():
    """Many rows and long values are cut, and the table says so."""
    text = repr(Rows(("a", "b", "c", "d", "e"), [("x" * 10_000,) * 5] * 1000))
    assert len(text.splitlines()) == 23
    assert all(len(line) <= 160 for line in text.splitlines())
    assert "first 20 shown" in text


def test_a_cell_is_one_line():
    """Line breaks and terminal escapes in a value cannot break the table."""
    text = repr(Rows(("x",), [("a\nb\x1b[31m",)]))
    assert len(text.splitlines()) == 4
    assert "\x1b" not in text


def test_html_is_escaped_and_bounded():
    """Nothing from the log becomes HTML, columns and notes neither; rows and cells are bounded."""
    evil = "<script>alert(1)</script>"
    html = Rows((evil,), [(evil,)] * 500, note=evil)._repr_html_()
    assert "<script" not in html
    assert html.count("<tr>") == 101
    assert len(Rows(("x",), [("y" * 1_000_000,)])._repr_html_()) < 1000
