"""What a crash leaves of a pipeline's step: nothing is lost, nothing is done twice, and who is asked is asked once."""

import contextlib
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from small_agents import SOON, paused
from small_pipelines import cut, pipeline_of, until, wait_until

import agentkit as ak
from agentkit.errors import ApprovalError, LogUnwritable, ResumeError, RunClaimed
from agentkit.stores.embedded import EmbeddedStore
from agentkit.stores.embedded.journal import Journal
from agentkit.testing import FailPoints


def writing(done, **options):
    """A pipeline whose second step writes."""

    def first(x: int) -> int:
        return x + 1

    def write(first: int, ctx: ak.Context) -> str:
        done.append((first, ctx.idempotency_key))
        return f"wrote {first}"

    return pipeline_of(first, (write, {"writes": True, **options}))


def crashed(log, pipeline, kind, step):
    """A run that was whole once, as a process that died right before this event left it."""
    run = pipeline.run(x=1, log=log)
    run.result(SOON)
    return cut(log, run, until(kind, step)), run.run_id


def test_a_plain_write_in_doubt_is_asked_about_once_with_what_it_got(log):
    """The card shows the arguments that the graph gave it; "did not" lets it run, and nothing is asked again."""
    done = []
    left, run_id = crashed(log, writing(done), "step_succeeded", "write")
    run = ak.resume(run_id, log=left)
    (asked,) = paused(run)
    assert (asked.kind, asked.step, asked.arguments) == ("in_doubt", "write", {"first": 2})
    run.resolve(asked.id, "did not")
    assert run.result(SOON) == "wrote 2"
    assert done == [done[0], done[0]]


def test_a_plain_write_that_happened_is_not_done_again(log):
    """Its result is what the person says."""
    done = []
    left, run_id = crashed(log, writing(done), "step_succeeded", "write")
    run = ak.resume(run_id, log=left)
    paused(run)
    for result in (5, None):
        with pytest.raises(ApprovalError, match=r"the result of write is not valid: .*should be a valid string"):
            run.resolve(None, "happened", result=result)
    run.resolve(None, "happened", result="wrote 2, I saw it")
    assert run.result(SOON) == "wrote 2, I saw it"
    assert len(done) == 1


def test_an_idempotent_write_runs_again_with_its_key(log):
    """Nobody is asked."""
    done = []
    left, run_id = crashed(log, writing(done, idempotent=True), "step_succeeded", "write")
    assert ak.resume(run_id, log=left).result(SOON) == "wrote 2"
    assert done == [done[0], done[0]]


def test_a_step_that_was_removed_while_it_was_open_is_named(log):
    """The run cannot go on without it."""
    pipeline = writing([])
    left, run_id = crashed(log, pipeline, "step_succeeded", "write")
    pipeline.remove("write")
    with pytest.raises(ResumeError, match=r"waits at write, .* has no \w+ 'write' any more"):
        ak.resume(run_id, log=left)


def test_a_step_that_was_added_meanwhile_runs_too(log):
    """A run goes on with the pipeline as it is now, and keeps what was done."""
    done = []
    pipeline = writing(done)
    left, run_id = crashed(log, pipeline, "run_succeeded", None)

    @pipeline.step
    def after(write: str) -> str:
        return f"after {write}"

    assert ak.resume(run_id, log=left).result(SOON) == "after wrote 2"
    assert len(done) == 1


def test_a_step_whose_source_changed_runs_as_it_is_now(log):
    """What it was before is not done again where it ended."""
    pipeline = writing([], idempotent=True)
    left, run_id = crashed(log, pipeline, "step_succeeded", "write")

    @pipeline.step(writes=True, idempotent=True)
    def write(first: int) -> str:
        return f"now {first}"

    assert ak.resume(run_id, log=left).result(SOON) == "now 2"


def test_a_started_write_that_became_a_read_cannot_go_on(log):
    """It may have had its effect."""
    pipeline = writing([])
    left, run_id = crashed(log, pipeline, "step_succeeded", "write")

    @pipeline.step
    def write(first: int) -> str:
        return "read"

    with pytest.raises(ResumeError, match=r"started write .* writes=True, idempotent=False \(now writes=False"):
        ak.resume(run_id, log=left)


HOLDS = """
import time
from small_pipelines import pipeline_of

def slow(x: int) -> int:
    time.sleep(60)
    return x

run = pipeline_of(slow).run(x=1, log={url!r})
print("run", run.run_id, flush=True)
run.result(60)
"""


def test_of_two_processes_one_executes_a_run_and_the_other_is_told_who(embedded_log):
    """When the first is killed the second goes on with it."""

    def slow(x: int) -> int:
        return x + 10

    pipeline_of(slow)
    code, here = HOLDS.format(url=embedded_log.url), Path(__file__).parent
    with subprocess.Popen([sys.executable, "-c", code], cwd=here, stdout=subprocess.PIPE, text=True) as other:
        run_id = next(line for line in other.stdout if line.startswith("run")).split()[1]
        wait_until(lambda: embedded_log.store.read(run_id))
        with pytest.raises(RunClaimed, match=f"is being executed by process {other.pid}"):
            ak.resume(run_id, log=embedded_log)
        other.kill()
        other.wait(SOON)
    assert ak.resume(run_id, log=embedded_log).result(SOON) == 11


def test_a_disk_that_is_full_fails_the_run_and_the_write_is_not_performed(embedded_log):
    """The step that needed the durable append is not performed; the run fails with that error."""
    done = []
    pipeline = writing(done)

    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = pipeline.run(x=1, log=embedded_log)
    assert run.result(SOON)
    with FailPoints("segment.written", nth=1, action=full) as points:
        run = pipeline.run(x=2, log=embedded_log)
        with pytest.raises(LogUnwritable, match="disk is full"):
            run.result(SOON)
    assert points.reached["segment.written"] >= 1
    assert len(done) == 1


def test_a_step_that_takes_its_time_is_in_the_log_while_it_executes(embedded_log, monkeypatch):
    """A read waits for no disk; yet others see that it began, and a process killed now leaves a run to go on with."""
    monkeypatch.setattr(Journal, "flush", lambda _self: None)  # the store's own look comes after a second
    leave = threading.Event()

    def look(x: int) -> int:
        assert leave.wait(SOON)
        return x

    run = pipeline_of(look).run(x=1, log=embedded_log)
    with contextlib.closing(EmbeddedStore(Path(embedded_log.url))) as other:  # as another process sees it
        wait_until(lambda: len(other.read(run.run_id)) == 2)
    leave.set()
    assert run.result(SOON) == 1
