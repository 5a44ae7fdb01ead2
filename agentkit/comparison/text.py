"""A comparison as text for a terminal. Words of models, tools and people stay words."""

from typing import TYPE_CHECKING

from agentkit.comparison.facts import Step
from agentkit.messages import Usage
from agentkit.render.words import WIDTH
from agentkit.text import cut, dollars, duration, inert, one_line

if TYPE_CHECKING:
    from agentkit.comparison.compared import Comparison, Pair, Side

MARKS = {"same": "=", "differs": "≠", "a": "-", "b": "+", "shared": "·"}
_STEPS = 40
"""Steps that are shown of long runs: from a little before the first that differs."""
_BEFORE = 8
_DETAILS = 12
"""Differences that are listed of one place; `.details` has all."""


def lines(both: "Comparison") -> str:
    """The comparison, at most `WIDTH` columns wide."""
    return "\n".join(cut(inert(line), WIDTH) for line in [*_head(both), "", *_totals(both), "", *_steps(both)])


def where(both: "Comparison") -> str:
    """Where they part, in a line."""
    if both.parts_at is None:
        return "They began with the same, and did the same."
    if both.parts_at == "the end":
        return "They did the same, and ended differently."
    if both.began and both.first is None:
        return "They began differently, and did the same."
    if both.began:
        assert both.first is not None, "the case before"
        return f"They began differently; the first step that differs is {step(both.first)}."
    assert both.first is not None, "that is where they part"
    return f"They part at {step(both.first)}."


def step(pair: "Pair") -> str:
    """A step, and what differs in it."""
    path = one_line(pair.path, 50)
    if pair.a is None or pair.b is None:
        return f"{path}: only {'b' if pair.a is None else 'a'} has it"
    return f"{path}: {', '.join(pair.differs)}"


def mark(pair: "Pair") -> str:
    """How a step is in both runs, in a word."""
    if pair.a is None or pair.b is None:
        return "b" if pair.a is None else "a"
    return "shared" if pair.shared else "same" if pair.same else "differs"


def totals(both: "Comparison") -> list[tuple[str, str, str, str]]:
    """What each cost in all: what it is, the first's, the second's, and the difference."""
    a, b = both.a, both.b
    return [
        ("status", a.status, b.status, ""),
        ("steps", f"{a.steps:,}", f"{b.steps:,}", _more(b.steps - a.steps)),
        ("attempts", f"{a.attempts:,}", f"{b.attempts:,}", _more(b.attempts - a.attempts)),
        ("model calls", *_both(a.usage.model_calls, b.usage.model_calls)),
        ("tokens read", *_both(a.usage.input_tokens, b.usage.input_tokens)),
        ("tokens written", *_both(a.usage.output_tokens, b.usage.output_tokens)),
        ("cost", _cost(a.usage), _cost(b.usage), _cost_apart(a.usage, b.usage)),
        ("time, waiting included", _time(a), _time(b), _time_apart(a, b)),
    ]


def took(one: Step | None) -> str:
    """What a step cost: time, tokens, money, attempts."""
    if one is None:
        return ""
    tokens = one.usage.input_tokens + one.usage.output_tokens
    said = [
        duration(one.seconds) if one.seconds is not None else "",
        f"{tokens:,} tokens" if tokens else "",
        _cost(one.usage) if one.usage.cost_usd != 0 else "",
        f"{one.attempts} attempts" if one.attempts > 1 else "",
    ]
    return ", ".join(part for part in said if part)


def shown(both: "Comparison") -> tuple[int, int]:
    """Which of the steps are shown, from and until: of long runs those around the first that differs."""
    if len(both.pairs) <= _STEPS:
        return 0, len(both.pairs)
    first = next((index for index, pair in enumerate(both.pairs) if not pair.same), 0)
    begin = max(0, min(first - _BEFORE, len(both.pairs) - _STEPS))
    return begin, begin + _STEPS


def _head(both: "Comparison") -> list[str]:
    sides = [f"{key}  {one_line(side.name, 40)}  run {side.run_id}" for key, side in (("a", both.a), ("b", both.b))]
    return [*sides, "", where(both), *_listed(both.began), *_listed(both.details), *_listed(both.ended)]


def _listed(differences: tuple[object, ...]) -> list[str]:
    left = len(differences) - _DETAILS
    more = [f"    … {left:,} more differences"] if left > 0 else []
    return [*(f"    {difference}" for difference in differences[:_DETAILS]), *more]


def note(both: "Comparison") -> str:
    """What has to be known to read the totals, if anything."""
    if not any(pair.shared for pair in both.pairs):
        return ""
    return "b is a fork of a: its calls, tokens, cost and time are those of what it did itself"


def _totals(both: "Comparison") -> list[str]:
    table = [("", "a", "b", "b - a"), *totals(both)]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    rows = [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        for row in table
    ]
    return [*rows, *([said] if (said := note(both)) else [])]


def _steps(both: "Comparison") -> list[str]:
    begin, until = shown(both)
    pairs = both.pairs[begin:until]
    width = min(44, max((len(pair.path) for pair in pairs), default=0))
    found = [f"… {begin:,} steps before"] if begin else []
    for pair in pairs:
        how = ", ".join(pair.differs) or {"a": "only a", "b": "only b", "shared": "shared"}.get(mark(pair), "")
        costs = " | ".join(took(one) or "-" for one in (pair.a, pair.b))
        found.append(f"{MARKS[mark(pair)]} {one_line(pair.path, 44):<{width}}  {costs}  {how}".rstrip())
    left = len(both.pairs) - until
    return [*found, *([f"… {left:,} steps more; .rows has all"] if left else [])]


def _both(a: int, b: int) -> tuple[str, str, str]:
    return f"{a:,}", f"{b:,}", _more(b - a)


def _more(apart: int) -> str:
    return f"{apart:+,}" if apart else ""


def _cost(usage: Usage) -> str:
    return "unknown" if usage.cost_usd is None else dollars(usage.cost_usd)


def _cost_apart(a: Usage, b: Usage) -> str:
    if a.cost_usd is None or b.cost_usd is None or a.cost_usd == b.cost_usd:
        return ""
    apart = b.cost_usd - a.cost_usd
    return f"{'+' if apart > 0 else '-'}{dollars(abs(apart))}"


def _time(side: "Side") -> str:
    return "not ended" if side.seconds is None else duration(side.seconds)


def _time_apart(a: "Side", b: "Side") -> str:
    if a.seconds is None or b.seconds is None:
        return ""
    apart = b.seconds - a.seconds
    return f"{'+' if apart >= 0 else '-'}{duration(abs(apart))}"
