"""What the runner does around a model's answer."""

import math

import pytest

import agentkit as ak
from agentkit.errors import ModelError
from agentkit.events import RetryScheduled
from agentkit.policy import LONGEST_WAIT
from agentkit.testing import FunctionModel, ScriptedModel


def no_word(word):
    def check(output):
        if word in output:
            raise ValueError(f"do not say {word}")

    return check


def test_two_checks_of_one_name_are_two_checks(log):
    """Each gives its own verdict."""
    model = ScriptedModel(["red", "blue", "green"])
    checks = [no_word("red"), no_word("blue")]
    run = ak.Agent("painter", model, "Name a colour.", checks=checks).run("go", log=log)
    assert run.result(10) == "green"
    verdicts = [(event.name, event.body.passed) for event in run.events() if event.type == "checked"]
    assert verdicts == [
        *[("check", False)],
        *[("check", True), ("check (2)", False)],
        *[("check", True), ("check (2)", True)],
    ]


def test_a_check_may_have_any_name(log):
    """One called `loop` is no guard against loops."""

    def loop(output):
        if output == "again":
            raise ValueError("it goes round")

    model = ScriptedModel(["again", "straight on"])
    run = ak.Agent("walker", model, "Find the way.", checks=[loop]).run("go", log=log)
    assert run.result(10) == "straight on"
    assert "it goes round" in run.state.messages[2].content


@pytest.mark.parametrize("seconds", [math.inf, math.nan, -5.0, "soon"])
def test_a_wait_that_is_no_time_is_not_waited(log, seconds):
    """Whatever a model of one's own says, its failure is recorded, and the next attempt comes after the usual wait."""
    busy = ModelError("busy", kind="rate_limit", retryable=True, retry_after=seconds)
    answers = iter([busy, "done"])
    model = FunctionModel(lambda request: raised_or_given(next(answers)))
    run = ak.Agent("caller", model, retry=ak.Retry(initial=0.01)).run("go", log=log)
    assert run.result(10) == "done"


@pytest.mark.parametrize("seconds", [1e17, 10**400])
def test_a_wait_beyond_all_calendars_is_a_year(log, seconds):
    """The run waits, and can be cancelled; a number breaks nothing."""
    busy = ModelError("busy", kind="rate_limit", retryable=True, retry_after=seconds)
    run = ak.Agent("caller", FunctionModel(lambda request: raised_or_given(busy))).run("go", log=log)
    with pytest.raises(TimeoutError):
        run.result(1)
    assert [event.body.delay for event in run.events() if isinstance(event.body, RetryScheduled)] == [LONGEST_WAIT]
    assert ak.Retry().delay(1, retry_after=1e17) == LONGEST_WAIT
    run.cancel()


def raised_or_given(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer
