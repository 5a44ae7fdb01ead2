"""MLflow shows a run as it was: the tree, the kinds, the tokens, our cost, by its own client; a second time, too."""

import mlflow
import pytest
from exporting import export, kinds, parents, spans_of
from running import free_port, serving, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    with serving([*command, *places], folder, f"{url}/health"):
        mlflow.set_tracking_uri(url)
        yield url


@pytest.fixture(scope="module")
def experiment(server):
    """One for all: a trace stays in the one that it was sent to first."""
    return mlflow.create_experiment("golden runs")


@pytest.fixture(autouse=True)
def configured(server, experiment, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-mlflow-experiment-id={experiment}")


def shown(spans):
    """The trace that these spans are of, once all of it is there; MLflow names it by its OpenTelemetry id."""
    trace_id = f"tr-{next(iter(spans)).context.trace_id:032x}"
    return until(lambda: mlflow.get_trace(trace_id), lambda found: found and len(found.data.spans) >= len(spans))


@pytest.mark.parametrize("golden", ["support", "triage"])
def test_the_tree_the_kinds_the_tokens_and_the_cost_are_the_run_s(golden):
    """Every attempt, decision and approval where it belongs; of the whole, what the model calls used, and our cost."""
    ours = {format(span.context.span_id, "016x"): span for span in spans_of(golden)}
    export(golden)
    trace = shown(ours.values())
    theirs = {span.span_id: span for span in trace.data.spans}
    assert {(key, span.parent_id) for key, span in theirs.items()} == parents(ours.values())
    assert {key: span.span_type for key, span in theirs.items()} == kinds(ours.values())
    for key, span in ours.items():
        assert theirs[key].name == span.name
        if "gen_ai.usage.input_tokens" in span.attributes:
            used = theirs[key].get_attribute("mlflow.chat.tokenUsage")
            assert used["input_tokens"] == span.attributes["gen_ai.usage.input_tokens"]
            assert used["output_tokens"] == span.attributes["gen_ai.usage.output_tokens"]
    given = [span.attributes.get("gen_ai.usage.input_tokens", 0) for span in ours.values()]
    assert trace.info.token_usage["input_tokens"] == sum(given)
    cost = sum(span.attributes.get("agentkit.cost.total_usd", 0) for span in ours.values())
    assert trace.info.cost["total_cost"] == pytest.approx(cost)


def test_sent_again_nothing_is_doubled(experiment):
    """Ids are the log's, so the second time is the first."""
    ours = spans_of("support")
    export("support", times=3)
    assert len(shown(ours).data.spans) == len(ours)
    assert len(mlflow.search_traces(locations=[experiment], return_type="list")) <= 2  # the golden runs, each once
