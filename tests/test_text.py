"""Words on a screen: one line, a bounded width, nothing that acts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.text import brief, call_text, cut, inert, one_line


@given(st.text(), st.integers(2, 60))
def test_a_line_is_one_short_line_of_printable_words(text, columns):
    """Whatever was written: no control character, no line break, no more columns than asked for."""
    for line in (one_line(text, columns), brief(text, columns), brief({"key": text}, columns)):
        assert line.isprintable()
        assert cut(line, columns) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[2J", "\\x1b[2J"), ("\u202eabc", "\\u202eabc"), ("a\rb", "a\\rb"), ("a\tb\nc", "a\tb\nc"), ("é漢", "é漢")],
)
def test_control_characters_are_written_out(text, shown):
    """Tabs, line breaks and letters of any language stay."""
    assert inert(text) == shown


def test_wide_characters_take_two_columns():
    """A line of them is not twice as wide as it may be."""
    assert cut("漢字漢字", 5) == "漢字…"


def test_a_call_looks_like_python():
    """Also where a model wrote something else than arguments, and when it is long."""
    assert call_text("pay", {"amount": 5, "to": "ann"}) == "pay(amount=5, to='ann')"
    assert call_text("pay", "{broken") == "pay('{broken')"
    assert call_text("pay", {"note": "x" * 500}, 20) == "pay(note='xxxxxxxx…)"
