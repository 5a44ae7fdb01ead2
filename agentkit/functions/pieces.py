"""What a value is made of: the pieces that a digest of it follows, and the text of what is plain."""

import enum
import functools
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sized
from typing import Any, cast

from agentkit.errors import EncodingError
from agentkit.jsonvalue import as_json, canonical

MOST = 10_000
"""Entries of a container that are looked at: a larger one is data, and counts by its length."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType)
_METHODS = (types.FunctionType, staticmethod, classmethod, property)


def held_by(function: types.FunctionType) -> dict[str, Any]:
    """What a function holds beside its code: its closure and its defaults."""
    held: dict[str, Any] = {"()": function.__defaults__, "(*)": function.__kwdefaults__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # not yet set
            continue
    return {name: value for name, value in held.items() if value is not None}


def members_of(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """What a class defines: methods, fields, values, the members of an enum; nothing that was generated."""
    if issubclass(kind, enum.Enum):
        yield from ((member.name, member.value) for member in kind)
    own = vars(kind)
    fields = cast("Mapping[str, Any]", own.get("__pydantic_fields__") or {})
    yield from ((f"field {name}", _ADDRESS.sub("", repr(field))) for name, field in fields.items())
    for name, value in sorted(own.items()):
        is_made = isinstance(value, _SLOTS) or (issubclass(kind, enum.Enum) and not isinstance(value, _METHODS))
        is_special = name.startswith("__") or name == "_abc_impl" or is_made
        if not is_special or _is_written(value):
            yield name, value


def _is_written(value: Any) -> bool:
    """Whether a special method is its user's, and not one that a decorator made."""
    return isinstance(value, types.FunctionType) and not value.__code__.co_filename.startswith(("<string>", "<attrs"))


def parts_of(value: Any) -> dict[str, Any] | None:
    """The pieces of what wraps something else; None where it is no such thing."""
    match value:
        case functools.partial():
            partial = cast("functools.partial[Any]", value)
            return {"func": partial.func, "args": partial.args, **partial.keywords}
        case types.MethodType():
            return {"func": value.__func__, "self": value.__self__}
        case staticmethod() | classmethod():
            return {"func": cast("Any", value).__func__}
        case property():
            return {name: part for name in ("fget", "fset") if (part := getattr(value, name)) is not None}
        case functools.cached_property():
            return {"func": cast("functools.cached_property[Any]", value).func}
        case re.Pattern():
            return {"pattern": cast("re.Pattern[Any]", value).pattern, "flags": value.flags}
        case enum.Enum():
            return {"name": value.name, "value": value.value, "class": type(value)}
        case _:
            return _alias(value) or _of_agentkit(value)


def _alias(value: Any) -> dict[str, Any] | None:
    """The pieces of a type such as `list[Facts] | None`."""
    origin = typing.get_origin(value)
    arguments = {str(at): part for at, part in enumerate(typing.get_args(value))}
    return {"origin": getattr(origin, "__qualname__", str(origin)), **arguments} if origin is not None else None


def _of_agentkit(value: Any) -> dict[str, Any] | None:
    """A tool's function and options; an agent's or a pipeline's name: its own digests follow what is in it."""
    kind = cast("type[Any]", type(value))
    if hasattr(kind, "definition") and isinstance(getattr(value, "name", None), str):
        return {"name": value.name}
    if hasattr(kind, "source_sha256") and callable(getattr(value, "function", None)):
        return {name: getattr(value, name) for name in ("function", "writes", "idempotent", "approve")}
    wrapped = getattr(value, "__wrapped__", None)  # functools.cache
    return {"wraps": wrapped} if isinstance(wrapped, types.FunctionType) else None


def stable_text(value: Any) -> str | None:
    """A value as text that is the same in every process; None where it has none: a client, an iterator, a lock."""
    if hasattr(value, "__next__"):
        return None
    if isinstance(value, Sized) and not isinstance(value, str | bytes) and len(value) > MOST:
        return str(len(value))
    if isinstance(value, set | frozenset):
        texts = [stable_text(one) for one in cast("set[Any]", value)]
        return repr(sorted(text for text in texts if text is not None))
    if type(value).__module__.partition(".")[0] in {"pydantic", "annotated_types", "typing"}:
        return _ADDRESS.sub("", repr(value))
    if isinstance(value, types.BuiltinFunctionType | types.BuiltinMethodType):
        return value.__qualname__
    try:
        return canonical(as_json(value, "it")).decode()
    except EncodingError:
        return None
    except Exception:  # noqa: BLE001  a user's own serializer may raise anything
        return None
