"""Phoenix shows a run as it was: the tree, the kinds, the tokens, the cost, by its own API."""

import httpx
import pytest
from exporting import PLAIN, export, kinds, parents, spans_of_golden
from running import free_port, serving, until

PROJECT = "default"


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("phoenix"), free_port()
    url = f"http://127.0.0.1:{port}"
    ports = {"PHOENIX_PORT": str(port), "PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_HOST": "127.0.0.1"}
    with serving(["phoenix", "serve"], folder, f"{url}/healthz", PHOENIX_WORKING_DIR=str(folder), **ports):
        yield url


def shown(phoenix, trace):
    """The spans of a trace as its REST API lists them."""
    query = {"trace_id": trace, "limit": 1000}
    answer = httpx.get(f"{phoenix}/v1/projects/{PROJECT}/spans", params=query, timeout=30)
    return answer.json()["data"] if answer.status_code == 200 else []


def costs(phoenix, trace):
    """What it says that each span and the trace cost, by GraphQL."""
    query = """query($trace: ID!) { projects { edges { node { trace(traceId: $trace) {
      costSummary { total { cost tokens } }
      spans(first: 1000) { edges { node { spanId name costSummary { total { cost } } } } } } } } } }"""
    answer = httpx.post(f"{phoenix}/graphql", json={"query": query, "variables": {"trace": trace}}, timeout=30).json()
    return answer


@pytest.mark.parametrize("golden", ["support", "triage"])
def test_the_tree_the_kinds_and_the_tokens_are_the_run_s(phoenix, golden):
    """Every attempt, decision and approval where it belongs."""
    ours = spans_of_golden(golden)
    trace = format(ours[0].context.trace_id, "032x")
    export(golden, f"{phoenix}/v1/traces")
    theirs = until(lambda: shown(phoenix, trace), lambda found: len(found) >= len(ours))
    assert {(span["context"]["span_id"], span["parent_id"]) for span in theirs} == parents(ours)
    assert {span["context"]["span_id"]: span["span_kind"] for span in theirs} == kinds(ours)
    for span in ours:
        (same,) = [one for one in theirs if one["context"]["span_id"] == format(span.context.span_id, "016x")]
        assert same["name"] == span.name
        assert same["status_code"] == span.status.status_code.name
        if "gen_ai.usage.input_tokens" in span.attributes:
            assert same["attributes"]["llm.token_count.prompt"] == span.attributes["gen_ai.usage.input_tokens"]
            assert same["attributes"]["llm.token_count.completion"] == span.attributes["gen_ai.usage.output_tokens"]


def test_sent_again_nothing_is_doubled(phoenix):
    """Ids are the log's, so the second time is the first."""
    ours = spans_of_golden("support")
    trace = format(ours[0].context.trace_id, "032x")
    export("support", f"{phoenix}/v1/traces")
    first = until(lambda: shown(phoenix, trace), lambda found: len(found) >= len(ours))
    export("support", f"{phoenix}/v1/traces", again=True)
    export("triage", f"{phoenix}/v1/traces", again=True)
    assert len(until(lambda: shown(phoenix, trace), lambda found: len(found) > len(first), seconds=3)) == len(ours)
