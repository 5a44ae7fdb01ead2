"""Datasets that are kept in Langfuse as the items of `map`, and the runs linked with them."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from langfuse_server import PROJECT, LangfuseServer
from small_agents import SOON

import agentkit as ak
from agentkit.events import Event, RunStarted
from agentkit.export import Content, to_spans
from agentkit.export.experiments import experiment_attributes, experiment_id
from agentkit.export.profiles import LANGFUSE
from agentkit.testing import FunctionModel, ScriptedModel, call


@pytest.fixture
def server(monkeypatch):
    with LangfuseServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def shouter():
    return ak.Agent("shouter", FunctionModel(lambda request: str(request.messages[-1].content).upper()))


def linked(run):
    return experiment_attributes(run.events()[0], content=Content("full"))


def span_of(run):
    return format(to_spans(run)[0].context.span_id, "016x")


def test_a_dataset_s_items_are_mapped_and_each_run_says_which_item_it_is_of(server, log):
    """Over as many pages as there are; an archived item is none."""
    for index in range(60):
        server.add_item("words", f"word {index}", f"WORD {index}")
    server.add_item("words", "old", status="ARCHIVED")
    dataset = ak.langfuse_dataset("words", run="first")
    batch = shouter().map(dataset, log=log)
    assert batch.result(60) == [item.expected_output for item in dataset]
    assert (len(dataset), batch.total) == (60, 60)
    assert linked(batch.run(59)) == {
        "langfuse.environment": "sdk-experiment",
        "langfuse.experiment.id": experiment_id(PROJECT, "id-of-words", "first"),
        "langfuse.experiment.name": "first",
        "langfuse.experiment.dataset.id": "id-of-words",
        "langfuse.experiment.item.id": "item-60",
        "langfuse.experiment.item.root_observation_id": span_of(batch.run(59)),
        "langfuse.experiment.item.expected_output": "WORD 59",
    }


def test_the_experiment_has_the_id_that_the_sdk_gives_it(server):
    """Runs of one name are one experiment, whoever sends them."""
    from langfuse import Langfuse

    theirs = Langfuse._create_experiment_id(
        SimpleNamespace(), project_id="p1", dataset_id="d1", run_name="größer → besser"
    )
    assert experiment_id("p1", "d1", "größer → besser") == theirs


def test_the_attributes_are_those_that_the_sdk_sends(server):
    """A renamed one would file the runs nowhere."""
    from langfuse import LangfuseOtelSpanAttributes as Names

    known = {value for name, value in vars(Names).items() if name.startswith(("EXPERIMENT", "ENVIRONMENT"))}
    source = {"kind": "langfuse-dataset", "project": "p", "dataset": "d", "item": "i", "run": "r"}
    config = {"map": {"source": {**source, "version": "v", "expected_output": {"a": 1}, "metadata": {"b": 2}}}}
    started = RunStarted(kind="agent", definition_sha256="0" * 64, config=config)
    begun = Event(run_id="r", seq=1, ts=datetime.now(UTC), name="agent", body=started)
    ours = experiment_attributes(begun, content=Content("full"))
    assert set(ours) <= known
    assert len(ours) == 9
    assert ours["langfuse.experiment.item.expected_output"] == '{"a":1}'
    private = experiment_attributes(begun, content=Content("none"))
    assert set(ours) - set(private) == {
        "langfuse.experiment.item.expected_output",
        "langfuse.experiment.item.metadata",
    }


def test_mapped_again_nothing_is_done_twice_and_under_another_name_everything_is(server, log):
    """An experiment that was cut short goes on; a new one is one."""
    server.add_item("words", "one")
    first = shouter().map(ak.langfuse_dataset("words", run="a"), log=log)
    first.result(SOON)
    again = shouter().map(ak.langfuse_dataset("words", run="a"), log=log)
    again.result(SOON)
    other = shouter().map(ak.langfuse_dataset("words", run="b"), log=log)
    other.result(SOON)
    assert first.run(0).run_id == again.run(0).run_id != other.run(0).run_id
    assert linked(other.run(0))["langfuse.experiment.name"] == "b"


def test_without_a_name_a_changed_agent_is_another_experiment(server, log):
    """The default name is the agent's and its definition's."""
    server.add_item("words", "one")
    batch = shouter().map(ak.langfuse_dataset("words"), log=log)
    batch.result(SOON)
    name = linked(batch.run(0))["langfuse.experiment.name"]
    assert name == f"shouter {shouter().definition.sha256[:8]}"


def test_an_item_that_is_tried_again_keeps_its_link(server, log):
    """The newest run of an item is the one that counts, there too."""
    server.add_item("words", "one")
    turns = iter([RuntimeError("no"), "ONE"])

    def answer(request):
        turn = next(turns)
        if isinstance(turn, Exception):
            raise turn
        return turn

    agent = ak.Agent("shouter", FunctionModel(answer), retry=ak.Retry(max_attempts=1))
    batch = agent.map(ak.langfuse_dataset("words", run="a"), log=log).wait(SOON)
    assert len(batch.failed) == 1
    assert batch.retry().result(SOON) == ["ONE"]
    assert linked(batch.run(0))["langfuse.experiment.item.id"] == "item-1"


def test_a_pipeline_takes_an_item_s_object_as_its_inputs(server, log):
    """As `map` takes a dict."""
    server.add_item("sums", {"a": 1, "b": 2}, 3)
    pipeline = ak.Pipeline("add", input={"a": int, "b": int})

    @pipeline.step
    def total(a: int, b: int) -> int:
        return a + b

    assert pipeline.map(ak.langfuse_dataset("sums"), log=log).result(SOON) == [3]


def test_secrets_in_a_dataset_do_not_reach_the_log(server, log):
    """What the item expects is recorded with the run: by the agent's own rules."""
    server.add_item("words", "one", {"ssn": "123-45"})
    agent = ak.Agent("shouter", FunctionModel(lambda _request: "x"), redact=["ssn"])
    batch = agent.map(ak.langfuse_dataset("words"), log=log)
    batch.result(SOON)
    assert linked(batch.run(0))["langfuse.experiment.item.expected_output"] == '{"ssn":"[redacted:ssn]"}'


def test_a_dataset_of_another_time_asks_for_that_and_says_so(server, log):
    """The version goes with every page, and with every run."""
    server.add_item("words", "one")
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    batch = shouter().map(ak.langfuse_dataset("words", version=moment), log=log)
    batch.result(SOON)
    asked = next(request for request in server.asked if request.path.endswith("/dataset-items"))
    assert asked.query["version"] == linked(batch.run(0))["langfuse.experiment.item.version"] == "2026-11-01T12:00:00Z"


def test_a_dataset_that_is_not_there_is_an_error_with_its_name(server):
    """And so are missing keys."""
    with pytest.raises(ak.ConfigError, match="dataset 'words': there is none in the project of pk-lf-test"):
        ak.langfuse_dataset("words")


def test_a_run_of_no_dataset_has_no_link(log):
    """Nothing is said that is not so."""
    run = shouter().run("hi", log=log)
    run.result(SOON)
    assert linked(run) == {}


def test_every_span_of_an_item_s_run_is_linked_its_sub_agents_too(server, log):
    """The server files each span by itself; the item's is the one at the top. Other systems are told nothing of it."""
    server.add_item("words", "one", "ONE")
    helper = ak.Agent("helper", FunctionModel(lambda _request: "ONE"), "You shout.")
    agent = ak.Agent("asker", ScriptedModel([call("helper", task="one"), "ONE"]), tools=[helper])
    batch = agent.map(ak.langfuse_dataset("words", run="a"), log=log)
    batch.result(SOON)
    run = batch.run(0)
    spans = to_spans(run, LANGFUSE)
    assert "invoke_agent helper" in [span.name for span in spans]
    assert {span.attributes["langfuse.experiment.item.root_observation_id"] for span in spans} == {span_of(run)}
    assert {span.attributes["langfuse.experiment.name"] for span in spans} == {"a"}
    assert not any("experiment" in name for span in to_spans(run) for name in span.attributes)
