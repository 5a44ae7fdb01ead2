"""What a log says of calls together: a value that is always handed on, two tools that are always used together."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias, cast

from pydantic_core import from_json

from agentkit.advice import queries
from agentkit.advice.asking import Asking
from agentkit.advice.insight import Insight
from agentkit.advice.interval import share, wilson

ENOUGH_CALLS = 8  # "always" in fewer can be chance: 8 of 8 is at least 68% with 95% confidence
ENOUGH_VALUES = 3  # a value that hardly varies equals many things
_DEPTH = 4  # of a path into a result that is looked for

Source: TypeAlias = "tuple[str, tuple[str, ...]]"
"""A tool, and the path of a value in its result."""


def always_together(asking: Asking) -> Iterator[Insight]:
    """Tools of which each but the first always, and only, comes right after the one before."""
    rows = asking.rows(queries.FOLLOWED)
    calls: dict[str, int] = defaultdict(int)
    for first, _second, times, _runs in rows:
        calls[first] += times
    after = {
        str(first): str(second)
        for first, second, times, _runs in rows
        if first != second
        and times == calls[first] == calls.get(second)
        and times >= ENOUGH_CALLS
        # between a look and a change stands the model's decision: that is no thing to merge
        and (first in asking.writes) == (second in asking.writes)
    }
    for first in sorted(set(after) - set(after.values())):
        chain = _chain(first, after)
        times = calls[first]
        message = (
            f"{' > '.join(chain)}: each was always followed by the next, which never came without it, in "
            f"{share(times, times)} calls; one tool that does it all saves {_model_calls(len(chain) - 1)} each time"
        )
        about = [row for row in rows if row[0] in chain or row[1] in chain]
        yield asking.insight("merge", first, message, queries.FOLLOWED, rows, about)


def _chain(first: str, after: Mapping[str, str]) -> list[str]:
    chain = [first]
    while (next_ := after.get(chain[-1])) is not None:
        chain.append(next_)
    return chain


def _model_calls(count: int) -> str:
    return "a model call" if count == 1 else f"{count} model calls"


@dataclass
class _Argument:
    """Where an argument's values may have come from: what holds for every call so far."""

    calls: int = 0
    values: set[str] = field(default_factory=set[str])
    sources: set[Source] | None = None
    asked_for: bool = True  # each value stood in its run's input: no tool had to bring it


def always_copied(asking: Asking) -> Iterator[Insight]:
    """Arguments that always were what one earlier result says, so that the model does no more than copy them."""
    for (tool, argument), seen in sorted(_arguments(asking).items()):
        if seen.asked_for or not seen.sources or seen.calls < ENOUGH_CALLS or len(seen.values) < ENOUGH_VALUES:
            continue
        source, path = min(seen.sources, key=lambda one: (len(one[1]), one))
        sql = queries.copied(tool, argument, source, path)
        rows = asking.rows(sql)
        calls, values, copied = rows[0]
        if copied < calls:
            continue  # the texts of two numbers differ where the numbers do not: the query's word counts
        where = ".".join(path) or "its result"
        message = (
            f"{tool}.{argument} always was {where} of an earlier {source}: in {calls:,} of {calls:,} calls (at least "
            f"{wilson(calls, calls)[0]:.0%} with 95% confidence; {values:,} values): have {tool} look it up itself, so "
            "that no model copies it"
        )
        yield asking.insight("inject", tool, message, sql, rows, list(rows))


def _arguments(asking: Asking) -> dict[tuple[str, str], _Argument]:
    seen: dict[tuple[str, str], _Argument] = defaultdict(_Argument)
    for _run, group in groupby(asking.rows(queries.VALUES), key=lambda row: row[0]):
        _read_run(list(group), seen)
    return seen


def _read_run(events: list[tuple[Any, ...]], seen: dict[tuple[str, str], _Argument]) -> None:
    """Narrow down what one run's calls allow."""
    asked, results = "", dict[str, set[Source]]()
    for _run, type_, name, attempt, body in events:
        data = _object(body)
        if type_ == "run_started":
            asked = str(data.get("input"))
        elif not queries.FIELD.fullmatch(name):
            continue
        elif type_ == "tool_succeeded":
            for path, value in _leaves(data.get("result")):
                results.setdefault(value, set()).add((name, path))
        elif attempt == 1:
            for argument, value in _scalars(data.get("arguments")):
                _narrow(seen[name, argument], value, results.get(value, set()), asked)


def _narrow(argument: _Argument, value: str, sources: set[Source], asked: str) -> None:
    argument.calls += 1
    argument.values.add(value)
    argument.sources = sources if argument.sources is None else argument.sources & sources
    argument.asked_for = argument.asked_for and value in asked


def _object(body: Any) -> Mapping[str, Any]:
    data: Any = from_json(body) if isinstance(body, str | bytes) else body
    return cast("Mapping[str, Any]", data) if isinstance(data, dict) else {}


def _scalars(arguments: Any) -> Iterator[tuple[str, str]]:
    """The arguments that are texts or numbers, as the queries see them."""
    for name, value in _object(arguments).items():
        if queries.FIELD.fullmatch(name) and _is_plain(value):
            yield name, str(value)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts and numbers in a result by their path; what is in a list has no place that always holds."""
    if _is_plain(value):
        yield path, str(value)
    elif isinstance(value, dict) and len(path) < _DEPTH:
        for key, inner in cast("dict[str, Any]", value).items():
            if queries.FIELD.fullmatch(key):
                yield from _leaves(inner, (*path, key))


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""


RULES: tuple[Any, ...] = (always_copied, always_together)
