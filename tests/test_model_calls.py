"""What the runner does around a model's answer."""

import agentkit as ak
from agentkit.testing import ScriptedModel


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
