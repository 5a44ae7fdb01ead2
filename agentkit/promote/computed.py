"""Expressions that make something new of what is there: aggregates, lists, texts, dates, arithmetic."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

from typing_extensions import override

from agentkit.promote.changes import CHANGES, calculate
from agentkit.promote.expressions import (
    ANY,
    Element,
    Env,
    Expr,
    Names,
    Onward,
    Where,
    element_of,
    filter_code,
    met,
    roots,
)
from agentkit.promote.values import Miss, at, number_of
from agentkit.promote.writing import field_code, literal, raw, text_piece


@dataclass(frozen=True, slots=True)
class Total(Expr):
    """An aggregate over a list.

    How many elements there are, the sum of a field or of the product of two, the largest, the smallest; `default`: 0 is
    the largest and the smallest of none.
    """

    how: Literal["len", "sum", "max", "min"]
    base: Expr
    fields: tuple[tuple[tuple[str, ...], tuple[bool, ...]], ...] = ()  # (path, by_key) of each factor
    conditions: tuple[Where, ...] = ()
    default: bool = False

    @override
    def value(self, env: Env) -> Any:
        elements = met(self.conditions, self.base.value(env), env)
        if self.how == "len":
            return len(elements)
        terms = [self._term(element) for element in elements]
        if self.how == "sum":
            return sum(terms)
        if not terms:
            if self.default:
                return 0
            raise Miss("an element")
        return (max if self.how == "max" else min)(terms)

    def _term(self, element: Any) -> Any:
        product: Any = 1
        for path, _ in self.fields:
            found = number_of(at(element, path))
            if found is None:
                raise Miss("a number")
            product = found if product == 1 and not isinstance(product, Decimal) else calculate(product, "*", found)
        return product

    @override
    def code(self, names: Names) -> str:
        one = element_of(self.base, self.conditions, names)
        base, condition = names.of(self.base), filter_code(self.conditions, one, names)
        if self.how == "len":
            return f"sum(1 for {one} in {base}{condition})" if condition else f"len({base})"
        term = " * ".join(field_code(one, path, by_key) for path, by_key in self.fields) or one
        terms = base if term == one and not condition else f"{term} for {one} in {base}{condition}"
        if self.default:
            return f"{self.how}({terms if terms == base else f'({terms})'}, default=0)"
        return f"{self.how}({terms})"

    @property
    @override
    def cost(self) -> float:
        extra = 0.2 if self.default else 0.0
        return self.base.cost + len(self.fields) + sum(one.cost for one in self.conditions) + 0.5 + extra

    @override
    def parts(self) -> tuple[Expr, ...]:
        return (self.base, *self.conditions)


@dataclass(frozen=True, slots=True)
class Each(Expr):
    """A list made of another: each element, or those that meet the conditions, made into something."""

    base: Expr
    body: Expr  # of Element(element)
    element: str
    conditions: tuple[Where, ...] = ()

    @override
    def value(self, env: Env) -> Any:
        elements = met(self.conditions, self.base.value(env), env)
        return [self.body.value({**env, self.element: one}) for one in elements]

    @override
    def code(self, names: Names) -> str:
        one, base = self.element, names.of(self.base)
        if one == ANY and (better := element_of(self.base, self.conditions, names)) not in roots(self.body):
            one = better
        body = names.also({Element(self.element): one}).of(self.body)
        condition = filter_code(self.conditions, one, names)
        return f"[{body} for {one} in {base}{condition}]" if body != one or condition else base

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + self.body.cost + sum(one.cost for one in self.conditions) + 0.3

    @override
    def parts(self) -> tuple[Expr, ...]:
        return (self.base, *self.conditions)  # the body has a name of its own inside


@dataclass(frozen=True, slots=True)
class Made(Expr):
    """An object made field by field."""

    fields: tuple[tuple[str, Expr], ...]

    @override
    def value(self, env: Env) -> Any:
        return {name: body.value(env) for name, body in self.fields}

    @override
    def code(self, names: Names) -> str:
        return "{" + ", ".join(f"{literal(name)}: {names.of(body)}" for name, body in self.fields) + "}"

    @property
    @override
    def cost(self) -> float:
        return sum(body.cost for _, body in self.fields)

    @override
    def parts(self) -> tuple[Expr, ...]:
        return tuple(body for _, body in self.fields)


@dataclass(frozen=True, slots=True)
class Lookup(Expr):
    """The entry of a mapping under a computed key."""

    base: Expr
    under: Expr

    @override
    def value(self, env: Env) -> Any:
        mapping, name = self.base.value(env), self.under.value(env)
        if not isinstance(mapping, Mapping) or name not in mapping:
            raise Miss("an entry")
        return cast("Mapping[Any, Any]", mapping)[name]

    @override
    def code(self, names: Names) -> str:
        return f"{names.of(self.base)}[{names.of(self.under)}]"

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + self.under.cost + 0.5

    @override
    def parts(self) -> tuple[Expr, ...]:
        return (self.base, self.under)


@dataclass(frozen=True, slots=True)
class Change(Expr):
    """A value in another form: one of `CHANGES`."""

    how: str
    base: Expr

    @override
    def value(self, env: Env) -> Any:
        return CHANGES[self.how].apply(self.base.value(env))

    @override
    def code(self, names: Names) -> str:
        return CHANGES[self.how].write(_atom(self.base, names))

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + 1.0

    @override
    def parts(self) -> tuple[Expr, ...]:
        return (self.base,)


@dataclass(frozen=True, slots=True)
class DateForm(Onward):
    """A date written in another form; `read` None where it is a date and no text."""

    read: str | None
    write: str

    @override
    def value(self, env: Env) -> Any:
        found = self.base.value(env)
        try:
            when = found if self.read is None else dt.datetime.strptime(found, self.read)  # noqa: DTZ007  a day has no zone
            return when.strftime(self.write)
        except (ValueError, TypeError, AttributeError):
            raise Miss("a date") from None

    @override
    def code(self, names: Names) -> str:
        base = names.of(self.base)
        when = base if self.read is None else f"datetime.strptime({base}, {literal(self.read)})"
        return f"{when}.strftime({literal(self.write)})"

    @property
    @override
    def cost(self) -> float:
        return self.base.cost + 1.5


@dataclass(frozen=True, slots=True)
class Arithmetic(Expr):
    """Two numbers added, subtracted or multiplied."""

    left: Expr
    sign: Literal["+", "-", "*", "/"]
    right: Expr

    @override
    def value(self, env: Env) -> Any:
        left, right = number_of(self.left.value(env)), number_of(self.right.value(env))
        if left is None or right is None or (self.sign == "/" and not right):
            raise Miss("numbers")
        return calculate(left, self.sign, right)

    @override
    def code(self, names: Names) -> str:
        return f"{_atom(self.left, names)} {self.sign} {_atom(self.right, names)}"

    @property
    @override
    def cost(self) -> float:
        return self.left.cost + self.right.cost + 1.5

    @override
    def parts(self) -> tuple[Expr, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Template(Expr):
    """A text with values in it."""

    pieces: tuple[str | Expr, ...]

    @override
    def value(self, env: Env) -> Any:
        return "".join(piece if isinstance(piece, str) else as_text(piece.value(env)) for piece in self.pieces)

    @override
    def code(self, names: Names) -> str:
        written = ""
        for piece in self.pieces:
            if isinstance(piece, str):
                written += text_piece(piece)
            else:
                written += "{" + names.of(piece).replace('"', "'") + "}"
        return f'f"{written}"'

    @property
    @override
    def cost(self) -> float:
        return sum(0.3 if isinstance(piece, str) else piece.cost for piece in self.pieces)

    @override
    def parts(self) -> tuple[Expr, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Expr))


@dataclass(frozen=True, slots=True)
class Match(Onward):
    """The one thing in a text that looks like this."""

    pattern: str

    @override
    def value(self, env: Env) -> Any:
        text = self.base.value(env)
        if not isinstance(text, str):
            raise Miss("a text")
        found = set(re.findall(self.pattern, text))
        if len(found) != 1:
            raise Miss("one match")
        return found.pop()

    @override
    def code(self, names: Names) -> str:
        return f"ak.only(set(re.findall({raw(self.pattern)}, {names.of(self.base)})))"

    @property
    @override
    def cost(self) -> float:
        words_around = 0.5 if " " in self.pattern else 0.0
        return self.base.cost + 2.0 + words_around


def as_text(value: Any) -> str:
    """A value as a template writes it."""
    return str(value)


def _atom(expression: Expr, names: Names) -> str:
    """Its code, in brackets where something that follows would take only its end."""
    written = names.of(expression)
    return f"({written})" if isinstance(expression, Arithmetic) and written == expression.code(names) else written
