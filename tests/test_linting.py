"""What lint says of tools that a model would find hard to use, and that it says nothing of good ones."""

import datetime as dt
import warnings
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agentkit.agent import Agent
from agentkit.definition import Context
from agentkit.functions.fields import fields
from agentkit.testing import ScriptedModel
from agentkit.tools import tool
from agentkit.tools.linting import AgentKitWarning, Finding, lint, warn_about
from agentkit.tools.question import ask_person


class Line(BaseModel):
    product: str = Field(description='the product\'s number, for example "P-7"')
    pieces: int = Field(ge=1, description="how many of them")
    parts: list["Line"] = Field(default=[], description="what it is made of")


@tool
def find_order(order_id: str) -> dict:
    """Look up one order. Returns its items, status and total in USD.

    Args:
        order_id: the order's number, for example "A-1042".
    """


@tool(writes=True)
def refund(
    order_id: str,
    amount: Annotated[float, Field(gt=0, le=500)],
    lines: list[Line],
    ctx: Context,
    speed: Literal["now", "later"] = "now",
    due: dt.date | None = None,
) -> dict:
    """Refund part of an order to its payment method. Returns the receipt.

    Args:
        order_id: the order's number, for example "A-1042".
        amount: how much, in USD.
        lines: what was sent back.
        speed: when it is paid back.
        due: the day by which it has to arrive.
    """


GOOD = """Look up what is asked for, in all shops. Returns a dict.

Args:
    {name}: {description}
"""


def _with(annotation, name="words", description="what is to be found", default=...):
    """A good tool with this one parameter."""

    namespace: dict[str, Any] = {"T": annotation, "D": default}
    given = "" if default is ... else " = D"
    exec(f"def look_up({name}: T{given}) -> dict: ...", namespace)
    look_up = namespace["look_up"]
    look_up.__doc__ = GOOD.format(name=name, description=description)
    return tool(look_up)


def rules(*tools):
    return [(finding.parameter, finding.rule) for finding in lint(tools)]


def test_good_tools_have_no_findings():
    """The tools of the README's kind, our own question, and no tools at all."""
    assert lint([find_order, refund, ask_person]) == [] == lint([])
    assert repr(lint([])) == "no findings"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"annotation": Any}, "untyped-parameter"),
        ({"annotation": list[Any]}, "array-without-items"),
        ({"annotation": list}, "array-without-items"),
        ({"annotation": dict}, "free-form-object"),
        ({"annotation": dict[str, Any] | None, "default": None}, "free-form-object"),
        ({"annotation": int}, "number-without-bounds"),
        ({"annotation": float | None, "default": None}, "number-without-bounds"),
        ({"annotation": str | None}, "optional-without-default"),
        ({"annotation": str, "name": "data"}, "vague-name"),
        ({"annotation": str, "description": "the words"}, "short-parameter-description"),
        ({"annotation": str, "name": "order_id"}, "id-without-example"),
        ({"annotation": str, "name": "due_date"}, "date-without-format"),
        ({"annotation": str, "name": "created_at"}, "date-without-format"),
        ({"annotation": str, "description": 'either "fast" or "slow"'}, "choices-in-prose"),
        ({"annotation": str, "description": "one of red, green, blue"}, "choices-in-prose"),
        ({"annotation": str, "description": 'how: "fast", "slow" or "none"'}, "choices-in-prose"),
        ({"annotation": str, "description": "the mode, fast|slow as needed"}, "choices-in-prose"),
    ],
)
def test_a_parameter_that_says_too_little_is_found(arguments, expected):
    """One finding for each thing that the schema leaves open."""
    made = _with(**arguments)
    assert rules(made) == [(arguments.get("name", "words"), expected)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"annotation": Annotated[int, Field(ge=0)]},
        {"annotation": Literal[1, 2]},
        {"annotation": bool},
        {"annotation": dict[str, str]},
        {"annotation": list[str]},
        {"annotation": tuple[str, str]},
        {"annotation": str | None, "default": None},
        {"annotation": dt.date, "name": "due_date"},
        {"annotation": str, "name": "due_date", "description": "the day as YYYY-MM-DD"},
        {"annotation": Annotated[str, Field(pattern="^A-")], "name": "order_id"},
        {"annotation": Annotated[str, Field(examples=["A-1"])], "name": "order_id"},
        {"annotation": Literal["fast", "slow"], "description": 'either "fast" or "slow"'},
        {"annotation": str, "description": "what to look for, or where it is"},
    ],
)
def test_a_parameter_that_says_enough_is_left_alone(arguments):
    """Bounds, formats, examples and choices in the schema are what the rules ask for."""
    assert rules(_with(**arguments)) == []


def test_nested_fields_are_checked_once_each():
    """With their path; a model that holds itself ends the walk."""

    class Price(BaseModel):
        amount: float = Field(description="how much, in USD")
        within: "list[Price]" = Field(default=[], description="what it is made of")

    assert rules(_with(dict[str, list[Price]])) == [("words.*[].amount", "number-without-bounds")]


def test_schemas_of_others_can_be_walked():
    """Lists of types, true as a schema, definitions kept elsewhere: what servers of tools send."""
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": ["integer", "null"], "description": "how many of them"},
            "b": True,
            "c": {"$ref": "https://example.org/schema.json"},
            "d": {"type": "array", "items": True},
            "e": {"oneOf": [True, {"type": "array", "items": {"properties": {"f": {"type": "string"}}}}]},
        },
    }
    found = {field.path: sorted(field.types) for field in fields(schema)}
    assert found == {"a": ["integer", "null"], "b": [], "c": ["object"], "d": ["array"], "e": [], "e[].f": ["string"]}
    made = tool(find_order.function)
    made.schema = made.schema.model_copy(update={"parameters": schema})
    assert ("a", "number-without-bounds") in rules(made)


def test_a_tool_that_says_too_little_of_itself_is_found():
    """Name, description, result, effect and size."""

    @tool(writes=True)
    def doThing(a1: bool, a2: bool, a3: bool, a4: bool, a5: bool, a6: bool, a7: bool) -> str:
        """Handle it."""

    found = [rule for parameter, rule in rules(doThing) if parameter is None]
    assert found == [
        "name-not-snake-case",
        "short-description",
        "silent-on-result",
        "silent-on-effect",
        "too-many-parameters",
        "returns-prose",
    ]
    assert "call it do_thing" in str(lint([doThing])[0])


def test_what_the_result_sentence_says_is_no_effect():
    """ "Returns the receipt that was sent" does not say what the tool changes."""

    @tool(writes=True)
    def handle() -> dict:
        """Handle the number of a customer's order. Returns what was sent and stored."""

    assert rules(handle) == [(None, "silent-on-effect")]


def test_tools_are_checked_together():
    """Too many, too long, too similar."""

    def give() -> dict: ...

    def like(name, description):
        return tool(name=name, description=description)(give)

    one = like("find_order", "Look up one order by its number in the shop. Returns its items.")
    other = like("get_order", "Look up one order by its number in the shop. Returns its item.")
    assert rules(one, other) == [(None, "near-duplicate")]
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda")
    many = [like(f"find_{word}", f"Look up {' '.join([word] * 12)}. Returns {word}.") for word in words]
    assert rules(*many) == [(None, "too-many-tools")]
    long = like("read_all", "Read it all. Returns " + "very " * 4000)
    assert rules(long) == [(None, "schemas-too-long")]


def test_a_finding_prints_as_one_line_that_says_what_to_do():
    """Where, what to do, and the rule's name."""
    finding = Finding("refund", "amount", "number-without-bounds", "say its range")
    assert str(finding) == "refund.amount: say its range [number-without-bounds]"
    assert str(Finding(None, None, "too-many-tools", "split it")) == "tools: split it [too-many-tools]"
    assert repr(lint([_with(int), _with(float)])).count("\n") == len(lint([_with(int), _with(float)])) - 1


def _undescribed() -> dict: ...


def test_one_warning_sums_up_all_findings():
    """One for all tools, with the number and the first few; none where there is nothing to say."""
    with pytest.warns(AgentKitWarning, match="5 things .* and 2 more") as caught:
        warn_about([_with(dict, name="data", description="it"), tool(name="send")(_undescribed)])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_about([find_order])


def test_an_agent_says_what_is_hard_about_its_tools_where_it_is_made():
    """The warning names the tool, and the line is the user's own; good tools are none to talk about."""
    hard = tool(name="post")(_undescribed)
    with pytest.warns(AgentKitWarning, match="post") as caught:
        Agent("a", ScriptedModel([]), tools=[hard])
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Agent("a", ScriptedModel([]), tools=[find_order])
        Agent("a", ScriptedModel([]), tools=[hard])  # a cell that is executed again
