"""What promotion writes is code that a project would keep: it passes a linter's defaults and a strict type checker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from families.catalogue import FAMILIES
from families.harness import record

import agentkit as ak
from agentkit.promote.recorded import promote_runs

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of a user's, in which all families are promoted; the families are installed beside it."""
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    for name, family in FAMILIES.items():
        log = ak.open_log("memory:")
        ids = record(family, [family.case(1000 + n, "training") for n in range(8)], log, noise=0.3, seed=1)
        promotion = promote_runs(family.agent, ids, log=log)
        log.close()
        if not promotion.refused:
            promotion.write(root / "pipelines" / f"{name}_pipeline.py")
    assert len(list(root.glob("pipelines/test_*.py"))) >= 10
    return root


def test_it_passes_ruff_with_its_default_rules_and_the_projects_format(project):
    """Modules and tests, sorted and formatted as the project has it: nobody has to touch them up."""
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[:3000]


def test_it_passes_pyright_strict(project):
    """Modules and tests; what a tool's own annotation leaves open (a bare `dict`) is its author's."""
    settings = {
        "include": ["pipelines"],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": [str(HERE), str(HERE.parent), "pipelines"],
    }
    (project / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    ours = [one for one in found if "Tool[" not in one["message"] or "dict[Unknown, Unknown]" not in one["message"]]
    assert not [f"{one['file']}: {one['message']}" for one in ours]
    assert json.loads(done.stdout)["summary"]["filesAnalyzed"] >= 20
