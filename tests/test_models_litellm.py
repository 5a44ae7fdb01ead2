"""The litellm adapter against a provider on loopback: what is sent, what is made of the answer, what it costs."""

import asyncio
import json
from typing import Literal

import pytest
from dialects import Reply
from fault_server import FaultServer, Raw, Status
from faults import CALL, KEY, MODELS, QUICK, find_order, keys
from pydantic import BaseModel

import agentkit as ak
from agentkit.events import ModelFailed, ModelResponded
from agentkit.messages import ModelRequest, UserMessage
from agentkit.models.litellm import LitellmModel, open_model
from agentkit.testing import RealModelForbidden

OPENAI, ANTHROPIC = MODELS.values()


class Verdict(BaseModel):
    category: Literal["late", "broken"]
    sure: bool


@pytest.fixture(autouse=True, scope="module")
def a_key():
    with keys():
        yield


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return request.param


def run(server, log, model, input="Where is A-1042?", **options):
    settings = {"api_base": server.url, **options.pop("settings", {})}
    run = ak.Agent("support", f"loopback/{model}", "Help.", settings=settings, **options).run(input, log=log)
    run.result(timeout=60)
    return run


def answers(run):
    return [event for event in run.events() if isinstance(event.body, ModelResponded)]


def said(*messages, stream, **more):
    """An answer of that message, or of these pieces, as they are; `more` is what stands beside them."""
    head = {"id": "1", "created": 1, "model": "gpt-5-mini", **more}
    place, kind = ("delta", "chat.completion.chunk") if stream else ("message", "chat.completion")
    choices = [{"index": 0, place: {"role": "assistant", **message}, "finish_reason": None} for message in messages]
    choices[-1]["finish_reason"] = "stop"
    bodies = [json.dumps({**head, "object": kind, "choices": [choice]}) for choice in choices]
    if not stream:
        return Raw(bodies[0].encode())
    return Raw("".join(f"data: {body}\n\n" for body in [*bodies, "[DONE]"]).encode(), "text/event-stream")


# tools and answers ---------------------------------------------------------------------------------------------------


def test_a_tool_is_called_and_its_result_goes_back(server, log, model):
    """The call comes back as the model wrote it, its reason included."""
    written = '{"order_id": "A-1042", "why": "they ask for it"}'
    server.plan(Reply(text="", calls=(("find_order", written),), finish="tool_calls"))
    done = run(server, log, model, tools=[find_order])
    assert done.output == "It is on its way."
    sent = json.dumps(server.requests[1].body)
    assert "they ask for it" in sent
    assert "sent" in sent
    assert done.state.calls["tool/find_order/1"].why == "they ask for it"


def test_several_calls_in_one_answer_keep_their_order_and_arguments(server, log, model):
    """Pieces of each are put together by their index."""
    calls = tuple(("find_order", json.dumps({"order_id": f"A-{number}"})) for number in range(3))
    server.plan(Reply(text="Let me look. ", calls=calls, finish="tool_calls"))
    done = run(server, log, model, tools=[find_order], decisions="off")
    [first, _] = answers(done)
    assert [call.arguments["order_id"] for call in first.body.tool_calls] == ["A-0", "A-1", "A-2"]
    assert first.body.text == "Let me look. "


def test_arguments_that_are_no_json_are_kept_as_written(server, log, model):
    """They are the model's mistake to mend: it is told, and every provider takes the conversation that holds them."""
    server.plan(Reply(text="", calls=(("find_order", '{"order_id": '),), finish="tool_calls"))
    done = run(server, log, model, tools=[find_order])
    assert answers(done)[0].body.tool_calls[0].arguments == '{"order_id": '
    assert done.state.calls["tool/find_order/1"].outcome == "error"
    assert "invalid_json" in json.dumps(server.requests[1].body)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("content", [5, [{"type": "text", "text": "On its way."}]])
def test_an_answer_that_is_no_text_is_asked_for_again(server, log, stream, content):
    """The error says that the answer cannot be read; it may have been charged, so its estimate counts."""
    server.plan(said({"content": content}, stream=stream))
    done = run(server, log, OPENAI, settings={"stream": stream}, retry=QUICK)
    [failed] = [event for event in done.events() if isinstance(event.body, ModelFailed)]
    assert (failed.body.kind, failed.body.error.retryable, len(server.requests)) == ("connection", True, 2)
    assert failed.body.error.message.startswith("openai: the answer cannot be read: ")
    assert failed.body.cost_is_estimate


@pytest.mark.parametrize("stream", [True, False])
def test_a_number_is_an_id_too(server, log, stream):
    """Ids mean nothing, so that any will do."""
    server.plan(said({"content": "On its way."}, stream=stream, id=5))
    [answer] = answers(run(server, log, OPENAI, settings={"stream": stream}))
    assert (answer.body.text, answer.body.response_id) == ("On its way.", "5")


@pytest.mark.parametrize("number", [{}, {"index": 0}])
def test_calls_without_numbers_are_told_apart_by_their_ids(server, log, number):
    """A piece with another id and a name begins another call; one without a name goes on with the last."""
    pieces = [
        *[("a", "find_order", '{"order_id":'), ("a", None, ' "A-1"}')],
        *[("b", "find_order", '{"order_id":'), ("other", None, ' "A-2"'), (None, None, "}")],
    ]
    calls = [{**number, "id": key, "function": {"name": name, "arguments": words}} for key, name, words in pieces]
    server.plan(said(*({"tool_calls": [{"type": "function", **call}]} for call in calls), stream=True))
    done = run(server, log, OPENAI, tools=[find_order])
    asked = [(call.call_id, call.arguments["order_id"]) for call in done.state.calls.values()]
    assert asked == [("a", "A-1"), ("b", "A-2")]


def test_text_comes_in_pieces_and_whole(server, model):
    """Whoever listens hears every piece as it comes; together they are the answer."""
    heard = []
    request = ModelRequest(instructions="", messages=(UserMessage(content="Where is it?"),))
    asked = LitellmModel(model, settings={"api_base": server.url}).respond(request, on_text=heard.append)
    response = asyncio.run(asked)
    assert heard == ["It ", "is ", "on ", "its ", "way."]
    assert response.message.text == "".join(heard)


def test_streaming_changes_nothing_but_the_way(server, log, model):
    """The same answer, usage and cost with `stream` off."""
    reply = Reply(text="", calls=CALL, finish="tool_calls", thinking="so", cached=40, input_tokens=90)
    seen = []
    for stream in (True, False):
        server.plan(reply)
        [first, _] = answers(run(server, log, model, tools=[find_order], settings={"stream": stream}))
        calls = [(call.name, call.arguments) for call in first.body.tool_calls]
        seen.append((calls, first.body.reasoning, first.input_tokens, first.body.cached_tokens, first.cost_usd))
    assert seen[0] == seen[1]
    assert [request.body.get("stream", False) for request in server.requests] == [True, True, False, False]


# reasoning -----------------------------------------------------------------------------------------------------------


def test_signed_thoughts_go_back_as_they_came(server, log):
    """Anthropic refuses a conversation whose thinking blocks were changed."""
    server.plan(Reply(text="", thinking="I should look it up.", calls=CALL, finish="tool_calls"))
    run(server, log, ANTHROPIC, tools=[find_order])
    [block] = [part for part in server.requests[1].body["messages"][1]["content"] if part["type"] == "thinking"]
    assert block == {"type": "thinking", "thinking": "I should look it up.", "signature": "c2lnbmVk"}


def test_thoughts_of_another_provider_are_not_sent(server, log):
    """After a fallback the conversation holds blocks that mean nothing to the model that goes on."""
    thought = Reply(text="", thinking="I should look it up.", calls=CALL, finish="tool_calls")
    server.plan(thought, Status(400, "invalid_request_error", "no"))
    run(server, log, ANTHROPIC, tools=[find_order], fallback=[f"loopback/{OPENAI}"])
    assert server.requests[2].path.endswith("/chat/completions")
    assert "I should look it up" not in json.dumps(server.requests[2].body)


# usage and cost ------------------------------------------------------------------------------------------------------


def test_cached_tokens_cost_less(server, log):
    """By the provider's prices: 0.25 $ a million for input, a tenth of it from the cache, 2 $ for output."""
    server.plan(Reply(input_tokens=1000, cached=800, output_tokens=50, reasoning=30))
    done = run(server, log, OPENAI)
    [answer] = answers(done)
    assert (answer.body.cached_tokens, answer.body.reasoning_tokens) == (800, 30)
    assert answer.cost_usd == pytest.approx((200 * 0.25 + 800 * 0.025 + 50 * 2) / 1e6)


def test_tokens_written_to_a_cache_cost_more(server, log):
    """Anthropic's: 3 $ a million, 3.75 when written, 0.30 when read, 15 for output; all of them are input tokens."""
    server.plan(Reply(input_tokens=1000, cached=300, cache_write=500, output_tokens=50))
    [answer] = answers(run(server, log, ANTHROPIC))
    assert (answer.input_tokens, answer.body.cached_tokens, answer.body.cache_write_tokens) == (1000, 300, 500)
    assert answer.cost_usd == pytest.approx((200 * 3 + 500 * 3.75 + 300 * 0.3 + 50 * 15) / 1e6)


def test_an_unknown_price_is_unknown_and_not_free(server, log):
    """A model that no list has: its tokens count, its cost is NULL, and a budget in dollars stops before it."""
    done = run(server, log, "openai/my-own-model")
    assert (done.usage.input_tokens, done.usage.cost_usd) == (100, None)
    agent = ak.Agent(
        "careful", "loopback/openai/my-own-model", settings={"api_base": server.url}, budget=ak.Budget(usd=1)
    )
    with pytest.raises(ak.RunPaused, match="price"):
        agent.run("Where is A-1042?", log=log).result(timeout=60)


def test_usage_that_is_not_reported_has_no_cost(server, log):
    """Litellm counts for itself then; that is an estimate, and no price is claimed."""
    server.plan(Reply(counted=False))
    assert run(server, log, OPENAI).usage.cost_usd is None


def reported(usage, *, stream):
    """An answer with that as its usage."""
    return said({"content": "On its way."}, stream=stream, usage=usage)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("prompt", "completion", "tokens"),
    [
        (None, None, (0, 0)),
        (0, 0, (0, 0)),
        (100, None, (100, 0)),
        (None, 20, (0, 20)),
        (-5, 20, (0, 20)),
        (100, -1, (100, 0)),
        (10**30, 20, (0, 20)),
        (100, 10**13, (100, 0)),
    ],
)
def test_a_count_that_cannot_be_is_unknown_and_not_free(server, log, stream, prompt, completion, tokens):
    """Null, negative or absurd: such tokens count as none, and the cost is NULL and neither 0 nor a fortune."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": 1}
    server.plan(reported(usage, stream=stream))
    done = run(server, log, OPENAI, settings={"stream": stream})
    assert (done.usage.input_tokens, done.usage.output_tokens, done.usage.cost_usd) == (*tokens, None)


@pytest.mark.parametrize("usage", [None, {}])
def test_a_whole_answer_without_usage_has_no_cost(server, log, usage):
    """As one in pieces: litellm makes zeros of it."""
    server.plan(reported(usage, stream=False))
    assert run(server, log, OPENAI, settings={"stream": False}).usage.cost_usd is None


@pytest.mark.parametrize("stream", [True, False])
def test_no_more_tokens_are_cached_than_were_sent(server, log, stream):
    """Nor paid."""
    counts = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    server.plan(reported({**counts, "prompt_tokens_details": {"cached_tokens": 10**6}}, stream=stream))
    done = run(server, log, OPENAI, settings={"stream": stream})
    [answer] = answers(done)
    assert (done.usage.input_tokens, answer.body.cached_tokens) == (1000, 1000)
    assert done.usage.cost_usd == pytest.approx(0.000225)  # 0.025 and 2 USD a million tokens


@pytest.mark.parametrize(
    ("name", "price"),
    [(OPENAI, 2.25), (ANTHROPIC, 18.0), ("gpt-5-mini", 2.25), ("ollama/llama3", 0.0), ("openai/my-own-model", None)],
)
def test_a_price_is_told_beforehand(name, price):
    """For a million tokens in and out; None where it is unknown."""
    assert LitellmModel(name).price(1_000_000, 1_000_000) == (price if price is None else pytest.approx(price))


# the form of an answer -----------------------------------------------------------------------------------------------


def test_a_structured_answer_is_asked_for_by_schema(server, log):
    """Strictly, where the schema is closed, with tools or without."""
    server.plan(Reply(text='{"category": "late", "sure": true}'))
    done = run(server, log, OPENAI, output=Verdict, tools=[find_order])
    assert done.output == Verdict(category="late", sure=True)
    asked = server.requests[0].body["response_format"]["json_schema"]
    assert (asked["name"], asked["strict"], asked["schema"]["additionalProperties"]) == ("Verdict", True, False)


def test_a_schema_that_cannot_be_strict_is_not_said_to_be(server, log):
    """OpenAI refuses strict schemas with optional fields."""

    class Open(BaseModel):
        note: str = ""

    server.plan(Reply(text="{}"))
    run(server, log, OPENAI, output=Open)
    assert server.requests[0].body["response_format"]["json_schema"]["strict"] is False


@pytest.mark.parametrize("name", ["openai/my-own-model", "anthropic/claude-3-5-haiku-latest"])
def test_without_schemas_the_form_is_asked_for_in_words(server, log, name):
    """Also where a schema would force a tool; backticks around the JSON are taken off, and the runner validates."""
    server.plan(Reply(text='```json\n{"category": "late", "sure": true}\n```'))
    done = run(server, log, name, output=Verdict, tools=[find_order])
    assert done.output.category == "late"
    body = server.requests[0].body
    assert "response_format" not in body
    assert "tool_choice" not in body
    assert "JSON by this schema" in json.dumps(body)


def test_a_list_is_asked_for_in_words(server, log):
    """Providers take schemas of objects only."""
    server.plan(Reply(text="[1, 2]"))
    assert run(server, log, OPENAI, output=list[int]).output == [1, 2]
    assert "response_format" not in server.requests[0].body


# settings ------------------------------------------------------------------------------------------------------------


def test_settings_reach_the_provider(server, log):
    """What is not the adapter's own goes through."""
    run(server, log, "openai/gpt-4o-mini", settings={"temperature": 0.5, "max_tokens": 7, "seed": 3})
    body = server.requests[0].body
    assert (body["temperature"], body["max_tokens"], body["seed"]) == (0.5, 7, 3)


def test_a_forced_call_is_forced_once(server, log):
    """Else a model that must call a tool never ends."""
    server.plan(Reply(text="", calls=CALL, finish="tool_calls"))
    run(server, log, OPENAI, tools=[find_order], settings={"tool_choice": "find_order"})
    named = {"type": "function", "function": {"name": "find_order"}}
    assert [request.body["tool_choice"] for request in server.requests] == [named, "auto"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"messages": []}, "agentkit makes itself"),
        ({"timeout": "soon"}, "number of seconds"),
        ({"stream": "yes"}, "True or False"),
        ({"temperature": 0.3, "model": "x"}, "'model'"),
    ],
)
def test_a_setting_that_cannot_be_one_is_an_error_at_once(server, log, settings, said):
    """Nothing is sent, and nothing is tried again."""
    with pytest.raises(ak.RunFailed, match=said):
        run(server, log, OPENAI, settings=settings)
    assert not server.requests


@pytest.mark.parametrize(
    "settings",
    [{"api_key": "0123456789abcdef"}, {"extra_headers": {"X-Api-Key": "abc"}}, {"azure_ad_token": "t"}],
)
def test_a_key_in_the_settings_is_refused(settings):
    """Settings go to the log; the error says where a key belongs, and does not show it."""
    with pytest.raises(ak.ConfigError, match="environment variable") as refused:
        ak.Agent("support", f"loopback/{OPENAI}", settings=settings)
    assert "0123456789" not in str(refused.value)


def test_an_empty_address_is_an_error_and_not_the_provider(log):
    """What litellm takes for "none given" would send the prompt, and the key, to the provider itself."""
    model = LitellmModel(OPENAI, settings={"api_base": ""})
    with pytest.raises(ak.RunFailed, match="api_base is empty"):
        ak.Agent("support", model).run("?", log=log).result(timeout=60)


def test_settings_of_one_model_are_its_own(server, log):
    """A model object may have another address than the agent's, and its settings are not recorded."""
    model = LitellmModel(OPENAI, settings={"api_base": server.url})
    done = ak.Agent("support", model, settings={"api_base": "http://127.0.0.1:9"}).run("Where is it?", log=log)
    assert done.result(timeout=60) == "It is on its way."
    assert server.url not in "".join(event.model_dump_json() for event in done.events())


# names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [("opnai/gpt-5-mini", "'openai/gpt-5-mini'"), ("gpt5-mini", "'gpt-5-mini'"), ("openai/", "provider/model")],
)
def test_an_unknown_name_is_told_with_what_it_could_be(log, name, hint):
    """As soon as it is certain: when the agent is made, or else by the first call, which is not tried again."""
    with pytest.raises((ak.ConfigError, ak.RunFailed), match=hint):
        ak.Agent("support", open_model(name), settings={"api_base": "http://127.0.0.1:9"}).run("?", log=log).result(60)
    assert len(log.sql("SELECT * FROM model_calls WHERE attempt > 1")) == 0


def test_a_loopback_model_goes_nowhere_else(log):
    """A test suite that forbids real models can still ask a server on this machine, and only that."""
    for name in (OPENAI, "loopback/gpt-5-mini", "loopback/bedrock/anthropic.claude-3-haiku-20240307-v1:0"):
        with pytest.raises(RealModelForbidden):
            ak.Agent("support", name)
    here, away = "http://127.0.0.1:9", "https://provider.invalid"
    for settings in (
        {},
        {"api_base": away},
        {"api_base": ""},
        {"api_base": here, "base_url": away},
        {"api_base": "http://127.0.0.1.provider.invalid"},
    ):
        run = ak.Agent("support", f"loopback/{OPENAI}", settings=settings).run("?", log=log)
        with pytest.raises(ak.RunFailed, match="loopback"):
            run.result(timeout=60)


def test_no_key_is_ever_in_the_log(server, log):
    """The key travels in the request alone."""
    done = run(server, log, OPENAI)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in "".join(event.model_dump_json() for event in done.events())
