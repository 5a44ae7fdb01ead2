"""`agentkit run --submit` with many items: a line each, nothing twice, and workers that do the rest."""

import contextlib
import json
import os
import signal
import subprocess
import time

import pytest
from test_cli import COMMAND, SHOP

import agentkit as ak


@pytest.fixture
def agentkit(tmp_path):
    """Runs a command in a folder with the module `shop`; gives its exit code, its JSON lines and what it said."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / ".agentkit").mkdir()

    def run(*arguments, code=0):
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr

    return run


def test_many_items_are_submitted_once_and_done_by_a_worker(agentkit, tmp_path):
    """The command leaves at once; again, it submits what is new; without --submit, it shows what became of them."""
    items = tmp_path / "items.jsonl"
    items.write_text("1\n-2\n3\n")
    first, said = agentkit("run", "shop:twice", "--input", "items.jsonl", "--submit")
    assert [list(line) for line in first] == [["index", "run_id"]] * 3
    assert "twice: 0 of 3 done, 3 waiting for a worker" in said
    items.write_text("1\n-2\n3\n4\n")
    second, _ = agentkit("run", "shop:twice", "--input", "items.jsonl", "--submit")
    assert second[:3] == first
    assert [line["index"] for line in second] == [0, 1, 2, 3]
    agentkit("worker", "shop:twice", "--until-idle")
    done, said = agentkit("run", "shop:twice", "--input", "items.jsonl", code=1)
    assert [line.get("output") for line in done] == [2, None, 6, 8]
    assert [line["run_id"] for line in done] == [line["run_id"] for line in second]
    assert "twice: 3 of 4 done, 1 failed" in said


def test_an_item_that_cannot_be_read_keeps_all_from_being_submitted(agentkit, tmp_path):
    """The line is named; the log has no run."""
    (tmp_path / "items.jsonl").write_text('1\n"two"\n')
    lines, said = agentkit("run", "shop:twice", "--input", "items.jsonl", "--submit", code=2)
    assert lines == []
    assert "items.jsonl, line 2: twice: " in said
    with contextlib.closing(ak.open_log(tmp_path / ".agentkit")) as log:
        assert len(log.runs()) == 0


def test_ctrl_c_ends_the_submitting_and_the_same_command_submits_the_rest(agentkit, tmp_path):
    """What was printed is submitted; nothing is submitted twice."""
    items = tmp_path / "items.jsonl"
    items.write_text("".join(f"{n}\n" for n in range(3000)))
    command = [*COMMAND, "run", "shop:twice", "--input", "items.jsonl", "--submit"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        ready = tmp_path / ".agentkit" / "queue" / "ready"
        until(lambda: sum(len(names) for *_, names in os.walk(ready)) > 50)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command submits the rest" in said
    printed = [json.loads(line) for line in out.splitlines()]
    assert 50 <= len(printed) < 3000
    items.write_text("".join(f"{n}\n" for n in range(len(printed) + 10)))
    lines, _ = agentkit("run", "shop:twice", "--input", "items.jsonl", "--submit")
    assert lines[: len(printed)] == printed
    with contextlib.closing(ak.open_log(tmp_path / ".agentkit")) as log:
        assert list(log.sql("SELECT count(*) FROM runs")) == [(len(lines),)]


def until(holds):
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
