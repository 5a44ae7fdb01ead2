"""Whether what one step returns can be what another takes."""

import dataclasses
import datetime as dt
import enum
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    PlainSerializer,
    RootModel,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    WrapSerializer,
    computed_field,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypeAliasType, TypedDict

from agentkit.functions.signature import NOTHING
from agentkit.pipeline.fit import is_list_like, item_type, misfit, optional

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Shouted(enum.Enum):
    RED = "RED"

    @classmethod
    def _missing_(cls, value):
        return cls.RED if value == "red" else None


class Level(enum.IntEnum):
    LOW = 1


class Order(BaseModel):
    order_id: str
    total: float
    items: list[str] = []


class Receipt(BaseModel):
    refund_id: str
    amount: float


class Total(BaseModel):
    total: float


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    total: float

    @computed_field
    @property
    def cents(self) -> int:
        return int(self.total * 100)


class Textual(BaseModel):
    total: list[str]


class MaybeTextual(BaseModel):
    total: list[str] = []


class Roomy(BaseModel):
    model_config = ConfigDict(extra="allow")
    total: float


class Node(BaseModel):
    value: int
    kids: list["Node"] = []


class Branch(BaseModel):
    value: int
    kids: list["Branch"] = []


class TextNode(BaseModel):
    value: int
    kids: list["TextLeaf"] = []


class TextLeaf(BaseModel):
    value: list[str]
    kids: list["TextNode"] = []


class Aliased(BaseModel):
    refund_id: str = Field(alias="refundId")


class ByAlias(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    refund_id: str = Field(alias="refundId")


class Swapped(BaseModel):
    b: int = Field(alias="a")


class EitherName(BaseModel):
    model_config = ConfigDict(validate_by_name=True)
    refund_id: str = Field(alias="refundId")


class Choosy(BaseModel):
    refund_id: str = Field(validation_alias=AliasChoices("refund", "refund_id"))


class Deep(BaseModel):
    refund_id: str = Field(validation_alias=AliasPath("order_id", 0))


class Lenient(BaseModel):
    total: list[str]

    @model_validator(mode="before")
    @classmethod
    def split(cls, value: Any) -> Any:
        return {"total": []}


class Odd(BaseModel):
    total: float

    @model_serializer
    def as_text(self):
        return str(self.total)


class OwnInit(BaseModel):
    total: float

    def __init__(self, value: int):
        super().__init__(total=value)


class Coercing(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)
    total: str


class Card(BaseModel):
    kind: Literal["card"]
    number: str


class Cash(BaseModel):
    kind: Literal["cash"]


class Cheque(BaseModel):
    kind: Literal["cheque"]


class Box(BaseModel, Generic[T]):
    content: T


class Hidden(BaseModel):
    total: SkipJsonSchema[float]


@dataclasses.dataclass
class Parcel:
    total: float


@dataclasses.dataclass
class Seeded:
    total: float
    seed: dataclasses.InitVar[int] = 0


class Sized(TypedDict):
    total: float
    size: NotRequired[int]


class Span(NamedTuple):
    start: int
    end: int = 0


class Line(NamedTuple):
    start: int
    end: int
    colour: str


Payment = Annotated[Card | Cash, Field(discriminator="kind")]
Tree = TypeAliasType("Tree", "int | list[Tree]")
Ticket = NewType("Ticket", str)
Orders = RootModel[list[Order]]
Commas = Annotated[list[str], BeforeValidator(lambda value: value.split(","))]

FITS = {
    "a missing annotation gives anything": (NOTHING, Order),
    "a missing annotation takes anything": (Order, NOTHING),
    "Any is anything": (Any, Order),
    "anything is Any": (Order, Any),
    "object is anything": (object, int),
    "a type that pydantic does not know is anything": (type("Lock", (), {}), int),
    "a name that is not defined is anything": ("Nowhere", int),
    "an int is a float": (int, float),
    "a float may be whole": (float, int),
    "a bool is a number, as Python has it": (bool, int),
    "a str may be a colour": (str, Colour),
    "a str may be a literal": (str, Literal["a"]),
    "a str may be a date": (str, dt.datetime),
    "a str may be a UUID": (str, uuid.UUID),
    "a str may be a Decimal": (str, Decimal),
    "a str may be a path": (str, Path),
    "a path is a str": (Path, str),
    "a number is a Decimal": (float, Decimal),
    "a Decimal is a number, though it is written as text": (Decimal, float),
    "a number may be a time": (int, dt.datetime),
    "a date is a time": (dt.date, dt.datetime),
    "a time of day is a duration, as pydantic reads it": (dt.time, dt.timedelta),
    "bytes are text": (bytes, str),
    "one value in common is enough": (Literal["a", "b"], Literal["b", "c"]),
    "an enum is read by its values": (Colour, Literal["red"]),
    "an enum may take what is none of its values": (Colour, Shouted),
    "an int may be a level": (int, Level),
    "True is 1": (Literal[True], Level),
    "something or None may be something": (Order | None, Order),
    "one alternative that fits is enough": (int | Order, Receipt | float),
    "a constraint says nothing": (Annotated[int, Field(ge=5)], Annotated[int, Field(le=3)]),
    "a pattern says nothing": (Annotated[str, Field(pattern="a")], Annotated[str, Field(pattern="b")]),
    "lists, sets, sequences and tuples are arrays": (list[int], set[int]),
    "a sequence is read from a tuple": (tuple[int, ...], Sequence[float]),
    "a list may have the length of a tuple": (list[int], tuple[int, int]),
    "a tuple of a type is a list": (tuple[int, float], list[float]),
    "a named tuple is a tuple": (Span, tuple[int, int]),
    "a named tuple has its defaults": (tuple[int], Span),
    "a named tuple is read by name too": (dict[str, int], Span),
    "a bare list may hold anything": (list, list[Order]),
    "a dict may hold what a model requires": (dict[str, Any], Order),
    "a model is a dict": (Order, dict[str, Any]),
    "a model of numbers is a dict of numbers": (Total, Mapping[str, float]),
    "what is not asked for is ignored": (Order, Total),
    "what has a default may be missing": (Receipt, MaybeTextual),
    "a default is not required": (Total, create_model("More", total=(float, ...), note=(str, ""))),
    "other fields of an open model may be anything": (Roomy, Receipt),
    "a TypedDict is a model": (Sized, Total),
    "a dataclass is a model": (Parcel, Strict),
    "a model is a dataclass": (Strict, Parcel),
    "what a dataclass is made with is not written": (Seeded, Strict),
    "a computed field may be left out": (Strict, create_model("Strict", __base__=Strict)),
    "a key that may be missing may fit": (Sized, create_model("Sized", size=(list[str], []))),
    "a recursive model is its like": (Node, Branch),
    "a recursive alias ends": (Tree, list[Tree]),
    "a field goes by its alias or its name, as it is written": (Aliased, EitherName),
    "what may go by its alias may leave its name free": (Swapped, create_model("Named", b=(list[str], []))),
    "a class that writes aliases gives them": (ByAlias, Aliased),
    "every alias counts": (Aliased, Choosy),
    "a path into another field requires nothing by name": (Total, Deep),
    "one of the tags is enough": (Card, Payment),
    "a model that is discriminated may be one of its kinds": (Payment, Cash),
    "a root model is its root": (Orders, list[Total]),
    "a generic model is what it is made of": (Box[int], Box[float]),
    "a type of a new name is the old one": (Ticket, str),
    "a validator that comes first takes what it likes": (str, Commas),
    "a model's own validator takes what it likes": (int, Lenient),
    "a model's own __init__ takes what it likes": (Node, OwnInit),
    "a serializer that does not say what it writes may write anything": (Odd, list[int]),
    "a plain serializer too": (Annotated[int, PlainSerializer(lambda value: [value])], list[int]),
    "a wrapping serializer too": (Annotated[int, WrapSerializer(lambda value, handler: [value])], list[int]),
    "what is serialized as what it is may be a subclass": (SerializeAsAny[Total], Order),
    "a text that takes numbers takes numbers": (Total, Coercing),
    "what is hidden from a schema is there": (Hidden, Total),
    "None that is hidden from a schema is taken": (None, int | SkipJsonSchema[None]),
    "JSON in a text is written as what it holds": (Json[list[int]], list[int]),
    "a type that only its user's schema knows": (Annotated[int, WithJsonSchema({"type": "file"})], list[int]),
    "a text may be JSON": (str, Json[list[int]]),
}

MISFITS = {
    "text is no number, whatever it may hold": (str, int, "str is given, and int is wanted"),
    "text is no truth": (str, bool, "str is given, and bool is wanted"),
    "a number is no text": (int, str, "int is given, and str is wanted"),
    "a list is no number": (list[str], int, "list[str] is given, and int is wanted"),
    "text is no list": (str, list[str], "str is given, and list[str] is wanted"),
    "a number is no list": (int, list[int], "int is given, and list[int] is wanted"),
    "a number is no path": (int, Path, "int is given, and Path is wanted"),
    "a number is no UUID": (int, uuid.UUID, "int is given, and UUID is wanted"),
    "a number is no colour": (int, Colour, "int is given, and Colour is wanted"),
    "a list is no Decimal": (list[int], Decimal, "list[int] is given, and Decimal is wanted"),
    "a UUID is no date": (uuid.UUID, dt.date, "UUID is given, and date is wanted"),
    "a duration is no time": (dt.timedelta, dt.datetime, "timedelta is given, and datetime is wanted"),
    "a number is no URL": (int, HttpUrl, "int is given, and str (uri) is wanted"),
    "nothing is not something": (tuple[()], tuple[int], "tuple[()] is given, and tuple[int] is wanted"),
    "None is nothing else": (None, Order, "None is given, and Order is wanted"),
    "no value in common": (Literal["a"], Literal["b"], "Literal['a'] is given, and Literal['b'] is wanted"),
    "no member in common": (Colour, Literal["green"], "Colour is given, and Literal['green'] is wanted"),
    "no alternative fits": (int | None, list[int] | Order, "int | None is given, and list[int] | Order is wanted"),
    "the alternative that is meant is told": (
        Order | None,
        Receipt,
        "Order has no field `refund_id`, which Receipt requires",
    ),
    "items of another type": (list[str], list[int], "in list[str], `[]`: str is given, and int is wanted"),
    "a tuple that is too short": (
        tuple[int, int],
        tuple[int, int, int],
        "tuple[int, int] is given, and tuple[int, int, int] is wanted",
    ),
    "a named tuple that is too short": (Span, Line, "Span is given, and Line is wanted"),
    "an item of another type": (
        tuple[int, str],
        list[int],
        "in tuple[int, str], `[1]`: str is given, and int is wanted",
    ),
    "values of another type": (
        dict[str, str],
        dict[str, int],
        "in dict[str, str], `*`: str is given, and int is wanted",
    ),
    "a model is no text": (Order, str, "Order is given, and str is wanted"),
    "text is no model": (str, Order, "str is given, and Order is wanted"),
    "a model with its own __init__ is a model": (str, OwnInit, "str is given, and OwnInit is wanted"),
    "a list of models is no model": (list[Order], Order, "list[Order] is given, and Order is wanted"),
    "a field that is missing": (Order, Receipt, "Order has no field `refund_id`, which Receipt requires"),
    "one of a dataclass": (Parcel, Receipt, "Parcel has no field `refund_id`, which Receipt requires"),
    "one of a TypedDict": (Sized, Receipt, "Sized has no field `refund_id`, which Receipt requires"),
    "one that goes by another name": (ByAlias, Choosy, "ByAlias has no field `refund`, which Choosy requires"),
    "one within": (
        list[Order],
        list[Receipt],
        "in list[Order], `[]`: Order has no field `refund_id`, which Receipt requires",
    ),
    "one within a generic model": (
        Box[Order],
        Box[Receipt],
        "in Box[Order], `content`: Order has no field `refund_id`, which Receipt requires",
    ),
    "one that is forbidden": (Order, Strict, "Order has the field `order_id`, which Strict forbids"),
    "a field of another type": (Total, Textual, "in Total, `total`: float is given, and list[str] is wanted"),
    "also one that has a default": (Total, MaybeTextual, "in Total, `total`: float is given, and list[str] is wanted"),
    "a mapping's values": (
        dict[str, int],
        Textual,
        "in dict[str, int], `total`: int is given, and list[str] is wanted",
    ),
    "a model's values": (Order, dict[str, float], "in Order, `order_id`: str is given, and float is wanted"),
    "deep in a recursive model": (
        TextNode,
        Node,
        "in TextNode, `kids[].value`: list[str] is given, and int is wanted",
    ),
    "a tag that no kind has": (Cheque, Payment, "Cheque is given, and Card | Cash is wanted"),
    "a serializer that says what it writes": (
        Annotated[int, PlainSerializer(str, return_type=str)],
        int,
        "str is given, and int is wanted",
    ),
    "a validator that comes after": (
        list[int],
        Annotated[str, AfterValidator(str.strip)],
        "list[int] is given, and str is wanted",
    ),
}


@pytest.mark.parametrize("promise", FITS)
def test_what_may_fit_fits(promise):
    """Never a false alarm on what works."""
    source, target = FITS[promise]
    assert misfit(source, target) is None


@pytest.mark.parametrize("promise", MISFITS)
def test_what_cannot_fit_is_told(promise):
    """In words that name the types and the path within them."""
    source, target, reason = MISFITS[promise]
    assert misfit(source, target) == reason


def test_a_class_made_again_is_the_same():
    """A re-executed cell makes a new class of the same name."""
    fields = {"a": (int, ...), "b": (list[str], []), "c": (Colour | None, None)}
    assert misfit(create_model("Facts", **fields), create_model("Facts", **fields)) is None


def test_a_name_defined_later_is_asked_again():
    """What could not be read yet is not remembered."""
    early = create_model("Early", later=("Later", ...))
    assert misfit(early, int) is None
    early.model_rebuild(_types_namespace={"Later": int})
    assert misfit(early, int) == "Early is given, and int is wanted"


@pytest.mark.parametrize("wanted", [NOTHING, Any, None, int | None, Order | None, Annotated[int | None, "note"]])
def test_what_takes_none_is_optional(wanted):
    """A skipped step's dependents may see None."""
    assert optional(wanted)


@pytest.mark.parametrize("wanted", [int, Order, list[int | None], Literal["a"], Commas, type("Lock", (), {})])
def test_what_does_not_take_none_is_not(wanted):
    """A validator that stumbles over None does not take it."""
    assert not optional(wanted)


def test_a_type_that_cannot_be_read_is_optional_where_it_says_so():
    """A union is read without pydantic where one of its types has no schema."""
    assert optional(type("Lock", (), {}) | None)


LISTS = [
    (list[Order], True, Order),
    (list[Order] | None, True, Order),
    (tuple[int, ...], True, int),
    (tuple[int, str], True, int | str),
    (tuple[int, *tuple[str, ...]], True, NOTHING),
    (set[int], True, int),
    (Sequence[Order], True, Order),
    (list[int] | set[str], True, int | str),
    (Annotated[list[Order], Field(min_length=1)], True, Order),
    (list[Annotated[int, "note"]], True, Annotated[int, "note"]),
    (Orders, True, Order),
    (TypeAliasType("Many", list[int]), True, int),
    (NewType("Batch", list[int]), True, int),
    (list, True, NOTHING),
    (Span, True, NOTHING),
    (str, False, NOTHING),
    (bytes, False, NOTHING),
    (Order, False, NOTHING),
    (dict[str, int], False, NOTHING),
    (None, False, NOTHING),
    (Any, None, NOTHING),
    (NOTHING, None, NOTHING),
    (list[int] | int, None, NOTHING),
    (type("Lock", (), {}), None, NOTHING),
]


@pytest.mark.parametrize(("source", "answer", "item"), LISTS, ids=str)
def test_what_can_be_fanned_out_is_known(source, answer, item):
    """Before it runs, where the annotation says it."""
    assert is_list_like(source) is answer
    assert item_type(source) == item


# The law. Texts are such as no number, date or truth is read from, and no list or mapping is empty: what pydantic would
# take there is what nobody means.
WORDS = st.text("qz", min_size=1, max_size=3)


class Kind(NamedTuple):
    annotation: Any
    values: st.SearchStrategy


PLAIN = [
    Kind(int, st.integers(-9, 9)),
    Kind(float, st.sampled_from([0.0, 1.0, 1.5])),
    Kind(bool, st.booleans()),
    Kind(str, WORDS),
    Kind(bytes, WORDS.map(str.encode)),
    Kind(Decimal, st.sampled_from([Decimal(1), Decimal("1.5")])),
    Kind(Path, WORDS.map(Path)),
    Kind(dt.date, st.dates(dt.date(1970, 1, 1), dt.date(2030, 1, 1))),
    Kind(dt.datetime, st.dates(dt.date(1970, 1, 1)).map(lambda day: dt.datetime.combine(day, dt.time()))),
    Kind(dt.time, st.times()),
    Kind(dt.timedelta, st.timedeltas(dt.timedelta(-5), dt.timedelta(5))),
    Kind(uuid.UUID, st.uuids()),
    Kind(Colour, st.sampled_from(Colour)),
    Kind(Level, st.just(Level.LOW)),
    Kind(Literal["red", 1], st.sampled_from(["red", 1])),
    Kind(Span, st.builds(Span, st.integers(0, 9), st.integers(0, 9))),
    Kind(set[str], st.sets(WORDS, min_size=1, max_size=2)),
]


def tuple_of(parts):
    return Kind(tuple[tuple(part.annotation for part in parts)], st.tuples(*(part.values for part in parts)))


def model_of(fields, extra):
    made = create_model(
        "Made",
        __config__=ConfigDict(extra=extra),
        **{
            name: (kind.annotation, Field(alias=alias) if required else Field(None, alias=alias))
            for name, (kind, required, alias) in fields.items()
        },
    )
    values = st.fixed_dictionaries({name: kind.values for name, (kind, _, _) in fields.items()})
    return Kind(made, values.map(lambda given: made.model_construct(**given)))


def containers(inner):
    field = st.tuples(inner, st.booleans(), st.sampled_from([None, None, "a", "x"]))
    return st.one_of(
        inner.map(lambda kind: Kind(list[kind.annotation], st.lists(kind.values, min_size=1, max_size=2))),
        inner.map(
            lambda kind: Kind(
                dict[str, kind.annotation], st.dictionaries(st.sampled_from("abx"), kind.values, min_size=1, max_size=2)
            )
        ),
        inner.map(lambda kind: Kind(kind.annotation | None, st.none() | kind.values)),
        st.lists(inner, min_size=2, max_size=2).map(
            lambda both: Kind(both[0].annotation | both[1].annotation, both[0].values | both[1].values)
        ),
        st.lists(inner, min_size=1, max_size=3).map(tuple_of),
        st.builds(
            model_of,
            st.dictionaries(st.sampled_from("abc"), field, max_size=3),
            st.sampled_from(["ignore", "allow", "forbid"]),
        ),
    )


RELATIVES = [
    Kind(kind, st.nothing())
    for kind in (list[float], dict[str, float], tuple[float, float], Textual, Strict, Coercing, float | list[str])
]
KINDS = st.recursive(st.sampled_from(PLAIN), containers, max_leaves=4)


def check(source, targets, data):
    """Draw a value and see that nobody reads it who was told not to fit."""
    value, adapter = data.draw(source.values), TypeAdapter(source.annotation)
    for options in ({}, {"by_alias": True}, {"by_alias": True, "round_trip": True}):
        passed = adapter.dump_json(value, warnings=False, **options)
        for target in targets:
            if reason := misfit(source.annotation, target.annotation):
                with pytest.raises(ValidationError):
                    pytest.fail(f"{reason}: {TypeAdapter(target.annotation).validate_json(passed)!r}")


@pytest.mark.parametrize("source", PLAIN, ids=lambda kind: str(kind.annotation))
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_what_is_told_of_plain_types_never_works(source, data):
    """Every pair of them."""
    check(source, PLAIN, data)


@settings(max_examples=150, deadline=None)
@given(st.lists(KINDS, min_size=3, max_size=3), st.data())
def test_what_is_told_never_works(kinds, data):
    """Where a reason is given, no value passes, however aliases are written."""
    for source in kinds:
        check(source, [*kinds, *RELATIVES], data)


@settings(max_examples=100, deadline=None)
@given(KINDS)
def test_a_type_fits_itself(kind):
    """Made again, too."""
    once, again = (create_model("Box", content=(kind.annotation, ...)) for _ in range(2))
    assert misfit(kind.annotation, kind.annotation) is None
    assert misfit(once, again) is None
