"""A run's grade as a score in Langfuse: one a run, whoever sends it how often."""

from datetime import datetime

import pytest
from langfuse_server import PUBLIC, SECRET, LangfuseServer
from small_agents import SOON

import agentkit as ak
from agentkit.export.langfuse_scores import PATH, scores
from agentkit.testing import ScriptedModel

TRACE = "ab" * 16


@pytest.fixture
def run(log):
    run = ak.Agent("support", ScriptedModel(["done"])).run("hi", log=log)
    run.result(SOON)
    return run


def test_a_grade_is_a_score_as_the_sdk_sends_one(run):
    """What the exporter posts is what the SDK's client would, field for field."""
    from langfuse.api import CreateScoreRequest, LangfuseAPI

    run.grade("good", "it was polite")
    (ours,) = scores(run.events(), TRACE)
    names = {"traceId": "trace_id", "dataType": "data_type"}
    with LangfuseServer() as server:
        client = LangfuseAPI(base_url=server.url, username=PUBLIC, password=SECRET)
        client.scores.create(request=[CreateScoreRequest(**{names.get(key, key): ours[key] for key in ours})])
        (asked,) = server.asked
    assert asked.path == PATH
    (theirs,) = asked.json
    assert {**theirs, "timestamp": datetime.fromisoformat(theirs["timestamp"])} == {
        **ours,
        "timestamp": datetime.fromisoformat(ours["timestamp"]),
    }
    assert (ours["name"], ours["value"], ours["comment"]) == ("grade", "good", "it was polite")


def test_graded_again_it_takes_the_place_of_the_first(run):
    """Langfuse replaces a score with the same id and the same time."""
    run.grade("good")
    (first,) = scores(run.events(), TRACE)
    run.grade("bad", "no")
    (second,) = scores(run.events(), TRACE)
    assert (first["id"], first["timestamp"]) == (second["id"], second["timestamp"])
    assert (first["value"], second["value"]) == ("good", "bad")


def test_a_run_without_a_grade_has_no_score_and_a_private_one_says_no_why(run):
    """The verdict is a judgement, the words are content."""
    assert scores(run.events(), TRACE) == []
    run.grade("bad", "it named a customer")
    (score,) = scores(run.events(), TRACE, content=False)
    assert "comment" not in score
