"""JSON values: the only thing a log holds.

Encoding is pydantic's; what JSON or PostgreSQL's jsonb cannot hold (NaN, infinities, NUL, lone surrogates, arbitrary
objects) is refused here, at the call that brought it, with the field's path. There is no fallback to `str()` and no
pickle: a value that silently becomes another one makes a resumed run differ from a live one.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json

from agentkit.errors import EncodingError

_MARGIN = 20  # levels around a value in an event and its line; parsers of JSON stop at about 200

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"


def as_json(value: Any, where: str) -> JsonValue:
    """A Python value as the JSON value that will be in the log.

    Args:
        value: anything pydantic can encode: models, dataclasses, dates, decimals, enums, lists, dicts.
        where: what the value is, for the error, for example `result of find_order`.

    Returns:
        Plain None, bool, int, float, str, list and dict: what a reader of the log will get.

    Raises:
        EncodingError: the value holds something JSON cannot, naming the field.
    """
    data = encode(value, where)
    found = _decode(data, where)
    if _lost_keys(found, data):
        refuse_odd_values(value, where)
        raise EncodingError(where, "two keys of one object are the same text in JSON, and one would be lost")
    return found


def _lost_keys(found: JsonValue, data: bytes) -> bool:
    """Whether a key was there twice, as of `{1: …, "1": …}`: the value is shorter than what it was read from."""
    return len(to_json(found)) != len(data)


def _decode(data: bytes, where: str) -> JsonValue:
    """JSON bytes as the value that a reader of the log gets."""
    # an event nests a value a little deeper, and has to be readable as well; so few brackets cannot nest too deeply
    margin = _MARGIN if data.count(b"[") + data.count(b"{") > _MARGIN else 0
    try:
        parsed = from_json(b"[" * margin + data + b"]" * margin)
    except ValueError as error:
        raise EncodingError(where, f"nested too deeply ({error})") from error
    for _ in range(margin):
        parsed = parsed[0]
    return parsed


def encode(value: Any, where: str) -> bytes:
    """A Python value as JSON bytes.

    Args:
        value: anything pydantic can encode.
        where: what the value is, for the error.

    Returns:
        Compact UTF-8.

    Raises:
        EncodingError: the value holds something JSON cannot, naming the field.
    """
    try:
        data = to_json(value, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise EncodingError(_find_object(value, where), f"not a JSON value ({error}){_advice(error)}") from error
    if not _is_plain(data):  # inside a model, pydantic writes NaN as null
        refuse_odd_values(value, where)
    return data


def as_plain_json(write: Callable[[], bytes], where: str) -> JsonValue:
    """What pydantic writes by a declared type, where that holds nothing odd: in it a null may have been a NaN.

    Args:
        write: writes it.
        where: what it is, for the error.

    Returns:
        The value; None where it cannot be written so, or has to be looked at more closely.

    Raises:
        EncodingError: it is nested too deeply for an event to hold it.
    """
    try:
        data = write()
    except (PydanticSerializationError, ValueError, RecursionError):
        return None
    if not _is_plain(data):
        return None
    found = _decode(data, where)
    return None if _lost_keys(found, data) else found


def _is_plain(data: bytes) -> bool:
    return not (b"null" in data or _is_suspect(data) or any(key in data for key in _ODD_KEYS))


_ODD_KEYS = (b'None":', b'nan":', b'inf":')
"""What pydantic writes for a NaN or an infinity that is a key: words that a text may be as well."""


def encode_model(model: BaseModel, where: str) -> bytes:
    """A model of ours as JSON bytes without its defaults; its fields of type Any hold JSON already.

    Args:
        model: with `ser_json_inf_nan="constants"` in its configuration.
        where: what it is, for the error.

    Returns:
        Compact UTF-8.

    Raises:
        EncodingError: a field holds something JSON cannot, naming the field.
    """
    try:
        data = model.__pydantic_serializer__.to_json(model, exclude_defaults=True)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise EncodingError(_find_object(dict(model), where), f"not a JSON value ({error})") from error
    if _is_suspect(data):
        refuse_odd_values(dict(model), where)
    return data


def canonical(value: Any) -> bytes:
    """The bytes a digest is taken of: compact, keys sorted, UTF-8.

    Args:
        value: a JSON value.

    Returns:
        The same bytes for equal values, whatever the order of their keys.
    """
    return _CANONICAL.encode(value).encode()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def clean_text(text: str) -> str:
    """Text that the log can hold, made of text that somebody else wrote: NUL and lone surrogates become U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode() if not text.isascii() and not _is_utf8(text) else text


def clean(value: Any, levels: int = 100) -> Any:
    """JSON that the log can hold, made of JSON that somebody else wrote: odd text as `clean_text`, NaN as text.

    Args:
        value: what a parser of JSON returned.
        levels: how deep it may be nested; what is deeper is left out, and says so.

    Returns:
        The same value where nothing is odd.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if levels == 0 and isinstance(value, dict | list | tuple):
        return "(nested too deeply)"
    if isinstance(value, dict):
        items = cast("dict[object, object]", value).items()
        return {clean_text(str(key)): clean(item, levels - 1) for key, item in items}
    if isinstance(value, list | tuple):
        return [clean(item, levels - 1) for item in cast("list[object]", value)]
    return value


def _is_suspect(data: bytes) -> bool:
    """Whether JSON may hold NaN, an infinity or NUL; cheap, since every event passes here."""
    return b"NaN" in data or b"Infinity" in data or b"\\u0000" in data


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def refuse_odd_values(value: Any, where: str) -> None:
    """Walk a value that may hold NaN, an infinity, NUL, or keys that are one text in JSON, and name the first one.

    Args:
        value: any value; what is no container, text or number is passed over.
        where: what it is, for the error.

    Raises:
        EncodingError: naming the field.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise EncodingError(where, f"{value} is not JSON; None or a text can stand for a missing number")
    if isinstance(value, str) and "\0" in value:
        raise EncodingError(where, "holds a NUL character, which PostgreSQL cannot store; remove it")
    if isinstance(value, BaseModel):
        value = {**dict(value), **(value.model_extra or {})}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        items = cast("dict[object, object]", value)
        for key, item in items.items():
            refuse_odd_values(key, f"{where} (a key)")
            refuse_odd_values(item, f"{where}.{key}")
        _refuse_equal_keys(items, where)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(cast("list[object]", value)):
            refuse_odd_values(item, f"{where}[{index}]")


def _refuse_equal_keys(items: dict[object, object], where: str) -> None:
    """Refuse keys that differ, and are one text in JSON: 1 and "1"."""
    if all(type(key) is str for key in items):
        return
    written: dict[str, object] = {}
    for key in items:
        text = key if isinstance(key, str) else _key_text(key)
        if text in written:
            both = f"the keys {written[text]!r} and {key!r} are both {text!r} in JSON"
            raise EncodingError(where, f"{both}, and one would be lost; make them different texts")
        written[text] = key


def _key_text(key: object) -> str:
    try:
        return next(iter(from_json(to_json({key: None}))))
    except (PydanticSerializationError, ValueError):  # it is refused where it is encoded
        return f"{key!r}"


_ADVICE = {"DataFrame": "to_dict('records')", "Series": "tolist()", "ndarray": "tolist()", "Table": "to_pylist()"}


def _advice(error: Exception) -> str:
    """What to write instead, for the objects that people return first."""
    found = next((advice for name, advice in _ADVICE.items() if f"{name}'" in str(error)), None)
    return f"; give its .{found}" if found else ""


def _find_object(value: Any, where: str) -> str:
    """The path of the first element that cannot be encoded, at most a few levels down."""
    if isinstance(value, dict):
        parts = [(f"{where}.{key}", item) for key, item in cast("dict[object, object]", value).items()]
    elif isinstance(value, list | tuple):
        parts = [(f"{where}[{i}]", item) for i, item in enumerate(cast("list[object]", value))]
    else:
        return where
    for path, item in parts:
        try:
            to_json(item)
        except (PydanticSerializationError, ValueError, RecursionError):
            return _find_object(item, path) if len(path) < 500 else path
    return where
