"""Every notebook runs from its first cell to its last, on a fresh log, with the smallest model that runs here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import local_weights
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def run(notebook, folder):
    """Execute a copy, as `jupyter execute` does for a user; its cells, outputs included."""
    local_weights.smollm2()
    shutil.copy(notebook, folder)
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-execute"), "--inplace", "--timeout=600", notebook.name],
        cwd=folder,
        env={**os.environ, "AGENTKIT_MODEL": "local/smollm2", "AGENTKIT_LOG": str(folder / ".agentkit")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / notebook.name).read_text("utf-8"))["cells"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_runs(notebook, tmp_path):
    """No cell raises, and what it shows at its end is there."""
    cells = run(notebook, tmp_path)
    outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert len(outputs) >= 5
    assert not [text for text in outputs if "AgentKitWarning" in json.dumps(text)]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_is_kept_with_its_outputs_and_without_this_machine(notebook):
    """Who reads it on a web page sees what it prints; no path of whoever ran it last is in it."""
    text = notebook.read_text("utf-8")
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert str(Path.home()) not in text
    assert "/tmp" not in text
