"""Values as the data flow compares them: what the log holds and what code computes are equal where JSON says so."""

import dataclasses
import datetime as dt
import enum
import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

Vector: TypeAlias = tuple[Hashable, ...]
"""One value's key in each run."""


class Miss(Exception):
    """An expression has no value in this run."""


def key(value: Any) -> Hashable:
    """What stands for a value in comparisons and in indexes: 2, 2.0 and Decimal(2) are equal, 1 and True are not.

    A date, an id or an enum's member is the text that the log has for it.
    """
    if isinstance(value, enum.Enum):
        return key(value.value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float | Decimal):
        return ("number", float(value) if isinstance(value, Decimal) else value)
    return _key_of_text(value) or _key_of_parts(value)


def _key_of_text(value: Any) -> str | None:
    """What JSON has as a text."""
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else None


def _key_of_parts(value: Any) -> Hashable:
    if isinstance(value, list | tuple):
        return ("list", *(key(item) for item in cast("Sequence[Any]", value)))
    fields = fields_of(value)
    if fields is None:
        return ("odd", repr(value))
    return ("object", *((name, key(fields[name])) for name in sorted(fields)))


def numbers_of(vector: Vector) -> list[Any]:
    """The numbers among keys."""
    found: list[Any] = []
    for one in vector:
        if isinstance(one, tuple):
            kind, *rest = cast("tuple[Any, ...]", one)
            if kind == "number":
                found.append(rest[0])
    return found


def number_of(value: Any) -> float | int | Decimal | None:
    """A number, or None of what is none; a truth value is none."""
    return value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def is_scalar(value: Any) -> bool:
    """Whether it has no parts."""
    return not isinstance(value, list | tuple | set | frozenset) and fields_of(value) is None


def fields_of(value: Any) -> Mapping[str, Any] | None:
    """The fields of a mapping, a pydantic model or a dataclass by name; None of anything else."""
    if isinstance(value, Mapping):
        found = cast("Mapping[Any, Any]", value)
        return found if all(isinstance(name, str) for name in found) else None
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in (*type(value).model_fields, *(value.model_extra or ()))}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    return None


def field_of(value: Any, name: str) -> Any:
    """One field, as a key of a mapping or an attribute of an object; raises `Miss`."""
    if isinstance(value, Mapping):
        found = cast("Mapping[str, Any]", value)
        if name not in found:
            raise Miss(name)
        return found[name]
    try:
        return getattr(value, name)
    except AttributeError:
        raise Miss(name) from None


def is_list(value: Any) -> bool:
    """Whether it is a list of things."""
    return isinstance(value, list | tuple)


def leaves(value: Any, path: tuple[str, ...] = (), depth: int = 3) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every scalar in a value's fields, with the path that leads to it; lists are not entered."""
    fields = fields_of(value)
    if fields is None:
        if is_scalar(value):
            yield path, value
    elif depth:
        for name, item in fields.items():
            yield from leaves(item, (*path, name), depth - 1)


def at(value: Any, path: tuple[str, ...]) -> Any:
    """What a path of fields leads to; raises `Miss`."""
    for name in path:
        value = field_of(value, name)
    return value
