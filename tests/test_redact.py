"""Secrets never reach the log: what looks like one, what the user names, and what is in `ctx.deps`."""

import re
import time

import pytest
from pydantic import BaseModel, SecretStr

import agentkit as ak
from agentkit.errors import ApprovalError, ConfigError
from agentkit.events import Note, ToolStarted
from agentkit.redact import Redactor, find_marker
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

SOON = 20

KEY = "sk-proj-abcdefghij0123456789"  # no real one
SECRETS = {
    "api-key": [KEY, "sk_" + "live_abcdefghij0123456789", "AIza" + "b" * 35, "gsk_" + "a1" * 12, "hf_" + "ab" * 17],
    "github-token": ["ghp_" + "a1" * 18, "gho_" + "a1" * 18, "github_pat_" + "a1" * 20],
    "gitlab-token": ["glpat-" + "a1" * 10],
    "aws-key": ["AKIA" + "IOSFODNN7EXAMPLE", "ASIA" + "IOSFODNN7EXAMPLE"],
    "slack-token": ["xoxb-" + "1234567890-abcdef"],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
    "private-key": [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIB, cut off",
    ],
    "token": ["abcdef0123456789abcdef=="],
    "password": ["me:hunter2"],
}


def around(label, secret):
    """A text that holds the secret as it is met."""
    return {"token": f"Authorization: Bearer {secret}", "password": f"postgres://{secret}@db.example/x"}.get(
        label, f"it is ({secret})"
    )


@pytest.mark.parametrize(("label", "secret"), [(label, one) for label, many in SECRETS.items() for one in many])
def test_what_looks_like_a_secret_is_replaced_by_a_marker(label, secret):
    """The marker says what was there; taking it out twice changes nothing more."""
    text = Redactor().text(around(label, secret))
    assert secret not in text
    assert f"[redacted:{label}]" in text
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "a task-oriented approach with 12345678901234567890",
        "sk-learn-compatible-estimators",
        "https://example.com/a:b@c?x=1",
        "http://localhost:8080/x",
        "ssh://git@github.com/a/b",
        "the bearer of this letter of 1999",
        "Bearer of news",
        "AKIA",
        "-----BEGIN CERTIFICATE-----",
        "eyJhbGciOiJIUzI1NiJ9",
        "***",
    ],
)
def test_plain_text_stays(text):
    """What only resembles a secret is left as it is."""
    assert Redactor().text(text) == text


def test_clean_values_are_the_same_objects():
    """Nothing is copied where nothing is secret."""
    value = {"a": [1, {"b": "text"}], "c": None}
    fact = Note(text="hello", data=value)
    assert Redactor().value(value) is value
    assert Redactor().fact(fact) is fact


def test_looking_is_quick_and_linear():
    """A megabyte of text made to be hard takes far less than a second."""
    hard = ["sk-" * 300_000, "eyJ" * 300_000, "://a" * 250_000, "Bearer " * 140_000, "-----BEGIN PRIVATE KEY" * 45_000]
    began = time.perf_counter()
    for text in hard:
        Redactor().text(text)
    assert time.perf_counter() - began < 5


def test_a_user_names_fields_and_patterns():
    """A name is that of a JSON object's field, at any depth; a pattern finds text."""
    redactor = Redactor(["ssn", re.compile(r"EMP-\d+")])
    assert redactor.value({"p": [{"ssn": {"number": 1}}], "t": "by EMP-12", "ssn": None}) == {
        "p": [{"ssn": "[redacted:ssn]"}],
        "t": "by [redacted:text]",
        "ssn": None,
    }
    with pytest.raises(ConfigError, match=r"re\.compile"):
        Redactor([r"EMP-\d+"])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('{"ssn": {"number": [1]}, "n": 1}', '{"ssn":"[redacted:ssn]","n":1}'),
        ('{"n": 1}', '{"n": 1}'),
        (
            'Here it is: {"ssn" : "1\\"2", "n": 1} and {"ssn":12}',
            'Here it is: {"ssn":"[redacted:ssn]", "n": 1} and {"ssn":"[redacted:ssn]"}',
        ),
        ("the ssn is a number", "the ssn is a number"),
    ],
)
def test_named_fields_are_found_in_text_that_is_json(text, clean):
    """A structured answer is text before it is an object."""
    redactor = Redactor(["ssn"])
    assert redactor.text(text) == clean
    assert redactor.text(clean) == clean


def test_a_named_field_of_a_structured_answer(log):
    """Neither the model's text nor the output keeps it."""

    class Person(BaseModel):
        name: str
        ssn: str

    model = ScriptedModel([Person(name="ada", ssn="123-45")])
    run = ak.Agent("typed", model, output=Person, redact=["ssn"]).run("who?", log=log)
    assert run.result(SOON) == Person(name="ada", ssn="[redacted:ssn]")
    assert "123-45" not in raw(run, log)


def raw(run, log):
    """Everything the log holds of a run, and the answers given to it."""
    answers = [answer.model_dump_json() for answer in log.store.answers(run.run_id).values()]
    return b"".join(event.encode() for event in run.events()).decode() + "".join(answers)


def test_no_way_into_the_log(log):
    """Input, the model's words and arguments, results, errors, notes and answers: all of them lose the secret."""

    class Account(BaseModel):
        name: str
        password: SecretStr

    @ak.tool
    def account(name: str, ctx: ak.Context) -> Account:
        """Look up an account. Returns it.

        Args:
            name: whose.
        """
        ctx.note(f"the key is {KEY}", key=KEY)
        return Account(name=f"ada {KEY}", password="hunter2")

    @ak.tool
    def fails(name: str) -> dict:
        """Fail with a secret in the message. Returns nothing.

        Args:
            name: whose.
        """
        raise ValueError(f"401 for {KEY}")

    model = ScriptedModel(
        [
            call("account", name="ada", why=f"because of {KEY}"),
            call("fails", name="ada"),
            call("fails", name=KEY),
            call(KEY),
            call("ask_person", question="Which key?"),
            f"It was {KEY}",
        ]
    )
    agent = ak.Agent("leaky", model, f"Never say {KEY}", tools=[account, fails, ak.ask_person])
    run = agent.run({"key": KEY, KEY: 1}, tags=[KEY], session=KEY, user=KEY, log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    run.answer(None, f"use {KEY}")
    assert run.result(SOON) == "It was [redacted:api-key]"
    held = raw(run, log)
    assert KEY not in held
    assert "hunter2" not in held
    assert '"password":"[redacted:secret]"' in held
    assert not any(KEY in request.model_dump_json() for request in model.requests)
    assert run.prompt("model/6").exact


def test_live_code_sees_what_the_log_holds(log):
    """The fold of the log is the live state: a resumed run would get the same values."""
    seen = []

    def check(output, results):
        seen.append((output, results))

    @ak.tool
    def leak(name: str) -> str:
        """Return a key that should not be seen. Returns text.

        Args:
            name: whose.
        """
        return KEY

    model = ScriptedModel([call("leak", name="x"), f"got {KEY}"])
    ak.Agent("live", model, tools=[leak], checks=[check], decisions="off").run("hi", log=log).result(SOON)
    assert seen == [("got [redacted:api-key]", [{"tool": "leak", "result": "[redacted:api-key]"}])]


def test_a_call_that_holds_a_marker_is_refused(log):
    """What was there is gone: the model is told, and nothing runs."""
    ran = []

    @ak.tool(writes=True)
    def log_in(key: str) -> dict:
        """Log in somewhere with a key. Returns nothing much.

        Args:
            key: the API key.
        """
        ran.append(key)
        return {}

    model = ScriptedModel([call("log_in", key=KEY), call("log_in", key="[redacted:api-key]"), "gave up"])
    run = ak.Agent("marked", model, tools=[log_in], decisions="off").run(f"log in with {KEY}", log=log)
    assert run.result(SOON) == "gave up"
    assert ran == []
    assert not [event for event in run.events() if isinstance(event.body, ToolStarted)]
    told = [message.content["error"] for message in run.state.messages if message.role == "tool"]
    assert all("[redacted:api-key] stands where" in str(error["context"]) for error in told)


def test_secrets_in_an_edit_are_refused(log):
    """A person who types a key into a card is told, and the question stays open."""

    @ak.tool(writes=True, approve=True)
    def send(text: str) -> dict:
        """Send a text to somebody. Returns nothing much.

        Args:
            text: what to send.
        """
        return {}

    model = ScriptedModel([call("send", text="x"), "ok"])
    run = ak.Agent("edited", model, tools=[send], decisions="off").run("hi", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    with pytest.raises(ApprovalError, match="looks like a secret"):
        run.approve(edit={"text": KEY})
    run.reject(reason=f"not with {KEY}")
    assert run.result(SOON) == "ok"
    assert KEY not in raw(run, log)


def test_what_an_agent_names_is_taken_out_below_it_too(log):
    """`Agent(redact=…)` holds for its child runs; the tools' schemas keep their fields."""

    @ak.tool
    def person(ssn: str = "") -> dict:
        """Look up a person, by number if it is known. Returns what is known.

        Args:
            ssn: the social security number.
        """
        return {"ssn": "123-45", "badge": "EMP-77", "name": "ada"}

    inner = ak.Agent("inner", ScriptedModel([call("person"), "EMP-77 it is"]), tools=[person], decisions="off")
    model = ScriptedModel([call("inner", task="who?"), call("person"), "done"])
    redact = ["ssn", re.compile(r"EMP-\d+")]
    outer = ak.Agent("outer", model, tools=[inner, person], decisions="off", redact=redact)
    run = outer.run("hi", log=log)
    assert run.result(SOON) == "done"
    held = raw(run, log) + raw(run.children()[0], log)
    assert "123-45" not in held
    assert "EMP-77" not in held
    assert "social security number" in held
    assert run.prompt("model/3").exact


def test_deps_are_never_in_an_event(log):
    """What tools get by `ctx.deps` is theirs alone."""

    @ak.tool
    def use(ctx: ak.Context) -> dict:
        """Use the password that deps hold. Returns nothing of it.

        Returns:
            Nothing.
        """
        return {"length": len(ctx.deps["password"])}

    agent = ak.Agent("deps", ScriptedModel([call("use"), "ok"]), tools=[use], decisions="off")
    run = agent.run("hi", deps={"password": "correct horse"}, log=log)
    run.result(SOON)
    assert "correct horse" not in raw(run, log)


def test_settings_are_no_place_for_a_key():
    """They go to the log with every request."""
    with pytest.raises(ConfigError, match="environment variable"):
        ak.Agent("keyed", FunctionModel(lambda _request: "x"), settings={"api_key": KEY})


def test_find_marker_names_the_first_one():
    """At any depth; nothing where there is none."""
    assert find_marker({"a": ["x", "y [redacted:jwt] z"]}) == "[redacted:jwt]"
    assert find_marker({"a": ["redacted", 1]}) is None
