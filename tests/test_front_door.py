"""What `import agentkit` gives and what it costs; that every module has its place and says what it is for."""

import ast
import importlib
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import agentkit

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "agentkit").rglob("*.py"))
HEAVY = {
    "litellm",
    "langfuse",
    "duckdb",
    "IPython",
    "ipywidgets",
    "anywidget",
    "pandas",
    "polars",
    "pyarrow",
    "mcp",
    "jsonschema",
}


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


def test_all_is_what_is_there():
    """`__all__` names what can be imported, sorted, each once; `dir()` shows the same."""
    assert agentkit.__all__ == sorted(set(agentkit.__all__))
    assert set(agentkit.__all__) == set(agentkit._WHERE)
    assert {name for name in dir(agentkit) if not name.startswith("_")} == set(agentkit.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        agentkit.no_such_name


def test_no_module_hides_a_name():
    """Python sets an imported module as an attribute of its package: one named like a function has to be called so."""
    shared = {path.stem for path in (ROOT / "agentkit").iterdir()} & set(agentkit.__all__)
    assert all(callable(importlib.import_module(f"agentkit.{name}")) for name in shared)


@pytest.mark.parametrize("name", agentkit.__all__)
def test_every_name_is_documented(name):
    """What a user can import says what it is, in words of its own."""
    value = getattr(agentkit, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value):
        assert "__doc__" in vars(value), f"{name} shows its parent's docstring"


def test_the_import_is_light():
    """What a run needs only later is imported later."""
    run = python("-c", "import agentkit, sys; print(*{name.partition('.')[0] for name in sys.modules})")
    assert run.returncode == 0, run.stderr
    assert not set(run.stdout.split()) & HEAVY


def test_the_whole_front_door_is_light():
    """Also when every name was used."""
    run = python(
        "-c", "import agentkit, sys; from agentkit import *; print(*{name.partition('.')[0] for name in sys.modules})"
    )
    assert run.returncode == 0, run.stderr
    assert not set(run.stdout.split()) & HEAVY


def test_the_import_warns_of_nothing():
    """Python's own warnings are errors here."""
    run = python("-W", "error", "-c", "import agentkit; from agentkit import *")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


LADDERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


@pytest.mark.parametrize("contract", LADDERS, ids=lambda contract: contract["containers"][0])
def test_every_module_has_its_place_in_the_ladder(contract):
    """import-linter checks the arrows between the modules that the layers name: they name all."""
    [container] = contract["containers"]
    named = [module.strip() for layer in contract["layers"] for module in layer.split("|")]
    there = {path.stem if path.is_file() else path.name for path in (ROOT / container.replace(".", "/")).iterdir()}
    assert sorted(named) == sorted(there - {"__init__", "__pycache__", "py"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT / "agentkit").as_posix())
def test_everything_public_has_a_docstring(path):
    """Modules, classes, functions and methods whose name begins with a letter."""
    module = ast.parse(path.read_text())
    assert ast.get_docstring(module), f"{path} says not what it is for"
    assert not list(_undocumented(module, path.stem))


def _undocumented(parent, where):
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        marks = "".join(ast.dump(decorator) for decorator in node.decorator_list)
        is_variant = "overload" in marks or "override" in marks  # what it overrides says what it does
        if not ast.get_docstring(node) and not is_variant:
            yield f"{where}.{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node, f"{where}.{node.name}")
