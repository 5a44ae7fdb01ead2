"""Answering what runs wait for, from any terminal that opens the log."""

from typing import Annotated, Literal

import typer

from agentkit.cli import find
from agentkit.cli.execute import RunId
from agentkit.cli.follow import WAITS, finish, follow
from agentkit.cli.options import Approve, AsJson, LogUrl, json_object, json_value, read_file, the_log
from agentkit.cli.screen import say
from agentkit.errors import ConfigError
from agentkit.log import Log
from agentkit.runner.answers import Answered
from agentkit.runner.run import Run
from agentkit.runner.terminal import chosen

Question = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="The question, or the beginning of its id; the only one when left out."),
]


def approve(
    id: Question = None,
    edit: Annotated[
        str | None, typer.Option(metavar="JSON", help="Arguments to replace, as an object.", show_default=False)
    ] = None,
    comment: Annotated[str | None, typer.Option(help="Recorded.", show_default=False)] = None,
    log: LogUrl = None,
    json: AsJson = False,
    approve: Approve = None,
) -> None:
    """Let a call run, as it is or edited; or raise a budget."""
    edits = None if edit is None else json_object(edit, "--edit")
    place, run, asked = _asked(id, log)
    _go_on(place, run, run.approve(asked, edit=edits, comment=comment), json=json, approve=approve)


def reject(
    id: Question = None,
    reason: Annotated[str | None, typer.Option(help="What the model is told.", show_default=False)] = None,
    log: LogUrl = None,
    json: AsJson = False,
    approve: Approve = None,
) -> None:
    """Say no: the model is told the reason, and goes on."""
    place, run, asked = _asked(id, log)
    _go_on(place, run, run.reject(asked, reason=reason), json=json, approve=approve)


def answer(
    id: Annotated[str, typer.Argument(metavar="ID", help="The question, or the beginning of its id.")],
    value: Annotated[str, typer.Argument(help="The answer: JSON where it is JSON, else text.")],
    log: LogUrl = None,
    json: AsJson = False,
    approve: Approve = None,
) -> None:
    """Answer a question, or give a call's result instead of running it."""
    place, run, asked = _asked(id, log)
    options = next(one.options for one in run.pending if one.id == asked)
    _go_on(place, run, run.answer(asked, chosen(value, options)), json=json, approve=approve)


def resolve(
    id: Annotated[str, typer.Argument(metavar="ID", help="The step in doubt, by the beginning of its question's id.")],
    what: Annotated[
        Literal["happened", "did not", "did_not", "stop"],
        typer.Argument(help="It happened; it did not, so run it now; or end the run."),
    ],
    result: Annotated[
        str | None, typer.Option(metavar="JSON", help="What it returned, if it happened.", show_default=False)
    ] = None,
    log: LogUrl = None,
    json: AsJson = False,
    approve: Approve = None,
) -> None:
    """Say what became of a write that was started and never recorded as finished."""
    if result is not None and what != "happened":
        raise ConfigError("--result goes with 'happened'")
    value = None if result is None else json_value(result, "--result")
    place, run, asked = _asked(id, log)
    _go_on(place, run, run.resolve(asked, what, result=value), json=json, approve=approve)


def grade(
    run_id: RunId,
    verdict: Annotated[Literal["good", "bad"], typer.Argument(help="Promotion learns from the good ones.")],
    why: Annotated[str | None, typer.Option(help="Recorded.", show_default=False)] = None,
    log: LogUrl = None,
) -> None:
    """Judge an ended run."""
    run = find.run_by(the_log(log), run_id)
    run.grade(verdict, why=why)
    say(f"run {run.run_id}: {verdict}")


def comment(
    run_id: RunId,
    text: Annotated[str, typer.Argument(help="The words; - reads them from standard input.")],
    step: Annotated[
        str | None, typer.Option(help='The step they are about, for example "tool/refund/2".', show_default=False)
    ] = None,
    by: Annotated[str | None, typer.Option(help="Whose words they are; yours by default.", show_default=False)] = None,
    log: LogUrl = None,
) -> None:
    """Leave words on a run or on one of its steps, for whoever looks at it; whether it runs, waits or has ended."""
    run = find.run_by(the_log(log), run_id)
    say(str(run.comment(read_file("-") if text == "-" else text, step, by=by)))


def _asked(key: str | None, url: str | None) -> tuple[Log, Run, str]:
    """The log, the run at the top of the question's family, and the question's id."""
    log = the_log(url)
    found = find.question_by(log, key)
    return log, find.top_of(log, found.run_id), found.id


def _go_on(log: Log, run: Run, answered: Answered, *, json: bool, approve: Literal["all", "none"] | None) -> None:
    """Say who goes on with the run; where that is this process, stay until it is through."""
    say(str(answered))
    if run.is_here:
        finish(run, follow(run, approve=approve), log, json=json)
    state = run.state
    is_workers = state.submitted and not state.is_kept
    if not is_workers and not state.ended and log.store.holder(run.run_id) is None:
        raise typer.Exit(WAITS)
