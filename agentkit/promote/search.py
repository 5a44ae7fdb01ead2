"""Where a value comes from: every explanation that holds in all runs, the cheapest first.

A version space, as in programming by example (Mitchell 1982; Gulwani 2011): candidates are made from what can be
reached, each is evaluated on every run, and those that are never wrong survive. What survives is not the truth: where
survivors differ later on, the promoted pipeline hands over instead of choosing one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agentkit.promote.computed import Change, Each, Lookup, Made, Total
from agentkit.promote.expressions import (
    ANY,
    Best,
    Const,
    Element,
    Expr,
    Field,
    Index,
    Pick,
    Root,
    Where,
    by_position,
    of_element,
    walk,
)
from agentkit.promote.forms import dates, sums
from agentkit.promote.picks import picks
from agentkit.promote.pool import Listed, Pool, Scalar
from agentkit.promote.texts import constant, matches, templates
from agentkit.promote.totals import filters, totals
from agentkit.promote.values import Miss, Vector, at, fields_of, is_list, is_scalar, key, numbers_of

Grade: TypeAlias = Literal["certain", "ambiguous", "constant", "choice", "model"]

KEPT = 8
"""So many explanations of one value are kept: the code compares them all."""


@dataclass(frozen=True, slots=True)
class Refutation:
    """An explanation that some runs contradict, and how many."""

    expression: Expr
    runs: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from.

    Args:
        grade: "certain" one explanation, or several that say the same by other words, and at least three different
            values; "ambiguous" the runs do not tell several explanations apart, or are too few; "constant" it never
            varied; "choice" it always stands in a list, and nothing says which; "model" it is made by a model.
        survivors: the explanations, the cheapest first; of a choice what there is to choose from.
        refuted: tempting explanations that runs contradict.
        different: how many different values the runs have.
        runs: how many runs there are.
        several: of a choice, whether several are chosen.
    """

    grade: Grade
    survivors: tuple[Expr, ...]
    refuted: tuple[Refutation, ...] = ()
    different: int = 0
    runs: int = 0
    several: bool = False

    @property
    def is_known(self) -> bool:
        """Whether plain code gives it."""
        return self.grade in {"certain", "ambiguous", "constant"}


def explain(pool: Pool, values: Sequence[Any], typed: Sequence[Any] | None = None) -> Source:
    """Where a value comes from.

    Args:
        pool: what can be reached.
        values: the value in each run, JSON.
        typed: the same as the function takes it: a decimal, a date.
    """
    target = tuple(key(value) for value in values)
    different = len(set(target))
    found = _distinct(_of_both(pool, values, target, typed))
    if found:
        return Source(_grade(found, different), found[:KEPT], _refuted(pool, target, found), different, len(target))
    if (chosen := next(_choices(pool, values), None)) is not None:
        several = any(is_list(value) for value in values)
        return Source("choice", (chosen,), _refuted(pool, target, ()), different, len(target), several)
    return Source("model", (), _refuted(pool, target, ()), different, len(target))


def _of_both(pool: Pool, values: Sequence[Any], target: Vector, typed: Sequence[Any] | None) -> list[Expr]:
    """Explanations of a value as it is taken, and as the log has it: what reads it takes both."""
    as_taken = target if typed is None else tuple(key(value) for value in typed)
    if typed is None or as_taken == target:
        return _survivors(pool, values, target)
    copies = [one for one in pool.index.get(target, ()) if not by_position(one)]
    return [*copies, *_survivors(pool, typed, as_taken)] or _survivors(pool, values, target)


def _survivors(pool: Pool, values: Sequence[Any], target: Vector) -> list[Expr]:
    if (never_varied := constant(target)) is not None:
        others = list(_by_another_name(pool, target)) if len(target) > 1 else _simple(pool, target)
        return others if others and len(target) == 1 else [never_varied, *others]  # one run shows no constant
    if all(is_list(value) for value in values):
        return list(_lists(pool, values, target))
    if all(isinstance(value, dict) for value in values):
        return list(_objects(pool, values))
    return _firm(_simple(pool, target)) or _firm(_computed(pool, target))


def _by_another_name(pool: Pool, target: Vector) -> Iterator[Expr]:
    """What a constant may be instead: it did not vary because nothing did."""
    value, number = target[0], next(iter(numbers_of(target[:1])), None)
    if (isinstance(value, str) and len(value) > 2) or number not in {None, 0, 1}:
        yield from (one for one in pool.index.get(target, ()) if not by_position(one))
    if number is not None:
        yield from (one.expression for one in totals(pool, whole=True, constants=True) if one.vector == target)


def _simple(pool: Pool, target: Vector) -> list[Expr]:
    """Copies, choices out of lists, other forms of a value, what stands in a text."""
    found = [*pool.index.get(target, ()), *picks(pool, target), *_looked_up(pool, target), *matches(pool, target)]
    found += _aggregates(totals(pool, whole=True), target)
    found += _same_case(found, target)
    return found or [*pool.changed_index.get(target, ()), *_changed_matches(pool, target)]


def _same_case(found: Sequence[Expr], target: Vector) -> list[Expr]:
    """Whether capitals were changed, where nothing was there to change: all runs had small letters, or capitals.

    It is asked of addresses and of what somebody typed in; twenty different values are enough to believe it.
    """
    texts = [value for value in target if isinstance(value, str) and len(value) > 2]
    if len(texts) < len(target) or len(set(texts)) >= 20 or not found:
        return []
    by_hand = isinstance(found[0], Root) and all(text.isalpha() for text in texts)
    if all(text == text.lower() for text in texts) and (by_hand or all("@" in text for text in texts)):
        return [Change("lower", found[0])]
    if all(text == text.upper() for text in texts) and by_hand:
        return [Change("upper", found[0])]
    return []


def _changed_matches(pool: Pool, target: Vector) -> Iterator[Expr]:
    """Numbers that are written in a text."""
    numbers = numbers_of(target)
    if len(numbers) < len(target):
        return
    hows: tuple[tuple[str, list[str]], ...] = (
        ("int", [str(number) for number in numbers]),
        ("float", [f"{number:.2f}" for number in numbers]),
        ("float", [f"{number:g}" for number in numbers]),
    )
    for how, written in hows:
        if how == "int" and not all(isinstance(number, int) for number in numbers):
            continue
        for found in matches(pool, tuple(written)):
            yield Change(how, found)


def _computed(pool: Pool, target: Vector) -> list[Expr]:
    """Aggregates, dates in another form, texts with values in them, arithmetic."""
    aggregates = list(totals(pool))
    found = _aggregates(aggregates, target)
    found += [*dates(pool, target), *templates(pool, target)]
    return found or list(sums([*pool.scalars, *aggregates], target))


def _aggregates(scalars: Iterable[Scalar], target: Vector) -> list[Expr]:
    """Aggregates that are the target; sums of floats as people write them, with two digits, where the target has two.

    That a sum of floats came out even in some runs is luck: 0.1 + 0.2 is not 0.3.
    """
    two_digits = all(round(number, 2) == number for number in numbers_of(target))
    found: list[Expr] = []
    for one in scalars:
        if two_digits and any(isinstance(value, float) for value in one.values):
            if tuple(key(round(value, 2)) for value in one.values) == target:
                is_sum = isinstance(one.expression, Total) and one.expression.how == "sum"
                found.append(Change("round", one.expression) if is_sum else one.expression)
        elif one.vector == target:
            found.append(one.expression)
    return found


def _looked_up(pool: Pool, target: Vector) -> Iterator[Expr]:
    """An entry of a mapping, or a field of one, under a key that something else names."""
    for base, mappings in pool.mappings:
        for scalar in pool.scalars:
            if not all(
                isinstance(name, str) and name in one for name, one in zip(scalar.values, mappings, strict=True)
            ):
                continue
            entries = [one[name] for name, one in zip(scalar.values, mappings, strict=True)]
            if tuple(key(entry) for entry in entries) == target:
                yield Lookup(base, scalar.expression)


# of several explanations ---------------------------------------------------------------------------------------------


def _firm(found: list[Expr]) -> list[Expr]:
    """Without those by position, where a better one is there; none where an order is all that there is.

    That the agent took the first of several in every run is no reason that somebody else's next list begins with it.
    And where a value from elsewhere names what is chosen, that it was also the largest is luck.
    """
    named = [one for one in found if not by_position(one)]
    linked = [one for one in named if not _by_rank(one)]
    if linked:
        return linked if any(_links(one) for one in linked) else named
    return found if named else []


def _by_rank(expression: Expr) -> bool:
    return any(isinstance(node, Best) for node in walk(expression))


def _links(expression: Expr) -> bool:
    """Whether what it chooses is named by a value from elsewhere, or it chooses nothing."""
    conditions = [node for node in walk(expression) if isinstance(node, Where)]
    return not conditions or any(not isinstance(one.equals, Const) for one in conditions)


def _distinct(found: Sequence[Expr]) -> tuple[Expr, ...]:
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (one.cost, repr(one))))


def _grade(found: Sequence[Expr], different: int) -> Grade:
    if isinstance(found[0], Const) or (different == 1 and any(isinstance(one, Const) for one in found)):
        return "constant"
    if different < 3:
        return "ambiguous"
    return "certain" if len(found) == 1 or all(is_copy(one) for one in found) else "ambiguous"


def is_copy(expression: Expr) -> bool:
    """Whether it is a value from one place, and nothing was chosen."""
    return not any(isinstance(node, Pick | Best | Index | Const) for node in walk(expression))


def _refuted(pool: Pool, target: Vector, found: Sequence[Expr]) -> tuple[Refutation, ...]:
    """Plain explanations that hold in at least a third of the runs, and not in all."""
    wrong: list[Refutation] = []
    for scalar in pool.scalars:
        misses = sum(one != wanted for one, wanted in zip(scalar.vector, target, strict=True))
        if 0 < misses <= len(target) * 2 / 3 and scalar.expression not in found and len(set(scalar.vector)) > 1:
            wrong.append(Refutation(scalar.expression, misses))
    return tuple(sorted(wrong, key=lambda one: (one.runs, one.expression.cost))[:3])


def _choices(pool: Pool, values: Sequence[Any]) -> Iterator[Expr]:
    """Lists in which the value always stands, or everything that is in it."""
    chosen = [[key(item) for item in value] if is_list(value) else [key(value)] for value in values]
    if not any(chosen):
        return
    for listed in pool.lists:
        if not listed.chooses:
            continue
        fields = listed.fields or (((), ()),)
        for path, by_key in fields:
            if all(
                all(any(_at_is(element, path, one) for element in elements) for one in wanted)
                for elements, wanted in zip(listed.elements, chosen, strict=True)
            ):
                yield Each(listed.expression, _body(path, by_key), ANY)


def _at_is(element: Any, path: tuple[str, ...], wanted: Any) -> bool:
    try:
        return key(at(element, path)) == wanted
    except Miss:
        return False


# lists and objects ---------------------------------------------------------------------------------------------------


def _body(path: tuple[str, ...], by_key: tuple[bool, ...]) -> Expr:
    body: Expr = Element(ANY)
    for name, keyed in zip(path, by_key, strict=True):
        body = Field(body, name, keyed)
    return body


def _lists(pool: Pool, values: Sequence[Sequence[Any]], target: Vector) -> Iterator[Expr]:
    for listed in pool.lists:
        if tuple(key(elements) for elements in listed.elements) == target:
            yield listed.expression
    for listed in pool.lists:
        for conditions in ((), *((one,) for one in filters(pool, listed))):
            yield from _mapped(pool, listed, conditions, values)


def _mapped(
    pool: Pool, listed: Listed, conditions: tuple[Where, ...], values: Sequence[Sequence[Any]]
) -> Iterator[Expr]:
    """The list made of another, element by element."""
    chosen = Each(listed.expression, Element(ANY), ANY, conditions)
    try:
        kept = [chosen.value(env) for env in pool.envs]
    except Miss:
        return
    if [len(one) for one in kept] != [len(one) for one in values] or not any(kept):
        return
    if conditions and all(len(one) == len(every) for one, every in zip(kept, listed.elements, strict=True)):
        return  # a condition that nothing ever failed
    envs = [{**env, ANY: element} for env, elements in zip(pool.envs, kept, strict=True) for element in elements]
    inner = Pool(envs, names=(ANY,), element=ANY)
    wanted = [item for one in values for item in one]
    for body in _survivors_inside(inner, wanted):
        if of_element(body):
            yield Each(listed.expression, body, ANY, conditions)


def _survivors_inside(inner: Pool, wanted: Sequence[Any]) -> list[Expr]:
    target = tuple(key(value) for value in wanted)
    if all(fields_of(value) is not None for value in wanted):
        whole: list[Expr] = [Element(ANY)] if target == tuple(key(env[ANY]) for env in inner.envs) else []
        return whole or list(_objects(inner, wanted))
    if not all(is_scalar(value) for value in wanted):
        return []
    if len(set(target)) == 1 and (never_varied := constant(target)) is not None:
        return [never_varied]
    return list(inner.index.get(target, ())) or _simple(inner, target)


def _objects(pool: Pool, values: Sequence[Any]) -> Iterator[Expr]:
    """An object, field by field."""
    names = list(values[0])
    if any(list(value) != names for value in values) or not names:
        return
    made: list[tuple[str, Expr]] = []
    for name in names:
        source = explain(pool, [value[name] for value in values])
        if not source.is_known:
            return
        made.append((name, source.survivors[0]))
    yield Made(tuple(made))
