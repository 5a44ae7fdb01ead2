"""Where a value may come from: small expressions that are evaluated on every recorded run, and written as Python.

Each is one node of a tree. `value` gives what it is in one run or raises `Miss`; `code` is the Python that a person
would write; `cost` says how much has to be believed for it: the cheaper explanation is the better one. Here are those
that lead to something that is there; `computed` has those that make something new.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from typing_extensions import override

from agentkit.promote.values import Miss, at, field_of, is_list, key
from agentkit.promote.writing import field_code, literal, singular_of

Env: TypeAlias = Mapping[str, Any]
"""What has a name at some point of a run: the inputs and the results so far."""
ANY = "one"
"""What an element is called as long as nothing better is known."""


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression."""

    def value(self, env: Env) -> Any:
        """Its value in a run; raises `Miss` where it has none."""
        raise NotImplementedError

    def code(self, names: "Names") -> str:
        """The Python for it."""
        raise NotImplementedError

    @property
    def cost(self) -> float:
        """How much has to be believed for it."""
        return 1.0

    def parts(self) -> tuple["Expr", ...]:
        """The expressions in it."""
        return ()


class Names:
    """What nodes are called where their code is written: a node that has a name is not written out again.

    Args:
        given: names of nodes.
        says: whether the code says what is missing where a choice finds none, or several.
    """

    def __init__(self, given: Mapping[Expr, str] | None = None, *, says: bool = False) -> None:
        self._given = dict(given or {})
        self._says = says

    def only(self, chosen: str, wanted: str) -> str:
        """The code for the one element of a generator; `wanted`: what it is, in words."""
        return f"ak.only(({chosen}), {literal(wanted)})" if self._says else f"ak.only({chosen})"

    def also(self, given: Mapping[Expr, str]) -> "Names":
        """These names, and more."""
        return Names({**self._given, **given}, says=self._says)

    def of(self, expression: Expr) -> str:
        """Its name, or its code."""
        return self._given.get(expression) or expression.code(self)


def walk(expression: Expr) -> Iterator[Expr]:
    """The expression and everything in it, the inner ones first."""
    for part in expression.parts():
        yield from walk(part)
    yield expression


def by_position(expression: Expr) -> bool:
    """Whether it takes the first or the last of something: an order that somebody else keeps."""
    return any(isinstance(node, Index) for node in walk(expression))


def is_path(expression: Expr) -> bool:
    """Whether it is fields of something that has a name, and nothing else."""
    return all(isinstance(node, Root | Field) for node in walk(expression))


def of_element(expression: Expr) -> bool:
    """Whether it is about one element of a list that a loop runs over."""
    return any(isinstance(node, Element) for node in walk(expression))


def roots(expression: Expr) -> set[str]:
    """The names that it needs."""
    return {node.name for node in walk(expression) if isinstance(node, Root)}


@dataclass(frozen=True, slots=True)
class Named(Expr):
    """Something that has a name at this point of a run."""

    name: str

    @override
    def value(self, env: Env) -> Any:
        if self.name not in env:
            raise Miss(self.name)
        return env[self.name]

    @override
    def code(self, names: Names) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Root(Named):
    """An input or a step's result."""

    @property
    @override
    def cost(self) -> float:
        return 0.5


@dataclass(frozen=True, slots=True)
class Element(Named):
    """One element of the list that a loop runs over."""

    @property
    @override
    def cost(self) -> float:
        return 0.2


@dataclass(frozen=True, slots=True)
class Onward(Expr):
    """What goes on from one other expression."""

    base: Expr

    @override
    def parts(self) -> tuple[Expr, ...]:
        return (self.base,)


@dataclass(frozen=True, slots=True)
class Const(Expr):
    """A value that never varied."""

    constant: Any  # JSON

    @override
    def value(self, env: Env) -> Any:
        return self.constant

    @override
    def code(self, names: Names) -> str:
        return literal(self.constant)

    @property
    @override
    def cost(self) -> float:
        return 3.0

    def __hash__(self) -> int:
        return hash(("const", key(self.constant)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and key(self.constant) == key(other.constant)


@dataclass(frozen=True, slots=True)
class Field(Onward):
    """A field of an object; `by_key` where that is a mapping."""

    name: str
    by_key: bool

    @override
    def value(self, env: Env) -> Any:
        return field_of(self.base.value(env), self.name)

    @override
    def code(self, names: Names) -> str:
        base = names.of(self.base)
        return f"{base}[{literal(self.name)}]" if self.by_key else f"{base}.{self.name}"

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + 0.2


@dataclass(frozen=True, slots=True)
class Index(Onward):
    """The first or the last element of a list: an order that somebody else keeps."""

    index: Literal[0, -1]

    @override
    def value(self, env: Env) -> Any:
        found = self.base.value(env)
        if not is_list(found) or not found:
            raise Miss(f"[{self.index}]")
        return found[self.index]

    @override
    def code(self, names: Names) -> str:
        return f"{names.of(self.base)}[{self.index}]"

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + 2.0


@dataclass(frozen=True, slots=True)
class Only(Onward):
    """The one element of a list that has one."""

    @override
    def value(self, env: Env) -> Any:
        found = self.base.value(env)
        if not is_list(found) or len(found) != 1:
            raise Miss("only")
        return found[0]

    @override
    def code(self, names: Names) -> str:
        return f"ak.only({names.of(self.base)})"

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + 0.5


@dataclass(frozen=True, slots=True)
class Where(Expr):
    """A condition on an element: the field at `path` equals an expression.

    `fold`: capitals and small letters count the same.
    """

    path: tuple[str, ...]
    by_key: tuple[bool, ...]
    equals: Expr
    fold: bool = False

    def holds(self, element: Any, wanted: Any) -> bool:
        """Whether an element meets it."""
        try:
            found = at(element, self.path)
        except Miss:
            return False
        if self.fold and isinstance(found, str) and isinstance(wanted, str):
            return found.casefold() == wanted.casefold()
        return key(found) == key(wanted)

    def test(self, element: str, names: Names) -> str:
        """The Python of it for an element of this name."""
        found, wanted = field_code(element, self.path, self.by_key), names.of(self.equals)
        if self.fold:
            return f"{found}.casefold() == {wanted}.casefold()"
        if isinstance(self.equals, Const) and isinstance(self.equals.constant, bool):
            return found if self.equals.constant else f"not {found}"
        if isinstance(self.equals, Const) and self.equals.constant is None:
            return f"{found} is None"
        return f"{found} == {wanted}"

    @property
    @override
    def cost(self) -> float:
        return self.equals.cost + 0.5 + (0.5 if self.fold else 0)

    @override
    def parts(self) -> tuple[Expr, ...]:
        return (self.equals,)


def met(conditions: tuple[Where, ...], elements: Any, env: Env) -> list[Any]:
    """The elements that meet all of the conditions."""
    if not is_list(elements):
        raise Miss("a list")
    wanted = [condition.equals.value(env) for condition in conditions]
    return [
        element
        for element in elements
        if all(condition.holds(element, value) for condition, value in zip(conditions, wanted, strict=True))
    ]


def filter_code(conditions: tuple[Where, ...], element: str, names: Names) -> str:
    """` if …`, or nothing where there is no condition."""
    tests = " and ".join(condition.test(element, names) for condition in conditions)
    return f" if {tests}" if tests else ""


@dataclass(frozen=True, slots=True)
class Pick(Expr):
    """The one element of a list that meets the conditions."""

    base: Expr
    conditions: tuple[Where, ...]

    @override
    def value(self, env: Env) -> Any:
        found = met(self.conditions, self.base.value(env), env)
        if len(found) != 1:
            raise Miss("one element")
        return found[0]

    @override
    def code(self, names: Names) -> str:
        one = element_of(self.base, self.conditions, names)
        chosen = f"{one} for {one} in {names.of(self.base)}{filter_code(self.conditions, one, names)}"
        return names.only(chosen, self._wanted())

    def _wanted(self) -> str:
        """What is chosen, in words: of it there may be none, or several."""
        known = [
            f"{'.'.join(one.path)} is {one.equals.constant}" for one in self.conditions if isinstance(one.equals, Const)
        ]
        given = ["that " + ".".join(one.path) for one in self.conditions if not isinstance(one.equals, Const)]
        with_given = f" with {' and '.join(given)}" if given else ""
        return plural(self.base) + with_given + (f" whose {' and '.join(known)}" if known else "")

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + sum(condition.cost for condition in self.conditions)

    @override
    def parts(self) -> tuple[Expr, ...]:
        return (self.base, *self.conditions)


@dataclass(frozen=True, slots=True)
class Best(Onward):
    """The element of a list whose field is the largest or the smallest; `times`: texts that are points in time."""

    path: tuple[str, ...]
    by_key: tuple[bool, ...]
    which: Literal["max", "min"]
    times: bool = False

    @override
    def value(self, env: Env) -> Any:
        elements = self.base.value(env)
        if not is_list(elements) or not elements:
            raise Miss("an element")
        try:
            ranked = [(self._rank(element), element) for element in elements]
            best = (max if self.which == "max" else min)(rank for rank, _ in ranked)
        except (TypeError, ValueError):
            raise Miss("an order") from None
        found = [element for rank, element in ranked if rank == best]
        if len(found) != 1:
            raise Miss("one element")
        return found[0]

    @override
    def code(self, names: Names) -> str:
        return self.beyond(self.limit(names), names)

    def limit(self, names: Names) -> str:
        """The Python for the largest or smallest value of the field."""
        one = singular(self.base)
        return f"{self.which}({self._rank_code(one)} for {one} in {names.of(self.base)})"

    def _rank(self, element: Any) -> Any:
        found = at(element, self.path)
        return dt.datetime.fromisoformat(found) if self.times else found

    def _rank_code(self, one: str) -> str:
        field = field_code(one, self.path, self.by_key)
        return f"datetime.fromisoformat({field})" if self.times else field

    def beyond(self, limit: str, names: Names) -> str:
        """The Python for the element that has it."""
        one = singular(self.base)
        words = "largest" if self.which == "max" else "smallest"
        test = f"{self._rank_code(one)} == {limit}"
        chosen = f"{one} for {one} in {names.of(self.base)} if {test}"
        return names.only(chosen, f"{plural(self.base)} with the {words} {'.'.join(self.path)}")

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + 1.5


def element_of(base: Expr, conditions: tuple[Where, ...], names: Names) -> str:
    """What one element of a list is called where conditions are about it: never what they compare it with."""
    name = singular(base)
    others = [names.of(one.equals) for one in conditions]
    return f"one_{name}" if any(re.search(rf"\b{name}\b", other) for other in others) else name


def plural(base: Expr) -> str:
    """What the elements of a list are called, all of them."""
    return base.name if isinstance(base, Field | Root) else "elements"


def singular(base: Expr) -> str:
    """What one element of a list is called: an order's lines are each a `line`."""
    return singular_of(base.name if isinstance(base, Field | Root) else "item")
