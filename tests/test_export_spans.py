"""What a recorded run is in tracing systems: the tree, the ids, and each target's attributes, one by one."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import export_runs as runs
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import SpanKind, StatusCode

import agentkit as ak
from agentkit.errors import ConfigError, LogCorrupt
from agentkit.export import span_id, to_spans, trace_id
from agentkit.testing import ScriptedModel, call

SERVICE = runs.SERVICE


def spans(events, profile="otlp", **options):
    """The spans of a run, by the path of what they are of: a name for each, the attempt after it."""
    return to_spans(events, profile, service=SERVICE, **options)


def tree_of(found):
    """The spans' names, indented by their depth."""
    known = {span.context.span_id: span for span in found}

    def depth(span):
        return 0 if span.parent is None else 1 + depth(known[span.parent.span_id])

    return "\n".join("  " * depth(span) + span.name for span in found)


def attributes(found, event, run_id=runs.SUPPORT):
    """The attributes of the span that an event opened."""
    return dict(next(span for span in found if span.context.span_id == span_id(run_id, event)).attributes)


def opened_by(events, type, step, attempt=1, run_id=runs.SUPPORT):
    """The seq of the event that opens a span."""
    return next(e.seq for e in events if (e.run_id, e.type, e.step, e.attempt or 1) == (run_id, type, step, attempt))


def test_an_agents_run_is_one_trace_with_a_span_for_each_attempt_decision_and_approval():
    """Retries are spans of their own, a sub-agent's run hangs below the call that started it."""
    assert tree_of(spans(runs.support())) == (
        "invoke_agent support\n"
        "  chat gpt-5-mini\n"
        "  chat gpt-5-mini\n"
        "  decision\n"
        "  decision\n"
        "  decision\n"
        "  decision\n"
        "  execute_tool find_order\n"
        "  execute_tool find_order\n"
        "  execute_tool helper\n"
        "  execute_tool find_order\n"
        "  approval refund\n"
        "  execute_tool refund\n"
        "  chat unpriced-1\n"
        "  decision\n"
        "    invoke_agent helper\n"
        "      chat gpt-5-mini\n"
        "      decision"
    )


def test_a_pipelines_run_is_the_tree_of_its_steps_items_asks_and_calls():
    """A step that made way for a person is entered again: two spans, the approval below the first."""
    assert tree_of(spans(runs.triage())) == (
        "invoke_workflow triage\n"
        "  step label\n"
        "    step label\n"
        "    step label\n"
        "      ask label\n"
        "        chat gpt-5-mini\n"
        "    step label\n"
        "      ask label\n"
        "        chat gpt-5-mini\n"
        "  step pay\n"
        "    approval refund\n"
        "  step pay\n"
        "    execute_tool refund\n"
        "  step never"
    )


def test_ids_follow_from_the_run_and_the_event_and_are_all_different():
    """A trace is a root run; a span is an event of a run."""
    found = spans(runs.support())
    assert {span.context.trace_id for span in found} == {trace_id(runs.SUPPORT)}
    assert len({span.context.span_id for span in found}) == len(found)
    assert found[0].context.span_id == span_id(runs.SUPPORT, 1)
    assert found[0].parent is None
    assert format(trace_id("r"), "032x") == hashlib.sha256(b"agentkit/r").hexdigest()[:32]
    assert format(span_id("r", 7), "016x") == hashlib.sha256(b"agentkit/r/7").hexdigest()[:16]


def test_a_parent_comes_before_what_is_within_it():
    """A server that drops a span whose parent it does not know drops none."""
    for events in (runs.support(), runs.triage()):
        seen = set()
        for span in spans(events):
            assert span.parent is None or span.parent.span_id in seen
            seen.add(span.context.span_id)


def test_times_are_the_logs_to_the_microsecond():
    """Integer nanoseconds; an approval lasts as long as the person took."""
    found = spans(runs.support())
    assert found[0].start_time == 1795867200_123456_000
    asked = next(span for span in found if span.name == "approval refund")
    assert asked.end_time - asked.start_time == 60_002_000_000


@pytest.mark.parametrize("profile", ["otlp", "langfuse", "langsmith"])
@pytest.mark.parametrize("events", [runs.support, runs.triage])
def test_the_same_log_gives_the_same_bytes_in_another_process(profile, events):
    """Nothing of this process, its clock or its hashes is in a payload."""
    code = (
        "import export_runs, hashlib; from test_export_spans import SERVICE, encode_spans, to_spans;"
        f"spans = to_spans(export_runs.{events.__name__}(), {profile!r}, service=SERVICE);"
        "print(encode_spans(spans).SerializeToString().hex())"
    )
    here = Path(__file__).parent
    other = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == encode_spans(spans(events(), profile)).SerializeToString().hex()


@pytest.mark.parametrize("profile", ["otlp", "langfuse", "langsmith"])
@pytest.mark.parametrize("name", ["support", "triage"])
def test_what_was_sent_once_is_sent_so_for_ever(name, profile):
    """Ids, times, names and attributes are those of the release before: a resend must merge with what is there."""
    assert runs.decoded(name, profile) == (runs.GOLDEN / f"{name}.{profile}.jsonl").read_text("utf-8")


# attribute by attribute ----------------------------------------------------------------------------------------------

RUN, FAILED, ANSWERED, DECIDED = 1, 2, 5, 7
PLACES = {"tool": 11, "lost": 12, "helper": 13}
IDENTITY = {
    "agentkit.run.id": runs.SUPPORT,
    "gen_ai.conversation.id": "chat-7",
    "session.id": "chat-7",
    "user.id": "ann",
    "agentkit.tags": ("shop", "eu"),
}


def own(found, event, kind, **more):
    """What a span says beyond who it belongs to."""
    said = attributes(found, event)
    for name, value in {
        **IDENTITY,
        "agentkit.event.id": f"{runs.SUPPORT}/{event}",
        "agentkit.event.kind": kind,
    }.items():
        assert said.pop(name) == value
    return said


def test_every_target_is_told_of_a_run():
    """Name, input and output; who, where and which environment stand in the resource and on each span."""
    found = spans(runs.support())
    assert own(found, RUN, "run_started") == {
        "openinference.span.kind": "AGENT",
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "support",
        "input.value": runs.SAID,
        "input.mime_type": "text/plain",
        "output.value": "Done. 完了",
        "output.mime_type": "text/plain",
    }
    assert dict(found[0].resource.attributes) == {
        "service.name": "shop",
        "service.version": "1.2",
        "deployment.environment.name": "production",
    }
    assert found[0].kind is SpanKind.INTERNAL
    assert found[0].status.status_code is StatusCode.OK
    assert [event.name for event in found[0].events] == ["run_paused", "run_resumed"]


def test_every_target_is_told_of_an_answer():
    """Tokens as the provider counted them, cached and reasoning ones apart; the cost; the messages as parts."""
    found = spans(runs.support())
    said = own(found, ANSWERED, "model_requested")
    asked, answered = json.loads(said.pop("gen_ai.input.messages")), json.loads(said.pop("gen_ai.output.messages"))
    offered = json.loads(said.pop("gen_ai.tool.definitions"))
    assert said == {
        "openinference.span.kind": "LLM",
        "agentkit.step": "model/1",
        "agentkit.attempt": 2,
        "agentkit.retry_of": format(span_id(runs.SUPPORT, FAILED), "016x"),
        "agentkit.cost.total_usd": 0.0021,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 500,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.response.model": "gpt-5-mini-2026-08-07",
        "gen_ai.response.id": "resp-1",
        "gen_ai.response.finish_reasons": ["tool_calls"],
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 48,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_creation.input_tokens": 7,
        "gen_ai.usage.reasoning.output_tokens": 12,
        "gen_ai.system_instructions": '[{"type":"text","content":"Help with orders."}]',
        "llm.cost.total": 0.0021,
        "mlflow.llm.cost": '{"total_cost":0.0021}',
    }
    assert asked == [{"role": "user", "parts": [{"type": "text", "content": runs.SAID}]}]
    assert [part["type"] for part in answered[0]["parts"]] == ["text", *["tool_call"] * 4]
    assert answered[0]["parts"][2] == {
        "type": "tool_call", "id": "call-2", "name": "find_order", "arguments": {"order_id": "ß"},
    }  # fmt: skip
    assert [tool["function"]["name"] for tool in offered] == ["find_order", "refund", "helper"]


def test_the_second_prompt_holds_the_results_of_the_first_turn():
    """A prompt is rebuilt from the log: what the model was told, in the order of its calls."""
    found = spans(runs.support())
    second = next(span for span in found if span.name == "chat unpriced-1")
    said = json.loads(second.attributes["gen_ai.input.messages"])
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "tool", "tool", "tool"]
    assert said[2]["parts"][0] == {
        "type": "tool_call_response", "id": "call-1", "response": {"id": "A-1042", "total": 59.9},
    }  # fmt: skip
    assert "agentkit.cost.total_usd" not in second.attributes
    assert second.attributes["agentkit.cost.unknown"] is True


def test_every_target_is_told_of_a_failed_attempt():
    """The error, and no tokens: nobody counted any."""
    found = spans(runs.support())
    failed = next(span for span in found if span.context.span_id == span_id(runs.SUPPORT, FAILED))
    said = own(found, FAILED, "model_requested")
    assert said["error.type"] == "RateLimitError"
    assert said["agentkit.error.kind"] == "rate_limit"
    assert not [name for name in said if name.startswith("gen_ai.usage")]
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description == "RateLimitError: 429: slow down"
    retry, exception = failed.events
    assert (retry.name, retry.attributes["agentkit.delay"]) == ("retry_scheduled", 0.5)
    assert dict(exception.attributes) == {
        "exception.type": "RateLimitError",
        "exception.message": "429: slow down",
        "exception.stacktrace": "Traceback …",
    }


def test_every_target_is_told_of_a_call():
    """Arguments and result under the conventions' names and under OpenInference's."""
    found = spans(runs.support())
    assert own(found, PLACES["tool"], "tool_started") == {
        "openinference.span.kind": "TOOL",
        "agentkit.step": "tool/find_order/1",
        "agentkit.attempt": 1,
        "agentkit.idempotency_key": "key-tool/find_order/1",
        "agentkit.call.id": "call-tool/find_order/1",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find_order",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "call-tool/find_order/1",
        "gen_ai.tool.call.arguments": '{"order_id":"A-1042"}',
        "gen_ai.tool.call.result": '{"id":"A-1042","total":59.9}',
        "input.value": '{"order_id":"A-1042"}',
        "input.mime_type": "application/json",
        "output.value": '{"id":"A-1042","total":59.9}',
        "output.mime_type": "application/json",
    }


def test_every_target_is_told_why_and_instead_of_what():
    """A decision has no length, and no cost."""
    found = spans(runs.support())
    assert own(found, DECIDED, "decided") == {
        "openinference.span.kind": "CHAIN",
        "agentkit.step": "tool/find_order/1",
        "agentkit.decision.action": "find_order",
        "input.value": '{"alternatives":["find_order","refund","helper"]}',
        "input.mime_type": "application/json",
        "output.value": '{"chosen":"find_order","reason":"to see it"}',
        "output.mime_type": "application/json",
    }


def test_every_target_is_told_who_approved_what():
    """What would run, the verdict, by whom, through what."""
    found = spans(runs.support())
    asked = next(span for span in found if span.name == "approval refund")
    said = own(found, int(asked.attributes["agentkit.event.id"].rpartition("/")[2]), "approval_requested")
    assert said == {
        "openinference.span.kind": "GUARDRAIL",
        "agentkit.step": "tool/refund/1",
        "agentkit.approval.id": "ask-1",
        "agentkit.approval.kind": "call",
        "agentkit.approval.because": "policy",
        "agentkit.approval.verdict": "approve",
        "agentkit.approval.by": "bea",
        "agentkit.approval.through": "notebook",
        "input.value": '{"action":"refund","args":{"order_id":"A-1042"}}',
        "input.mime_type": "application/json",
        "output.value": '{"verdict":"approve","by":"bea","reason":"seen it"}',
        "output.mime_type": "application/json",
    }


@pytest.mark.parametrize("profile", ["otlp", "langfuse", "langsmith"])
def test_cost_is_on_model_calls_alone_and_is_the_runs(profile):
    """Whoever adds up the spans of a trace gets what the run and its sub-agents cost, once."""
    costs = [
        value
        for span in spans(runs.support(), profile)
        for name, value in span.attributes.items()
        if name == "agentkit.cost.total_usd"
    ]
    assert costs == [0.0, 0.0021, 0.0001]
    assert all("cost" not in name for span in spans(runs.support(), profile) if not span.name.startswith("chat")
               for name in span.attributes)  # fmt: skip


# Langfuse ------------------------------------------------------------------------------------------------------------


def beyond(profile, event, events=None):
    """What a target is told of a span and the others are not."""
    base = attributes(spans(events or runs.support()), event)
    base.pop("llm.cost.total", None)
    base.pop("mlflow.llm.cost", None)
    told = attributes(spans(events or runs.support(), profile), event)
    return {name: value for name, value in told.items() if base.get(name) != value}


ON_EACH = {
    "langfuse.trace.name": "support",
    "langfuse.trace.tags": ("shop", "eu"),
    "langfuse.session.id": "chat-7",
    "langfuse.user.id": "ann",
}


def test_langfuse_is_told_the_traces_name_session_user_and_tags_on_every_span():
    """A row there is one span; the child run's are those of the trace."""
    for span in spans(runs.support(), "langfuse"):
        assert ON_EACH.items() <= dict(span.attributes).items()
        assert not span.instrumentation_scope.name.startswith("langfuse-sdk")


def test_langfuse_is_told_which_span_is_the_traces_own():
    """Only the run at the top; a sub-agent's is an agent among others."""
    assert beyond("langfuse", RUN) == {
        **ON_EACH, "langfuse.observation.type": "agent", "langfuse.internal.is_app_root": True,
    }  # fmt: skip
    helper = spans(runs.support(), "langfuse")[-3]
    assert helper.name == "invoke_agent helper"
    assert helper.attributes["langfuse.observation.type"] == "agent"
    assert "langfuse.internal.is_app_root" not in helper.attributes


def test_langfuse_is_told_of_an_answer_in_the_shape_it_takes_tool_calls_from():
    """OpenAI's messages, tools and calls, and our own cost."""
    told = beyond("langfuse", ANSWERED)
    asked, answered = (json.loads(told.pop(f"langfuse.observation.{name}")) for name in ("input", "output"))
    assert told == {
        **ON_EACH,
        "langfuse.observation.type": "generation",
        "langfuse.observation.cost_details": '{"total":0.0021}',
    }
    assert asked["messages"] == [
        {"role": "system", "content": "Help with orders."}, {"role": "user", "content": runs.SAID},
    ]  # fmt: skip
    assert asked["tools"][0]["function"]["name"] == "find_order"
    assert answered["role"] == "assistant"
    assert answered["tool_calls"][1] == {
        "id": "call-2", "type": "function", "function": {"name": "find_order", "arguments": '{"order_id":"ß"}'},
    }  # fmt: skip


def test_langfuse_makes_up_no_price_for_a_failed_attempt():
    """Zero tokens and a zero total: without them its server counts the prompt and prices it."""
    told = beyond("langfuse", FAILED)
    assert told["gen_ai.usage.input_tokens"] == told["gen_ai.usage.output_tokens"] == 0
    assert told["langfuse.observation.cost_details"] == '{"total":0.0}'


def test_langfuse_is_told_no_cost_where_the_price_is_unknown():
    """Unknown is not zero."""
    unpriced = next(span for span in spans(runs.support(), "langfuse") if span.name == "chat unpriced-1")
    assert "langfuse.observation.cost_details" not in unpriced.attributes


def test_langfuse_is_told_of_calls_decisions_and_approvals():
    """Their types, and what people filter by as metadata; a tool's arguments are sent once."""
    found = spans(runs.support(), "langfuse")
    tool = attributes(found, PLACES["tool"])
    assert tool["langfuse.observation.type"] == "tool"
    assert "input.value" not in tool
    assert beyond("langfuse", DECIDED) == {
        **ON_EACH,
        "langfuse.observation.type": "chain",
        "langfuse.observation.metadata.decision_reason": "to see it",
        "langfuse.observation.metadata.alternatives": '["find_order","refund","helper"]',
    }
    asked = next(span for span in found if span.name == "approval refund")
    assert asked.attributes["langfuse.observation.type"] == "guardrail"
    assert asked.attributes["langfuse.observation.metadata.verdict"] == "approve"


# LangSmith -----------------------------------------------------------------------------------------------------------

IN_LANGSMITH = {
    "langsmith.span.tags": "shop, eu",
    "langsmith.metadata.session_id": "chat-7",
    "langsmith.metadata.thread_id": "chat-7",
    "langsmith.metadata.user_id": "ann",
}


def test_langsmith_is_told_of_an_answer():
    """Prompt and completion as messages; cached and reasoning tokens travel in one JSON alone."""
    told = beyond("langsmith", ANSWERED)
    asked, answered = json.loads(told.pop("gen_ai.prompt")), json.loads(told.pop("gen_ai.completion"))
    used = json.loads(told.pop("langsmith.usage_metadata"))
    assert told == {**IN_LANGSMITH, "langsmith.span.kind": "llm"}
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert len(answered["messages"][0]["tool_calls"]) == 4
    assert used == {
        "input_tokens": 120,
        "output_tokens": 48,
        "total_tokens": 168,
        "input_token_details": {"cache_read": 40, "cache_creation": 7},
        "output_token_details": {"reasoning": 12},
        "total_cost": 0.0021,
    }


def test_langsmith_is_told_of_the_others():
    """Their kinds; a call's arguments and result raw; a decision's reason as metadata."""
    assert beyond("langsmith", RUN) == {**IN_LANGSMITH, "langsmith.span.kind": "chain"}
    assert beyond("langsmith", PLACES["tool"]) == {
        **IN_LANGSMITH,
        "langsmith.span.kind": "tool",
        "gen_ai.prompt": '{"order_id":"A-1042"}',
        "gen_ai.completion": '{"id":"A-1042","total":59.9}',
    }
    assert beyond("langsmith", DECIDED) == {
        **IN_LANGSMITH,
        "langsmith.span.kind": "chain",
        "langsmith.metadata.decision_reason": "to see it",
        "langsmith.metadata.alternatives": '["find_order","refund","helper"]',
    }


# privacy -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["otlp", "langfuse", "langsmith"])
def test_without_content_no_word_of_it_leaves(profile):
    """Names, times, tokens, costs, verdicts and kinds of errors stay; the tree is the same."""
    bare = spans(runs.support(), profile, content="none")
    assert tree_of(bare) == tree_of(spans(runs.support(), profile))
    sent = encode_spans(bare).SerializeToString()
    for word in ("A-1042", "Help with orders", "Let me look", "59.9", "seen it", "to see it", "slow down", "be kind"):
        assert word.encode() not in sent
    costs = [span.attributes.get("agentkit.cost.total_usd") for span in bare if span.name.startswith("chat")]
    assert costs == [0.0, 0.0021, None, 0.0001]
    failed = attributes(bare, FAILED)
    assert failed["error.type"] == "RateLimitError"


@pytest.mark.parametrize("profile", ["otlp", "langfuse", "langsmith"])
def test_a_secret_that_is_in_the_log_does_not_leave_it(profile):
    """Older logs, and what somebody calls a secret only now: wherever it is nested, and in prompts, before encoding."""
    key = "sk-" + "a1" * 16
    events = runs.support({"order": [{"note": f"key {key}"}]})
    assert key.encode() in encode_spans(spans(events, profile, content="full")).SerializeToString()
    sent = encode_spans(spans(events, profile)).SerializeToString()
    assert key.encode() not in sent
    assert b"key [redacted:api-key]" in sent


# size, strangers, misuse ---------------------------------------------------------------------------------------------


def test_a_megabyte_is_sent_whole_once_and_cut_in_the_prompts_that_repeat_it():
    """A long result would otherwise be in each later prompt."""
    events = runs.support("x" * 1_000_000)
    found = spans(events)
    assert len(attributes(found, PLACES["tool"])["gen_ai.tool.call.result"]) == 1_000_000
    second = next(span for span in found if span.name == "chat unpriced-1")
    assert len(second.attributes["gen_ai.input.messages"]) < 40_000
    assert "1000000 characters in all, cut for export" in second.attributes["gen_ai.input.messages"]


def test_a_run_of_five_thousand_spans_is_exported():
    """All of them, each with an id of its own."""
    found = spans(runs.long_run(2500))
    assert len({span.context.span_id for span in found}) == len(found) == 5001
    longest = max(len(span.attributes.get("gen_ai.input.messages", "")) for span in found)
    assert longest < 20_000, "prompts that repeat a whole conversation grow by the square"
    last = json.loads(found[-2].attributes["gen_ai.input.messages"])
    assert last[1]["parts"][0]["content"].startswith("[4898 messages are left out")


def test_a_recorded_run_of_an_agent_is_exported(log):
    """What the runner writes is what is read here; a child run is read from its log."""
    child = ak.Agent("helper", ScriptedModel(["Be kind."]), "Be kind to everybody who asks.")
    agent = ak.Agent(
        "support", ScriptedModel([call("helper", task="help"), "Done."]), "Help with orders.", tools=[child]
    )
    run = agent.run("hello", log=log)
    run.result(10)
    assert tree_of(spans(run)) == (
        "invoke_agent support\n  chat scripted\n  decision\n  execute_tool helper\n  chat scripted\n  decision\n"
        "    invoke_agent helper\n      chat scripted\n      decision"
    )
    (below,) = run.children()
    alone = spans(below, "langfuse")
    assert [(s.context, s.parent) for s in alone] == [(s.context, s.parent) for s in spans(run)[-3:]]
    assert "langfuse.internal.is_app_root" not in alone[0].attributes


def test_a_follow_up_points_at_the_run_it_goes_on_after(log):
    """A trace of its own, with a link; its prompts hold the conversation so far."""
    agent = ak.Agent("support", ScriptedModel(["One.", "Two."]), "Help with orders.")
    first = agent.run("hello", log=log)
    first.result(10)
    second = agent.run("and?", after=first, log=log)
    second.result(10)
    root, asked, *_ = spans(second)
    assert root.context.trace_id == trace_id(second.run_id)
    assert [link.context.span_id for link in root.links] == [span_id(first.run_id, 1)]
    assert [m["role"] for m in json.loads(asked.attributes["gen_ai.input.messages"])] == ["user", "assistant", "user"]
    with pytest.raises(LogCorrupt, match="have to be folded first"):
        spans(second.events())


def test_no_events_and_no_such_profile_are_said():
    """Each error says what to give instead."""
    with pytest.raises(ConfigError, match="was given none"):
        to_spans([])
    with pytest.raises(ConfigError, match="do not begin with run_started"):
        to_spans(runs.support()[1:5])
    with pytest.raises(ConfigError, match="there are: otlp, langfuse, langsmith"):
        to_spans(runs.support(), "zipkin")
