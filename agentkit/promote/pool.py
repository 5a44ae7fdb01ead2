"""What can be reached from the inputs and the results so far: scalars, lists, mappings, with their values in each run.

Everything here is the same path in every run; what has to be chosen out of a list is found by `picks`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from agentkit.promote.changes import CHANGES
from agentkit.promote.computed import Change
from agentkit.promote.expressions import Element, Env, Expr, Field, Index, Only, Root
from agentkit.promote.values import Miss, Vector, fields_of, is_list, is_scalar, key, leaves

_DEPTH = 6  # fields below fields
_MOST = 1200  # scalars; a result of thousands of fields is searched as far as this


@dataclass(frozen=True, slots=True)
class Scalar:
    """An expression with its value in each run."""

    expression: Expr
    values: tuple[Any, ...]
    vector: Vector


@dataclass(frozen=True, slots=True)
class Listed:
    """A list with its elements in each run, and the fields that every element has: (path, by_key)."""

    expression: Expr
    elements: tuple[Sequence[Any], ...]
    fields: tuple[tuple[tuple[str, ...], tuple[bool, ...]], ...]

    @property
    def chooses(self) -> bool:
        """Whether there was ever more than one element to choose from."""
        return any(len(one) > 1 for one in self.elements)


class Pool:
    """All that can be reached.

    Args:
        envs: what has a name, in each run.
        names: only these; all that every run has where None.
        element: the name that is a loop's element, and no step.
    """

    def __init__(self, envs: Sequence[Env], *, names: Sequence[str] | None = None, element: str | None = None) -> None:
        self.envs = envs
        self.scalars: list[Scalar] = []
        self.lists: list[Listed] = []
        self.mappings: list[tuple[Expr, tuple[Mapping[str, Any], ...]]] = []
        self._parts: tuple[Pool, ...] = ()
        shared = [name for name in envs[0] if all(name in env for env in envs)] if envs else []
        for name in shared if names is None else names:
            root = Element(name) if name == element else Root(name)
            self._enter(root, tuple(env[name] for env in envs), _DEPTH)

    @classmethod
    def of(cls, envs: Sequence[Env], parts: "Sequence[Pool]") -> "Pool":
        """All that can be reached in pools over the same runs."""
        pool = cls(envs, names=())
        pool._parts = tuple(parts)
        for part in parts:
            pool.scalars += part.scalars
            pool.lists += part.lists
            pool.mappings += part.mappings
        return pool

    def enter(self, expression: Expr, values: tuple[Any, ...]) -> None:
        """Add something that was found in it, with all that can be reached from there."""
        self._enter(expression, values, _DEPTH - 2)

    def _enter(self, expression: Expr, values: tuple[Any, ...], depth: int) -> None:
        if len(self.scalars) >= _MOST or depth < 0:
            return
        if all(is_list(value) for value in values):
            self._enter_list(expression, values, depth)
        elif all(is_scalar(value) for value in values):
            self.scalars.append(Scalar(expression, values, tuple(key(value) for value in values)))
        elif all(not is_list(value) and not is_scalar(value) for value in values):
            self._enter_object(expression, values, depth)

    def _enter_object(self, expression: Expr, values: tuple[Any, ...], depth: int) -> None:
        objects = [fields_of(value) or {} for value in values]
        shared = [name for name in objects[0] if all(name in one for one in objects)]
        by_key = isinstance(values[0], Mapping)
        if by_key and any(len(one) > len(shared) for one in objects):
            self.mappings.append((expression, tuple(cast("tuple[Mapping[str, Any], ...]", values))))
        for name in shared:
            self._enter(Field(expression, name, by_key), tuple(one[name] for one in objects), depth - 1)

    def _enter_list(self, expression: Expr, values: tuple[Any, ...], depth: int) -> None:
        self.lists.append(Listed(expression, values, _shared_fields([item for value in values for item in value])))
        if all(len(value) == 1 for value in values):
            self._enter(Only(expression), tuple(value[0] for value in values), depth - 1)
        elif all(values) and not any(isinstance(node, Index) for node in _bases(expression)):
            self._enter(Index(expression, 0), tuple(value[0] for value in values), depth - 1)
            self._enter(Index(expression, -1), tuple(value[-1] for value in values), depth - 1)

    @cached_property
    def index(self) -> Mapping[Vector, list[Expr]]:
        """Scalars by their values."""
        found: defaultdict[Vector, list[Expr]] = defaultdict(list)
        for scalar in self.scalars:
            found[scalar.vector].append(scalar.expression)
        return found

    @cached_property
    def changed(self) -> Sequence[Scalar]:
        """Every scalar in every other form that it has in all runs."""
        found: list[Scalar] = [one for part in self._parts for one in part.changed]
        for scalar in self.scalars[sum(len(part.scalars) for part in self._parts) :]:
            for how in CHANGES:
                changed = scalar_of(Change(how, scalar.expression), self.envs)
                if changed is not None and changed.vector != scalar.vector:
                    found.append(changed)
        return found

    @cached_property
    def changed_index(self) -> Mapping[Vector, list[Expr]]:
        """The other forms by their values."""
        found: defaultdict[Vector, list[Expr]] = defaultdict(list)
        for scalar in self.changed:
            found[scalar.vector].append(scalar.expression)
        return found

    @cached_property
    def texts(self) -> Sequence[Scalar]:
        """The scalars that are prose: something may stand in them."""
        return [one for one in self.scalars if all(isinstance(value, str) and " " in value for value in one.values)]


def _bases(expression: Expr) -> list[Expr]:
    found = [expression]
    while found[-1].parts():
        found.append(found[-1].parts()[0])
    return found


def _shared_fields(elements: Sequence[Any]) -> tuple[tuple[tuple[str, ...], tuple[bool, ...]], ...]:
    """The paths of scalars that every element has."""
    if not elements or fields_of(elements[0]) is None:
        return ()
    first = [path for path, _ in leaves(elements[0])]
    others = [{path for path, _ in leaves(element)} for element in elements[1:]]
    return tuple((path, keyed(elements[0], path)) for path in first if path and all(path in other for other in others))


def keyed(value: Any, path: Sequence[str]) -> tuple[bool, ...]:
    """For each field on a path whether it is a mapping's key."""
    found: list[bool] = []
    for name in path:
        by_key = isinstance(value, Mapping)
        found.append(by_key)
        value = cast("Mapping[str, Any]", value)[name] if by_key else getattr(value, name)
    return tuple(found)


def says_something(scalar: Scalar) -> bool:
    """Whether an equality with it can be more than chance: it varied, or it is a word that is not everywhere."""
    first = scalar.values[0] if scalar.values else None
    return len(set(scalar.vector)) > 1 or (isinstance(first, str) and len(first) > 2)


def scalar_of(expression: Expr, envs: Sequence[Env]) -> Scalar | None:
    """An expression with its values; None where it has none in some run."""
    try:
        values = tuple(expression.value(env) for env in envs)
    except Miss:
        return None
    return Scalar(expression, values, tuple(key(value) for value in values))
