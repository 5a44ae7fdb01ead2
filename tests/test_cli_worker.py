"""Workers, and what is left to them, from a terminal."""

import subprocess
from pathlib import Path

import chores
from test_cli import COMMAND


def ran(*arguments, log):
    done = subprocess.run(
        [*COMMAND, *arguments, "--log", log.url], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_leaves_runs_to_workers(embedded_log, tmp_path):
    """`run --submit` prints the id; `worker --until-idle` does it; `resume --submit` hands a paused one back."""
    log, marks, place = embedded_log, tmp_path / "marks", Path(chores.__file__)
    code, out, _ = ran("run", f"{place}:chore", "--set", "n=1", "--set", f"marks={marks}", "--submit", log=log)
    run = log.run(out.strip())
    assert (code, run.status) == (0, "waiting")
    assert ran("pause", run.run_id, log=log)[0] == 0
    assert run.status == "paused"
    assert "waits for a worker" in ran("resume", run.run_id, "--submit", log=log)[2]
    code, _, said = ran("worker", str(place), "--until-idle", log=log)
    assert (code, run.output) == (0, "paid 3")
    assert "takes runs of chore, hasty, branches, blunt, clerk, chief, 8 at one time" in said
    assert f"chore {run.run_id} succeeded after" in said
    code, _, said = ran("run", f"{place}:chore", "--submit", "--deps", "os:sep", "--set", "n=1", log=log)
    assert (code, "--submit" in said) == (2, True)


def test_who_answers_a_run_that_workers_have_is_done(embedded_log, tmp_path):
    """0, whether a worker is there or not: it was answered, and is shown so."""
    log, place = embedded_log, str(Path(chores.__file__))
    run = chores.chore.submit(n=1, marks=str(tmp_path / "marks"), ask=True, log=log)
    ran("worker", place, "--until-idle", log=log)
    asked = run.pending[0].id
    code, _, said = ran("approve", asked[:6], log=log)
    assert (code, "agentkit worker chores" in said) == (0, True)
    code, out, _ = ran("show", run.run_id, log=log)
    assert (code, "waits for a worker" in out, "paused" in out) == (0, True, False)
    ran("worker", place, "--until-idle", log=log)
    assert run.output == "paid 3"


def test_a_worker_makes_no_log_where_a_path_is_mistyped(tmp_path, monkeypatch):
    """It refuses one that is not there; the folder's own is made, as by whoever runs something."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTKIT_LOG", raising=False)
    worker = [*COMMAND, "worker", f"{chores.__file__}:chore", "--until-idle"]
    wrong = subprocess.run([*worker, "--log", "mistyped"], capture_output=True, text=True, timeout=60, check=False)
    assert (wrong.returncode, "there is no log at mistyped" in wrong.stderr) == (2, True)
    assert not (tmp_path / "mistyped").exists()
    own = subprocess.run(worker, capture_output=True, text=True, timeout=60, check=False)
    assert (own.returncode, own.stderr.endswith(" nothing is left to do\n")) == (0, True)
    assert (tmp_path / ".agentkit").exists()
