"""A run in the services themselves, read back by their own APIs.

Each test runs where its variable holds a key; a variable of ours, so that no test writes into somebody's project
because the key happened to be in the environment. What it writes is named "agentkit live test".

| variable | holds |
|---|---|
| AGENTKIT_LIVE_LANGFUSE | `public key:secret key`; the server is LANGFUSE_BASE_URL's, Langfuse's cloud by default |
| AGENTKIT_LIVE_LANGSMITH | an API key; the server is LANGSMITH_ENDPOINT's |
| AGENTKIT_LIVE_HELICONE | an API key, of the servers in the United States |
"""

import os
import time
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from small_agents import SOON

import agentkit as ak
from agentkit.export import request_id, to_spans
from agentkit.messages import Usage
from agentkit.testing import ScriptedModel, call

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")]

NAME = "agentkit live test"
COST = 0.0021


@ak.tool
def find_order(order_id: str) -> dict:
    """Look up one order. Returns its status and its total in USD.

    Args:
        order_id: the order's number, for example "A-1042".
    """
    return {"id": order_id, "status": "arrived broken", "total": 59.9}


def agent(instructions="Be brief."):
    """An agent that calls a tool once; each of its two model calls costs `COST`."""
    usage = Usage(input_tokens=120, output_tokens=48, cached_tokens=40, cost_usd=COST)
    turns = [call("find_order", order_id="A-1042", why="to see it"), "It arrived broken."]
    return ak.Agent(NAME, ScriptedModel(turns, name="openai/gpt-5-mini", usage=usage), instructions, tools=[find_order])


def until(look, seconds=120.0):
    """Look until there is something: services take what they are sent in the background."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"nothing within {seconds} s"
        time.sleep(2)
    return found


def export(log):
    """Wait until what ended was acknowledged."""
    assert log.exporter.flush(60), log.sql("SELECT * FROM exports").dicts()


def hexed(span):
    return format(span.context.span_id, "016x")


# Langfuse ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def langfuse(monkeypatch):
    from langfuse.api import LangfuseAPI

    from agentkit.export.langfuse_api import required_access

    public, _, secret = os.environ["AGENTKIT_LIVE_LANGFUSE"].partition(":")
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", public)
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", secret)
    project = required_access()
    return LangfuseAPI(base_url=project.url, username=public, password=secret, timeout=30)


@pytest.mark.live("AGENTKIT_LIVE_LANGFUSE")
def test_langfuse_shows_the_run_its_prompt_its_grade_and_its_item(langfuse, log):
    """The tree, the types, the tokens, our own cost; the prompt's version; the score; the dataset's item."""
    from langfuse.api import CreateTextPromptRequest

    langfuse.prompts.create(request=CreateTextPromptRequest(name=NAME, prompt="Be brief.", labels=["production"]))
    dataset = f"{NAME} {uuid.uuid4()}"
    langfuse.datasets.create(name=dataset)
    langfuse.dataset_items.create(dataset_name=dataset, input="Where is A-1042?", expected_output="broken")
    log.export_to("langfuse")
    prompt = ak.langfuse_prompt(NAME)
    batch = agent(prompt).map(ak.langfuse_dataset(dataset, run="live"), log=log)
    batch.result(SOON)
    run = batch.run(0)
    run.grade("good", "as it should be")
    export(log)

    ours = {hexed(span): span for span in to_spans(run, "langfuse")}
    trace = format(next(iter(ours.values())).context.trace_id, "032x")
    fields = "core,basic,usage,model,prompt"
    ask = langfuse.observations.get_many
    theirs = until(
        lambda: (found := ask(trace_id=trace, fields=fields, limit=100).data) and len(found) >= len(ours) and found
    )
    assert {one.id: one.parent_observation_id for one in theirs} == {
        key: span.parent and format(span.parent.span_id, "016x") for key, span in ours.items()
    }
    for one in theirs:
        assert one.type.lower() == ours[one.id].attributes["langfuse.observation.type"]
    calls = [one for one in theirs if one.type == "GENERATION"]
    assert [one.total_cost for one in calls] == [pytest.approx(COST)] * 2
    assert {(one.prompt_name, one.prompt_version) for one in calls} == {(NAME, prompt.origin.version)}
    (score,) = until(lambda: langfuse.scores.get_many(trace_id=trace, fields="core").data)
    assert (score.name, score.value) == ("grade", "good")
    since = datetime.now(UTC) - timedelta(hours=1)
    (item,) = until(lambda: langfuse.experiments.list_items(from_start_time=since, experiment_name="live").data)[:1]
    assert item.trace_id == trace
    assert run.links[0][1].startswith("http")


# LangSmith -----------------------------------------------------------------------------------------------------------


@pytest.mark.live("AGENTKIT_LIVE_LANGSMITH")
def test_langsmith_shows_the_run(monkeypatch, log):
    """In a project of its own: the tree, the kinds, the tokens, our own cost."""
    key, project = os.environ["AGENTKIT_LIVE_LANGSMITH"], f"{NAME} {uuid.uuid4()}"
    monkeypatch.setenv("LANGSMITH_API_KEY", key)
    monkeypatch.setenv("LANGSMITH_PROJECT", project)
    base = os.environ.get("LANGSMITH_ENDPOINT", "https://api.smith.langchain.com").rstrip("/")
    log.export_to("langsmith")
    run = agent().run("Where is A-1042?", log=log)
    run.result(SOON)
    export(log)

    with httpx.Client(base_url=base, headers={"x-api-key": key}, timeout=30) as http:
        (found,) = until(lambda: http.get("/sessions", params={"name": project}).raise_for_status().json())
        ours = to_spans(run, "langsmith")
        query = {"session": [found["id"]], "limit": 100}

        def look():
            theirs = http.post("/runs/query", json=query).raise_for_status().json()["runs"]
            return theirs if len(theirs) >= len(ours) else None

        theirs = until(look)
    assert sorted((one["name"], one["run_type"]) for one in theirs) == sorted(
        (span.name, span.attributes["langsmith.span.kind"]) for span in ours
    )
    below = {one["id"]: one for one in theirs}
    parents = {hexed(span): span for span in ours}
    assert sorted((one["name"], str(below.get(one["parent_run_id"], {}).get("name"))) for one in theirs) == sorted(
        (span.name, str(span.parent and parents[format(span.parent.span_id, "016x")].name)) for span in ours
    )
    calls = [one for one in theirs if one["run_type"] == "llm"]
    assert [(one["prompt_tokens"], one["completion_tokens"]) for one in calls] == [(120, 48)] * 2
    assert [float(one["total_cost"]) for one in calls] == [pytest.approx(COST)] * 2


# Helicone ------------------------------------------------------------------------------------------------------------


@pytest.mark.live("AGENTKIT_LIVE_HELICONE")
def test_helicone_shows_the_run_as_a_session(monkeypatch, log):
    """Each attempt, call and decision once, with the ids that the log gives."""
    key = os.environ["AGENTKIT_LIVE_HELICONE"]
    monkeypatch.setenv("HELICONE_API_KEY", key)
    log.export_to("helicone")
    run = agent().run("Where is A-1042?", log=log)
    run.result(SOON)
    export(log)

    ours = {
        request_id(run.run_id, int(span.attributes["agentkit.event.id"].rpartition("/")[2])) for span in to_spans(run)
    }
    named = {"properties": {"Run": {"equals": run.run_id}}}
    query = {"filter": {"request_response_rmt": named}, "offset": 0, "limit": 100, "sort": {}, "isCached": False}
    url, headers = "https://api.helicone.ai/v1/request/query-clickhouse", {"Authorization": f"Bearer {key}"}

    def look():
        theirs = httpx.post(url, json=query, headers=headers, timeout=30).raise_for_status().json()["data"]
        return theirs if len(theirs) >= len(ours) else None

    theirs = until(look)
    assert {one["request_id"] for one in theirs} == ours
    assert len(theirs) == len(ours)
