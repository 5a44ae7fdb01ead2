"""A run's grade as a score in Langfuse: one a run, whoever sends it how often."""

from datetime import datetime

import pytest
from langfuse_server import PUBLIC, SECRET, LangfuseServer
from small_agents import SOON

import agentkit as ak
from agentkit.export import Content, target, to_spans
from agentkit.export.backlog import backlog
from agentkit.export.delivery import Delivery
from agentkit.export.langfuse_scores import PATH, scores
from agentkit.testing import ScriptedModel

TRACE = "ab" * 16


@pytest.fixture
def run(log):
    run = ak.Agent("support", ScriptedModel(["done"])).run("hi", log=log)
    run.result(SOON)
    return run


def grades(run):
    return [event for event in run.events() if event.type == "graded"]


def test_a_grade_is_a_score_as_the_sdk_sends_one(run):
    """What the exporter posts is what the SDK's client would, field for field."""
    from langfuse.api import CreateScoreRequest, LangfuseAPI

    run.grade("good", "it was polite")
    (ours,) = scores(grades(run), TRACE, Content())
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
    (first,) = scores(grades(run), TRACE, Content())
    run.grade("bad", "no")
    (second,) = scores(grades(run), TRACE, Content())
    assert (first["id"], first["timestamp"]) == (second["id"], second["timestamp"])
    assert (first["value"], second["value"]) == ("good", "bad")


def test_a_run_without_a_grade_has_no_score_and_a_private_one_says_no_why(run):
    """The verdict is a judgement, the words are content."""
    assert scores(grades(run), TRACE, Content()) == []
    run.grade("bad", "it named a customer")
    (score,) = scores(grades(run), TRACE, Content("none"))
    assert "comment" not in score


@pytest.fixture
def server(monkeypatch):
    with LangfuseServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def test_a_run_that_is_graded_long_after_it_was_sent_sends_its_grade_and_no_span_again(server, log):
    """By itself, where the log exports; graded again, it is still one score."""
    log.export_to("langfuse")
    run = ak.Agent("support", ScriptedModel(["done"])).run("hi", log=log)
    run.result(SOON)
    assert log.exporter.flush(SOON)
    assert server.scores == {}
    for verdict in ("good", "bad"):
        run.grade(verdict, "as it is")
        assert log.exporter.flush(SOON)
    (score,) = server.scores.values()
    assert (score["value"], score["traceId"]) == ("bad", format(to_spans(run)[0].context.trace_id, "032x"))
    assert [asked.path for asked in server.asked] == ["/api/public/otel/v1/traces", PATH, PATH]
    (posted, _again) = [asked for asked in server.asked if asked.path == PATH]
    assert "content-encoding" not in posted.headers


def sent(log, **options):
    delivery = Delivery(log.store, target("langfuse"), pauses=(), **options)
    return delivery.send(backlog(log.store, target("langfuse"), again=options.get("again", False)))


def test_what_is_sent_is_remembered_and_what_is_not_is_sent_later(server, log, run):
    """Across processes: the ledger is in the log."""
    run.grade("good")
    server.status = 503
    assert sent(log).down is not None
    server.status = 200
    assert (sent(log).sent, len(server.scores)) == (1, 1)
    asked = len(server.asked)
    assert backlog(log.store, target("langfuse")) == []
    sent(log)
    assert len(server.asked) == asked
    run.grade("bad")
    assert sent(log).already == 1
    assert [score["value"] for score in server.scores.values()] == ["bad"]


def test_a_score_that_langfuse_refuses_is_not_sent_for_ever(server, log, run, monkeypatch):
    """It answers 207 and says how many it took."""
    refusal = {"accepted": 0, "rejected": 1, "errors": [{"message": "no such score config"}]}
    answer = server.answer
    monkeypatch.setattr(server, "answer", lambda asked: (207, refusal) if asked.path == PATH else answer(asked))
    run.grade("good")
    assert sent(log).down is None
    (line,) = log.store.exports.read(f"{target('langfuse').key} grades").values()
    assert (line.status, line.error) == ("refused", "no such score config")
    assert backlog(log.store, target("langfuse")) == []


def test_no_other_system_is_sent_a_grade(log, run):
    """They have none that a run's spans could carry after it was sent."""
    run.grade("good")
    assert backlog(log.store, target("otlp")) == [run.run_id]
