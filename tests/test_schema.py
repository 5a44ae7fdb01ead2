"""From a signature to a JSON schema, and from what a model wrote to the values that a function takes."""

import dataclasses
import datetime as dt
import json
import sys
import typing
import uuid
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Secret, SecretStr, computed_field
from typing_extensions import TypedDict

from agentkit.definition import InvalidArguments
from agentkit.errors import ToolDefinitionError
from agentkit.jsonvalue import as_json, canonical
from agentkit.tools import tool


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    product: str
    price: Annotated[Decimal, Field(gt=0)]

    @computed_field
    @property
    def label(self) -> str:
        return f"{self.product}!"


class Address(TypedDict):
    street: str
    number: int


@dataclasses.dataclass
class Parcel:
    items: list[Item]
    address: Address
    sent: dt.date | None = None


class Span(NamedTuple):
    start: int
    end: int


class Node(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: int
    kids: list["Node"] = []


def schema(function):
    return tool(function).schema.parameters


def problems(function, arguments):
    with pytest.raises(InvalidArguments) as caught:
        tool(function).validate(arguments)
    json.dumps(caught.value.errors, allow_nan=False)  # it goes to the model and the log
    return caught.value.errors


def everything(
    text: str,
    count: Annotated[int, Field(ge=1, le=9)],
    ratio: float,
    parcel: Parcel,
    colour: Colour,
    kind: Literal["a", "b"],
    when: dt.datetime,
    wait: dt.timedelta,
    key: uuid.UUID,
    amount: Decimal,
    file: Path,
    span: Span,
    pair: tuple[int, str],
    either: int | str,
    counts: dict[str, int],
    tree: Node,
    maybe: str | None = None,
    day: dt.date = dt.date(2026, 1, 2),
    limit: int = Field(10, ge=1, description="at most so many"),
    free: Any = None,
) -> None:
    """Take everything."""


ARGUMENTS = {
    "text": "t",
    "count": 3,
    "ratio": 1,
    "parcel": {"items": [{"product": "tea", "price": "1.50"}], "address": {"street": "s", "number": 1}},
    "colour": "red",
    "kind": "a",
    "when": "2026-01-02T03:04:05Z",
    "wait": "PT5M",
    "key": "0198a9a0-0000-7000-8000-000000000000",
    "amount": 12.5,
    "file": "a/b.txt",
    "span": [1, 2],
    "pair": [1, "x"],
    "either": "7",
    "counts": {"a": 1},
    "tree": {"value": 1, "kids": [{"value": 2}]},
}


def test_every_sensible_type_has_a_schema_and_comes_as_the_type():
    """Models, dataclasses, dates, enums, tuples, recursive models: the function gets Python values."""
    values = tool(everything).validate(ARGUMENTS)
    assert values["parcel"] == Parcel([Item(product="tea", price=Decimal("1.50"))], {"street": "s", "number": 1})
    assert values["colour"] is Colour.RED
    assert values["wait"] == dt.timedelta(minutes=5)
    assert values["key"] == uuid.UUID(ARGUMENTS["key"])
    assert values["file"] == Path("a/b.txt")
    assert values["span"] == Span(1, 2)
    assert values["pair"] == (1, "x")
    assert values["either"] == "7"
    assert values["tree"].kids[0] == Node(value=2)
    assert (values["maybe"], values["day"], values["limit"]) == (None, dt.date(2026, 1, 2), 10)


def test_the_schema_is_an_object_that_allows_nothing_else():
    """What has no default is required, definitions are kept, titles that repeat the name are not."""
    found = schema(everything)
    assert found["type"] == "object"
    assert found["additionalProperties"] is False
    assert set(found["required"]) == set(ARGUMENTS)
    assert {"Parcel", "Item", "Address", "Node", "Colour"} <= set(found["$defs"])
    assert found["properties"]["count"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert found["properties"]["day"] == {"type": "string", "format": "date", "default": "2026-01-02"}
    assert found["properties"]["limit"]["description"] == "at most so many"
    assert "title" not in found


def test_no_parameters_is_a_schema_too():
    """And nothing, empty text or an empty object are its arguments: providers send each of them."""

    def now() -> str: ...

    assert schema(now) == {"type": "object", "properties": {}, "additionalProperties": False}
    assert [tool(now).validate(each) for each in ({}, None, "", " ", "{}")] == [{}] * 5


GOOGLE = """Find an order.

Looks in all shops.

Args:
    order_id (str): the order's number,
        for example "A-1".
    shop: where to look.

Returns:
    The order.
"""
NUMPY = """Find an order.

Looks in all shops.

Parameters
----------
order_id : str
    the order's number,
    for example "A-1".
shop : str
    where to look.

Returns
-------
dict
    The order.
"""
REST = """Find an order.

Looks in all shops.

:param order_id: the order's number,
    for example "A-1".
:param shop: where to look.
:returns: The order.
"""


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_docstrings_describe_the_tool_and_its_parameters(docstring):
    """Google, NumPy and reST: the summary, what is returned, each parameter."""

    def find(order_id: str, shop: Annotated[str, Field(description="the shop's name")]) -> dict: ...

    find.__doc__ = docstring
    made = tool(find)
    assert made.schema.description == "Find an order.\n\nLooks in all shops.\n\nReturns: The order."
    properties = made.schema.parameters["properties"]
    assert properties["order_id"]["description"] == 'the order\'s number, for example "A-1".'
    assert properties["shop"]["description"] == "the shop's name"  # the annotation's own word wins
    assert tool(description="Mine.")(find).schema.description == "Mine."


def test_a_parameter_may_have_any_name():
    """Also those that pydantic models use for themselves."""

    def odd(schema: str, model_config: str, copy: int, json: str, _hidden: int = 1, p_0: int = 2) -> None: ...

    values = {"schema": "a", "model_config": "b", "copy": 1, "json": "c", "_hidden": 3, "p_0": 4}
    made = tool(odd)
    assert made.validate(values) == values == made.arguments_json(values)
    assert list(made.schema.parameters["properties"]) == list(values)


def test_string_annotations_find_local_classes():
    """Also under `from __future__ import annotations`, and defined in the function that decorates."""

    class Local(BaseModel):
        a: int

    @tool
    def take(it: "Local", many: "list[Local]") -> "Local":
        return it

    assert take.validate({"it": {"a": 1}, "many": [{"a": 2}]})["many"] == [Local(a=2)]


def test_none_as_default_allows_null():
    """`x: int = None` is what people write; the schema says what they mean, and keeps bounds and descriptions."""

    def find(a: int = None, b: list[int] = None, c: Annotated[int, Field(ge=1, description="c!")] = None) -> None: ...  # noqa: RUF013

    found = tool(find)
    assert found.validate({"a": None, "b": [1]}) == {"a": None, "b": [1], "c": None}
    assert found.schema.parameters["properties"]["c"]["description"] == "c!"
    assert problems(find, {"c": 0})[0]["path"] == "c"


def _refused(function, *says):
    with pytest.raises(ToolDefinitionError) as caught:
        tool(function)
    for text in (f"{function.__name__}()", *says):
        assert text in str(caught.value)


class Account(BaseModel):
    name: str
    password: SecretStr


def test_a_parameter_without_a_schema_is_refused_by_name():
    """The error names function and parameter, and says what to write instead."""

    def untyped(a: int, b): ...
    def args(*names: str): ...
    def kwargs(**names: str): ...
    def positional(a: int, /): ...
    def method(self, a: int): ...
    def opaque(a: json.JSONDecoder): ...
    def unknown(a: "Nowhere"): ...  # noqa: F821
    def unordered(a: set[str]): ...
    def aliased(a: Annotated[int, Field(alias="b")]): ...
    def not_a_type(a: "1 +"): ...  # noqa: F722

    _refused(untyped, "b has no type", "`b: str`")
    _refused(args, "*names has no schema", "list[str]")
    _refused(kwargs, "**names has no schema", "dict[str, str]")
    _refused(positional, "a is positional-only", "remove the `/`")
    _refused(method, "self", "ak.tool(thing.method)")
    _refused(opaque, "a has the type JSONDecoder", "`a: str`")
    _refused(unknown, "a, 'Nowhere', cannot be read", "TYPE_CHECKING")
    _refused(unordered, "a has the type set[str]", "take a list")
    _refused(aliased, "a has the alias 'b'")
    _refused(not_a_type, "is not a type")


def test_the_reason_for_a_missing_schema_is_told():
    """Pydantic takes `typing.TypedDict` from Python 3.12 on only, and says so."""

    class Old(typing.TypedDict):
        a: int

    def take(a: Old): ...
    def give() -> Old: ...

    if sys.version_info < (3, 12):
        _refused(take, "typing_extensions.TypedDict")
        _refused(give, "typing_extensions.TypedDict")


def test_a_secret_is_never_an_argument():
    """Plain, optional, in a list, in a model, generic: ctx.deps is where it comes from."""

    def plain(token: SecretStr): ...
    def optional(token: SecretStr | None = None): ...
    def many(token: list[SecretStr]): ...
    def nested(token: Account): ...
    def generic(token: Secret[int]): ...

    for function in (plain, optional, many, nested, generic):
        _refused(function, "token is a secret", "ctx.deps")


def test_a_default_must_fit_its_type_and_json():
    """Else leaving it out would give what giving it could not."""

    def too_small(limit: Annotated[int, Field(ge=1)] = 0): ...
    def wrong(limit: int = "many"): ...  # type: ignore
    def sentinel(limit: Any = object()): ...  # noqa: B008
    def nan(limit: float = float("nan")): ...

    _refused(too_small, "limit has the default 0", "greater than or equal to 1")
    _refused(wrong, "limit has the default 'many'")
    for function in (sentinel, nan):
        _refused(function, "limit")


def test_the_model_is_told_where_and_what():
    """Path, problem and the wrong value, for each problem at once."""
    arguments = ARGUMENTS | {"count": 10, "kind": "c"}
    arguments["parcel"] = {"items": [{"product": "tea", "price": 1}, {"price": -1}], "address": {"street": "s"}}
    found = {each["path"]: each for each in problems(everything, arguments)}
    assert found["count"] == {"path": "count", "problem": "Input should be less than or equal to 9", "input": 10}
    assert found["kind"]["problem"] == "Input should be 'a' or 'b'"
    assert found["parcel.items[1].product"] == {"path": "parcel.items[1].product", "problem": "missing"}
    assert found["parcel.items[1].price"]["input"] == -1
    assert found["parcel.address.number"]["problem"] == "missing"


def find(order_id: str, limit: int = 5, either: int | dict[str, int] = 1) -> None: ...


def test_a_misspelled_argument_is_guessed():
    """What is missing is guessed first, then what there is; else the model is told what there is."""
    assert problems(find, {"order_di": "A"})[-1]["problem"] == "unknown argument; did you mean 'order_id'?"
    assert problems(find, {"order_id": "A", "limits": 3})[0]["problem"].endswith("did you mean 'limit'?")
    assert problems(find, {"order_id": "A", "zzz": 3})[0] == {
        "path": "zzz",
        "problem": "unknown argument; there is order_id, limit, either",
        "input": 3,
    }
    assert problems(everything, ARGUMENTS | {"tree": {"value": 1, "q": 1}})[0]["path"] == "tree.q"


def test_a_path_names_the_value_and_not_the_branch_of_a_union():
    """The branch that was tried stands in the problem."""
    found = problems(find, {"order_id": "A", "either": {"a": "x"}})
    assert [each["path"] for each in found] == ["either", "either.a"]
    assert found[0]["problem"] == "Input should be a valid integer (as int)"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ('{"order_id": "A"', "not valid JSON"),
        ("order 1", "not valid JSON"),
        ([1], "not list"),
        ('"A"', "not str"),
        ({"order_id": "A\0B"}, "NUL"),
        ({"order_id": "A", "limit": float("nan")}, "not JSON"),
        ({"order_id": "\ud800"}, "not a JSON value"),
        ('{"order_id": "A", "limit": NaN}', "not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_in_words(arguments, says):
    """Broken JSON, other types, and what the log cannot hold."""
    assert says in problems(find, arguments)[0]["problem"]


def test_text_that_holds_an_object_is_read():
    """Some models encode their arguments twice."""
    assert tool(find).validate('{"order_id": "A"}')["order_id"] == "A"


def test_a_long_wrong_value_is_cut():
    """It is told to the model, which wrote it and pays for it again."""
    told = problems(find, {"order_id": "A", "limit": "x" * 9000})[0]["input"]
    assert len(told) < 600
    assert told.endswith("(9002 characters)")


def test_numbers_in_text_are_read_as_numbers():
    """As pydantic does by default: models write "3"."""
    assert tool(find).validate({"order_id": "A", "limit": "3"})["limit"] == 3


def test_a_live_call_gets_what_a_resumed_one_gets():
    """Where JSON cannot tell two types of a union apart, the live value is the one read from the log."""

    def pay(amount: str | Decimal) -> None: ...

    made = tool(pay)
    live = made.validate({"amount": 1.5})
    assert live == made.validate(made.arguments_json(live)) == {"amount": "1.5"}


def test_a_type_that_changes_at_each_reading_is_refused():
    """A validator that adds one would give a resumed run another value than the live one had, and another key."""

    def add(number: Annotated[int, AfterValidator(lambda number: number + 1)]) -> None: ...

    assert problems(add, {"number": 1}) == [
        {
            "path": "number",
            "problem": "the tool's type reads its own JSON as another value; its author has to make it stable",
            "input": 2,
        }
    ]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
ITEM = st.fixed_dictionaries({"product": TEXT, "price": st.decimals("0.01", 1000, places=2).map(str)})
NODE = st.recursive(
    st.fixed_dictionaries({"value": st.integers(-5, 5)}),
    lambda kids: st.fixed_dictionaries({"value": st.integers(-5, 5), "kids": st.lists(kids, max_size=2)}),
    max_leaves=4,
)
WRITTEN = st.fixed_dictionaries(
    {
        "text": TEXT,
        "count": st.integers(1, 9) | st.integers(1, 9).map(str),
        "ratio": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
        "parcel": st.fixed_dictionaries(
            {
                "items": st.lists(ITEM, max_size=2),
                "address": st.fixed_dictionaries({"street": TEXT, "number": st.integers(0, 9)}),
            },
            optional={"sent": st.none() | st.dates().map(str)},
        ),
        "colour": st.sampled_from(["red", "blue"]),
        "kind": st.sampled_from(["a", "b"]),
        "when": st.datetimes(timezones=st.just(dt.UTC) | st.none()).map(dt.datetime.isoformat),
        "wait": st.integers(0, 10**6),
        "key": st.uuids().map(str),
        "amount": st.decimals(-100, 100, places=3).map(str) | st.integers() | st.floats(-10, 10),
        "file": TEXT,
        "span": st.tuples(st.integers(), st.integers()).map(list),
        "pair": st.tuples(st.integers(), TEXT).map(list),
        "either": st.integers() | TEXT,
        "counts": st.dictionaries(TEXT, st.integers(), max_size=3),
        "tree": NODE,
    },
    optional={"maybe": st.none() | TEXT, "limit": st.integers(1, 99), "free": st.none() | TEXT | st.lists(TEXT)},
)
EVERYTHING = tool(everything)


@settings(max_examples=60, deadline=None)
@given(WRITTEN)
def test_canonical_arguments_are_a_fixed_point(written):
    """Reading the JSON of validated arguments gives the same values and the same JSON: a resumed run's key is equal."""
    values = EVERYTHING.validate(written)
    encoded = EVERYTHING.arguments_json(values)
    assert EVERYTHING.validate(encoded) == values
    assert canonical(EVERYTHING.arguments_json(EVERYTHING.validate(encoded))) == canonical(encoded)


@settings(max_examples=30, deadline=None)
@given(WRITTEN)
def test_the_schema_accepts_what_validation_made(written):
    """The schema a provider enforces does not forbid what the function takes."""
    jsonschema = pytest.importorskip("jsonschema")
    encoded = EVERYTHING.arguments_json(EVERYTHING.validate(written))
    validator = jsonschema.Draft202012Validator(EVERYTHING.schema.parameters)
    assert [error.message for error in validator.iter_errors(encoded)] == []


ODD_TEXT = st.text(max_size=4) | st.sampled_from(["\0", "\ud800", *ARGUMENTS])
ODD_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@example({"\0": {"\ud800": None}})
@given(ODD_JSON | st.dictionaries(st.sampled_from(list(ARGUMENTS)), ODD_JSON).map(lambda odd: ARGUMENTS | odd))
def test_whatever_a_model_writes_is_read_or_refused_in_words_that_can_be_logged(written):
    """Nothing else is raised, and what is said of it is JSON itself: paths, inputs and all."""
    try:
        values = EVERYTHING.validate(written)
    except InvalidArguments as refused:
        told = refused.errors
    else:
        told = [{"values": EVERYTHING.arguments_json(values)}]
        assert EVERYTHING.validate(told[0]["values"]) == values
    assert told
    assert as_json(told, "errors") == told
