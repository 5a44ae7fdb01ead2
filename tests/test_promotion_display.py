"""What a promotion looks like: refusals and doubts first, every grade by word; nothing that a model wrote is run."""

import re
import subprocess
import sys

import pytest
from families import parcels, refunds, tickets
from families.harness import record

import agentkit as ak
from agentkit.notebook.promotion import Buttons, show_buttons
from agentkit.promote.recorded import promote_runs
from agentkit.promote.traces import Trace

HOSTILE = "<script>alert('x')</script>"


def promoted(family, runs=6):
    log = ak.open_log("memory:")
    ids = record(family, [family.case(1000 + n, "training") for n in range(runs)], log, noise=0.3, seed=1)
    found = promote_runs(family.agent, ids, log=log)
    log.close()
    return found


@pytest.fixture(scope="module")
def refunding():
    return promoted(refunds)


def html(promotion):
    return promotion._repr_mimebundle_()["text/html"]


def test_doubts_come_before_everything_else(refunding):
    """What a reader has to know stands above the table, the picture and the code; in the text too."""
    shown = html(refunding)
    doubt = "nothing of its result was used"
    assert refunding.plan.doubts
    assert shown.index(doubt) < shown.index("<table") < shown.index("<svg") < shown.index("<pre")
    assert repr(refunding).splitlines()[1].startswith("! ")


def test_a_refusal_is_the_first_thing_that_is_said():
    """There is no code then, and the variants are there all the same."""
    refused = promoted(refunds, runs=1)
    assert repr(refused).splitlines()[:2] == [
        "refunds is not promoted",
        "✗ 1 run is an example, and 2 are needed: run the agent on more inputs, and grade what came out",
    ]
    shown = html(refused)
    assert shown.index("1 run is an example") < shown.index("<table")
    assert "the code" not in shown


@pytest.mark.parametrize("family", [refunds, tickets, parcels])
def test_every_argument_has_its_source_and_its_grade_by_colour_and_by_word(family):
    """Each step's arguments are listed, and each grade is a word with a colour."""
    promotion = promoted(family)
    shown, text = html(promotion), repr(promotion)
    for step in promotion.plan.steps:
        for name, source in step.arguments.items():
            assert re.search(
                rf"<td[^>]*>{name}</td><td[^>]*><span style='background:[^']*'>{source.grade}</span>", shown
            )
            assert f"  {name}: {source.grade}: " in text


def test_what_runs_refuted_is_said_with_how_many(refunding):
    """A tempting explanation, and the runs that contradict it."""
    assert re.search(r"refuted by \d+ runs?", repr(refunding))
    assert re.search(r"✗ .* refuted by \d+ runs?", html(refunding))


def test_leave_one_out_is_shown(refunding):
    """Its result and what it proves stand beside the code."""
    assert re.search(r"leave one out, \d( of 6)? runs?: .*95% confidence", html(refunding))


def test_what_tools_wrote_is_text():
    """A field's name, a value and a docstring with markup or an escape in them do nothing, on a page or a terminal."""

    @ak.tool
    def look_up(key: str) -> dict:
        """Look up what a key is for. <script>alert('x')</script> Returns a record.

        Args:
            key: the key, for example "a".
        """
        return {HOSTILE: key + HOSTILE, "\x1b[31mred": "\x1b[31m" + key}

    @ak.tool(writes=True)
    def keep(value: str, red: str) -> dict:
        """Keep a value for later, and change nothing else. Returns whether it was kept.

        Args:
            value: the value that is kept.
            red: another value that is kept.
        """
        return {"kept": True}

    words = ["a", "b", "c", "d"]
    turns = [
        turn
        for word in words
        for turn in (
            ak.testing.call("look_up", key=word),
            ak.testing.call("keep", value=word + HOSTILE, red="\x1b[31m" + word),
            HOSTILE,
        )
    ]
    agent = ak.Agent(HOSTILE, ak.testing.ScriptedModel(turns), tools=[look_up, keep])
    log = ak.open_log("memory:")
    for word in words:
        agent.run(word, log=log).result(30)
    promotion = promote_runs(agent, log=log)
    promotion.left_out = {HOSTILE: 1}
    log.close()
    assert not promotion.refused
    shown = html(promotion)
    assert "&lt;script&gt;" in shown
    for page in (shown, promotion._repr_mimebundle_()["text/plain"]):
        assert "\x1b" not in page
    assert "<script" not in shown


def test_a_display_needs_no_notebook():
    """Neither ipywidgets nor IPython is imported for it."""
    code = (
        "import sys; sys.path.insert(0, 'tests'); from test_promotion_display import promoted, html, refunds; "
        "before = set(sys.modules); html(promoted(refunds, 3)); "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "assert not new & {'ipywidgets', 'IPython', 'litellm', 'matplotlib'}, new"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ak.__path__[0] + "/..")


def test_buttons_write_and_run_the_tests(refunding, tmp_path):
    """What came of it is said below them; an error too, as text."""
    buttons = Buttons(refunding)
    buttons.tests.click()
    assert "write the promotion first" in buttons.said.value
    buttons.path.value = str(tmp_path / "refund.py")
    buttons.writes.click()
    assert (tmp_path / "test_refund.py").exists()
    buttons.tests.click()
    assert "the tests pass" in buttons.said.value
    buttons.path.value = "<b>.txt"
    buttons.writes.click()
    assert "&lt;b&gt;.txt" in buttons.said.value
    assert not buttons.writes.disabled


def test_there_are_no_buttons_where_nobody_clicks(refunding, monkeypatch):
    """In a script, or a notebook that is executed without a person, the document is all."""
    monkeypatch.setattr("agentkit.notebook.promotion.Buttons", None)
    show_buttons(refunding)


def test_runs_that_are_no_examples_are_counted(refunding):
    """Why each was left out, and how many."""
    assert isinstance(refunding.selection.traces[0], Trace)
    refunding.left_out["graded bad"] = 2
    assert "! 2 runs left out: graded bad" in repr(refunding)
    del refunding.left_out["graded bad"]
