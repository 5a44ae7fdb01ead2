"""What a log says of single tools: never called, failing, unhelpful, unsafe to repeat, too long, or never the same."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from agentkit.advice import queries
from agentkit.advice.asking import Asking
from agentkit.advice.insight import Insight
from agentkit.advice.interval import share, wilson
from agentkit.text import one_line

ENOUGH_RUNS = 10  # below it a tool that was never called says nothing: 3/10 of the runs could still need it
ENOUGH_RESULTS = 5  # a 95th percentile of fewer is just the largest
RARE = 0.05  # of a tool's attempts may fail before it is worth a look, by the low end of the interval
LONG = 2000  # tokens: such a result costs more than most prompts, and is paid again in each later turn
TWICE = 2  # times; what was seen once can be chance
_SHOWN = 90  # columns of an error's message


def never_called(asking: Asking) -> Iterator[Insight]:
    """Tools that each run of the agent as it is now was offered, and none called."""
    sql = queries.called(name for name in asking.tools if queries.FIELD.fullmatch(name))
    given = {**asking.parameters, "definition": asking.definition.sha256}
    rows = asking.rows(sql, given)
    for row in rows:
        tool, runs, calls = row
        if calls == 0 and runs >= ENOUGH_RUNS:
            message = (
                f"{tool} was never called in {runs:,} runs that were offered it (so at most about {3 / runs:.0%} of "
                "runs need it): leave it out, and every prompt gets shorter and every choice easier"
            )
            yield asking.insight("never-called", tool, message, sql, rows, [row], given)


def failing(asking: Asking) -> Iterator[Insight]:
    """Tools that fail more often than now and then."""
    rows = asking.rows(queries.ERRORS)
    for tool, group in groupby(rows, key=lambda row: str(row[0])):
        outcomes = list(group)
        attempts = sum(times for _, _, times in outcomes)
        errors = [row for row in outcomes if row[1]]
        count = sum(times for _, _, times in errors)
        if count > TWICE and wilson(count, attempts)[0] > RARE:
            message = (
                f"{share(count, attempts)} attempts at {tool} failed, most often with "
                f"{one_line(errors[0][1], _SHOWN)!r}: each costs a model call, so say in its description what it "
                "takes, or give it a retry= where the same can succeed later"
            )
            yield asking.insight("error-rate", tool, message, queries.ERRORS, rows, outcomes)


def unhelpful(asking: Asking) -> Iterator[Insight]:
    """Errors after which the model made the very same call again."""
    rows = asking.rows(queries.UNCHANGED)
    for row in rows:
        tool, errors, unchanged, example = row
        if unchanged >= TWICE:
            message = (
                f"after {share(int(unchanged), errors)} errors of {tool} the same arguments were tried again, for "
                f"example after {one_line(example or '', _SHOWN)!r}: have the error say what to change, or "
                "retryable=True where the same can succeed later"
            )
            yield asking.insight("unhelpful-error", tool, message, queries.UNCHANGED, rows, [row])


def done_twice(asking: Asking) -> Iterator[Insight]:
    """Writes that were done again with the same arguments in one run, and changed something again."""
    if not asking.writes:
        return
    sql = queries.about_writes(queries.TWICE, asking.writes)
    rows = asking.rows(sql)
    for row in rows:
        tool, again, changed = row
        if changed:
            message = (
                f"{tool} was done again with the same arguments in one run, {again:,} time{'' if again == 1 else 's'}: "
                f"{int(changed):,} of them had another result, so it changed something again; give its service a key "
                "of the arguments, or have it return what is there already"
            )
            yield asking.insight("not-idempotent", tool, message, sql, rows, [row])


def too_long(asking: Asking) -> Iterator[Insight]:
    """Tools whose results fill the prompt."""
    rows = asking.rows(queries.SIZES)
    for row in rows:
        tool, results, p95 = row
        if results >= ENOUGH_RESULTS and p95 > LONG:
            message = (
                f"one result in twenty of {tool} has about {p95:,.0f} tokens or more (of {results:,} results), and "
                "each stays in every later prompt of its run: return less, or a part that can be asked for"
            )
            yield asking.insight("long-results", tool, message, queries.SIZES, rows, [row])


def never_the_same(asking: Asking) -> Iterator[Insight]:
    """Reads that gave another result for the same arguments in the same run, with no write between."""
    sql = queries.about_writes(queries.DIFFERS, asking.writes)
    rows = asking.rows(sql)
    for row in rows:
        tool, again, differed = row
        if differed >= TWICE:
            message = (
                f"{tool} gave another result for the same arguments in {share(int(differed), again)} runs that read it "
                "again with no write between: a clock, randomness or something outside is in it; take that out of the "
                "result, or make it an argument"
            )
            yield asking.insight("not-repeatable", tool, message, sql, rows, [row])


RULES: tuple[Any, ...] = (never_called, failing, unhelpful, done_twice, never_the_same, too_long)
