"""Starting, resuming, forking and stopping runs."""

from typing import Annotated, Any

import typer

from agentkit.agent import Agent
from agentkit.cli import find
from agentkit.cli.follow import finish, follow
from agentkit.cli.given import Counted, for_pipeline, inputs_of, lines_of, only_input, with_set
from agentkit.cli.many import finish_all, submit_all
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
from agentkit.cli.screen import out, say
from agentkit.errors import ConfigError
from agentkit.pipeline import Pipeline

RunId = Annotated[
    str, typer.Argument(metavar="RUN_ID", help="The run's id, or the beginning of it.", show_default=False)
]


def run(
    what: Annotated[
        str, typer.Argument(metavar="MODULE:NAME", help="An agent or a pipeline, for example shop:support, or shop.py.")
    ],
    text: Annotated[
        str | None, typer.Argument(help="What the user says; of a pipeline, its only input.", show_default=False)
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Read the input: a .jsonl file is one run a line; a .json file as JSON (a pipeline runs for each "
            "element of an array), others as text; - is standard input.",
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A pipeline's input, JSON or text; may be repeated."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Of many runs, how many execute at one time.")] = 8,
    retry: Annotated[bool, typer.Option("--retry", help="Of many runs, try those that failed once more.")] = False,
    submit: Annotated[
        bool,
        typer.Option(
            "--submit",
            help="Leave it to the log's workers, and print the run's id, of many items a JSON line each; see agentkit "
            "worker.",
        ),
    ] = False,
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
    """Run an agent or a pipeline: its steps on standard error, its output on standard output.

    For many inputs: a bar on standard error, a JSON object an item on standard output. The same command again does
    what is not done; with --retry, what failed too; with --submit, it submits what is not there yet.
    """
    if text is not None and input is not None:
        raise ConfigError("give what the user says, or --input FILE (- for standard input), not both")
    found = find.definition_at(what)
    given = _for_agent(text, input, set) if isinstance(found, Agent) else _for_pipeline(found, text, input, set or [])
    if after is not None and (isinstance(given, Counted) or isinstance(found, Pipeline)):
        raise ConfigError("--after goes on with one agent's conversation")
    if submit and (deps is not None or approve is not None or retry):
        raise ConfigError(
            "--submit leaves the run to a worker: it has its own --deps, and --approve and --retry are ours"
        )
    place = the_log(log, make=True)
    options: dict[str, Any] = {
        "tags": tag or (),
        "session": session,
        "user": user,
        "log": place,
        "budget": the_budget(usd, model_calls),
    }
    if submit:
        if isinstance(given, Counted):
            submit_all(found.map(given, submit=True, **options))
        _submit(found, given, after, options)
        return
    options["deps"] = None if deps is None else find.value_at(deps)
    if isinstance(given, Counted):
        finish_all(found.map(given, concurrency=concurrency, **options), approve=approve, retry=retry)
    elif isinstance(found, Agent):
        started = found.run(given, after=after, **options)
        finish(started, follow(started, approve=approve), place, json=json)
    else:
        started = found.run(**options, **given)
        finish(started, follow(started, approve=approve), place, json=json)


def _submit(found: Agent | Pipeline, given: Any, after: str | None, options: dict[str, Any]) -> None:
    """Leave one run to the workers, and print its id."""
    is_agent = isinstance(found, Agent)
    left = found.submit(given, after=after, **options) if is_agent else found.submit(**options, **given)
    out(left.run_id)


def _for_agent(text: str | None, file: str | None, named: list[str] | None) -> Any:
    """What an agent is given: text, JSON, or many of them."""
    if named:
        raise ConfigError("--set names a pipeline's inputs; an agent is given a text, or --input FILE")
    if file is None:
        if text is None:
            raise ConfigError("give what the user says, or --input FILE (- for standard input)")
        return text
    if file.endswith(".jsonl"):
        lines = lines_of(file)
        return Counted(lines, lines.check(lambda value: value))
    content = read_file(file)
    return json_value(content, f"--input {file}") if file.endswith(".json") else content.strip()


def _for_pipeline(pipeline: Pipeline, text: str | None, file: str | None, named: list[str]) -> Any:
    """What a pipeline is given: its inputs by name, or many items."""
    given = None
    if file is not None:
        given = for_pipeline(file)
        if not isinstance(given, dict):
            if named:
                raise ConfigError("--set names the inputs of one run, and --input gives many")
            pipeline.check()
            return Counted(given, given.check(lambda item: pipeline.read(pipeline.as_inputs(item))))
    elif text is not None:
        given = only_input(pipeline, text)
    return with_set(pipeline, given, named)


def resume(
    run_id: Annotated[
        str | None,
        typer.Argument(help="The run, or the beginning of its id; the only unfinished one when left out."),
    ] = None,
    approve: Approve = None,
    usd: Usd = None,
    model_calls: ModelCalls = None,
    deps: Deps = None,
    submit: Annotated[bool, typer.Option("--submit", help="Leave it to the log's workers.")] = False,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Go on with a run that is paused, or whose process ended."""
    place = the_log(log)
    found = find.unfinished(place, run_id)
    if submit:
        found.resume(submit=True, budget=the_budget(usd, model_calls))
        say(f"run {found.run_id} waits for a worker")
        return
    found.resume(budget=the_budget(usd, model_calls), deps=None if deps is None else find.value_at(deps))
    finish(found, follow(found, approve=approve), place, json=json)


def fork(
    run_id: RunId,
    at: Annotated[
        str | None,
        typer.Option(
            help="The last event, by its seq, that the new run shares; of a pipeline, a step or an item (work[3]) to "
            "be done again, with what needs it. Without it, what failed or changed is.",
            show_default=False,
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Another input of a pipeline; may be repeated.", show_default=False),
    ] = None,
    approve: Approve = None,
    deps: Deps = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Begin a new run that shares another's events: up to one of them, or all but some of a pipeline's steps."""
    place = the_log(log)
    parent = find.run_by(place, run_id)
    forked = parent.fork(
        int(at) if at is not None and at.isdigit() else at,
        input=inputs_of(parent.state.config.get("input", {}), set) if set else None,
        deps=None if deps is None else find.value_at(deps),
    )
    finish(forked, follow(forked, approve=approve), place, json=json)


def pause(run_id: RunId, log: LogUrl = None) -> None:
    """Have a run stop after what is in flight, wherever it executes."""
    found = find.run_by(the_log(log), run_id)
    status = "paused" if found.state.status == "paused" else found.status  # also one that was answered since
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
