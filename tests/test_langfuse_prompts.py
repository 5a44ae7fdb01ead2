"""Prompts that are kept in Langfuse: which version a run was given, and what stands in when the server is away."""

import subprocess
import sys

import pytest
from langfuse_server import LangfuseServer
from small_agents import SOON, bodies, paused

import agentkit as ak
from agentkit.events import AskStarted, RunResumed, RunStarted
from agentkit.export import langfuse_prompts, to_spans
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

KEYS = ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "LANGFUSE_BASE_URL", "LANGFUSE_HOST")


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No keys of whoever runs the tests, an empty cache, and nothing read before."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(langfuse_prompts, "_read", {})


@pytest.fixture
def server(monkeypatch):
    with LangfuseServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def versions(span):
    """Of the prompt, as Langfuse and as everybody else is told."""
    return span.attributes["langfuse.observation.prompt.version"], span.attributes["agentkit.prompt.version"]


def forget():
    langfuse_prompts._read.clear()


def test_an_agent_is_instructed_by_the_labelled_version_and_its_run_says_so(server, log):
    """The model sees the text alone; the run's first event names the prompt and its version."""
    server.add_prompt("support", "Be long.", labels=["production"])
    server.add_prompt("support", "Be brief.", labels=["production"])
    model = ScriptedModel(["hello"])
    agent = ak.Agent("support", model, ak.langfuse_prompt("support"))
    run = agent.run("hi", log=log)
    assert run.result(SOON) == "hello"
    header = bodies(run, RunStarted)[0].header
    assert header.instructions == "Be brief."
    assert header.prompt.model_dump() == {
        "registry": "langfuse",
        "name": "support",
        "version": 2,
        "label": "production",
    }
    assert run.prompt("model/1").exact
    assert run.prompt("model/1").request.instructions == "Be brief."


def test_a_prompt_is_had_by_its_version_or_another_label_and_from_a_folder(server):
    """What is named is what comes."""
    server.add_prompt("teams/eu/support", "one", labels=["production"])
    server.add_prompt("teams/eu/support", "two", labels=["latest"])
    assert ak.langfuse_prompt("teams/eu/support", version=1) == "one"
    assert ak.langfuse_prompt("teams/eu/support", label="latest") == "two"
    with pytest.raises(ak.ConfigError, match="give version=1 or label='x', not both"):
        ak.langfuse_prompt("teams/eu/support", version=1, label="x")


def test_a_version_with_the_same_words_is_the_same_agent(server):
    """So no run is held back, and no batch done again, because a label moved."""
    server.add_prompt("support", "Be brief.", labels=["production"])
    first = ak.Agent("support", ScriptedModel(["a"]), ak.langfuse_prompt("support"))
    forget()
    server.add_prompt("support", "Be brief.", labels=["production"])
    second = ak.Agent("support", ScriptedModel(["a"]), ak.langfuse_prompt("support"))
    assert second.definition.header.prompt.version == 2
    assert first.definition.sha256 == second.definition.sha256


def test_a_resumed_run_records_the_version_it_goes_on_with(server, log):
    """Each model call can be linked with the version that it was given."""

    @ak.tool(approve=True)
    def look(what: str) -> str:
        """Look something up. Returns what is known of it.

        Args:
            what: a word.
        """
        return what

    server.add_prompt("support", "Be brief.", labels=["production"])
    first = ak.Agent("support", ScriptedModel([call("look", what="x")]), ak.langfuse_prompt("support"), tools=[look])
    run = first.run("hi", log=log)
    paused(run)
    server.add_prompt("support", "Be long.", labels=["production"])
    forget()
    second = ak.Agent("support", ScriptedModel(["done"]), ak.langfuse_prompt("support"), tools=[look])
    run.approve()
    assert run.result(SOON) == "done"
    assert second.definition.header.prompt.version == 2
    assert [body.header.prompt.version for body in bodies(run, RunResumed) if body.header] == [2]
    assert [versions(span) for span in to_spans(run, "langfuse") if span.name.startswith("chat")] == [(1, 1), (2, 2)]


def test_an_ask_of_a_pipeline_is_instructed_by_a_prompt_too(server, log):
    """`ctx.ask(instructions=…)`: the ask records where they are from."""
    server.add_prompt("extract", "Take the facts.", labels=["production"])
    pipeline = ak.Pipeline("facts", input={"text": str}, model=ScriptedModel(["blue", "blue"]))

    @pipeline.step
    def colour(text: str, ctx: ak.Context) -> str:
        first = ctx.ask(text, instructions=ak.langfuse_prompt("extract"))
        return ctx.ask(f"sure that it is {first}?", instructions=ak.langfuse_prompt("extract"))

    run = pipeline.run(text="the sky", log=log)
    assert run.result(SOON) == "blue"
    assert bodies(run, AskStarted)[0].header.prompt.name == "extract"
    assert [versions(span) for span in to_spans(run, "langfuse") if span.name.startswith("chat")] == [(1, 1)] * 2


def test_variables_are_filled_in_and_a_missing_one_is_an_error(server):
    """A model is never shown a template."""
    server.add_prompt("greet", "Greet {{ who }} of {{shop}}.", labels=["production"])
    assert ak.langfuse_prompt("greet", variables={"who": "Ada", "shop": "Acme"}) == "Greet Ada of Acme."
    with pytest.raises(ak.ConfigError, match=r"variables=\{'shop': …\}"):
        ak.langfuse_prompt("greet", variables={"who": "Ada"})


def test_a_conversation_is_instructions_only_where_it_is_one_system_message(server):
    """Whatever else it holds would be lost."""
    system = {"type": "chatmessage", "role": "system", "content": "Be brief."}
    user = {"type": "chatmessage", "role": "user", "content": "hi"}
    server.add_prompt("one", [system], labels=["production"], kind="chat")
    server.add_prompt("two", [system, user], labels=["production"], kind="chat")
    assert ak.langfuse_prompt("one") == "Be brief."
    with pytest.raises(ak.ConfigError, match=r"'two' is a conversation \(system, user\)"):
        ak.langfuse_prompt("two")


def test_without_keys_the_error_names_the_variables(monkeypatch):
    """And only those that are missing."""
    with pytest.raises(ak.ConfigError, match="LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY in the environment"):
        ak.langfuse_prompt("support")
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk-lf-x")
    with pytest.raises(ak.ConfigError, match="Langfuse needs LANGFUSE_SECRET_KEY in"):
        ak.langfuse_prompt("support")


def test_without_keys_the_fallback_is_the_text(log):
    """So a notebook runs for who has no account; the run says that no version was read."""
    prompt = ak.langfuse_prompt("support", fallback="Be kind.")
    assert prompt == "Be kind."
    assert prompt.origin.version is None
    run = ak.Agent("support", ScriptedModel(["hello"]), prompt).run("hi", log=log)
    run.result(SOON)
    assert not any(
        "langfuse.observation.prompt" in name for span in to_spans(run, "langfuse") for name in span.attributes
    )


@pytest.mark.parametrize(("status", "message"), [(401, "does not accept the key pk-lf-test"), (404, "there is none")])
def test_what_the_server_refuses_is_said_and_nothing_stands_in(server, status, message):
    """A wrong key or a wrong name is nobody's network."""
    server.add_prompt("support", "Be brief.", labels=["production"])
    ak.langfuse_prompt("support")
    forget()
    server.status = status
    with pytest.raises(ak.ConfigError, match=message):
        ak.langfuse_prompt("support", fallback="Be kind.")


def test_where_the_server_is_away_the_last_copy_stands_in_and_says_its_version(server):
    """A notebook on a train goes on with what it had."""
    server.add_prompt("support", "Be brief.", labels=["production"])
    ak.langfuse_prompt("support")
    forget()
    server.status = 503
    with pytest.warns(UserWarning, match="version 1 stands in"):
        prompt = ak.langfuse_prompt("support", fallback="Be kind.")
    assert (prompt, prompt.origin.version) == ("Be brief.", 1)


def test_where_there_is_no_copy_the_fallback_stands_in_or_the_error_says_so(monkeypatch):
    """The server cannot be reached at all here: nobody listens on that port."""
    for name, value in {**dict.fromkeys(KEYS[:2], "x"), "LANGFUSE_BASE_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    with pytest.warns(UserWarning, match="the fallback stands in"):
        assert ak.langfuse_prompt("support", fallback="Be kind.") == "Be kind."
    with pytest.raises(ConnectionError, match=r"cannot be reached .*give langfuse_prompt\('support', fallback=…\)"):
        ak.langfuse_prompt("support")


def test_a_prompt_is_asked_for_once_a_minute(server):
    """Steps that ask in a loop do not ask the registry each time."""
    server.add_prompt("support", "Be brief.", labels=["production"])
    for _ in range(5):
        ak.langfuse_prompt("support")
    assert len(server.asked) == 1


def test_reading_a_prompt_leaves_the_process_s_tracing_alone(server):
    """The SDK's own client would install a tracer provider and threads; ours does neither."""
    server.add_prompt("support", "Be brief.", labels=["production"])
    code = (
        "import threading, agentkit as ak\n"
        "ak.langfuse_prompt('support')\n"
        "from opentelemetry import trace\n"
        "print(type(trace.get_tracer_provider()).__name__, threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["ProxyTracerProvider", "1"]
