"""Where a run can be looked at: made of ids, asked of a server once, never in anybody's way."""

import json

import pytest
from langfuse_server import PROJECT, LangfuseServer
from small_agents import SOON
from typer.testing import CliRunner

import agentkit as ak
from agentkit.cli.app import app
from agentkit.export import links, to_spans
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

NAMES = ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "LANGFUSE_BASE_URL", "LANGFUSE_HOST", "AGENTKIT_TRACE_URL")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(links, "_projects", {})


@pytest.fixture
def server(monkeypatch):
    with LangfuseServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def done(log, *turns, **options):
    run = ak.Agent("support", ScriptedModel(turns or ["done"]), **options).run("hi", log=log)
    run.result(SOON)
    return run


def trace_of(run):
    return format(to_spans(run)[0].context.trace_id, "032x")


def test_a_run_s_trace_is_where_langfuse_s_sdk_says_it_is(server, log):
    """The same URL, for the trace that the exporter sends; the project is asked for once."""
    from langfuse import Langfuse

    run = done(log)
    assert run.links == run.links == [("Langfuse", f"{server.url}/project/{PROJECT}/traces/{trace_of(run)}")]
    assert [asked.path for asked in server.asked] == ["/api/public/projects"]
    sdk = object.__new__(Langfuse)  # its constructor would trace the whole process
    sdk._base_url, sdk._project_id = server.url, PROJECT
    assert run.links[0][1] == sdk.get_trace_url(trace_id=trace_of(run))


def test_a_child_run_is_seen_in_its_root_s_trace(server, log):
    """What a sub-agent did is part of the whole."""
    helper = ak.Agent("helper", ScriptedModel(["42"]), "You know numbers.")
    run = done(log, call("helper", task="?"), "ok", tools=[helper])
    (child,) = run.children()
    assert child.links == run.links


def test_any_other_system_is_named_by_a_template(log, monkeypatch):
    """Phoenix, Grafana, Jaeger: each has its own."""
    monkeypatch.setenv("AGENTKIT_TRACE_URL", "http://localhost:6006/redirects/traces/{trace_id}")
    run = done(log)
    assert run.links == [("trace", f"http://localhost:6006/redirects/traces/{trace_of(run)}")]


@pytest.mark.parametrize("url", ["javascript:alert(1)//{trace_id}", "file:///etc/{trace_id}", 'http://x/"onclick=a'])
def test_what_is_no_web_address_is_no_link(log, monkeypatch, url):
    """A view makes a link of it."""
    monkeypatch.setenv("AGENTKIT_TRACE_URL", url)
    for name in NAMES[:3]:
        monkeypatch.setenv(name, url)
    assert done(log).links == []


def test_a_server_that_is_away_is_asked_once_and_costs_its_link(server, log):
    """A view that is drawn every second does not wait every second."""
    server.status = 500
    run = done(log)
    asked = [run.links, len(server.asked), run.links, len(server.asked)]
    assert asked[0] == asked[2] == []
    assert asked[1] == asked[3]


def test_without_keys_there_is_nothing_to_show_and_nobody_is_asked(log):
    """No account, no link."""
    assert done(log).links == []


def test_the_command_line_shows_them(server, tmp_path):
    """`agentkit show`, and its JSON."""
    log = ak.open_log(tmp_path / "log")
    run = done(log)
    shown = CliRunner().invoke(app, ["show", run.run_id, "--log", str(tmp_path / "log")])
    assert f"Langfuse: {run.links[0][1]}" in shown.output
    told = CliRunner().invoke(app, ["show", run.run_id, "--json", "--log", str(tmp_path / "log")])
    assert json.loads(told.stdout)["links"] == dict(run.links)
    log.close()
