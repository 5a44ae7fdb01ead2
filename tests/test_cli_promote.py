"""`agentkit promote`: an agent's runs become files, or it says why not; a script can tell which by the exit code."""

import pytest
from families import refunds
from families.harness import record
from families.solve import finish
from typer.testing import CliRunner

import agentkit as ak
from agentkit.cli.app import app

AGENT = "families.refunds:agent"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log with seven runs of the agent; the last one of an agent that a module has."""
    place = str(tmp_path_factory.mktemp("log") / ".agentkit")
    made = ak.open_log(place)
    record(refunds, [refunds.case(1000 + n, "training") for n in range(6)], made, noise=0.3, seed=1)
    case = refunds.case(2000, "training")
    finish(refunds.agent.run(case.input, deps=case.world, log=made), case)
    made.close()
    return place


@pytest.fixture
def promote(log):
    """The command with that log; its exit code and what it printed, result and words apart."""

    def run(*arguments):
        done = CliRunner().invoke(app, ["promote", *map(str, arguments), "--log", log], catch_exceptions=True)
        return done.exit_code, done.stdout, done.stderr

    return run


def test_the_source_is_printed_where_no_file_is_named(promote):
    """The code alone on standard output, and the doubts on standard error."""
    code, source, said = promote(AGENT)
    assert code == 0
    assert source.startswith('"""Refund the line with that SKU.')
    compile(source, "printed", "exec")
    assert "refunds → refunds_pipeline" in said


def test_the_files_are_written_and_checked(promote, tmp_path):
    """--check says nothing where they are as they would be written, and has exit code 1 where not."""
    path = tmp_path / "refund.py"
    assert promote(AGENT, "--out", path, "--check")[0] == 1
    code, _, said = promote(AGENT, "--out", path)
    assert code == 0
    assert f"python -m pytest {tmp_path / 'test_refund.py'}" in said
    assert sorted(one.name for one in tmp_path.iterdir()) == ["refund.py", "refund.runs.json", "test_refund.py"]
    assert promote(AGENT, "--out", path, "--check")[0] == 0
    path.with_name("refund.runs.json").unlink()
    code, _, said = promote(AGENT, "--out", path, "--check")
    assert (code, "refund.runs.json" in said) == (1, True)


def test_an_agent_is_found_by_the_name_that_its_runs_have(promote):
    """Where the newest run that says it says that it is; nothing has to be typed twice."""
    code, source, _ = promote("refunds")
    assert (code, source.startswith('"""Refund the line with that SKU')) == (0, True)


def test_a_refusal_has_exit_code_1_and_its_reasons(promote, tmp_path):
    """Nothing is written."""
    code, source, said = promote("families.tickets:agent", "--out", tmp_path / "ticket.py")
    assert (code, source) == (1, "")
    assert "✗ 0 runs are examples, and 2 are needed" in said
    assert not list(tmp_path.iterdir())


def test_an_edit_that_conflicts_has_exit_code_1(promote, tmp_path):
    """It is no wrong command: a person has to look."""
    path = tmp_path / "refund.py"
    path.write_text("LIMIT = 1\n")
    code, _, said = promote(AGENT, "--out", path)
    assert code == 1
    assert "--overwrite replaces it" in said
    assert promote(AGENT, "--out", path, "--overwrite")[0] == 0


@pytest.mark.parametrize("arguments", [(AGENT, "--check"), (AGENT, "--to", "nothing"), ()])
def test_a_wrong_command_has_exit_code_2(promote, arguments):
    """As with every command."""
    assert promote(*arguments)[0] == 2


def test_an_agent_is_written_as_a_module_where_it_is_asked_for(promote):
    """Its runs are not looked at then."""
    code, source, _ = promote(AGENT, "--to", "module")
    assert code == 0
    assert "ak.Agent(" in source
