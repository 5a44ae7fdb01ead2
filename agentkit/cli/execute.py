"""Starting, resuming, forking and stopping runs."""

from typing import Annotated

import typer

from agentkit.cli import find
from agentkit.cli.follow import finish, follow
from agentkit.cli.options import (
    Approve,
    AsJson,
    Deps,
    LogUrl,
    ModelCalls,
    Usd,
    json_value,
    read_file,
    the_budget,
    the_log,
)
from agentkit.cli.screen import say
from agentkit.errors import ConfigError

RunId = Annotated[
    str, typer.Argument(metavar="RUN_ID", help="The run's id, or the beginning of it.", show_default=False)
]


def run(
    agent: Annotated[str, typer.Argument(metavar="MODULE:AGENT", help="For example shop:support, or shop.py.")],
    text: Annotated[str | None, typer.Argument(help="What the user says.", show_default=False)] = None,
    input: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Read the input: a .json file as JSON, others as text; - is standard input."),
    ] = None,
    approve: Approve = None,
    usd: Usd = None,
    model_calls: ModelCalls = None,
    deps: Deps = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag to find the run by; may be repeated.")] = None,
    session: Annotated[str | None, typer.Option(help="Recorded with the run.", show_default=False)] = None,
    user: Annotated[str | None, typer.Option(help="Recorded with the run.", show_default=False)] = None,
    after: Annotated[
        str | None, typer.Option(metavar="RUN_ID", help="Go on with that run's conversation.", show_default=False)
    ] = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Run an agent: its steps on standard error, its output on standard output."""
    if (text is None) == (input is None):
        raise ConfigError("give what the user says, or --input FILE (- for standard input)")
    found = find.agent_at(agent)
    given = text if input is None else _given(input)
    place = the_log(log, make=True)
    started = found.run(
        given,
        after=after,
        deps=None if deps is None else find.value_at(deps),
        tags=tag or (),
        session=session,
        user=user,
        log=place,
        budget=the_budget(usd, model_calls),
    )
    finish(started, follow(started, approve=approve), place, json=json)


def _given(file: str) -> object:
    text = read_file(file)
    return json_value(text, f"--input {file}") if file.endswith(".json") else text.strip()


def resume(
    run_id: Annotated[
        str | None,
        typer.Argument(help="The run, or the beginning of its id; the only unfinished one when left out."),
    ] = None,
    approve: Approve = None,
    usd: Usd = None,
    model_calls: ModelCalls = None,
    deps: Deps = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Go on with a run that is paused, or whose process ended."""
    place = the_log(log)
    found = find.unfinished(place, run_id)
    found.resume(budget=the_budget(usd, model_calls), deps=None if deps is None else find.value_at(deps))
    finish(found, follow(found, approve=approve), place, json=json)


def fork(
    run_id: RunId,
    at: Annotated[int, typer.Option(help="The last event, by its seq, that the new run shares.")],
    approve: Approve = None,
    deps: Deps = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Begin a new run that shares another's events up to one of them."""
    place = the_log(log)
    parent = find.run_by(place, run_id)
    forked = parent.fork(at, deps=None if deps is None else find.value_at(deps))
    finish(forked, follow(forked, approve=approve), place, json=json)


def pause(run_id: RunId, log: LogUrl = None) -> None:
    """Have a run stop after what is in flight, wherever it executes."""
    found = find.run_by(the_log(log), run_id)
    status = found.status
    if status not in {"running", "waiting"}:
        raise ConfigError(f"run {found.run_id} is {status}: only what executes can be paused")
    found.pause()
    say(f"asked: run {found.run_id} stops after what is in flight; agentkit resume {found.run_id} goes on")


def cancel(
    run_id: RunId,
    why: Annotated[str | None, typer.Option(help="Recorded.", show_default=False)] = None,
    log: LogUrl = None,
) -> None:
    """End a run, wherever it executes; what cannot be stopped is waited for and recorded."""
    found = find.run_by(the_log(log), run_id)
    found.cancel(why)
    say(f"run {found.run_id}: {found.status if found.state.ended else 'cancel asked'}")
