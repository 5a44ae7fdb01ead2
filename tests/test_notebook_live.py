"""What a live trace makes of what a browser sends, and how a run is shown where there is no browser."""

import gzip
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import agentkit as ak
from agentkit import registry
from agentkit.notebook import cell as cells
from agentkit.notebook import live
from agentkit.notebook.cell import Cell
from agentkit.notebook.live import LiveTrace
from agentkit.notebook.show import bundle
from agentkit.testing import ScriptedModel, call


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount to somebody and return the receipt of it."""
    return {"paid": amount}


@pytest.fixture
def run(log):
    run = ak.Agent("payer", ScriptedModel([call("pay", amount=5.0), "done"]), tools=[pay]).run("go", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    return run


@pytest.fixture
def trace(run, monkeypatch):
    """A live trace, and what it told its browser."""
    told = []
    monkeypatch.setattr(
        LiveTrace, "send", lambda _self, message, buffers=None: told.append({**message, **unpacked(buffers)})
    )
    trace = LiveTrace(run, place="here")
    trace.told = told
    yield trace
    trace.close()


def unpacked(buffers):
    return {"rows": json.loads(gzip.decompress(buffers[0]))} if buffers else {}


def said(trace, kind, /, **message):
    """Send it something; the first answer of that kind."""
    trace._take(trace, message, [])
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for answer in list(trace.told):
            if answer["kind"] == kind:
                trace.told.remove(answer)
                return answer
        time.sleep(0.01)
    raise AssertionError(trace.told)


def test_a_page_begins_with_everything_though_the_kernel_is_busy(trace, run):
    """The first rows and cards travel with the widget; a page that comes later asks for them."""
    first = json.loads(trace.first)
    assert [card["name"] for card in first["cards"]] == ["pay"]
    again = said(trace, "reset", kind="ready")
    assert again["rows"] == first["rows"]
    assert said(trace, "pong", kind="ping") == {"kind": "pong", "n": again["n"]}
    assert trace.seen.is_set()


def test_a_row_that_is_opened_shows_its_details(trace, run):
    """And an unknown one none."""
    found = said(trace, "details", kind="open", id=f"{run.run_id}/tool/pay/1")
    assert {"title": "arguments", "form": "json", "value": {"amount": 5.0}} in found["sections"]
    assert said(trace, "details", kind="open", id="nobody/nothing")["sections"] == []


def test_a_click_is_an_answer_by_who_clicked_through_the_notebook(trace, run):
    """With its edits and its comment; whoever comes second is told who was first."""
    key = run.pending[0].id
    told = said(trace, "told", kind="answer", id=key, verdict="edit", edits={"amount": 4.0}, comment="less")
    assert told["text"].startswith(f"{key}: edit")
    assert run.result(timeout=10) == "done"
    (asked,) = run.state.approvals.values()
    assert (asked.edits, asked.comment) == ({"amount": 4.0}, "less")
    assert run.store.answers(run.run_id)[key].through == "notebook"
    assert run.through == "python"
    late = said(trace, "told", kind="answer", id=key, verdict="reject")
    assert late["bad"]
    assert "already answered: edit by" in late["text"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"verdict": "edit", "edits": {"amount": "much"}}, "amount"),
        ({"verdict": "edit", "edits": 7}, ""),
        ({"verdict": "hack"}, "'hack' is no answer"),
        ({"verdict": "answer", "id": "nobody"}, "nobody"),
    ],
)
def test_what_is_no_answer_is_told_and_takes_no_place(trace, run, message, words):
    """The question stays open."""
    told = said(trace, "told", **{"kind": "answer", "id": run.pending[0].id, **message})
    assert told["bad"]
    assert words in told["text"]
    assert run.status == "paused"
    assert len(run.pending) == 1


def test_an_ended_run_is_graded_in_its_trace_and_a_running_one_is_not(trace, run):
    """The reason with it; whoever opens the page again sees it."""
    assert "has not ended" in said(trace, "graded", kind="grade", verdict="good")["bad"]
    run.approve()
    run.result(timeout=10)
    assert "'great'" in said(trace, "graded", kind="grade", verdict="great")["bad"]
    grade = {"verdict": "bad", "why": "too much"}
    assert said(trace, "graded", kind="grade", **grade)["grade"] == grade
    assert (run.state.grade, run.state.grade_why) == ("bad", "too much")
    assert trace.snapshot()["grade"] == grade


def test_a_row_is_commented_in_the_trace_whatever_the_run_does(trace, run):
    """By whom it says, else by who runs the kernel; told by the token that came with it; and the page shows it."""
    row = f"{run.run_id}/tool/pay/1"
    told = said(trace, "commented", kind="comment", id=row, text="asked the supplier", by="ada", token="t1")
    assert told == {"kind": "commented", "id": row, "token": "t1"}
    (news,) = said(trace, "rows")["comments"][row]
    assert (news["who"], news["text"]) == ("ada", "asked the supplier")
    assert said(trace, "commented", kind="comment", id=run.run_id, text="ok", by="", token="t2")["token"] == "t2"
    run.approve()
    assert run.result(timeout=10) == "done"
    said(trace, "commented", kind="comment", id=run.run_id, text="after the end", token="t3")
    assert [(one.step, one.who, one.text, one.through) for one in run.comments] == [
        ("tool/pay/1", "ada", "asked the supplier", "notebook"),
        (None, trace.snapshot()["you"], "ok", "notebook"),
        (None, trace.snapshot()["you"], "after the end", "notebook"),
    ]
    end = time.monotonic() + 10
    while [one["text"] for one in trace.snapshot()["comments"][run.run_id]] != ["ok", "after the end"]:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_comment_on_a_run_below_holds_no_secret_of_the_one_above(log, monkeypatch):
    """What an agent names as one is none of its log's, whichever agent it calls."""
    told = []
    monkeypatch.setattr(LiveTrace, "send", lambda _self, message, buffers=None: told.append(message))
    inner = ak.Agent("inner", ScriptedModel([call("pay", amount=1.0), "paid"]), "Pay it.", tools=[pay])
    model = ScriptedModel([call("inner", task="go"), "ok"])
    run = ak.Agent("outer", model, tools=[inner], redact=[re.compile("EMP-[0-9]+")]).run("hi", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    shown = LiveTrace(run)
    shown.told = told
    (child,) = run.children()
    said(shown, "commented", kind="comment", id=f"{child.run_id}/tool/pay/1", text="ask EMP-7", token="t")
    assert [(one.step, one.text) for one in child.comments] == [("tool/pay/1", "ask [redacted:text]")]
    shown.close()
    run.cancel()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"text": ""}, "a comment is empty"),
        ({"text": 7}, "a comment is text, not 7"),
        ({"text": "x" * 10_001}, "at most 10,000 characters"),
        ({"text": "x", "id": "nobody/nothing"}, "this trace shows no run nobody"),
        ({"text": "x", "step": "tool/nothing/1"}, "has no step 'tool/nothing/1'"),
    ],
)
def test_what_is_no_comment_is_told(trace, run, message, words):
    """With why; and nothing is recorded."""
    step = message.pop("step", "tool/pay/1")
    sent = {"kind": "comment", "id": f"{run.run_id}/{step}", "token": "t", **message}
    assert words in said(trace, "commented", **sent)["bad"]
    assert run.comments == []


def test_who_looks_at_an_ended_run_is_told_what_others_said_since(trace, run, log):
    """By another process, say: a page asks now and then, and when a row is opened; the document has it too."""
    run.approve()
    run.result(timeout=10)
    trace.loaded.wait(10)
    while not trace._feed.is_over:
        time.sleep(0.01)
    written = threading.Event()
    trace._on_word = written.set
    log.run(run.run_id).comment("from elsewhere", "tool/pay/1", by="eve")
    said(trace, "pong", kind="ping")
    while not (told := said(trace, "rows")).get("comments"):  # what was on its way when the run ended
        pass
    (news,) = told["comments"].values()
    assert (news[0]["who"], news[0]["text"]) == ("eve", "from elsewhere")
    assert written.wait(5)


def test_many_rows_travel_compressed(trace, run, monkeypatch):
    """As one buffer; a page that missed messages is told their number, and asks for all."""
    monkeypatch.setattr(live, "_PACKED", 1)
    assert said(trace, "reset", kind="ready")["rows"] == json.loads(trace.first)["rows"]


def test_links_of_a_run_are_http_only(run, monkeypatch):
    """An exporter says where else the run is shown; one that breaks is no reason not to show it."""
    monkeypatch.setattr(registry, "_links", {})

    def broken(_run_id):
        raise OSError("no server")

    registry.link("There", lambda run_id: f"https://example.org/{run_id}")
    registry.link("Not yet", lambda _run_id: None)
    registry.link("Script", lambda _run_id: "javascript:alert(1)")
    registry.link("Broken", broken)
    assert run.links == [("There", f"https://example.org/{run.run_id}")]


class Document:
    """What `IPython.display.display` writes to, and the shell's events."""

    def __init__(self):
        self.written, self.after = [], []

    def register(self, event, call):
        assert event == "post_run_cell"
        self.after.append(call)

    def unregister(self, _event, call):
        self.after.remove(call)

    def __call__(self, data, **options):
        self.update(data, **options)
        return self

    def update(self, data, **options):
        assert options["raw"]
        self.written.append(data)


def test_the_document_keeps_up_and_says_where_the_live_trace_stands(run, monkeypatch):
    """From the first look to the end; then nothing is left that runs."""
    monkeypatch.setattr(cells, "_UNSEEN", 0.0)
    document = Document()
    shown = Cell(run, bundle)
    shown.show(document, document, live=True)
    assert shown.place in document.written[0]["text/html"]
    assert "pending since" in document.written[0]["text/html"]
    run.approve()
    run.result(timeout=10)
    end = time.monotonic() + 10
    while "agentkit-cell" in {thread.name for thread in threading.enumerate()}:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "&quot;paid&quot;: 5.0" in document.written[-1]["text/html"]
    assert shown.place in document.written[-1]["text/html"]
    shown.close()


def test_a_very_long_runs_document_is_written_after_its_live_trace_stands(run, monkeypatch):
    """What stands there until then marks the place, and says how to find the run."""
    monkeypatch.setattr(cells, "_LARGE", 1)
    document = Document()
    shown = Cell(run, bundle)
    shown.show(document, document, live=True)
    assert shown.place in document.written[0]["text/html"]
    end = time.monotonic() + 10
    while len(document.written) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "pending since" in document.written[1]["text/html"]
    assert shown.place in document.written[1]["text/html"]
    shown.close()


def test_without_a_person_the_document_is_written_at_the_ends_of_cells(run):
    """Only where something is new, and no more when the run has ended: nothing runs in between."""
    document = Document()
    Cell(run, bundle).show(document, document, live=False)
    (after,) = document.after
    after(None)
    assert len(document.written) == 1
    run.approve()
    run.result(timeout=10)
    after(None)
    assert "&quot;paid&quot;: 5.0" in document.written[1]["text/html"]
    assert document.after == []


def test_live_traces_of_a_process_are_not_too_many(run, monkeypatch):
    """The oldest gives its place back to the document."""
    monkeypatch.setattr(cells, "_MOST", 2)
    every = [Cell(run, bundle) for _ in range(4)]
    for one in every:
        one.show(Document(), None, live=True)
    assert [one._closed.is_set() for one in every] == [True, True, False, False]
    for one in every:
        one.close()
    cells._live.clear()


def test_a_display_never_raises(run, monkeypatch):
    """Whatever is wrong with the HTML or with widgets, the text is there."""

    def broken(*_args, **_options):
        raise RuntimeError("broken")

    monkeypatch.setattr("agentkit.notebook.show.static", broken)
    monkeypatch.setattr("agentkit.notebook.live.LiveTrace", broken)
    document = Document()
    Cell(run, bundle).show(document, document, live=True)
    assert set(document.written[0]) == {"text/plain"}
    assert "payer" in document.written[0]["text/plain"]
    run.cancel()


def test_a_run_that_cannot_be_read_says_so_in_its_cell(run, monkeypatch, capsys):
    """A damaged or locked log is no exception in a cell that shows a run."""

    def broken(*_args):
        raise ak.LogError("the log is damaged")

    monkeypatch.setattr(ak.Run, "state", property(broken))
    run._ipython_display_()
    assert f"run {run.run_id} cannot be shown: LogError: the log is damaged" in capsys.readouterr().out


CELLS = """
import agentkit as ak
from agentkit.testing import ScriptedModel, call

@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    "Pay an amount to somebody. Returns the receipt."
    return {"paid": amount}

def payer():
    return ak.Agent("payer", ScriptedModel([call("pay", amount=5.0), "all done"]), tools=[pay])
"""


EXECUTE = ["jupyter-execute", "--inplace", "--timeout=60", "a.ipynb"]
PAPERMILL = ["papermill", "a.ipynb", "a.ipynb", "--no-progress-bar"]


def executed(folder, words, *sources, fails=False):
    """A notebook's cells after a program executed them, and what it said."""
    made = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for i, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "a.ipynb").write_text(json.dumps(notebook))
    done = subprocess.run(
        [Path(sys.executable).with_name(words[0]), *words[1:]],
        cwd=folder,
        env={**os.environ, "AGENTKIT_LOG": str(folder / ".agentkit")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stderr
    return json.loads((folder / "a.ipynb").read_text()), done.stderr


@pytest.mark.parametrize("words", [EXECUTE, PAPERMILL], ids=["jupyter-execute", "papermill"])
def test_a_notebook_without_a_person_holds_html_of_what_became_of_the_run(tmp_path, words):
    """Paused with how to go on; ended where it ended while the kernel lived; no widget; and nothing hangs."""
    saved, _ = executed(
        tmp_path,
        words,
        CELLS,
        "waits = payer().run('go')\nwaits",
        "run = payer().run('go')\nrun",
        "import time\nwhile not run.pending: time.sleep(0.1)\nrun.approve()\nrun.result()",
    )
    shown = [cell["outputs"][-1]["data"] for cell in saved["cells"][1:3]]
    assert "ak.resume(" in "".join(shown[0]["text/html"])
    assert "waits for a person" in "".join(shown[0]["text/html"])
    assert "all done" in "".join(shown[1]["text/html"])
    assert "widget" not in json.dumps([shown, saved["metadata"]])


@pytest.mark.parametrize("words", [EXECUTE, PAPERMILL], ids=["jupyter-execute", "papermill"])
def test_a_cell_that_waits_for_nobody_ends_with_who_can_answer(tmp_path, words):
    """No time-out is waited for; the run stays paused, and its trace is in the cell."""
    _, told = executed(tmp_path, words, CELLS, "payer().run('go').wait()", fails=True)
    assert "RunPaused" in told
    assert "nobody can be asked here" in told


def test_a_terminal_shows_text():
    """IPython outside of a notebook: the tree, and nothing of widgets."""
    code = (
        f"{CELLS}\nrun = payer().run('go', log='memory:')\ntry:\n    run.result()\nexcept ak.RunPaused:\n    pass\nrun"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "IPython",
            "--no-banner",
            "--colors=NoColor",
            "--simple-prompt",
            "-c",
            f"get_ipython().run_cell({code!r})",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "payer" in done.stdout, done.stdout + done.stderr
    assert "waits" in done.stdout
    assert "<div" not in done.stdout
