"""Running a pipeline or an agent for many items: a bar, JSON lines, an exit code; called again, it does the rest."""

from typing import Any, Literal, NoReturn

import typer

from agentkit.batch import Batch, Row
from agentkit.cli.follow import CANCELLED, DONE, FAILED, INTERRUPTED, WAITS, how_to_answer, rule
from agentkit.cli.screen import out_line, say
from agentkit.errors import AgentKitError, RunCancelled, RunPaused
from agentkit.jsonvalue import JsonValue

_LISTED = 10


def finish_all(batch: Batch, *, approve: Literal["all", "none"] | None, retry: bool = False) -> None:
    """Wait for a batch, print what became of each item, and leave with its exit code; `retry` does failures again."""
    try:
        _wait(batch, approve)
        if retry and batch.counts.failed:
            _wait(batch.retry(), approve)
        error = _broke(batch)
        for row, output in batch.outcomes():
            out_line(_line(row, output))
    except KeyboardInterrupt:
        say(f"\n{batch!r}\nthe same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    say(repr(batch))
    if error is not None:
        raise error
    for asked in (pending := batch.pending)[:_LISTED]:
        say(f"  {asked}\n    {how_to_answer(asked)}")
    if len(pending) > _LISTED:
        say(f"  … and {len(pending) - _LISTED:,} more: agentkit pending")
    raise typer.Exit(_code(batch))


def submit_all(batch: Batch) -> NoReturn:
    """Wait until every item is the workers', print each with its run, and leave; nobody waits for the runs."""
    try:
        batch.wait_begun()
        code, error = DONE, None
    except KeyboardInterrupt:
        code, error = INTERRUPTED, None
    except AgentKitError as problem:
        code, error = FAILED, problem
    for row in batch.begun:
        if row.run_id is not None:
            out_line({"index": row.index, "run_id": row.run_id})
    say(repr(batch))
    if code == INTERRUPTED:
        say("the same command submits the rest")
    if error is not None:
        raise error
    raise typer.Exit(code)


def _wait(batch: Batch, approve: Literal["all", "none"] | None) -> None:
    while batch.wait() and _answer(batch, approve):
        pass


def _broke(batch: Batch) -> AgentKitError | None:
    """What kept the batch from going on, beside its items: the log, or what was to be read."""
    try:
        batch.check()
    except (RunPaused, RunCancelled):
        return None
    except AgentKitError as error:
        return error
    return None


def _answer(batch: Batch, approve: Literal["all", "none"] | None) -> bool:
    """Answer by rule what the runs wait for; whether there was anything."""
    if approve is None:
        return False
    ruled = [(run, asked) for run in batch.waiting for asked in run.pending if asked.kind in {"call", "question"}]
    for run, asked in ruled:
        rule(run, asked, approve)
    return bool(ruled)


def _line(row: Row, output: JsonValue) -> dict[str, Any]:
    line: dict[str, Any] = {"index": row.index, "run_id": row.run_id, "status": row.status}
    if row.status == "succeeded":
        line["output"] = output
    elif row.error is not None:
        line["error"] = row.error
    return line


def _code(batch: Batch) -> int:
    """3 before 1: while some wait for a person, the batch is not over."""
    counts = batch.counts
    if counts.paused or counts.left:
        return WAITS if counts.paused else FAILED
    if counts.failed:
        return CANCELLED if all(row.status == "cancelled" for row in batch.failed) else FAILED
    return DONE
