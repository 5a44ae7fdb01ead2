"""A promotion as a person meets it in JupyterLab: a click writes the module, a click runs its tests."""

import ast
from pathlib import Path

import lab
import pytest

pytestmark = lab.MARKS

RUNS = """
import agentkit as ak
from families import refunds
from families.harness import record

log = ak.open_log("memory:")
ids = record(refunds, [refunds.case(1000 + n, "training") for n in range(6)], log, noise=0.3, seed=1)
"""
PROMOTE = "promotion = ak.promote(refunds.agent, runs=ids, log=log)\npromotion"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """A notebook in which an agent's runs were promoted."""
    folder = tmp_path_factory.mktemp("server")
    server = lab.Server("lab", folder / "lab", AGENTKIT_LOG=str(folder / "log"), PYTHONPATH=str(Path(__file__).parent))
    server.start()
    try:
        with lab.chromium() as browser:
            server.wait()
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            server.write("promote.ipynb", RUNS, PROMOTE)
            notebook = lab.Notebook(page, server, "promote.ipynb").open()
            notebook.run(0)
            notebook.run(1)
            notebook.sees(1, "Run its tests")
            yield notebook
    finally:
        server.stop()


def click(notebook, name):
    notebook.output(1).get_by_role("button", name=name).click()


def test_the_tests_want_a_module_first(notebook):
    """Run before anything is written, it says what to do."""
    click(notebook, "Run its tests")
    notebook.sees(1, "✗")
    notebook.sees(1, "refunds_pipeline.py")


def test_a_click_writes_and_another_one_tests(notebook):
    """The module, its tests and their runs are beside the notebook; what the tests said is shown."""
    click(notebook, "Write")
    notebook.sees(1, "wrote pipelines/refunds_pipeline.py")
    written = notebook.server.root / "pipelines"
    assert {"refunds_pipeline.py", "refunds_pipeline.runs.json", "test_refunds_pipeline.py"} <= {
        one.name for one in written.iterdir()
    }
    ast.parse((written / "refunds_pipeline.py").read_text())
    click(notebook, "Run its tests")
    notebook.sees(1, "passed")
    notebook.picture("promotion")


def test_what_a_person_changed_is_kept(notebook):
    """Written again, the module has the person's line still."""
    module = notebook.server.root / "pipelines" / "refunds_pipeline.py"
    module.write_text(module.read_text().replace("pipeline = ak.Pipeline(", "MINE = 1\npipeline = ak.Pipeline(", 1))
    click(notebook, "Write")
    notebook.until("!panel.content.widgets[1].outputArea.node.innerText.includes('…')")
    assert "MINE = 1" in module.read_text()


def test_a_path_that_is_no_module_is_said(notebook):
    """Words under the buttons, no traceback, and nothing is written."""
    notebook.output(1).locator("input[type=text]").fill("report.txt")
    click(notebook, "Write")
    notebook.sees(1, "is no module's file")
    assert not (notebook.server.root / "report.txt").exists()
