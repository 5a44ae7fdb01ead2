"""MLflow shows a run as it was: the tree, the kinds, the tokens, the cost, by its own client."""

import json

import mlflow
import pytest
from exporting import export, kinds, parents, spans_of_golden
from running import free_port, serving, until

TYPES = {"AGENT": "AGENT", "LLM": "LLM", "TOOL": "TOOL", "CHAIN": "CHAIN", "GUARDRAIL": "GUARDRAIL"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    with serving([*command, *places], folder, f"{url}/health"):
        mlflow.set_tracking_uri(url)
        yield url


@pytest.fixture
def experiment(server, request):
    return mlflow.create_experiment(request.node.name)


def send(server, experiment, golden, **options):
    export(golden, f"{server}/v1/traces", {"x-mlflow-experiment-id": experiment}, **options)


def shown(experiment):
    return mlflow.search_traces(locations=[experiment], return_type="list")


@pytest.mark.parametrize("golden", ["support", "triage"])
def test_the_tree_the_kinds_the_tokens_and_the_cost_are_the_run_s(server, experiment, golden):
    """Every attempt, decision and approval where it belongs."""
    ours = spans_of_golden(golden)
    send(server, experiment, golden)
    (trace,) = until(lambda: shown(experiment), lambda found: found and len(found[0].data.spans) >= len(ours))
    theirs = trace.data.spans
    assert {(span.span_id, span.parent_id) for span in theirs} == parents(ours)
    assert {span.span_id: span.span_type for span in theirs} == {key: TYPES[kind] for key, kind in kinds(ours).items()}
    for span in ours:
        (same,) = [one for one in theirs if one.span_id == format(span.context.span_id, "016x")]
        assert same.name == span.name
        if "gen_ai.usage.input_tokens" in span.attributes:
            used = same.get_attribute("mlflow.chat.tokenUsage")
            assert used["input_tokens"] == span.attributes["gen_ai.usage.input_tokens"]
            assert used["output_tokens"] == span.attributes["gen_ai.usage.output_tokens"]
    print(json.dumps(trace.info.to_dict(), indent=1, default=str)[:3000])


def test_sent_again_nothing_is_doubled(server, experiment):
    """Ids are the log's, so the second time is the first."""
    ours = spans_of_golden("support")
    for again in (False, True):
        send(server, experiment, "support", again=again)
    (trace,) = until(lambda: shown(experiment), lambda found: found and len(found[0].data.spans) >= len(ours))
    assert len(trace.data.spans) == len(ours)
