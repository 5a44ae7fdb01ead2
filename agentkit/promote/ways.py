"""Which way a run goes: what tells the runs that wrote one thing from those that wrote another, or nothing."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentkit.promote.expressions import Expr, by_position
from agentkit.promote.pool import Pool, Scalar
from agentkit.promote.values import number_of

_KINDS = 8  # different values that a field may have and still be a category
_KEPT = 6


@dataclass(frozen=True, slots=True)
class ByValue:
    """The value of a field says which way: (value, way) pairs, as the runs showed them."""

    subject: Expr
    ways: tuple[tuple[Any, str], ...]

    @property
    def cost(self) -> float:
        """How much has to be believed for it."""
        return self.subject.cost + len(self.ways) * 0.2


@dataclass(frozen=True, slots=True)
class ByLimit:
    """A number up to `low` goes one way, from `high` on the other; between them no run was."""

    subject: Expr
    low: Any
    high: Any
    below: str
    above: str

    @property
    def cost(self) -> float:
        """How much has to be believed for it."""
        return self.subject.cost + 2.0


@dataclass(frozen=True, slots=True)
class ByComparison:
    """Whether two values are equal, or one is at most the other."""

    left: Expr
    sign: Literal["==", "<="]
    right: Expr
    true: str
    false: str

    @property
    def cost(self) -> float:
        """How much has to be believed for it."""
        return self.left.cost + self.right.cost + (0.5 if self.sign == "==" else 1.5)


Split = ByValue | ByLimit | ByComparison


def splits(pool: Pool, ways: Sequence[str]) -> list[Split]:
    """What tells the ways apart in every run, the simplest first.

    Args:
        pool: what is known before the ways part.
        ways: which way each run went.
    """
    scalars = [one for one in pool.scalars if not by_position(one.expression)]
    found: list[Split] = [*_by_value(scalars, ways)]
    if len(set(ways)) == 2:
        found += [*_by_comparison(scalars, ways), *_by_limit(scalars, ways)]
    return sorted(found, key=lambda one: one.cost)[:_KEPT]


def _by_value(scalars: Sequence[Scalar], ways: Sequence[str]) -> Iterator[Split]:
    for scalar in scalars:
        if any(number_of(value) is not None for value in scalar.values):
            continue
        seen: dict[Hashable, tuple[Any, str]] = {}
        for value, which, way in zip(scalar.values, scalar.vector, ways, strict=True):
            if seen.setdefault(which, (value, way))[1] != way:
                break
        else:
            if 1 < len(seen) <= min(_KINDS, max(2, len(ways) // 2)):
                yield ByValue(scalar.expression, tuple(sorted(seen.values(), key=repr)))


def _by_limit(scalars: Sequence[Scalar], ways: Sequence[str]) -> Iterator[Split]:
    first, second = sorted(set(ways))
    for scalar in scalars:
        if any(number_of(value) is None for value in scalar.values):
            continue
        for below, above in ((first, second), (second, first)):
            low = max(value for value, way in zip(scalar.values, ways, strict=True) if way == below)
            high = min(value for value, way in zip(scalar.values, ways, strict=True) if way == above)
            if low < high:
                yield ByLimit(scalar.expression, low, high, below, above)


def _by_comparison(scalars: Sequence[Scalar], ways: Sequence[str]) -> Iterator[Split]:
    first, second = sorted(set(ways))
    both: Mapping[str, bool] = {first: True, second: False}
    for position, left in enumerate(scalars):
        for other, right in enumerate(scalars):
            if position == other:
                continue
            numeric = all(number_of(value) is not None for value in (*left.values, *right.values))
            texts = all(isinstance(value, str) for value in (*left.values, *right.values))
            if position < other and (numeric or texts):
                equal = [one == two for one, two in zip(left.vector, right.vector, strict=True)]
                yield from _compared(left, "==", right, equal, ways, both)
            if numeric:
                lower = [one <= two for one, two in zip(left.values, right.values, strict=True)]
                yield from _compared(left, "<=", right, lower, ways, both)


def _compared(
    left: Scalar,
    sign: Literal["==", "<="],
    right: Scalar,
    held: Sequence[bool],
    ways: Sequence[str],
    both: Mapping[str, bool],
) -> Iterator[Split]:
    (first, second) = both
    goes = [both[way] for way in ways]
    if list(held) == goes:
        yield ByComparison(left.expression, sign, right.expression, first, second)
    elif [not one for one in held] == goes:
        yield ByComparison(left.expression, sign, right.expression, second, first)
