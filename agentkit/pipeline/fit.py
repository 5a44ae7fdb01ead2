"""Whether what one step returns can be what another takes, said before anything runs.

Values travel between steps as JSON, so the schemas of the two types are compared (`wire`), never the classes: a
re-executed cell makes a new class of the same name. What may fit, fits: constraints, validators and serializers of the
user's have the benefit of the doubt. What pydantic would take and nobody means does not fit: text as a number, and an
empty list or mapping where the items are of different types.
"""

import types
from typing import Annotated, Any, NamedTuple, Union, Unpack, get_args, get_origin

from pydantic import TypeAdapter

from agentkit.functions.fields import Shape
from agentkit.functions.signature import NOTHING
from agentkit.pipeline.shapes import (
    Property,
    alternatives,
    is_closed,
    item_at,
    kinds,
    length,
    others,
    properties,
    type_in_words,
    values,
)
from agentkit.pipeline.wire import wire_schema

_ARRAY, _OBJECT, _NULL = frozenset(["array"]), frozenset(["object"]), frozenset(["null"])
_NUMBERS = {"integer", "number", "boolean"}  # pydantic reads each as the others, where the value allows it
_MOMENTS = {"date", "date-time"}
_EXACT = {*_MOMENTS, "time", "duration", "uuid"}  # formats that are not written like one another
_TEXT = {None, "uuid", "binary", "base64url", "path", "file-path", "directory-path", "uri", "email", "regex"}


def misfit(given: Any, wanted: Any) -> str | None:
    """Why no value of one type, written as JSON, can be read as another.

    Args:
        given: a type, a step's return annotation; `NOTHING` where it has none.
        wanted: a type, a parameter's annotation; `NOTHING` where it has none.

    Returns:
        The reason, a clause that names the types and the path within them; None where a value may fit.

    Example:
        >>> misfit(list[str], int)
        'list[str] is given, and int is wanted'
        >>> misfit(dict[str, list[str]], dict[str, list[int]])
        'in dict[str, list[str]], `*[]`: str is given, and int is wanted'
    """
    if NOTHING in (given, wanted) or given == wanted:
        return None
    source, target = wire_schema(given, "serialization"), wire_schema(wanted, "validation")
    reason = _Comparison(source, target).reason(source, target)
    if reason is None or not reason.path:
        return reason and reason.clause
    return f"in {type_in_words(source, source)}, `{reason.path.removeprefix('.')}`: {reason.clause}"


def optional(wanted: Any) -> bool:
    """Whether a parameter's annotation takes None.

    Args:
        wanted: a type; `NOTHING`, the missing annotation, takes anything.

    Example:
        >>> optional(int | None), optional(int)
        (True, False)
    """
    if wanted is NOTHING:
        return True
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(wanted)
    except Exception:  # noqa: BLE001  pydantic and the types' own hooks raise what they like
        return type(None) in get_args(wanted)
    try:
        adapter.validate_json("null")
    except Exception:  # noqa: BLE001  a validator of the user's may stumble over None
        return False
    return True


def is_list_like(given: Any) -> bool | None:
    """Whether values of a type are written as JSON arrays; None where that is not known before.

    Args:
        given: a type. A None beside others does not count: `list[str] | None` is list-like.

    Example:
        >>> is_list_like(tuple[int, ...]), is_list_like(str), is_list_like(list[int] | int)
        (True, False, None)
    """
    schema = {} if given is NOTHING else wire_schema(given, "serialization")
    found = [kinds(shape) for shape in alternatives(schema, schema)]
    arrays = [kind == _ARRAY for kind in found if kind != _NULL]
    if not all(found) or (any(arrays) and not all(arrays)):
        return None
    return any(arrays)


def item_type(given: Any) -> Any:
    """The type of the items of a list-like type, or `NOTHING` where it is not known.

    Args:
        given: a type, such as `list[Ticket]`, `tuple[int, str]` or `Sequence[Ticket] | None`.

    Example:
        >>> item_type(list[int] | None)
        <class 'int'>
    """
    return _items(given) if is_list_like(given) else NOTHING


def _items(given: Any) -> Any:
    given = _under_its_name(given)
    origin, inner = get_origin(given), get_args(given)
    if origin is Annotated:
        return _items(inner[0])
    if origin in {Union, types.UnionType}:
        return _either([_items(one) for one in inner if one is not type(None)])
    if origin is tuple:
        return _either([one for one in inner if one is not Ellipsis])
    return inner[0] if inner else NOTHING


def _under_its_name(given: Any) -> Any:
    """What a `RootModel`, a `NewType` or `type X = …` stands for."""
    beneath = getattr(given, "__supertype__", None) or getattr(given, "__value__", None)
    if getattr(given, "__pydantic_root_model__", False):
        beneath = given.model_fields["root"].annotation
    return given if beneath is None else _under_its_name(beneath)


def _either(found: list[Any]) -> Any:
    """The union of types that are all known."""
    unknown = any(one is NOTHING or getattr(one, "__unpacked__", False) or get_origin(one) is Unpack for one in found)
    return Union[tuple(found)] if found and not unknown else NOTHING  # noqa: UP007  made at run time


class _Reason(NamedTuple):
    path: str  # within the types, such as `.items[].price`
    clause: str

    def within(self, step: str) -> "_Reason":
        return _Reason(step + self.path, self.clause)


class _Comparison:
    """Of two schemas, each with its `$defs`; a pair that is met again within itself fits."""

    def __init__(self, given: Shape, wanted: Shape) -> None:
        self._given, self._wanted = given, wanted
        self._reasons: dict[tuple[int, int], _Reason | None] = {}

    def reason(self, given: Shape, wanted: Shape) -> _Reason | None:
        """Why no alternative of one is an alternative of the other."""
        telling: list[_Reason] = []
        pairs = [(a, b) for a in alternatives(given, self._given) for b in alternatives(wanted, self._wanted)]
        for one, other in pairs:
            reason = self._of_pair(one, other)
            if reason is None:
                return None
            if "null" not in kinds(one) | kinds(other):
                telling.append(reason)
        if not pairs:  # Never
            return None
        return telling[0] if len(telling) == 1 else self._differ(given, wanted)

    def _of_pair(self, given: Shape, wanted: Shape) -> _Reason | None:
        pair = id(given), id(wanted)
        if pair not in self._reasons:
            self._reasons[pair] = None
            self._reasons[pair] = self._compare(given, wanted)
        return self._reasons[pair]

    def _compare(self, given: Shape, wanted: Shape) -> _Reason | None:
        if not kinds(given) or not kinds(wanted):
            return None
        if not _some_value_fits(given, wanted):
            return self._differ(given, wanted)
        if kinds(given) == kinds(wanted) == _ARRAY:
            return self._compare_arrays(given, wanted)
        if kinds(given) == kinds(wanted) == _OBJECT:
            return self._compare_objects(given, wanted)
        return None

    def _differ(self, given: Shape, wanted: Shape) -> _Reason:
        return _Reason("", f"{self._source(given)} is given, and {self._target(wanted)} is wanted")

    def _source(self, shape: Shape) -> str:
        return type_in_words(shape, self._given)

    def _target(self, shape: Shape) -> str:
        return type_in_words(shape, self._wanted)

    def _compare_arrays(self, given: Shape, wanted: Shape) -> _Reason | None:
        """Item by item where one is a tuple."""
        least, most = length(given)
        fewest, longest = length(wanted)
        if least > longest or fewest > most:
            return self._differ(given, wanted)
        ahead = max(len(given.get("prefixItems", ())), len(wanted.get("prefixItems", ())))
        steps = [(f"[{at}]", at) for at in range(min(ahead, max(least, fewest)))] if ahead else [("[]", 0)]
        for step, at in steps:
            reason = self.reason(item_at(given, at), item_at(wanted, at))
            if reason:
                return reason.within(step)
        return None

    def _compare_objects(self, given: Shape, wanted: Shape) -> _Reason | None:
        if "properties" not in given and "properties" not in wanted:
            reason = self.reason(others(given), others(wanted))
            return reason and reason.within(".*")
        ours, theirs = list(properties(given)), list(properties(wanted))
        for there in theirs:
            reason = self._compare_property(there.among(ours), there, given, wanted)
            if reason:
                return reason
        for one in ours:
            reason = None if one.among(theirs) else self._compare_extra(one, given, wanted)
            if reason:
                return reason
        return None

    def _compare_property(self, ours: list[Property], there: Property, given: Shape, wanted: Shape) -> _Reason | None:
        """A property that is wanted with those that may go by its name."""
        if ours:
            reasons = [self.reason(one.shape, there.shape) for one in ours]
            if not all(reasons) or not (there.required or any(one.always_is(there) for one in ours)):
                return None
        elif not there.required:
            return None
        elif is_closed(given):
            lacks = f"{self._source(given)} has no field `{there.names[0]}`"
            return _Reason("", f"{lacks}, which {self._target(wanted)} requires")
        else:
            reasons = [self.reason(others(given), there.shape)]
        return reasons[0] and reasons[0].within(f".{there.names[0]}")

    def _compare_extra(self, one: Property, given: Shape, wanted: Shape) -> _Reason | None:
        """A property that is not asked for by name."""
        if not one.required:
            return None
        if wanted.get("additionalProperties") is False:
            has = f"{self._source(given)} has the field `{one.names[-1]}`"
            return _Reason("", f"{has}, which {self._target(wanted)} forbids")
        reason = self.reason(one.shape, others(wanted))
        return reason and reason.within(f".{one.names[-1]}")


def _some_value_fits(given: Shape, wanted: Shape) -> bool:
    """By enumerated values, else by type and format."""
    ours, theirs = values(given), values(wanted)
    if ours and theirs:
        return any(value in theirs for value in ours)
    return any(_type_fits(one, other) for one in _typed(given, ours) for other in _typed(wanted, theirs))


def _typed(shape: Shape, found: list[Any]) -> list[tuple[str, str | None]]:
    """Its JSON types, each with its format."""
    return [(kind, None if found else shape.get("format")) for kind in kinds(shape)]


def _type_fits(given: tuple[str, str | None], wanted: tuple[str, str | None]) -> bool:
    (kind, form), (other, expected) = given, wanted
    if kind in _NUMBERS and other == "string":
        return expected not in _TEXT  # a time can be a number
    if kind == "string" and other in _NUMBERS:
        return form not in _TEXT | _EXACT  # a Decimal is written as text, and read as a number
    if kind == other == "string" and form in _EXACT and expected in _EXACT:
        return form == expected or {form, expected} == _MOMENTS or (form, expected) == ("time", "duration")
    return kind == other or {kind, other} <= _NUMBERS
