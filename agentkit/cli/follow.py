"""Following a run to its end or to the person it waits for; asking there, where somebody can be asked."""

import contextlib
from collections.abc import Generator
from typing import Any, Literal

import typer

from agentkit.cli.live import Steps, Tree, coloured, room
from agentkit.cli.screen import errors, out, say
from agentkit.demo.summary import is_audit
from agentkit.demo.summary import summary as audit_summary
from agentkit.errors import AgentKitError, ApprovalError, ResumeError, RunCancelled, RunClaimed, RunFailed, RunPaused
from agentkit.log import Log
from agentkit.runner.run import Run
from agentkit.runner.terminal import can_ask
from agentkit.state import Approval

DONE, FAILED, WRONG, WAITS, CANCELLED, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""The exit codes; `app` says what each means."""

_LONG = 100
"""Lines of a tree that are left on the terminal."""

_CODES = {"succeeded": DONE, "failed": FAILED, "paused": WAITS, "cancelled": CANCELLED, "interrupted": INTERRUPTED}


def follow(run: Run, *, approve: Literal["all", "none"] | None = None) -> int:
    """Show a run until it ended, or until nobody here can answer what it waits for.

    Args:
        run: executing here.
        approve: answers without a person.

    Returns:
        The exit code.
    """
    try:
        while (settled := _settle(run)) == WAITS and _answer(run, approve):
            pass
    except KeyboardInterrupt:
        return _interrupt(run)
    errors().print(coloured(_at_the_end(run)))
    code = WRONG if settled == WRONG else _CODES.get(run.status, FAILED)
    if code == WAITS:
        say(how_to_go_on(run))
    return code


def _at_the_end(run: Run) -> str:
    """The tree that stays on the terminal; of a long one, its first line and where the rest is."""
    tree = Tree(run).text()
    first, *rest = tree.splitlines()
    if len(rest) <= _LONG:
        return tree
    return f"{first}\n   ({len(rest)} steps and lines: agentkit show {run.run_id})"


def _settle(run: Run) -> int:
    """Wait, showing what happens, until the run ends or waits."""
    steps = Steps(run)
    with _live(run):
        while True:
            try:
                run.result(timeout=None if errors().is_terminal else 1)
            except TimeoutError:
                steps.tell()  # a file or a pipe has no place to redraw: a line a step
            except RunPaused:
                return WAITS
            except (RunFailed, RunCancelled):
                return _CODES.get(run.status, FAILED)
            except (ResumeError, RunClaimed) as error:  # another process was quicker
                say(f"agentkit: {error}")
                return WRONG
            else:
                return DONE


@contextlib.contextmanager
def _live(run: Run) -> Generator[None]:
    """The tree, redrawn four times a second where there is a terminal; it leaves nothing behind."""
    if not errors().is_terminal:
        yield
        return
    from rich.live import Live

    with Live(Tree(run, room()), console=errors(), refresh_per_second=4, transient=True, vertical_overflow="crop"):
        yield


def _answer(run: Run, approve: Literal["all", "none"] | None) -> bool:
    """Answer what the run waits for, by rule or by the person at the terminal; False where it stays."""
    pending = run.pending
    if approve is not None:
        ruled = [asked for asked in pending if asked.kind in {"call", "question"}]
        for asked in ruled:
            rule(run, asked, approve)
        return bool(ruled)
    if not pending or not can_ask():
        return False
    errors().print(coloured(Tree(run, room()).text()))
    for asked in pending:
        run.ask(asked)
    return True


def rule(run: Run, asked: Approval, approve: Literal["all", "none"]) -> None:
    """Answer a call or a question without a person; where somebody was first, that stands."""
    with contextlib.suppress(ApprovalError):
        if asked.kind == "call" and approve == "all":
            run.approve(asked.id, comment="--approve all")
        else:
            run.reject(asked.id, reason=f"nobody was there to be asked (--approve {approve})")


def _interrupt(run: Run) -> int:
    """Ctrl-C: stop after what is in flight; a second one leaves at once, and nothing is lost by it."""
    say("\nstopping after what is in flight; Ctrl-C again leaves at once")
    with contextlib.suppress(KeyboardInterrupt, AgentKitError, TimeoutError):
        run.pause()
        run.result(timeout=60)
    say(f"agentkit resume {run.run_id} goes on")
    return INTERRUPTED


def how_to_go_on(run: Run) -> str:
    """What to type for a paused run."""
    pending = run.pending
    if not pending:
        return f"paused: agentkit resume {run.run_id} goes on"
    return "it waits for a person:\n" + "\n".join(f"  {asked}\n    {how_to_answer(asked)}" for asked in pending)


def how_to_answer(asked: Approval) -> str:
    """The commands that answer a question."""
    key = asked.id[:8]
    budget = '{"usd": null}' if asked.because == "price_unknown" else '{"usd": 1.0, "model_calls": 100}'
    ways = {
        "call": f"agentkit approve {key}   or: agentkit reject {key} --reason …",
        "question": f"agentkit answer {key} " + ("|".join(map(repr, asked.options)) or "…"),
        "in_doubt": f"agentkit resolve {key} happened --result …   or: 'did not', stop",
        "budget": f"agentkit approve {key} --edit '{budget}'   or: agentkit reject {key}",
        "loop": f"agentkit approve {key}   or: agentkit reject {key}",
        "deopt": f"agentkit approve {key}   or: agentkit reject {key}",
    }
    return ways[asked.kind]


def finish(run: Run, code: int, log: Log, *, json: bool) -> None:
    """Print what a followed run gave, and leave with its exit code."""
    if json:
        out(summary(run))
    elif code == DONE and is_audit(run.state):
        out(audit_summary(log, run))
    elif code == DONE:
        output: Any = run.state.output
        out(output)
    elif code == FAILED and (error := run.state.error) is not None:
        say(f"failed: {error.type}: {error.message}")
    raise typer.Exit(code)


def summary(run: Run) -> dict[str, Any]:
    """A run as JSON: how it ended or what it waits for, and what it used."""
    state, usage = run.state, run.usage
    return {
        "run_id": run.run_id,
        "name": state.name,
        "status": run.status,
        "input": state.input,
        "output": state.output,
        "error": state.error and state.error.model_dump(mode="json", exclude_defaults=True),
        "started_at": state.started_at,
        "ended_at": state.ended_at,
        "usage": usage.model_dump(mode="json"),
        "pending": [question(asked) for asked in run.pending],
    }


def question(asked: Approval) -> dict[str, Any]:
    """A question to a person as JSON."""
    return {
        "id": asked.id,
        "run_id": asked.run_id,
        "kind": asked.kind,
        "step": asked.step,
        "name": asked.name,
        "prompt": asked.prompt,
        "arguments": asked.arguments,
        "why": asked.why,
        "because": asked.because,
        "options": list(asked.options),
        "requested_at": asked.requested_at,
        "expires": asked.expires,
    }
