"""A function made a tool: it stays the function, and says what a run must know of it."""

import asyncio
import dataclasses
import functools
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from agentkit.definition import Context, ToolSpec
from agentkit.errors import ConfigError, EncodingError, ToolDefinitionError
from agentkit.policy import NO_RETRY, Retry
from agentkit.tools import Tool, tool
from agentkit.tools.question import ask_person

CONTEXT = Context(run_id="r", step="tool/x/1", attempt=2, idempotency_key="key", deps={"token": "secret"})


@tool
def double(number: int) -> int:
    """Double a number. Returns the product."""
    return 2 * number


@tool(writes=True, idempotent=True, approve=lambda call: call.args["amount"] > 50, timeout=2, name="pay_back")
async def refund(order_id: str, amount: float, ctx: Context) -> dict:
    """Refund part of an order. Returns the receipt."""
    return {"order": order_id, "amount": amount, "key": ctx.idempotency_key}


def test_a_tool_is_still_the_function():
    """Calling it, its name and its docstring are those of the function."""
    assert double(21) == 42
    assert (double.__name__, double.__doc__) == ("double", "Double a number. Returns the product.")
    assert double.function(1) == 2
    assert isinstance(double, Tool)
    assert repr(double) == "<Tool double(number)>"


def test_an_async_tool_is_awaited():
    """`is_async` says so, and what `call` returns is awaited."""
    assert refund.is_async
    assert not double.is_async
    arguments = refund.validate({"order_id": "A-1", "amount": 3})
    assert asyncio.run(refund.call(arguments, CONTEXT)) == {"order": "A-1", "amount": 3.0, "key": "key"}
    assert repr(refund) == "<Tool pay_back(order_id, amount) writes idempotent approve>"


@pytest.mark.parametrize("each", [double, refund, ask_person])
def test_every_tool_is_what_the_core_expects(each):
    """A Tool satisfies the ToolSpec protocol."""
    assert isinstance(each, ToolSpec)


def test_the_defaults_retry_reads_and_never_a_plain_write():
    """A read and an idempotent write have the default retry, a plain write has one attempt."""

    @tool(writes=True)
    def send(text: str) -> None:
        """Send a text. Returns nothing."""

    assert double.retry == refund.retry == Retry()
    assert send.retry == NO_RETRY
    assert double.retry_on == (TimeoutError, ConnectionError)
    assert (double.timeout, refund.timeout, double.writes, double.approve) == (None, 2, False, False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 0}, "seconds above 0"),
        ({"timeout": -1}, "seconds above 0"),
        ({"timeout": float("nan")}, "seconds above 0"),
        ({"timeout": "5"}, "seconds above 0"),
        ({"retry_on": (1,)}, "tuple of exception classes"),
        ({"retry_on": TimeoutError}, "tuple of exception classes"),
        ({"retry": 3}, r"ak\.Retry\(max_attempts=3\)"),
        ({"idempotent": True}, "only reads may always run again"),
        ({"writes": True, "retry": Retry(max_attempts=2)}, "plain write is never retried"),
        ({"approve": "yes"}, "True, False or a function"),
        ({"approve": lambda: True}, "one argument"),
        ({"name": "no spaces"}, "no name for a tool"),
        ({"name": "x" * 65}, "at most 64"),
        ({"name": ""}, "no name for a tool"),
    ],
)
def test_an_option_that_cannot_work_is_refused_where_it_is_written(options, says):
    """The error says what to give instead."""
    with pytest.raises(ToolDefinitionError, match=says):
        tool(**options)(double.function)


def test_an_async_approve_is_refused():
    """Its coroutine would be true whatever it would answer."""

    async def approve(call):
        return False

    with pytest.raises(ToolDefinitionError, match="approve is async"):
        tool(approve=approve)(double.function)


def test_an_unknown_option_is_a_type_error():
    """As for any function."""
    with pytest.raises(TypeError, match="write"):
        tool(write=True)


def test_the_context_is_given_and_not_asked_for():
    """Annotated as Context, optional or a string: not in the schema, and passed in by `call`."""

    @tool
    def plain(a: int, ctx: Context) -> Any:
        return a, ctx

    @tool
    def optional(a: int, somewhere: Context | None = None) -> Any:
        return a, somewhere

    @tool
    def as_text(a: int, ctx: "Context") -> Any:
        return a, ctx

    for each in (plain, optional, as_text):
        assert list(each.schema.parameters["properties"]) == ["a"]
        assert each.call(each.validate({"a": 1}), CONTEXT) == (1, CONTEXT)


def test_what_a_tool_changes_in_its_arguments_stays_its_own():
    """The next attempt gets the arguments as they were validated."""

    @tool
    def drain(items: list[int]) -> list[int]:
        return [items.pop() for _ in range(len(items))]

    arguments = drain.validate({"items": [1, 2]})
    assert drain.call(arguments, CONTEXT) == drain.call(arguments, CONTEXT) == [2, 1]


def test_mutable_defaults_are_not_shared():
    """Two validations give two lists."""

    @tool
    def add(items: list[int] = []) -> None:  # noqa: B006
        items.append(1)

    first = add.validate({})
    first["items"].append(9)
    assert add.validate({}) == {"items": []}


class Shop:
    """A shop."""

    def __init__(self, stock):
        self.stock = stock

    def count(self, product: str) -> int:
        """Count what is in stock. Returns the number.

        Args:
            product: what to count.
        """
        return self.stock[product]

    def __call__(self, product: str) -> int:
        """Say how many there are."""
        return self.stock[product]


def test_methods_partials_and_callable_objects_become_tools():
    """A bound method, a partial (what it fixes is hidden), and an object with `__call__` under a given name."""
    shop = Shop({"tea": 3})
    count = tool(shop.count)
    assert (count.name, count.call({"product": "tea"}, CONTEXT)) == ("count", 3)
    assert count.schema.parameters["properties"]["product"]["description"] == "what to count."

    def search(index: str, words: str, limit: int = 3) -> list[str]:
        """Search an index."""
        return [index, words, str(limit)]

    part = tool(functools.partial(search, "docs", limit=5))
    assert list(part.schema.parameters["properties"]) == ["words"]
    assert part.name == "search"
    assert part.description == "Search an index."
    assert part.call(part.validate({"words": "x"}), CONTEXT) == ["docs", "x", "5"]

    with pytest.raises(ToolDefinitionError, match="give name="):
        tool(shop)
    named = tool(name="stock")(shop)
    assert named.description == "Say how many there are."
    assert named(product="tea") == 3


@pytest.mark.parametrize("function", [lambda x: x, Shop, classmethod(lambda cls: 1), 3])
def test_what_is_no_function_with_a_name_is_refused(function):
    """A lambda, a class, a classmethod object, a number."""
    with pytest.raises(ToolDefinitionError):
        tool(function)


def test_a_tool_of_a_tool_is_refused():
    """Options would silently be lost."""
    with pytest.raises(ToolDefinitionError, match="is a tool already"):
        tool(double)


def test_generators_are_refused():
    """They have no result that could be logged."""

    def numbers(n: int):
        yield n

    async def later(n: int):
        yield n

    for function in (numbers, later):
        with pytest.raises(ToolDefinitionError, match="return a list"):
            tool(function)


def test_decorated_functions_keep_their_schema():
    """`functools.wraps` leads to the signature; whether it is async is the outer function's matter."""

    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return asyncio.run(function(*args, **kwargs))

        return wrapper

    @tool
    @logged
    async def fetch(url: str) -> str:
        """Fetch a page."""
        return url

    assert not fetch.is_async
    assert fetch.call({"url": "u"}, CONTEXT) == "u"


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    at: datetime


class Secretive(BaseModel):
    name: str
    token: SecretStr


def _returns(value, annotation=None):
    def give():
        return value

    if annotation is not None:
        give.__annotations__["return"] = annotation
    return tool(give).result_json(value)


def test_results_become_json_by_their_declared_type():
    """Models, dataclasses, dates, enums, decimals and None, declared or not."""
    point = Point(1, datetime(2026, 1, 2, tzinfo=UTC))
    expected = {"x": 1, "at": "2026-01-02T00:00:00Z"}
    assert _returns(point, Point) == _returns(point) == expected
    assert _returns([point], list[Point]) == [expected]
    assert _returns(Colour.RED, Colour) == "red"
    assert _returns(Decimal("1.10")) == "1.10"
    assert tool(name="nothing")(lambda: None).result_json(None) is None


@pytest.mark.filterwarnings("error")
def test_a_result_of_another_type_is_taken_as_it_is_without_a_warning():
    """The annotation is a help for encoding, no check."""
    assert _returns({"a": 1}, Point) == {"a": 1}
    assert _returns("text", int) == "text"
    assert _returns(Point(1, datetime(2026, 1, 2)), dict)["x"] == 1


def test_secrets_in_results_are_redacted():
    """SecretStr shows as stars, wherever it is."""
    value = Secretive(name="n", token=SecretStr("sk-1"))
    assert _returns(value, Secretive) == _returns(value) == {"name": "n", "token": "**********"}


class Loose(BaseModel):
    parts: list[Any]


@pytest.mark.parametrize(
    ("value", "annotation", "where"),
    [
        ({"a": [1, object()]}, None, "result of give.a[1]"),
        ({"a": [1, object()]}, dict, "result of give.a[1]"),
        (Loose(parts=[{"it": threading.Lock()}]), Loose, "result of give.parts[0].it"),
        ({"price": float("nan")}, None, "result of give.price"),
        (Loose(parts=[float("nan")]), Loose, "result of give.parts[0]"),
        (Loose(parts=[float("nan")]), None, "result of give.parts[0]"),
        ([1.0, float("inf")], list[float], "result of give[1]"),
        ({"text": "a\0b"}, dict[str, str], "result of give.text"),
        ((n for n in range(3)), None, "result of give"),
        ({"a": {1: 1, "1": 2}}, None, "result of give.a"),
        ({1: 1, "1": 2}, dict[int | str, int], "result of give"),
        ({None: 1, "None": 2, "b": None}, None, "result of give"),
        ([{float("nan"): 1}], None, "result of give[0] (a key)"),
        ({float("inf"): 1}, dict[float, int], "result of give (a key)"),
        (Loose(parts=[{2: 1, "2": 2}]), Loose, "result of give.parts[0]"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name(value, annotation, where):
    """The error names the tool and the field."""
    with pytest.raises(EncodingError) as caught:
        _returns(value, annotation)
    assert caught.value.where == where


def test_keys_that_are_one_text_in_json_are_named():
    """One of the values would be lost, and nobody would know; keys that stay different are texts as before."""
    with pytest.raises(EncodingError, match="the keys 1 and '1' are both '1' in JSON, and one would be lost"):
        _returns({1: "a", "1": "b"})
    assert _returns({1: "a", "01": "b", None: None}) == {"1": "a", "01": "b", "None": None}


def test_a_coroutine_as_result_says_what_to_declare():
    """A sync function that returns a coroutine is told to be async."""

    async def later():
        return 1

    waiting = later()
    with pytest.raises(EncodingError, match="async def"):
        _returns(waiting)
    waiting.close()


def test_a_result_type_without_json_is_refused_when_defined():
    """Not at the first call, after the effect."""

    def give() -> threading.Lock: ...

    with pytest.raises(ToolDefinitionError, match="return a pydantic model"):
        tool(give)


SOURCE = '''
from agentkit.tools import tool
def tax(amount: float) -> float:
    """Tax."""
    return amount * {rate} if amount not in {{"a", "b", "c"}} else 0
print(tool(tax).source_sha256)
'''


def _digest_in_new_process(program, *args):
    command = [sys.executable, *args, program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_source_digest_is_the_same_in_every_process_and_follows_the_source(tmp_path):
    """From a file, and from compiled code where there is no source."""
    for args, make in (((), lambda text: _file(tmp_path, text)), (("-c",), lambda text: text)):  # -c has no source
        one, again, other = (
            _digest_in_new_process(make(SOURCE.format(rate=rate)), *args) for rate in ("0.1", "0.1", "0.2")
        )
        assert one == again != other
        assert len(one) == 64


def _file(folder, text):
    path = folder / "module.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_what_a_partial_fixes_counts_for_the_digest():
    """The same function with another fixed value is another tool."""

    def search(index: str, words: str) -> str:
        return index + words

    one, other, client = (tool(functools.partial(search, index=index)) for index in ("a", "b", object()))
    assert len({one.source_sha256, other.source_sha256, client.source_sha256}) == 3


def test_many_threads_can_use_one_tool():
    """Validation and calling share nothing."""
    results: list[int] = []

    def work(n):
        results.extend(double.call(double.validate({"number": n}), CONTEXT) for _ in range(50))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(2 * n for n in range(8) for _ in range(50))


def test_ask_person_is_a_question_that_only_a_run_can_put():
    """Its arguments are validated as any tool's; calling it says what to do."""
    assert ask_person.kind == "question"
    assert ask_person.validate({"question": "Go?", "options": ["yes"]}) == {"question": "Go?", "options": ["yes"]}
    assert ask_person.result_json("yes") == "yes"
    with pytest.raises(ConfigError, match="only a run can ask a person"):
        ask_person.call({"question": "Go?", "options": None}, CONTEXT)


def test_importing_tools_stays_light():
    """No log, no model library, no notebook."""
    heavy = "{'duckdb', 'litellm', 'IPython', 'anywidget', 'langfuse', 'jsonschema'}"
    imports = "import sys, agentkit.tools, agentkit.tools.question, agentkit.tools.linting"
    program = f"{imports}; print(sorted({heavy} & set(sys.modules)))"
    assert _digest_in_new_process(program, "-c") == "[]"
