"""Other programs that read the log's DuckDB file: what `notebooks/03_sql.ipynb` shows of them is what is run here.

They are no dependency of agentkit's: each test takes them from PyPI, into an environment of its own.
"""

import json
import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from small_agents import SOON, lookup

import agentkit as ak
from agentkit.testing import ScriptedModel, call

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "03_sql.ipynb"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a log of one run, its events in the file."""
    folder = tmp_path_factory.mktemp("foreign")
    log = ak.open_log(folder / ".agentkit")
    model = ScriptedModel([call("lookup", what="pluggy"), "done"])
    ak.Agent("reader", model, tools=[lookup]).run("go", log=log).result(SOON)
    assert log.store.fold()
    log.close()
    return folder


def shown(language):
    """The one block of that language in the notebook's text."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    [block] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return block


@pytest.fixture
def run(tmp_path, place):
    """Runs a command where some packages are installed, and the log is in the working folder."""
    env = {**os.environ, "PLOOMBER_STATS_ENABLED": "false", "IPYTHONDIR": str(tmp_path / "ipython")}
    env["PATH"] = f"{tmp_path / 'env' / 'bin'}{os.pathsep}{env['PATH']}"
    uv = shutil.which("uv")
    assert uv, "uv is how this repository is set up"

    def finish(*command):
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def with_packages(packages, *command):
        finish(uv, "venv", "--quiet", str(tmp_path / "env"))
        finish(uv, "pip", "install", "--quiet", "--python", str(tmp_path / "env" / "bin" / "python"), *packages)
        return finish(*command)

    return with_packages


def test_duckdbs_command_line_reads_the_log(run):
    """The command as the notebook has it."""
    printed = run(["duckdb-cli"], "bash", "-c", shown("bash"))
    assert re.search(r"reader\W+succeeded\W+2", printed)


def test_jupysql_reads_the_log(run, tmp_path):
    """The lines as the notebook has them, in an IPython without agentkit."""
    cells = tmp_path / "cells.ipy"
    cells.write_text(shown("python"))
    packages = ["jupysql", "ipython", f"duckdb=={metadata.version('duckdb')}", "pytz"]
    code = f"get_ipython().run_cell(open({str(cells)!r}).read()).raise_error()"
    printed = run(packages, "ipython", "--no-banner", "--colors=NoColor", "-c", code)
    assert re.search(r"reader\W+succeeded\W+2", printed)
