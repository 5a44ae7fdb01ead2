"""Our requests have the shape of those that LangSmith's and Helicone's own clients make."""

import json
import uuid
from datetime import UTC, datetime

import pytest
from capture import capturing
from exporting import export, spans_of
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def same_kind(ours, theirs):
    """Whether two values are of one type: numbers are numbers, and a sequence is a sequence."""
    alike = (int | float, list | tuple)
    return type(ours) is type(theirs) or any(isinstance(ours, kind) and isinstance(theirs, kind) for kind in alike)


# LangSmith -----------------------------------------------------------------------------------------------------------


def test_langsmith_is_sent_what_its_own_exporter_sends(monkeypatch):
    """The same spans through both: the same path, headers and bytes of protobuf."""
    from langsmith.integrations.otel.processor import OtelExporter

    with capturing() as (url, requests):
        for name, value in {"ENDPOINT": url, "API_KEY": "lsv2_test", "PROJECT": "shop"}.items():
            monkeypatch.setenv(f"LANGSMITH_{name}", value)
        export("support", "langsmith")
        OtelExporter(url=f"{url}/otel/v1/traces").export(spans_of("support", "langsmith"))
    ours, theirs = requests
    assert ours.path == theirs.path == "/otel/v1/traces"
    for name in ("content-type", "x-api-key", "langsmith-project"):
        assert ours.headers[name] == theirs.headers[name], name
    assert ExportTraceServiceRequest.FromString(ours.body) == ExportTraceServiceRequest.FromString(theirs.body)


@pytest.fixture(scope="module")
def langsmith_attributes():
    """What the SDK itself says of a model call and of a tool call, when it writes OpenTelemetry."""
    from langsmith._internal._operations import serialize_run_dict
    from langsmith._internal.otel._otel_exporter import OTELExporter

    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    exporter = OTELExporter(tracer_provider=provider)
    said = {"role": "assistant", "content": None, "tool_calls": [tool_call()]}
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "input_token_details": {"cache_read": 1}}
    answer = {"choices": [{"message": said, "finish_reason": "tool_calls"}], "id": "resp-1", "usage_metadata": usage}
    prompt = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}
    runs = [("llm", "chat", prompt, answer), ("tool", "find_order", {"order_id": "A"}, {"output": {"id": "A"}})]
    for kind, name, given, gave in runs:
        run_id = uuid.uuid4()
        common = {"id": run_id, "trace_id": run_id, "dotted_order": "", "name": name, "run_type": kind}
        extra = {"metadata": {"session_id": "chat-7"}}
        now = datetime.now(UTC).isoformat()
        begun = {**common, "start_time": now, "inputs": given, "tags": ["shop", "eu"], "extra": extra}
        ended = {**common, "end_time": now, "outputs": gave, "extra": extra}
        exporter.export_batch([serialize_run_dict("post", begun)], {})
        exporter.export_batch([serialize_run_dict("patch", ended)], {})
    return {span.attributes["langsmith.span.kind"]: dict(span.attributes) for span in kept.get_finished_spans()}


def tool_call():
    return {"id": "c", "type": "function", "function": {"name": "find_order", "arguments": "{}"}}


@pytest.mark.parametrize(("kind", "name"), [("llm", "chat gpt-5-mini"), ("tool", "execute_tool find_order")])
def test_langsmith_is_told_in_its_sdk_s_own_words(langsmith_attributes, kind, name):
    """Each attribute that both have is of one type, and what is JSON in theirs is JSON in ours."""
    theirs = langsmith_attributes[kind]
    (ours, *_more) = [dict(span.attributes) for span in spans_of("support", "langsmith") if span.name == name
                      and "gen_ai.completion" in span.attributes]  # fmt: skip
    assert ours["langsmith.span.kind"] == kind
    assert ours["langsmith.span.tags"] == theirs["langsmith.span.tags"] == "shop, eu"
    assert ours["langsmith.metadata.session_id"] == theirs["langsmith.metadata.session_id"] == "chat-7"
    for shared in ours.keys() & theirs.keys():
        assert same_kind(ours[shared], theirs[shared]), shared
    for text in ("gen_ai.prompt", "gen_ai.completion"):
        assert same_kind(json.loads(ours[text]), json.loads(theirs[text]))


def test_langsmith_finds_messages_and_tool_calls_where_its_sdk_puts_them(langsmith_attributes):
    """OpenAI's own shape, which its pages show as a conversation."""
    ours = next(span.attributes for span in spans_of("support", "langsmith") if span.name == "chat gpt-5-mini"
                and "gen_ai.completion" in span.attributes)  # fmt: skip
    theirs = langsmith_attributes["llm"]
    (asked,), said = json.loads(theirs["gen_ai.prompt"])["messages"], json.loads(theirs["gen_ai.completion"])
    assert asked.keys() <= json.loads(ours["gen_ai.prompt"])["messages"][-1].keys()
    (message,) = json.loads(ours["gen_ai.completion"])["messages"]
    assert message.keys() == said["choices"][0]["message"].keys()
    assert message["tool_calls"][0].keys() == tool_call().keys()
    assert message["tool_calls"][0]["function"].keys() == tool_call()["function"].keys()
    used = json.loads(ours["langsmith.usage_metadata"])
    assert used.keys() >= said["usage_metadata"].keys()
    assert used["input_token_details"].keys() >= said["usage_metadata"]["input_token_details"].keys()


# Helicone ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def helicone():
    """The requests that our exporter and Helicone's own logger make: for a model call and for a tool call."""
    from helicone_helpers import HeliconeManualLogger

    with pytest.MonkeyPatch.context() as patch, capturing() as (url, requests):
        patch.setenv("HELICONE_API_KEY", "sk-helicone-test")
        patch.setenv("HELICONE_BASE_URL", f"{url}/v1/trace")
        export("support", "helicone")
        ours = list(requests)
        requests.clear()
        logger = HeliconeManualLogger("sk-helicone-test", {"Helicone-Session-Id": "s"}, f"{url}/v1/trace")
        times = {"start_time": 1.5, "end_time": 2.25, "additional_headers": {"Helicone-Request-Id": str(uuid.uuid4())}}
        prompt = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}
        logger.send_log("openai", prompt, {"choices": []}, times)
        logger.send_log(None, {"_type": "tool", "toolName": "find_order", "input": {}}, {"id": "A"}, times)
    return ours, requests


def of_kind(requests, ending):
    return [request for request in requests if request.path.endswith(ending)]


@pytest.mark.parametrize("path", ["/oai/v1/log", "/custom/v1/log"])
def test_helicone_is_sent_what_its_own_logger_sends(helicone, path):
    """The same path and authorization; each field of its body is in ours, of the same type."""
    (ours, *_), (theirs,) = of_kind(helicone[0], path), of_kind(helicone[1], path)
    assert ours.path == theirs.path
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    uuid.UUID(ours.headers["helicone-request-id"])
    for part in ("providerRequest", "providerResponse", "timing"):
        for name, value in theirs.json[part].items():
            if value is None:  # no text beside the JSON, no first token
                assert ours.json[part].get(name) is None
            else:
                assert same_kind(ours.json[part][name], value), f"{part}.{name}"
    assert ours.json["providerRequest"]["url"] == theirs.json["providerRequest"]["url"] == "custom-model-nopath"
    for time in ("startTime", "endTime"):
        assert ours.json["timing"][time].keys() == theirs.json["timing"][time].keys()
        assert all(isinstance(count, int) for count in ours.json["timing"][time].values())


def test_helicone_knows_a_tool_by_the_words_of_its_logger(helicone):
    """`_type` and `toolName`, in the request and in the answer."""
    tools = [
        one for one in of_kind(helicone[0], "/custom/v1/log") if one.json["providerRequest"]["json"].get("toolName")
    ]
    (theirs,) = of_kind(helicone[1], "/custom/v1/log")
    for part in ("providerRequest", "providerResponse"):
        for name in ("_type", "toolName"):
            assert tools[0].json[part]["json"][name] == theirs.json[part]["json"][name]
