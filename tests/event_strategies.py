"""Hypothesis strategies for every type of event, made of the types of its body's fields."""

import types
import typing
from datetime import UTC, datetime
from typing import Any, Literal, Union

from hypothesis import strategies as st
from pydantic import BaseModel

from agentkit.events import Event, event_types

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
_PLAIN = {
    Any: JSON,
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(0, 2**53),
    float: NUMBERS.map(abs),
    datetime: TIMES,
    type(None): st.none(),
}


def of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return of(inner[0])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in {Union, types.UnionType}:
        return st.one_of(*map(of, inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(of(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of, inner))
    if origin is dict:
        return st.dictionaries(of(inner[0]), of(inner[1]), max_size=3)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return st.builds(annotation, **{name: of(field.annotation) for name, field in annotation.model_fields.items()})
    raise TypeError(f"no strategy for {annotation!r}")


def events(kind: str) -> st.SearchStrategy[Event]:
    """Events of one type with any envelope."""
    maybe = st.none() | TEXT
    counts = st.none() | st.integers(0, 2**53)
    return st.builds(
        Event,
        run_id=TEXT,
        seq=st.integers(1, 2**31),
        ts=TIMES,
        step=maybe,
        attempt=counts,
        name=maybe,
        status=maybe,
        duration_ms=st.none() | NUMBERS,
        input_tokens=counts,
        output_tokens=counts,
        cost_usd=st.none() | NUMBERS,
        parent_run_id=maybe,
        approval_id=maybe,
        body=of(event_types()[kind]),
    )
