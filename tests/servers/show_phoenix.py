"""Phoenix shows a run as it was: the tree, the kinds, the tokens, by its own API; sent again, it is the same run."""

import httpx
import pytest
from exporting import export, kinds, parents, spans_of
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from running import free_port, serving, until

import agentkit as ak
from agentkit.export import to_spans
from agentkit.testing import ScriptedModel

PROJECT = "default"


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("phoenix"), free_port()
    url = f"http://127.0.0.1:{port}"
    ports = {"PHOENIX_PORT": str(port), "PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_HOST": "127.0.0.1"}
    with serving(["phoenix", "serve"], folder, f"{url}/healthz", PHOENIX_WORKING_DIR=str(folder), **ports):
        yield url


@pytest.fixture(autouse=True)
def configured(phoenix, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", phoenix)


def shown(phoenix, spans):
    """What its API lists of the trace that these spans are of, once all are there."""
    query = {"trace_id": format(spans[0].context.trace_id, "032x"), "limit": 1000}

    def look():
        answer = httpx.get(f"{phoenix}/v1/projects/{PROJECT}/spans", params=query, timeout=30)
        return answer.json()["data"] if answer.status_code == 200 else []

    return until(look, lambda found: len(found) >= len(spans))


def its_id(span):
    return format(span.context.span_id, "016x")


@pytest.mark.parametrize("golden", ["support", "triage"])
def test_the_tree_the_kinds_the_tokens_and_the_cost_are_the_run_s(phoenix, golden):
    """Every attempt, decision and approval where it belongs; it keeps our cost, and counts one of its own beside it."""
    ours = {its_id(span): span for span in spans_of(golden)}
    export(golden)
    theirs = shown(phoenix, list(ours.values()))
    assert {(span["context"]["span_id"], span["parent_id"]) for span in theirs} == parents(ours.values())
    assert {span["context"]["span_id"]: span["span_kind"] for span in theirs} == kinds(ours.values())
    for same in theirs:
        span, told = ours[same["context"]["span_id"]], same["attributes"]
        assert (same["name"], same["status_code"]) == (span.name, span.status.status_code.name)
        if "gen_ai.usage.input_tokens" in span.attributes:
            assert told["llm.token_count.prompt"] == span.attributes["gen_ai.usage.input_tokens"]
            assert told["llm.token_count.completion"] == span.attributes["gen_ai.usage.output_tokens"]
        assert told.get("llm.cost.total") == span.attributes.get("agentkit.cost.total_usd")


def test_sent_again_nothing_is_doubled(phoenix):
    """Ids are the log's, so the second time is the first."""
    ours = spans_of("support")
    export("support", times=3)
    export("triage", times=2)
    shown(phoenix, spans_of("triage"))  # what was sent before that is there as well
    assert len(shown(phoenix, ours)) == len(ours)


def test_what_was_seen_live_merges_with_what_is_exported_later(phoenix):
    """`ak.instrument()` and the exporter give a run's spans the same ids: there is one of each."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{phoenix}/v1/traces")))
    log = ak.open_log("memory:")
    with ak.instrument(provider):
        run = ak.Agent("support", ScriptedModel(["done"])).run("hi", log=log)
        run.result(20)
    provider.shutdown()
    ours = to_spans(run)
    assert len(shown(phoenix, ours)) == len(ours)
    log.export_to("otlp")
    export("triage")
    second = ak.Agent("support", ScriptedModel(["done"])).run("hi", log=log)
    second.result(20)
    assert log.exporter.flush(30)
    shown(phoenix, to_spans(second))
    assert len(shown(phoenix, ours)) == len(ours)
