"""`run.wait()` in a terminal: the person who called it is asked there."""

import pytest

import agentkit as ak
from agentkit.runner import waiting
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

SOON = 20


@pytest.fixture
def person(monkeypatch):
    """Somebody who types these lines, one after the other."""
    lines = []
    monkeypatch.setattr(waiting, "can_ask", lambda: True)
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
    assert "amount = 5.0" in capsys.readouterr().out
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
    person += ["r", "too much", "[1, 2]"]
    model = ScriptedModel([call("pay", amount=5), call("ask_person", question="Which?"), "ok"])
    run = agent(model).run("hi", log=log)
    assert run.wait(SOON) == "ok"
    assert told(run)[0]["rejected"]["message"] == "too much"
    assert told(run)[1] == [1, 2]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [(["2"], "no"), (["No"], "no"), (["maybe", "7", "1"], "yes")],
    ids=["number", "words", "none of them"],
)
def test_an_option_is_chosen_by_its_number(log, person, capsys, typed, answer):
    """Or said in words; what is none of them is said, and asked again."""
    person += typed
    run = agent(ScriptedModel([call("ask_person", question="Sure?", options=["yes", "no"]), "ok"])).run("hi", log=log)
    assert run.wait(SOON) == "ok"
    assert told(run) == [answer]
    assert "  [2] no\n" in capsys.readouterr().out


def test_no_answer_is_told_as_none(log, person):
    """Who does not know says nothing: the model learns that."""
    person += [""]
    run = agent(ScriptedModel([call("ask_person", question="Sure?"), "ok"])).run("hi", log=log)
    assert run.wait(SOON) == "ok"
    assert told(run)[0]["rejected"]["message"] == "no answer was given"


def test_a_long_text_is_shown_by_its_lines(log, person, capsys):
    """A report of forty lines: the first ones, and how many follow."""

    @ak.tool(writes=True, approve=True)
    def publish(text: str) -> str:
        """Publish a text. Returns its beginning."""
        return text[:4]

    person += ["a"]
    text = "\n".join(f"line {number}" for number in range(40))
    model = ScriptedModel([call("publish", text=text), "ok"])
    run = ak.Agent("editor", model, tools=[publish], decisions="off").run("hi", log=log)
    assert run.wait(SOON) == "ok"
    shown = capsys.readouterr().out
    assert "    | line 24\n    … 15 more lines" in shown
    assert "line 25" not in shown


def test_a_budget_is_raised(log, person):
    """The new limits are typed as JSON."""
    person += ["e", '{"model_calls": 9}', "a"]
    model = ScriptedModel([call("pay", amount=5), "ok"])
    run = agent(model, budget=ak.Budget(model_calls=1)).run("hi", log=log)
    person[:] = ["a", "e", '{"model_calls": 9}']
    assert run.wait(SOON) == "ok"


def test_what_a_model_wrote_cannot_pass_for_a_label(log, person, capsys):
    """Its lines are marked, its control characters are shown and do nothing."""
    person += ["yes"]
    question = "Sure?\n  amount = nothing at all\x1b[2J"
    run = agent(ScriptedModel([call("ask_person", question=question), "ok"])).run("hi", log=log)
    assert run.wait(SOON) == "ok"
    shown = capsys.readouterr().out
    assert "\n  amount = nothing" not in shown
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
