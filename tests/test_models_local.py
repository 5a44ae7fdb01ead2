"""Local models, with real weights: the form is always right, whatever a model of 135 million parameters thinks."""

import asyncio
import enum
import os
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import errands
import pytest
from local_weights import ask, called, qwen_small, request, smollm2
from pydantic import BaseModel, Field

import agentkit as ak
from agentkit.errors import ModelError, ModelNotFound
from agentkit.messages import MediaPart, UserMessage
from agentkit.models.local import runtime
from agentkit.models.local.engine import Engine
from agentkit.models.local.model import LocalModel, open_model
from agentkit.testing import RealModelForbidden

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def model():
    smollm2()
    return open_model("local/smollm2")


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Item(BaseModel):
    name: str = Field(max_length=8)
    count: int = Field(ge=1, le=9)


class Address(BaseModel):
    street: str = Field(max_length=12)
    zip: str = Field(pattern=r"^\d{5}$")
    kind: Literal["home", "work"]


@ak.tool
def order(items: Annotated[list[Item], Field(min_length=1, max_length=2)], express: bool) -> str:
    """Order things. Returns the order's number."""


@ak.tool
def move(address: Address) -> str:
    """Note a customer's new address. Returns nothing of interest."""


@ak.tool
def paint(colour: Colour, layers: Annotated[int, Field(ge=1, le=3)] = 1) -> str:
    """Paint the shop. Returns how it looks."""


@ak.tool
def price(amount: Annotated[float, Field(ge=0, le=1000)], currency: Literal["USD", "EUR"]) -> float:
    """Convert a price. Returns it in USD."""


@ak.tool
def look_up(number: Annotated[str, Field(pattern=r"^[A-C]-\d{2,4}$")] | int, deep: bool | None = None) -> dict:
    """Look an order up. Returns its state."""


@ak.tool
def ping() -> str:
    """See whether the shop is open. Returns yes or no."""


TOOLS = [order, move, paint, price, look_up, ping]
SAID = [
    "Where is A-1042?",
    "Two red lamps, quick!",
    "I moved to 10 Main St.",
    "What is 12 EUR in dollars?",
    "??? {}\n\"'",
]


@pytest.fixture
def quick(model, monkeypatch):
    """The model, with what it computed of an earlier prompt used again although there is a seed."""
    generate = model._engine.generate
    monkeypatch.setattr(model._engine, "generate", lambda body, *rest: generate({**body, "cache_prompt": True}, *rest))
    return model


@pytest.mark.parametrize(
    ("tool", "times"),
    [
        (order, 10),
        *(pytest.param(*more, marks=pytest.mark.slow) for more in ((move, 10), (paint, 22), (price, 22))),
        (look_up, 22),
        (ping, 4),
    ],
    ids=lambda what: what.schema.name if isinstance(what, ak.Tool) else "",
)
def test_every_call_fits_its_tool(quick, tool, times):
    """100 of 100, with the next test: a tool that exists, arguments that its function takes, at any heat."""
    for seed in range(times):
        [call] = ask(quick, SAID[seed % 5], tools=[tool], seed=seed, temperature=1.0).message.tool_calls
        assert call.name == tool.schema.name
        tool.validate(call.arguments)


def test_every_call_is_of_a_tool_that_is_there(quick):
    """Also where there are many to choose from; and every call has an id of its own."""
    ids = set()
    for seed in range(10):
        [call] = ask(quick, SAID[seed % 5], tools=TOOLS, seed=seed, temperature=1.5).message.tool_calls
        next(tool for tool in TOOLS if tool.schema.name == call.name).validate(call.arguments)
        ids.add(call.id)
    assert len(ids) == 10


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tail: float


class Odd(BaseModel):
    at: datetime
    id: UUID
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    sum: Decimal
    few: Annotated[int, Field(le=5)]
    pair: tuple[bool, date]
    lives: Annotated[dict[str, Cat], Field(max_length=1)]


def test_what_pydantic_can_describe_can_be_answered(model):
    """Times, ids, unions, decimals, tuples and maps; a number has an end, though the model sees none."""
    for seed in range(2):
        Odd.model_validate_json(ask(model, "Make one up", output=Odd, seed=seed, temperature=1.0).message.text)


def test_a_schema_that_no_grammar_can_say_is_an_error(model):
    """And no answer of any other form."""

    class Never(BaseModel):
        number: Annotated[int, Field(ge=5, le=1)]

    with pytest.raises(
        ModelError, match="was not held to the schema: there is something in it that no grammar can say"
    ):
        ask(model, "Say hello.", output=Never)


def test_paid_models_stay_forbidden_in_tests():
    """What costs nothing was allowed by its prefix, and nothing else."""
    with pytest.raises(RealModelForbidden):
        ak.Agent("a", "openai/gpt-5.4-mini")
    with pytest.raises(RealModelForbidden):
        ak.Agent("a", "locally/smollm2")


def test_streaming_gives_the_same(model):
    """The pieces are the text; text, usage and end are those of an answer that is not streamed."""
    asked = request("Tell me a story.", seed=3, temperature=1.0, max_tokens=24)
    pieces = []
    streamed = asyncio.run(model.respond(asked, on_text=pieces.append))
    assert "".join(pieces) == streamed.message.text
    assert len(pieces) > 5
    assert streamed == asyncio.run(model.respond(asked))


def test_a_seed_repeats(model):
    """The same seed gives the same, after other requests too; another one gives another text."""
    first, second, other = [ask(model, "Tell me a story.", seed=s, temperature=1.0, max_tokens=16) for s in (1, 1, 2)]
    assert first == second
    assert first.message.text != other.message.text


def test_a_seed_repeats_in_another_process(model):
    """Nothing of this process is in it."""
    here = ask(model, "Tell me a story.", seed=5, temperature=1.0, max_tokens=16)
    there = python("""
        from local_weights import ask, open_model
        print(ask(open_model("local/smollm2"), "Tell me a story.", seed=5, temperature=1.0, max_tokens=16).message.text)
    """)
    assert there.stdout.removesuffix("\n") == here.message.text


def test_usage_is_what_was_read_and_written(model):
    """In tokens; where the answer is cut off at max_tokens it has that many, and nothing ever costs."""
    short, long = ask(model, "word", max_tokens=4), ask(model, "word" + " word" * 50, max_tokens=9)
    assert (short.usage.output_tokens, long.usage.output_tokens) == (4, 9)
    assert long.usage.input_tokens == short.usage.input_tokens + 50
    assert {short.finish_reason, long.finish_reason} == {"length"}
    assert short.usage.cost_usd == 0.0 == model.price(1000, 1000)


def test_a_turn_that_asks_twice_counts_twice(model):
    """Once which call, once the answer: usage has both."""
    before = (UserMessage(content="Open?"), *called("ping", {}, "yes"))
    both = ask(model, "So?", tools=[ping], before=before, max_tokens=20)
    alone = ask(model, "So?", before=before, max_tokens=20)
    assert both.message.text
    assert both.usage.input_tokens > alone.usage.input_tokens


def test_a_prompt_that_is_too_long_says_so(model):
    """With its length and what can be done; the next request is answered."""
    with pytest.raises(ModelError, match=r"has 9\d{3} tokens and the local model reads 8192.*history_tokens") as error:
        ask(model, "word " * 9000)
    assert (error.value.kind, error.value.retryable) == ("context_overflow", False)
    assert ask(model, "Hi", max_tokens=2).usage.output_tokens == 2


@pytest.mark.parametrize(("bytes_", "problem"), [(b"<html>", "no GGUF file"), (b"GGUF" + bytes(99), "damaged")])
def test_a_broken_file_says_so(tmp_path, bytes_, problem):
    """Which file, what is wrong with it, and what to do."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(bytes_)
    with pytest.raises(ModelError, match=rf"broken\.gguf.*{problem}.*again") as error:
        ask(open_model(f"local/{path}"), "Hi")
    assert not error.value.retryable


def test_half_a_file_says_so(tmp_path):
    """Weights that begin well."""
    path = tmp_path / "half.gguf"
    path.write_bytes(smollm2().read_bytes()[:20_000_000])
    with pytest.raises(ModelError, match=r"half\.gguf cannot be loaded: it is damaged"):
        ask(open_model(f"local/{path}"), "Hi")


def test_what_is_not_there_is_not_opened(tmp_path, monkeypatch):
    """A name nobody knows, weights that were not pulled, a path to nothing, no runtime: each says what to do."""
    with pytest.raises(ModelNotFound, match=r"'gpt-5'; there are .*smollm2, and any path that ends with \.gguf"):
        ak.Agent("a", "local/gpt-5")
    with pytest.raises(ModelNotFound, match=r"there is no file .*nothing\.gguf"):
        ak.Agent("a", f"local/{tmp_path}/nothing.gguf")
    monkeypatch.setenv("AGENTKIT_MODELS", str(tmp_path))
    with pytest.raises(ModelNotFound, match=r"agentkit models pull smollm2` \(98 MB, Apache-2.0\)"):
        ak.Agent("a", "local/smollm2")
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelNotFound, match=r"pip install 'jupyter-agentkit\[local\]'"):
        ak.Agent("a", "local/smollm2")


class Answer(BaseModel):
    state: Literal["open", "sent", "lost"]
    total: float
    quotation: ak.Quotation


def test_an_agent_works_on_it(model, log):
    """A tool is called, its result is answered from in the form asked for, each call is in the log at no cost."""

    @ak.tool
    def find_order(number: str) -> dict:
        """Look an order up in the shop's books. Returns its state and total.

        Args:
            number: the order's number, for example "A-1042".
        """
        return {"number": number, "note": "The parcel was sent on Monday.", "total": 12.5}

    agent = ak.Agent("shop", "local/smollm2", "Help with orders.", tools=[find_order], output=Answer)
    run = agent.run("Where is order A-1042?", log=log)
    answer = run.result(timeout=120)
    assert isinstance(answer, Answer)
    assert any(answer.quotation in text for text in ("The parcel was sent on Monday.", "12.5", "A-1042"))
    assert (run.usage.tool_calls, run.cost) == (1, 0.0)
    assert run.usage.output_tokens > 10
    assert [tuple(row) for row in log.sql("SELECT name FROM tool_calls")] == [("find_order",)]


def test_reasons_are_not_asked_for(model, log):
    """They would be invented after the fact; a tool that has an argument of that name is given it."""

    @ak.tool
    def close(why: Literal["holiday", "night"]) -> dict:
        """Close the shop for the customers until tomorrow. Returns when it opens.

        Args:
            why: what the sign at the door says.
        """
        return {"opens": 9}

    run = ak.Agent("shop", "local/smollm2", tools=[close], settings={"max_tokens": 24}).run("Good night", log=log)
    run.result(timeout=120)
    [decided] = [e.body for e in run.events() if e.type == "decided" and e.step == "tool/close/1"]
    assert decided.why is None
    [started] = [e.body for e in run.events() if e.type == "tool_started"]
    assert started.arguments["why"] in {"holiday", "night"}


def test_a_call_is_not_made_twice(model):
    """Where the model wants what it had, the answer is asked for."""
    before = (UserMessage(content="Open?"), *called("ping", {}, "yes"))
    for seed in range(5):
        answer = ask(model, "Ping! Ping!", tools=[ping], before=before, seed=seed, temperature=1.5, max_tokens=20)
        assert (answer.message.tool_calls, bool(answer.message.text)) == ((), True)


def test_what_is_called_can_be_set(model):
    """`tool_choice`, in everybody's words: none answers at once, required goes on calling."""
    before = (UserMessage(content="Open?"), *called("ping", {}, "yes"))
    assert ask(model, "Hi", tools=[ping], tool_choice="none", max_tokens=3).message.text
    assert ask(model, "Hi", tools=[ping], before=before, tool_choice="required").message.tool_calls
    with pytest.raises(ModelError, match="'required', 'auto' or 'none', not 'any'"):
        ask(model, "Hi", tool_choice="any")


def test_what_it_cannot_do_is_refused(model):
    """A setting that nobody reads, and an image, before anything is computed."""
    with pytest.raises(ModelError, match=r"no setting 'logprobs'; it has .*temperature") as error:
        ask(model, "Hi", logprobs=True)
    assert error.value.kind == "bad_request"
    with pytest.raises(ModelError, match="reads text only, and was given a image/png"):
        ask(model, (MediaPart(media_type="image/png", data=""),))


def test_a_request_that_is_given_up_makes_room(model):
    """It ends at its next token, and the one that waited gets what it would have got."""
    expected = ask(model, "Say hello.", seed=1, max_tokens=8)

    async def scene():
        began = asyncio.Event()
        long = request("Tell me a very long story.", max_tokens=700, temperature=1.0)
        task = asyncio.create_task(model.respond(long, on_text=lambda _: began.set()))
        await began.wait()
        waiting = asyncio.create_task(model.respond(request("Never asked.", max_tokens=700)))
        await asyncio.sleep(0)
        task.cancel(), waiting.cancel()
        after = await model.respond(request("Say hello.", seed=1, max_tokens=8))
        return after, await asyncio.gather(task, waiting, return_exceptions=True)

    began = time.monotonic()
    after, given_up = asyncio.run(scene())
    assert after == expected
    assert all(isinstance(one, asyncio.CancelledError) for one in given_up)
    assert time.monotonic() - began < 15, "700 tokens take longer"


def test_the_loop_goes_on_while_it_computes(model):
    """Reading a prompt takes a second here, and other coroutines run meanwhile."""

    async def scene():
        task = asyncio.create_task(model.respond(request("word " * 150, seed=1, max_tokens=2)))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns

    assert asyncio.run(scene()) > 10


def test_two_at_once_get_their_own(model):
    """One after the other, as the weights are one."""
    questions = [request(text, seed=1, max_tokens=8) for text in ("Say hello.", "Name a colour.")]

    async def together():
        return await asyncio.gather(*map(model.respond, questions))

    assert asyncio.run(together()) == [asyncio.run(model.respond(question)) for question in questions]


def test_weights_are_loaded_once(model):
    """By whatever name, for however many agents."""
    again = open_model(f"local/{smollm2()}")
    assert again._engine is model._engine
    assert isinstance(again, LocalModel)


def test_nobody_else_can_ask_it(model):
    """The library listens on loopback; without the key, which never leaves the process, it says nothing."""
    ask(model, "Hi", max_tokens=1)
    address = model._engine._server.listening_address
    for path in ("/v1/chat/completions", "/completion", "/slots", "/props", "/tokenize"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(urllib.request.Request(address + path, data=b"{}"), timeout=5)
        assert error.value.code in {401, 403, 404, 501}
        assert error.value.headers.get("Access-Control-Allow-Origin") in {None, ""}


def test_a_process_ends_in_the_middle_of_an_answer():
    """Within seconds, without a crash and without a word."""
    smollm2()
    ended = python("""
        import asyncio, threading
        from local_weights import open_model, request
        model, began = open_model("local/smollm2"), threading.Event()
        answer = model.respond(request("A long story.", max_tokens=5000), on_text=lambda _: began.set())
        threading.Thread(target=asyncio.run, args=(answer,), daemon=True).start()
        began.wait()
        print("ends")
    """)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ends\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_child_loads_its_own():
    """It is not stuck with its parent's threads, which are not there."""
    smollm2()
    ended = python("""
        import os, sys
        from local_weights import ask, open_model
        print(ask(open_model("local/smollm2"), "Say hello.", seed=1, max_tokens=3).message.text, flush=True)
        child = os.fork()
        if child == 0:
            print(ask(open_model("local/smollm2"), "Say hello.", seed=1, max_tokens=3).message.text)
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    first, second, code = ended.stdout.splitlines()
    assert (first, code) == (second, "7")


def test_threads_and_context_can_be_set(monkeypatch):
    """By numbers; anything else says which variable is wrong."""
    monkeypatch.setenv("AGENTKIT_LOCAL_THREADS", "3")
    assert runtime.threads() == 3
    monkeypatch.setenv("AGENTKIT_LOCAL_THREADS", "many")
    with pytest.raises(ak.ConfigError, match=r"\$AGENTKIT_LOCAL_THREADS is 'many'"):
        runtime.threads()
    monkeypatch.setenv("AGENTKIT_LOCAL_CONTEXT", "64")
    monkeypatch.delenv("AGENTKIT_LOCAL_THREADS")
    with pytest.raises(ModelError, match="the local model reads"):
        ask(LocalModel("small", Engine(smollm2())), "word " * 300)


def python(code):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=os.path.dirname(__file__),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_half_billion_picks_the_right_tool():
    """At least 16 of 20, with every argument that was asked for."""
    model = open_model(f"local/{qwen_small()}")
    right = 0
    for text, name, arguments in errands.ASKED:
        [call] = ask(model, text, tools=errands.TOOLS).message.tool_calls
        good = call.name == name and arguments.items() <= call.arguments.items()
        right += good
        print("right" if good else "WRONG", text, call.name, call.arguments)
    print(f"{right} of {len(errands.ASKED)}")
    assert right >= 16
