"""Helicone's manual logger: one request for each attempt, call, decision and approval; ids that never change."""

import json
import uuid

import export_runs as runs
import pytest
from capture_server import Answer, CaptureServer
from exporting import deliver, ledger, runs_in

from agentkit.export import Content, Service, Target
from agentkit.export.helicone import packets
from agentkit.export.recorded import of_events
from agentkit.export.tree import tree


def logged(events, content="redacted"):
    """What is logged of a run, by the path within the session."""
    nodes = tree(of_events(events), prompts=content != "none")
    where = Target("helicone", "http://h", service=Service(environment="eu"), content=Content(content))
    return list(packets(nodes, where))


def body(packet):
    """A request's JSON."""
    return json.loads(packet.body)


def of_kind(events, kind, number=0, **options):
    """The n-th request of a kind of node."""
    found = [one for one in logged(events, **options) if one.headers["Helicone-Property-Kind"] == kind]
    return found[number]


def test_every_request_says_what_it_is_of_in_its_headers_and_its_body():
    """A deterministic UUID, the session, the path within it, the properties."""
    one = of_kind(runs.support(), "tool")
    said = body(one)
    assert one.headers == said["providerRequest"]["meta"]
    assert one.headers == {
        "Helicone-Request-Id": one.headers["Helicone-Request-Id"],
        "Helicone-Session-Id": runs.SUPPORT,
        "Helicone-Session-Name": "support",
        "Helicone-Session-Path": "/invoke_agent-support/execute_tool-find_order",
        "Helicone-User-Id": "ann",
        "Helicone-Property-Session": "chat-7",
        "Helicone-Property-Kind": "tool",
        "Helicone-Property-Run": runs.SUPPORT,
        "Helicone-Property-Event": "11",
        "Helicone-Property-Step": "tool/find_order/1",
        "Helicone-Property-Attempt": "1",
        "Helicone-Property-Tags": "shop,eu",
        "Helicone-Property-Environment": "eu",
    }
    assert uuid.UUID(one.headers["Helicone-Request-Id"]).version == 5
    ids = [packet.headers["Helicone-Request-Id"] for packet in logged(runs.support())]
    assert len(set(ids)) == len(ids)
    assert [packet.body for packet in logged(runs.support())] == [packet.body for packet in logged(runs.support())]


def test_an_answer_is_logged_as_its_provider_would_have_given_it():
    """OpenAI's request and answer, tokens, the times to the millisecond; our cost is a property."""
    one = of_kind(runs.support(), "model", 1)
    said = body(one)
    assert one.url == "http://h/oai/v1/log"
    assert said["providerRequest"]["url"] == "custom-model-nopath"
    request = said["providerRequest"]["json"]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("gpt-5-mini", 0.2, 500)
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert [tool["function"]["name"] for tool in request["tools"]] == ["find_order", "refund", "helper"]
    answer = said["providerResponse"]["json"]
    assert said["providerResponse"]["status"] == 200
    assert (answer["id"], answer["model"], answer["object"]) == ("resp-1", "gpt-5-mini-2026-08-07", "chat.completion")
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert len(answer["choices"][0]["message"]["tool_calls"]) == 4
    assert answer["usage"] == {
        "prompt_tokens": 120,
        "completion_tokens": 48,
        "total_tokens": 168,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    assert one.headers["Helicone-Property-Cost-Usd"] == "0.0021"
    start, end = said["timing"]["startTime"], said["timing"]["endTime"]
    assert start == {"seconds": 1795867200, "milliseconds": 206}
    assert end["milliseconds"] - start["milliseconds"] == 500


def test_a_failed_attempt_is_logged_with_its_real_status():
    """It is no answer, and nobody prices it."""
    said = body(of_kind(runs.support(), "model", 0))
    assert said["providerResponse"]["status"] == 429
    assert said["providerResponse"]["json"] == {"error": {"type": "RateLimitError", "message": "429: slow down"}}


def test_calls_decisions_and_approvals_are_logged_as_tools_and_data():
    """Each with what went in and what came out."""
    tool = body(of_kind(runs.support(), "tool"))
    assert tool["providerRequest"]["json"] == {
        "_type": "tool", "toolName": "find_order", "input": {"order_id": "A-1042"},
    }  # fmt: skip
    assert tool["providerResponse"]["json"]["output"] == {"id": "A-1042", "total": 59.9}
    decision = of_kind(runs.support(), "decision")
    assert decision.url == "http://h/custom/v1/log"
    assert body(decision)["providerResponse"]["json"] == {
        "_type": "data", "name": "decision", "output": {"chosen": "find_order", "reason": "to see it"},
    }  # fmt: skip
    asked = of_kind(runs.support(), "approval")
    assert asked.headers["Helicone-Property-Verdict"] == "approve"
    assert body(asked)["providerResponse"]["json"]["output"]["by"] == "bea"


def test_a_header_holds_no_character_that_it_cannot():
    """Unicode and line breaks in a user's name or a tag are escaped."""
    events = runs.support()
    started = events[0].body.model_copy(update={"user": "Bär\r\nX-Evil: 1", "tags": ("寿司",)})
    events[0] = events[0].model_copy(update={"body": started})
    headers = of_kind(events, "run").headers
    assert headers["Helicone-User-Id"] == "B\\xe4r  X-Evil: 1"
    assert headers["Helicone-Property-Tags"] == "\\u5bff\\u53f8"


def test_without_content_no_word_of_it_is_logged():
    """Tokens, times, statuses and names stay."""
    sent = b"".join(packet.body for packet in logged(runs.support(), content="none"))
    for word in (b"A-1042", b"Help with orders", b"Let me look", b"59.9", b"seen it", b"slow down", b"be kind"):
        assert word not in sent
    assert b'"prompt_tokens":120' in sent


def test_a_run_is_acknowledged_when_all_of_it_was_logged(log):
    """One that was interrupted in its middle is logged again, under the same ids."""
    (run,) = runs_in(log, 1)
    with CaptureServer([Answer(), Answer(500)]) as server:
        where = Target("helicone", server.url, {"Authorization": "Bearer k"})
        outcome = deliver(log, where)
        assert (outcome.sent, len(server.requests)) == (1, 4)  # three, of which one was tried twice
        assert [request.path for request in server.requests] == [
            "/custom/v1/log", "/oai/v1/log", "/oai/v1/log", "/custom/v1/log",
        ]  # fmt: skip
        assert server.requests[1].headers["helicone-request-id"] == server.requests[2].headers["helicone-request-id"]
        assert ledger(log, where) == {run.run_id: ("sent", 200, 4)}


@pytest.mark.parametrize("events", [runs.support, runs.triage])
def test_every_node_is_logged_once(events):
    """As many requests as spans elsewhere."""
    assert len(logged(events())) == len(tree(of_events(events())))
