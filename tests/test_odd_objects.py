"""Whatever user code and models hand over is data: it neither ends an activation nor changes what was recorded."""

import pytest

import agentkit as ak
from agentkit.messages import AssistantMessage, ModelResponse, Usage
from agentkit.testing import FunctionModel, ScriptedModel, call

SOON = 20


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no words")


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Undecided:
    def __bool__(self):
        raise ValueError("the truth value is ambiguous")


def paying(approve=False):
    @ak.tool(writes=True, approve=approve)
    def pay(amount: int) -> dict:
        """Pay an amount out of the till, in cents, for good. Returns the receipt."""
        if amount == 13:
            raise ak.ToolError("the till is closed", till=Unshowable())
        return {"paid": [amount]}

    return pay


@pytest.mark.parametrize("rule", [lambda call: Undecided(), lambda call: 1 / 0])
def test_a_rule_that_gives_no_verdict_means_ask(log, rule):
    """An array instead of a bool, or an error: the safe answer is to ask."""
    run = ak.Agent("a", ScriptedModel([call("pay", amount=5), "ok"]), tools=[paying(rule)]).run("pay", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    run.approve()
    assert run.result(SOON) == "ok"


def test_a_rule_whose_error_cannot_be_shown_means_ask(log):
    """Its type is what is said of it."""

    def rule(call):
        raise Speechless

    run = ak.Agent("a", ScriptedModel([call("pay", amount=5), "ok"]), tools=[paying(rule)]).run("pay", log=log)
    with pytest.raises(ak.RunPaused) as paused:
        run.result(SOON)
    assert "Speechless" in paused.value.pending[0].because


def test_a_check_whose_error_cannot_be_shown_refuses(log):
    """The model tries again."""
    seen = []

    def check(output):
        seen.append(output)
        if len(seen) == 1:
            raise Speechless

    assert ak.Agent("a", ScriptedModel(["no", "yes"]), checks=[check]).run("hi", log=log).result(SOON) == "yes"


@pytest.mark.parametrize("check", [lambda output: output != "no", lambda output, results: output != "no"])
def test_a_check_that_says_false_refuses(log, check):
    """A predicate is what everybody writes; the model is told which check said no."""
    run = ak.Agent("a", ScriptedModel(["no", "yes"]), checks=[check]).run("hi", log=log)
    assert run.result(SOON) == "yes"
    assert "says no" in run.state.messages[-2].content


def test_an_error_with_an_object_that_cannot_be_shown_still_says_nothing_happened(log):
    """What goes with a ToolError must not lose the error itself."""
    run = ak.Agent("a", ScriptedModel([call("pay", amount=13), "ok"]), tools=[paying()]).run("pay", log=log)
    assert run.result(SOON) == "ok"
    assert run.state.unknown == []


def test_a_check_cannot_change_what_was_said(log):
    """It gets results of its own; the prompts stay exact."""

    def meddle(output, results):
        results[0]["result"]["paid"].append("injected")
        return output == "yes"

    model = ScriptedModel([call("pay", amount=5), "no", "yes"])
    run = ak.Agent("a", model, tools=[paying()], checks=[meddle]).run("pay", log=log)
    assert run.result(SOON) == "yes"
    assert "injected" not in str(model.requests[-1])
    assert run.prompt("model/3").exact


def test_odd_words_around_an_answer_are_kept_readable(log):
    """NUL in what a provider reports does not lose a paid answer."""
    answer = ModelResponse(
        message=AssistantMessage(text="ok"), finish_reason="st\0op", response_id="\ud800", model="m\0"
    )
    assert ak.Agent("a", ScriptedModel([answer])).run("hi", log=log).result(SOON) == "ok"


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -1.0])
def test_a_cost_that_no_price_can_be_is_unknown(log, cost):
    """A budget in USD stops at it."""
    model = FunctionModel(lambda request: call("pay", amount=5), usage=Usage(cost_usd=cost))
    run = ak.Agent("a", model, tools=[paying()], budget=ak.Budget(usd=2)).run("pay", log=log)
    with pytest.raises(ak.RunPaused, match="price is unknown"):
        run.result(SOON)
    assert run.cost is None


def test_a_run_can_be_looked_up_as_soon_as_it_was_started(embedded_log):
    """Also by another handle, and from inside an async tool of another run."""
    other = ak.Agent("other", ScriptedModel(["hello"] * 2))
    statuses = []

    @ak.tool
    async def look() -> str:
        """Start another run and look at it. Returns its name."""
        started = other.run("hi", log=embedded_log)
        statuses.append(started.status)
        return await started

    started = other.run("hi", log=embedded_log)
    assert embedded_log.run(started.run_id).state.name == "other"
    run = ak.Agent("looker", ScriptedModel([call("look"), "ok"]), tools=[look]).run("go", log=embedded_log)
    assert run.result(SOON) == "ok"
    assert statuses[0] in {"running", "succeeded"}


def test_a_label_that_the_log_cannot_hold_is_refused_at_once(log):
    """Nothing is started, and nothing is left claimed."""
    with pytest.raises(ak.AgentKitError):
        ak.Agent("a", ScriptedModel(["ok"])).run("hi", session="a\0b", log=log)
    assert len(log.runs()) == 0


def test_a_bug_in_a_tool_is_shown_with_its_line(log):
    """In the log: the model is told what, the person who mends it also where."""

    @ak.tool
    def broken() -> int:
        """Divide by nothing. Returns a number."""
        nothing = 0
        return 1 // nothing

    run = ak.Agent("a", ScriptedModel([call("broken"), "ok"]), tools=[broken]).run("go", log=log)
    run.result(SOON)
    (failed,) = [event.body for event in run.events() if event.type == "tool_failed"]
    assert "1 // nothing" in failed.error.traceback
    assert "nothing" not in str(run.state.messages[2].content)
