"""The README runs: every Python block, in order, and what it prints is what stands below it.

Rules: a block whose first line is a comment `# name.py` is that file. What follows `<!-- a new process -->` runs in
a new interpreter, in the same folder. As in a notebook, a block's last expression is shown. `normalised` says what may
differ.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit.stores.views import COLUMNS

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCK = re.compile(
    r"(?P<new><!-- a new process -->\n)?```python\n(?P<code>.*?)```\n(?:```text\n(?P<output>.*?)```)?", re.DOTALL
)

# runs blocks in one namespace, and writes what each printed as JSON
NOTEBOOK = """
import ast, contextlib, io, json, sys
names, outputs = {}, []
for code in json.load(sys.stdin):
    *body, last = ast.parse(code).body
    with contextlib.redirect_stdout(io.StringIO()) as output:
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(body, []), "README.md", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "README.md", "eval"), names)
            if value is not None:
                print(value)
        else:
            exec(code, names)
    outputs.append(output.getvalue())
print(json.dumps(outputs))
"""


def normalised(text):
    """The text without what differs from run to run: run and approval ids, durations, and who is logged in."""
    text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{4}\b", "RUN", text)
    text = re.sub(r'(?<=approval )[0-9a-f]{4}\b|(?<=")[0-9a-f]{4}(?=")', "ID", text)
    text = re.sub(r"\b[0-9.]+ m?s\b", "TIME", text)
    text = re.sub(r"(?<=approved by )\w+", "WHO", text)
    return [line.rstrip() for line in text.strip().split("\n")]


def notebook(folder, blocks):
    """Run blocks in a new interpreter."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", NOTEBOOK],
        input=json.dumps([block["code"] for block in blocks]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_readme_runs_and_prints_what_it_shows(tmp_path, monkeypatch):
    """Its story is one: the second process goes on with the first one's run."""
    monkeypatch.delenv("AGENTKIT_LOG", raising=False)
    (tmp_path / ".agentkit").mkdir()
    processes = [[]]
    for block in BLOCK.finditer(README):
        if block["new"]:
            processes.append([])
        if file := re.match(r"# (\w+\.py)\n", block["code"]):
            (tmp_path / file[1]).write_text(block["code"])
        else:
            processes[-1].append(block)
    assert [len(blocks) for blocks in processes] == [1, 4]
    for blocks in processes:
        for block, output in zip(blocks, notebook(tmp_path, blocks), strict=True):
            assert normalised(output) == normalised(block["output"] or ""), block["code"]


def test_every_python_block_is_run():
    """None escapes the rules above."""
    assert README.count("```python") == len(list(BLOCK.finditer(README)))


@pytest.mark.parametrize("view", COLUMNS)
def test_the_table_of_views_is_theirs(view):
    """Every view with its columns, in order."""
    assert f"| `{view}` | {', '.join(COLUMNS[view])} |\n" in README


def test_the_readme_is_short():
    """A front door, not a manual."""
    assert README.count("\n") < 175
