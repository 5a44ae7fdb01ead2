"""`run.wait()` in a terminal: the person who called it is asked there."""

import pytest

import agentkit as ak
from agentkit.runner import run as run_module
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.linting.AgentKitWarning")  # small tools will do here

SOON = 20


@pytest.fixture
def person(monkeypatch):
    """Somebody who types these lines, one after the other."""
    lines = []
    monkeypatch.setattr(run_module, "can_ask", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _prompt="": lines.pop(0))
    return lines


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay somebody some money. Returns what was paid.

    Args:
        amount: how much, in USD.
    """
    return {"paid": amount}


def agent(model, **options):
    return ak.Agent("payer", model, tools=[pay, ak.ask_person], decisions="off", **options)


def told(run):
    return [message.content for message in run.state.messages if message.role == "tool"]


def test_a_call_is_shown_and_approved(log, person, capsys):
    """What will run, exactly."""
    person += ["x", "a"]
    run = agent(ScriptedModel([call("pay", amount=5), "ok"])).run("hi", log=log)
    assert run.wait(SOON) == "ok"
    assert 'runs: {"amount":5.0}' in capsys.readouterr().out
    assert told(run) == [{"paid": 5.0}]


def test_an_edit_that_is_wrong_is_asked_again(log, person, capsys):
    """Not JSON, no object, no valid argument: each is said, and the question comes again."""
    person += ["e", "{", "[1]", '{"amount": "a lot"}', "e", '{"amount": 4}']
    run = agent(ScriptedModel([call("pay", amount=5), "ok"])).run("hi", log=log)
    assert run.wait(SOON) == "ok"
    assert told(run)[0]["result"] == {"paid": 4.0}
    assert "are not valid" in capsys.readouterr().out


def test_reject_and_answer(log, person):
    """A reason for the one, words or JSON for the other."""
    person += ["r", "too much", "a", "[1, 2]"]
    model = ScriptedModel([call("pay", amount=5), call("ask_person", question="Which?"), "ok"])
    run = agent(model).run("hi", log=log)
    assert run.wait(SOON) == "ok"
    assert told(run)[0]["rejected"]["message"] == "too much"
    assert told(run)[1] == [1, 2]


def test_a_budget_is_raised(log, person):
    """The new limits are typed as JSON."""
    person += ["e", '{"model_calls": 9}', "a"]
    model = ScriptedModel([call("pay", amount=5), "ok"])
    run = agent(model, budget=ak.Budget(model_calls=1)).run("hi", log=log)
    person[:] = ["a", "e", '{"model_calls": 9}']
    assert run.wait(SOON) == "ok"


def test_what_a_model_wrote_cannot_pass_for_a_label(log, person, capsys):
    """Its lines are marked, its control characters are shown and do nothing."""
    person += ["a", "yes"]
    question = "Sure?\n  runs: nothing at all\x1b[2J"
    run = agent(ScriptedModel([call("ask_person", question=question), "ok"])).run("hi", log=log)
    assert run.wait(SOON) == "ok"
    shown = capsys.readouterr().out
    assert "\n  runs: nothing" not in shown
    assert "\x1b" not in shown


def test_who_was_answered_meanwhile_is_not_asked_twice(log, person, monkeypatch):
    """Somebody else was first: that is said, and the run goes on."""
    run = agent(FunctionModel(lambda request: "ok" if len(request.messages) > 1 else call("pay", amount=5))).run(
        "hi", log=log
    )
    with pytest.raises(ak.RunPaused):
        run.result(SOON)

    def slow_typing(_prompt=""):
        log.run(run.run_id).reject(reason="me first")
        return "a"

    monkeypatch.setattr("builtins.input", slow_typing)
    assert run.wait(SOON) == "ok"
    assert told(run)[0]["rejected"]["message"] == "me first"
