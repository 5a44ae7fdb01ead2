"""A promotion on disk: the module, its tests and their runs; what a person edited; what is said where it cannot be."""

import importlib
import json
import os
from dataclasses import replace

import pytest
from families import expenses, meetings, refunds, tickets
from families.harness import record

import agentkit as ak
from agentkit.promote.kept import KeptRun
from agentkit.promote.mutations import Choice
from agentkit.promote.recorded import promote_runs
from agentkit.promote.runs_file import MOST_BYTES, MOST_RUNS, RunsFile, chosen, read
from agentkit.promote.tidy import tidy
from agentkit.testing import recorded_runs

SHOP = '''
import agentkit as ak
from agentkit.testing import FunctionModel, call

@ak.tool
def find_order(order_id: str) -> dict[str, str]:
    """Look up one order by its number. Returns its one line."""
    return {"line": f"L-{order_id}"}

@ak.tool(writes=True)
def refund(line: str) -> dict[str, str]:
    """Refund a line of an order. Returns the number of the refund."""
    return {"refund": f"R-{line}"}

def turn(request):
    said = request.messages
    if len(said) == 1:
        return call("find_order", order_id=said[0].content)
    if len(said) == 3:
        return call("refund", line=said[2].content["line"])
    return said[4].content["refund"]

support = ak.Agent("support", FunctionModel(turn), tools=[find_order, refund])
'''


def promoted(family, runs=8, seed=1):
    """A family's agent promoted from some runs."""
    log = ak.open_log("memory:")
    ids = record(family, [family.case(1000 * seed + n, "training") for n in range(runs)], log, noise=0.3, seed=seed)
    found = promote_runs(family.agent, ids, log=log)
    log.close()
    return found


@pytest.fixture(scope="module")
def refunding():
    return promoted(refunds)


@pytest.fixture(scope="module")
def ticketing():
    return promoted(tickets)


@pytest.fixture
def written(refunding, tmp_path):
    return refunding.write(tmp_path / "pipelines" / "refund.py")


def files_of(path):
    return {one.name: one.read_text("utf-8") for one in sorted(path.parent.iterdir())}


# what is written ------------------------------------------------------------------------------------------------------


def test_the_module_its_tests_and_their_runs_are_written(written, refunding):
    """Three files, and nothing beside them; the module is the source that is shown, tidy for where it is."""
    assert list(files_of(written)) == ["refund.py", "refund.runs.json", "test_refund.py"]
    assert written.read_text("utf-8") == tidy(refunding.source, written)
    assert not refunding.check(written)


@pytest.mark.parametrize("family", ["refunding", "ticketing"])
def test_the_generated_tests_pass_in_a_clean_process(family, request, tmp_path):
    """Each run done again, and each changed: also where a model's part is asked for."""
    promotion = request.getfixturevalue(family)
    tested = promotion.test(promotion.write(tmp_path / "fresh.py"))
    assert tested, tested.text
    assert "16 passed" in tested.text


@pytest.mark.parametrize(
    ("right", "wrong", "which"),
    [
        ("amount=line.price", "amount=order.total", "assert_same"),
        (
            'ak.only((line for line in order.lines if line.sku == sku), "lines with that sku")',
            "order.lines[0]",
            "assert_same",
        ),
        (
            '(payment for payment in payments if payment["status"] == "captured")',
            '[sorted(payments, key=lambda one: one["status"] != "captured")[0]]',
            "assert_guarded",
        ),
    ],
)
def test_the_generated_tests_fail_where_the_pipeline_is_wrong(written, right, wrong, which):
    """A field, a choice by place, a choice that no second match stops: what the runs or their changes can show, do."""
    source = written.read_text("utf-8").replace(right, wrong)
    assert source != written.read_text("utf-8")
    names = {"__name__": "wrong_refunds"}
    exec(compile(source, "wrong", "exec"), names)
    runs = recorded_runs(str(written.with_name("test_refund.py")), "refund.runs.json")
    with pytest.raises(AssertionError, match=r"(?s)run .* refund writes refund"):
        for run in runs:
            getattr(run, which)(names["pipeline"])


def test_a_package_imports_its_module_by_the_packages_name(refunding, tmp_path):
    """Where the folder is a package, the test imports what lies in it as everybody else does."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").touch()
    path = refunding.write(tmp_path / "pipelines" / "refund.py")
    assert "from pipelines.refund import pipeline" in path.with_name("test_refund.py").read_text("utf-8")


def test_what_the_log_redacted_stays_so():
    """A secret that a tool returned is in no file."""

    @ak.tool
    def look_up(key: str) -> dict:
        """Look up a record by its key. Returns its name and what opens it.

        Args:
            key: the key of the record.
        """
        return {"name": key.upper(), "api_key": "sk-veryveryverysecretsecret1234567890"}

    log = ak.open_log("memory:")
    model = ak.testing.ScriptedModel(
        [turn for name in ("ann", "bob") for turn in (ak.testing.call("look_up", key=name), name.upper())]
    )
    agent = ak.Agent("secretive", model, tools=[look_up])
    for name in ("ann", "bob"):
        agent.run(name, log=log).result(30)
    promotion = promote_runs(agent, log=log)
    kept = RunsFile("secretive", "p", 2, promotion.kept_runs()).text()
    assert "look_up" in kept
    assert "verysecret" not in kept
    log.close()


# what is there already ------------------------------------------------------------------------------------------------


def test_what_a_person_edited_stays(written, refunding):
    """An edited step and a function of their own; the rest is written anew, and writing again changes nothing."""
    edited = written.read_text("utf-8").replace(
        "    found = ctx.call(refunds.find_order, order_id=order_id)",
        "    found = ctx.call(refunds.find_order, order_id=order_id.strip())",
    )
    written.write_text(edited + "\n\ndef mine() -> int:\n    return 1\n", "utf-8")
    assert not refunding.check(written)
    more = promoted(refunds, runs=10)
    assert [path.name for path in more.check(written)] == ["refund.py", "test_refund.py", "refund.runs.json"]
    more.write(written)
    text = written.read_text("utf-8")
    assert "order_id.strip()" in text
    assert "def mine() -> int:" in text
    assert "from 10 of 10 recorded runs" in text
    assert not more.check(written)


def test_an_edit_that_conflicts_is_said_and_nothing_is_written(written, refunding):
    """Both versions are shown, each conflict at once; the files stay as they are."""
    before = written.with_name("refund.runs.json").read_text("utf-8")
    old = json.loads(before)
    lines = old["generated"]["refund.py"]
    at = next(place for place, line in enumerate(lines) if "line = ak.only(" in line)
    lines[at] = "    line = order.lines[0]"  # as if the runs had given something else last time
    written.with_name("refund.runs.json").write_text(json.dumps(old), "utf-8")
    written.write_text(written.read_text("utf-8").replace("def refund(", "def refund(  # by hand\n", 1), "utf-8")
    there = files_of(written)
    with pytest.raises(ak.AgentKitError, match="a person changed what the runs now give otherwise") as raised:
        refunding.write(written)
    assert "the function refund: the file has:" in str(raised.value)
    assert "# by hand" in str(raised.value)
    assert files_of(written) == there
    refunding.write(written, overwrite=True)
    assert written.read_text("utf-8") == tidy(refunding.source, written)


@pytest.mark.parametrize(
    ("text", "said"),
    [("x = 1\n", "does not say that agentkit generated it"), ("def (", "does not say that agentkit generated it")],
)
def test_a_file_of_somebodys_is_not_replaced(refunding, tmp_path, text, said):
    """What agentkit did not write stays, unless it is asked for."""
    path = tmp_path / "refund.py"
    path.write_text(text)
    with pytest.raises(ak.AgentKitError, match=said):
        refunding.write(path)
    assert files_of(path) == {"refund.py": text}
    assert refunding.write(path, overwrite=True) == path


def test_a_file_that_is_no_python_any_more_is_said(written, refunding):
    """The line is named; nothing is written."""
    written.write_text("def (", "utf-8")
    with pytest.raises(ak.AgentKitError, match=r"is no Python \(line 1"):
        refunding.write(written)


def test_where_one_file_cannot_be_written_none_is(refunding, tmp_path):
    """A folder stands where the runs are to be: the others are not there either, and no rest of them."""
    (tmp_path / "refund.runs.json").mkdir()
    with pytest.raises((OSError, ak.AgentKitError)):
        refunding.write(tmp_path / "refund.py")
    left = [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert not left


@pytest.mark.parametrize("path", ["refund.txt", "re-fund.py", "refund"])
def test_a_path_that_is_no_modules_is_refused(refunding, tmp_path, path):
    """Others import it by its name."""
    with pytest.raises(ak.AgentKitError, match="is no module's file"):
        refunding.write(tmp_path / path)


def test_what_lives_in_a_notebook_is_said_and_nothing_is_written(tmp_path):
    """The tool is named, and what to type first."""

    @ak.tool
    def shout(word: str) -> str:
        """Shout a word as loudly as can be. Returns it in capital letters.

        Args:
            word: the word to shout.
        """
        return word.upper()

    log = ak.open_log("memory:")
    turns = [turn for word in ("a", "b", "c") for turn in (ak.testing.call("shout", word=word), word.upper())]
    agent = ak.Agent("shouter", ak.testing.ScriptedModel(turns), tools=[shout])
    for word in ("a", "b", "c"):
        agent.run(word, log=log).result(30)
    promotion = promote_runs(agent, log=log)
    with pytest.raises(ak.AgentKitError) as raised:
        promotion.write(tmp_path / "shouting.py")
    assert "`shout`" in str(raised.value)
    assert 'ak.promote(shouter, to="module").write("shouter_agent.py")' in str(raised.value)
    assert not list(tmp_path.iterdir())
    log.close()


def test_a_refusal_writes_nothing(tmp_path):
    """One run is too few: the reasons are the error."""
    with pytest.raises(ak.AgentKitError, match="nothing is promoted: 1 run is an example"):
        promoted(refunds, runs=1).write(tmp_path / "refund.py")
    assert not list(tmp_path.iterdir())


def test_a_pipeline_that_does_something_else_than_its_runs_is_not_written(tmp_path):
    """Each kept run is replayed first: a mistake of ours must not become a file."""
    promotion = promoted(refunds)
    step = next(step for step in promotion.plan.steps if step.writes)
    step.arguments["line_id"] = step.arguments["payment_id"]
    with pytest.raises(ak.AgentKitError, match="something else than the runs it is made of"):
        promotion.write(tmp_path / "refund.py")
    assert not list(tmp_path.iterdir())


def test_tests_that_are_not_there_are_not_run(refunding, tmp_path):
    """It says what to do first."""
    with pytest.raises(ak.AgentKitError, match="write the promotion first"):
        refunding.test(tmp_path / "refund.py")


# the runs -------------------------------------------------------------------------------------------------------------


def a_run(number, size=0):
    return KeptRun(f"run-{number}", {"text": "x" * size}, ())


def test_runs_of_every_variant_are_kept_and_not_too_many():
    """Each variant in turn: a rare one is there too, however many runs the others have."""
    common, rare = [a_run(n) for n in range(1000)], [a_run(n) for n in range(5000, 5002)]
    found = chosen([common, rare])
    assert len(found) == MOST_RUNS
    assert {run.run_id for run in rare} <= {run.run_id for run in found}


def test_large_runs_are_kept_once_a_variant():
    """A file that nobody can read is no help: after the first of each variant, what is too large stays out."""
    found = chosen([[a_run(n, MOST_BYTES) for n in range(9)], [a_run(n, 10) for n in range(10, 13)]])
    assert [run.run_id for run in found] == ["run-0", "run-10"]


def test_the_runs_file_comes_back_as_it_was_written(tmp_path):
    """Runs, choices and what was generated last."""
    runs = [replace(a_run(1), answers={"words": ["ä", None]}, expected="stops")]
    file = RunsFile(
        "a", "p", 7, runs, [Choice("find", ("lines",))], {"p.py": "x = 1\n\ny = '\u2028'\n".replace("\u2028", "")}
    )
    (tmp_path / "p.runs.json").write_text(file.text(), "utf-8")
    assert read(tmp_path / "p.runs.json") == file


def test_a_runs_file_that_is_none_is_said(tmp_path):
    """The file and what is wrong with it."""
    path = tmp_path / "p.runs.json"
    for text in ("{", "{}", '{"format": 99}'):
        path.write_text(text)
        with pytest.raises(ak.AgentKitError, match=r"p\.runs\.json"):
            read(path)


def test_a_notebooks_agent_is_written_as_a_module_and_its_runs_promoted(cell, tmp_path, monkeypatch):
    """The road that the error names, walked: its recorded runs are the module's agent's too, and the tests pass."""
    cell(SHOP)
    log = ak.open_log("memory:")
    agent = cell("support")
    for order in ("A-1", "B-2", "C-3", "D-4"):
        agent.run(order, log=log).result(30)
    with pytest.raises(ak.AgentKitError, match=r"a notebook or a script.*ak\.promote\(support, to=\"module\"\)"):
        promote_runs(agent, log=log).write(tmp_path / "refunding.py")
    ak.promote(agent, to="module").write(tmp_path / "support_agent.py")
    monkeypatch.syspath_prepend(tmp_path)
    promotion = promote_runs(importlib.import_module("support_agent").support, log=log)
    log.close()
    path = promotion.write(tmp_path / "refunding.py")
    assert "import support_agent" in path.read_text("utf-8")
    tested = promotion.test(path)
    assert tested, tested.text


# leave one out --------------------------------------------------------------------------------------------------------


def test_a_run_that_is_left_out_comes_out_the_same(refunding):
    """The pipeline of the others does what that run did; what that proves is said, and no more."""
    found = refunding.leave_one_out()
    assert (found.counts, found.runs) == ({"equal": 8}, 8)
    assert "8 equal; like cases come out equal in 68% or more (95% confidence)" in str(found)
    assert "at most 31.2%" in found.doubt


def test_many_runs_are_sampled(refunding):
    """Some of them, spread over all; the rest is said."""
    found = refunding.leave_one_out(sample=3)
    assert len(found.results) == 3
    assert "leave one out, 3 of 8 runs" in str(found)


def test_what_the_others_never_showed_is_no_success():
    """Of two runs either makes a pipeline that is not asked to be right: equal is only what is equal."""
    found = promoted(expenses, runs=2).leave_one_out()
    assert found.counts["equal"] < 2
    assert all(one.why for one in found.results if one.fate != "equal")


def test_no_step_is_called_like_a_module():
    """The module keeps its name, and the step has another one."""
    promotion = promoted(meetings)
    assert "from families import meetings\n" in promotion.source
    assert "def found_meetings(" in promotion.source
    assert promotion.leave_one_out().counts["equal"] == 8
