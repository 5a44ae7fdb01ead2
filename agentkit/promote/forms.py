"""Values that are computed: dates in another form, two numbers put together, a number times a constant."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from agentkit.promote.changes import calculate
from agentkit.promote.computed import Arithmetic, Change, DateForm
from agentkit.promote.expressions import Const, Expr
from agentkit.promote.pool import Pool, Scalar
from agentkit.promote.values import Miss, Vector, key, number_of, numbers_of

_FORMS = (
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d-%m-%Y",
    "%d %B %Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m",
    "%Y",
    "%A",
    "%d.%m.%y",
)
_NUMBERS = 60  # so many numbers are put together in pairs


def dates(pool: Pool, target: Vector) -> Iterator[Expr]:
    """A date that is written in another form.

    Args:
        pool: what can be reached.
        target: the written date in each run.
    """
    wanted = [value for value in target if isinstance(value, str)]
    if len(wanted) < len(target):
        return
    writes = [form for form in _FORMS if all(_read(value, form) is not None for value in wanted)]
    if not writes:
        return
    for scalar in pool.scalars:
        for read in _forms_of(scalar):
            for write in writes:
                found = DateForm(scalar.expression, read, write)
                if read != write and _gives(found, pool, target):
                    yield found


def _forms_of(scalar: Scalar) -> list[str | None]:
    if all(isinstance(value, dt.date) for value in scalar.values):
        return [None]
    if not all(isinstance(value, str) for value in scalar.values):
        return []
    return [form for form in _FORMS if all(_read(value, form) is not None for value in scalar.values)]


def _read(value: str, form: str) -> dt.datetime | None:
    try:
        found = dt.datetime.strptime(value, form)  # noqa: DTZ007  a day has no zone
    except ValueError:
        return None
    return found if found.strftime(form) == value else None


def _gives(expression: Expr, pool: Pool, target: Vector) -> bool:
    try:
        return all(key(expression.value(env)) == wanted for env, wanted in zip(pool.envs, target, strict=True))
    except Miss:
        return False


def sums(scalars: Sequence[Scalar], target: Vector) -> Iterator[Expr]:
    """Two numbers put together, and one times a constant.

    Args:
        scalars: the numbers that there are, and others.
        target: the number in each run; fewer than three different ones prove nothing.
    """
    wanted = numbers_of(target)
    if len(wanted) < len(target) or len(set(wanted)) < 3:
        return
    numbers = [one for one in scalars if all(number_of(value) is not None for value in one.values)][:_NUMBERS]
    signs: tuple[Literal["+", "-", "*"], ...] = ("+", "-", "*")
    for position, left in enumerate(numbers):
        for other, right in enumerate(numbers):
            for sign in signs:
                if (sign == "-" or position < other) and (how := _how(left.values, sign, right.values, wanted)):
                    yield _rounded(Arithmetic(left.expression, sign, right.expression), how)
        yield from _times_constant(left, wanted)


def _times_constant(scalar: Scalar, wanted: Sequence[Any]) -> Iterator[Expr]:
    pairs = [(value, found) for value, found in zip(scalar.values, wanted, strict=True) if value]
    if len({value for value, _ in pairs}) < 3:
        return
    value, found = max(pairs, key=lambda pair: abs(pair[0]))
    factor = round(float(found) / float(value), 4)
    if factor in {0.0, 1.0}:
        return
    if how := _how(scalar.values, "*", [factor] * len(wanted), wanted):
        yield _rounded(Arithmetic(scalar.expression, "*", Const(factor)), how)


def _how(left: Sequence[Any], sign: str, right: Sequence[Any], wanted: Sequence[Any]) -> str | None:
    """Whether it gives what is wanted as it is, or rounded."""
    two_digits = all(round(float(number), 2) == float(number) for number in wanted)
    how = "exact"
    for one, other, number in zip(left, right, wanted, strict=True):
        try:
            found = calculate(one, sign, other)
        except Miss:
            return None
        if key(found) == ("number", number) and not (two_digits and isinstance(found, float)):
            continue
        if round(float(found), 2) != round(float(number), 10):
            return None
        how = "rounded"
    return how


def _rounded(expression: Expr, how: str) -> Expr:
    return expression if how == "exact" else Change("round", expression)
