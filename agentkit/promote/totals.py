"""Aggregates over a list, all of it or those elements that meet a condition."""

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import Any, Literal

from agentkit.promote.computed import Total
from agentkit.promote.expressions import Const, Expr, Where, walk
from agentkit.promote.pool import Listed, Pool, Scalar, says_something, scalar_of
from agentkit.promote.values import Miss, at, is_scalar, key, number_of

_KINDS = 8  # a field with more different values is no category


def totals(pool: Pool, *, whole: bool = False, constants: bool = False) -> Iterator[Scalar]:
    """Every aggregate over every list, whole and filtered, with its value in each run.

    Args:
        pool: what can be reached.
        whole: only those over all elements.
        constants: those too that are the same in every run.
    """
    for listed in pool.lists:
        for conditions in ((), *(() if whole else ((one,) for one in filters(pool, listed)))):
            for expression in _over(listed, conditions):
                scalar = scalar_of(expression, pool.envs)
                if scalar is not None and (constants or len(set(scalar.vector)) > 1):
                    yield scalar


def _over(listed: Listed, conditions: tuple[Where, ...]) -> Iterator[Expr]:
    base = listed.expression
    yield Total("len", base, (), conditions)
    numeric = [field for field in listed.fields if _is_numeric(listed, field[0])]
    elements = [element for one in listed.elements for element in one]
    if elements and all(number_of(element) is not None for element in elements):
        numeric.append(((), ()))
    hows: tuple[Literal["sum", "max", "min"], ...] = ("sum", "max", "min")
    for field in numeric:
        for how in hows:
            yield Total(how, base, (field,), conditions)
            if how != "sum" and (conditions or not all(listed.elements)):
                yield Total(how, base, (field,), conditions, default=True)
    for pair in combinations(numeric, 2):
        yield Total("sum", base, pair, conditions)


def _is_numeric(listed: Listed, path: tuple[str, ...]) -> bool:
    return all(number_of(at(element, path)) is not None for one in listed.elements for element in one)


def filters(pool: Pool, listed: Listed) -> Iterator[Where]:
    """Conditions that some elements meet: a field that is a category, or that equals something outside the list."""
    elements: list[Any] = [element for one in listed.elements for element in one]
    outside = [scalar for scalar in pool.scalars if listed.expression not in set(walk(scalar.expression))]
    for path, by_key in listed.fields:
        found = {key(at(element, path)): at(element, path) for element in elements}
        is_category = len(found) <= _KINDS and (len(found) < len(elements) or len(elements) < _KINDS)
        if is_category and not any(number_of(value) is not None for value in found.values()):
            for value in found.values():
                if is_scalar(value) and (value is None or isinstance(value, bool | str)):
                    yield Where(path, by_key, Const(value))
        for scalar in outside:
            if says_something(scalar) and _meets_some(listed, path, scalar.vector):
                yield Where(path, by_key, scalar.expression)


def _meets_some(listed: Listed, path: tuple[str, ...], wanted: Sequence[Hashable]) -> bool:
    """Whether in a third of the runs that have elements one meets it: what hardly ever holds explains nothing."""
    held = 0
    for elements, value in zip(listed.elements, wanted, strict=True):
        try:
            held += any(key(at(element, path)) == value for element in elements)
        except Miss:
            return False
    return held > 0 and held * 3 >= sum(1 for elements in listed.elements if elements)
