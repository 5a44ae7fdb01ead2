"""Choosing out of a list: which conditions single out the element that the agent took, in every run."""

import datetime as dt
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from agentkit.promote.expressions import Best, Const, Expr, Field, Pick, Where, by_position, walk
from agentkit.promote.pool import Listed, Pool, Scalar, says_something
from agentkit.promote.values import Miss, Vector, at, key, number_of


def picks(pool: Pool, target: Vector) -> Iterator[Expr]:
    """Expressions for a field of the one element of some list that a condition names.

    Args:
        pool: what can be reached.
        target: what the field was, in each run.
    """
    for listed in pool.lists:
        if not listed.chooses:
            continue
        for path, by_key in listed.fields:
            taken = _taken(listed, path, target)
            if taken is None:
                continue
            for chosen in _elements(pool, listed, taken):
                yield _field(chosen, path, by_key)


_ALIKE = 3  # of several ways to name the same elements


def name_elements(pool: Pool) -> None:
    """Add to the pool the elements of its lists that a value from elsewhere, or a constant, singles out in every run.

    So what is in them is found as anything else is: the price of the line that the input names, and its tax.
    """
    done = 0
    for _ in range(2):  # lists within such elements too
        fresh, done = pool.lists[done:], len(pool.lists)
        for listed in fresh:
            if listed.chooses and not by_position(listed.expression):
                _name_elements(pool, listed)


def _name_elements(pool: Pool, listed: Listed) -> None:
    every = [set(range(len(elements))) for elements in listed.elements]
    if not all(every):
        return
    found: dict[Vector, list[Pick]] = {}
    for field, by_key in listed.fields:
        places = [_places(elements, field) for elements in listed.elements]
        conditions = [
            *_equals(_outside(pool, listed), field, by_key, places, every),
            *_constants(field, by_key, places, every),
        ]
        for condition, unique in conditions:
            if unique:
                pick = Pick(listed.expression, (condition,))
                values = tuple(key(pick.value(env)) for env in pool.envs)
                found.setdefault(values, []).append(pick)
    for picked in found.values():
        for pick in sorted(picked, key=lambda one: one.cost)[:_ALIKE]:
            pool.enter(pick, tuple(pick.value(env) for env in pool.envs))


def _taken(listed: Listed, path: tuple[str, ...], target: Vector) -> list[set[int]] | None:
    """In each run the elements whose field is the target; None where some run has none."""
    found: list[set[int]] = []
    for elements, wanted in zip(listed.elements, target, strict=True):
        here = {index for index, element in enumerate(elements) if key(_at(element, path)) == wanted}
        if not here:
            return None
        found.append(here)
    return found


def _elements(pool: Pool, listed: Listed, taken: list[set[int]]) -> Iterator[Expr]:
    singles: list[Where] = []
    for field, by_key in listed.fields:
        places = [_places(elements, field) for elements in listed.elements]
        constants = _constants(field, by_key, places, taken)
        conditions = [*constants, *_equals(_outside(pool, listed), field, by_key, places, taken)]
        for condition, unique in conditions:
            if unique:
                yield Pick(listed.expression, (condition,))
            else:
                singles.append(condition)
        for which in ("max", "min"):
            times = all(isinstance(_at(one, field), str) for elements in listed.elements for one in elements)
            if _is_best(listed, field, which, taken):
                yield Best(listed.expression, field, by_key, which, times)
    yield from _pairs(pool, listed, singles, taken)


def _outside(pool: Pool, listed: Listed) -> list[Scalar]:
    """What does not come from an element of the same list."""
    return [scalar for scalar in pool.scalars if listed.expression not in set(walk(scalar.expression))]


def _places(elements: Sequence[Any], field: tuple[str, ...]) -> Mapping[Hashable, set[int]]:
    """Where each value of a field stands."""
    found: dict[Hashable, set[int]] = {}
    for index, element in enumerate(elements):
        found.setdefault(key(_at(element, field)), set()).add(index)
    return found


def _constants(
    field: tuple[str, ...],
    by_key: tuple[bool, ...],
    places: Sequence[Mapping[Hashable, set[int]]],
    taken: list[set[int]],
) -> Iterator[tuple[Where, bool]]:
    """Constants that the field of a taken element has in every run, and whether they single it out."""
    shared: set[Hashable] | None = None
    for here, chosen in zip(places, taken, strict=True):
        values = {value for value, indexes in here.items() if indexes & chosen}
        shared = values if shared is None else shared & values
    for value in sorted(shared or (), key=repr):
        if value is None or isinstance(value, str) or (isinstance(value, tuple) and value[0] in {"bool", "number"}):
            constant: Any = cast("tuple[Any, ...]", value)[1] if isinstance(value, tuple) else value
            unique = all(len(here[value]) == 1 for here in places)
            yield Where(field, by_key, Const(constant)), unique


def _equals(
    scalars: Sequence[Scalar],
    field: tuple[str, ...],
    by_key: tuple[bool, ...],
    places: Sequence[Mapping[Hashable, set[int]]],
    taken: list[set[int]],
) -> Iterator[tuple[Where, bool]]:
    """Expressions that equal the field of a taken element in every run, and whether they single it out."""
    for scalar in scalars:
        if not says_something(scalar):
            continue
        found = [here.get(value, set()) for here, value in zip(places, scalar.vector, strict=True)]
        if all(indexes & chosen for indexes, chosen in zip(found, taken, strict=True)):
            unique = all(len(indexes) == 1 for indexes in found)
            yield Where(field, by_key, scalar.expression), unique
        elif all(isinstance(value, str) for value in scalar.values) and _folded(places, scalar, taken):
            yield Where(field, by_key, scalar.expression, fold=True), True


def _folded(places: Sequence[Mapping[Hashable, set[int]]], scalar: Scalar, taken: list[set[int]]) -> bool:
    """Whether it singles the taken element out where capitals do not count."""
    for here, value, chosen in zip(places, scalar.values, taken, strict=True):
        found: set[int] = set()
        for other, indexes in here.items():
            if isinstance(other, str) and other.casefold() == value.casefold():
                found |= indexes
        if len(found) != 1 or not found <= chosen:
            return False
    return True


def _is_best(listed: Listed, field: tuple[str, ...], which: Literal["max", "min"], taken: list[set[int]]) -> bool:
    for elements, chosen in zip(listed.elements, taken, strict=True):
        ranks = [_at(element, field) for element in elements]
        try:
            best = max(ranks) if which == "max" else min(ranks)
        except TypeError:
            return False
        if not _has_an_order(best):
            return False
        found = {index for index, rank in enumerate(ranks) if rank == best}
        if len(found) != 1 or not found <= chosen:
            return False
    return True


def _has_an_order(value: Any) -> bool:
    """Whether the largest of several means something: of numbers and times it does, of ids and words it does not."""
    is_time = isinstance(value, dt.date) or (isinstance(value, str) and re.match(r"\d{4}-\d\d(-\d\d|$)", value))
    return number_of(value) is not None or bool(is_time)


def _pairs(pool: Pool, listed: Listed, conditions: list[Where], taken: list[set[int]]) -> Iterator[Expr]:
    """Two conditions that only together single the element out."""
    for position, first in enumerate(conditions[:30]):
        for second in conditions[position + 1 : 30]:
            if first.path == second.path:
                continue
            chosen = Pick(listed.expression, (first, second))
            if all(_picks(chosen, *one) for one in zip(pool.envs, listed.elements, taken, strict=True)):
                yield chosen


def _picks(chosen: Pick, env: Mapping[str, Any], elements: Sequence[Any], taken: set[int]) -> bool:
    try:
        wanted = [condition.equals.value(env) for condition in chosen.conditions]
    except Miss:
        return False
    found = {
        index
        for index, element in enumerate(elements)
        if all(one.holds(element, value) for one, value in zip(chosen.conditions, wanted, strict=True))
    }
    return len(found) == 1 and found <= taken


def _field(element: Expr, path: tuple[str, ...], by_key: tuple[bool, ...]) -> Expr:
    for name, keyed in zip(path, by_key, strict=True):
        element = Field(element, name, keyed)
    return element


def _at(element: Any, path: tuple[str, ...]) -> Any:
    try:
        return at(element, path)
    except Miss:
        return None
