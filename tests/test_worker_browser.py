"""What workers execute, as the person at the notebook meets it: in JupyterLab, in a browser, with clicks."""

import contextlib
import subprocess
import sys

import lab
import pytest

pytestmark = lab.MARKS

DESK = """
import time
import agentkit as ak

triage = ak.Pipeline("triage", input={"ticket": str})

@triage.step
def facts(ticket: str) -> dict:
    time.sleep(1)
    return {"words": len(ticket.split()), "amount": len(ticket)}

@triage.step(writes=True, approve=lambda call: call.args["facts"]["amount"] > 20)
def pay(facts: dict) -> str:
    return f"paid {facts['amount']}"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A JupyterLab whose kernels find the pipeline."""
    with lab.serving(tmp_path_factory.mktemp("server"), desk=DESK) as server:
        yield server


@pytest.fixture
def opened(server, request):
    """Opens a notebook of some cells."""
    server.wait()
    with lab.chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900})

        def opened(*cells):
            name = f"{request.node.name}.ipynb"
            server.write(name, *cells)
            return lab.Notebook(context.new_page(), server, name).open()

        yield opened
        for page in context.pages:
            lab.picture(page, f"{request.node.name}-last")
        context.close()
    server.end_sessions()


@contextlib.contextmanager
def worker(server):
    """A worker in a terminal, until Ctrl-C."""
    words = [sys.executable, "-W", "ignore", "-m", "agentkit", "worker", "desk.py"]
    process = subprocess.Popen(words, env=server.env, cwd=server.root)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_what_a_worker_executes_is_seen_and_approved_in_a_cell(opened):
    """The cell says that the run waits for a worker, shows its steps, and the click is what the worker goes on with."""
    notebook = opened(
        "from desk import triage",
        "run = triage.submit(ticket='the lamp of A-1042 arrived broken')\nrun",
        "run.result(30)",
    )
    notebook.run(0)
    notebook.run(1)
    notebook.sees(1, "waits for a worker: `agentkit worker desk` starts one")
    notebook.picture("worker-waits")
    with worker(notebook.server):
        notebook.is_at(1, "facts", "ok")
        notebook.is_at(1, "pay", "asked")
        notebook.picture("worker-asks")
        notebook.click(1, "approve")
        notebook.is_at(1, "", "ok")
        notebook.run(2)
        notebook.sees(2, "paid 33")
        notebook.picture("worker-ended")


def test_a_batch_that_workers_execute_is_followed_and_approved_in_a_cell(opened):
    """Its bar counts what they do; the inbox has the one question; the results are there at the end."""
    notebook = opened(
        "import agentkit as ak\nfrom desk import triage",
        "batch = triage.map(['a lamp', 'a shade', 'the third lamp of this week'], submit=True)\nbatch",
        "ak.pending()",
        "batch.result(30)",
    )
    notebook.run(0)
    notebook.run(1)
    notebook.sees(1, "3 waiting for a worker")
    notebook.picture("worker-batch-waits")
    with worker(notebook.server):
        notebook.sees(1, "2 of 3 done")
        notebook.run(2)
        notebook.picture("worker-batch-asks")
        notebook.click(2, "approve")
        notebook.sees(1, "3 of 3 done")
        notebook.run(3)
        notebook.sees(3, "paid 27")
        notebook.picture("worker-batch-ended")
