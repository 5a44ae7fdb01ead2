"""Looking: runs, one run's tree and events, what waits for a person, and SQL."""

import csv as csv_format
import json as json_format
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

import typer

from agentkit.cli import find
from agentkit.cli.follow import how_to_answer, question, summary
from agentkit.cli.live import Tree, coloured
from agentkit.cli.options import AsJson, LogUrl, json_value, read_file, the_log
from agentkit.cli.screen import errors, out, say
from agentkit.errors import ConfigError
from agentkit.events import RunStatus
from agentkit.rows import Rows
from agentkit.text import inert, one_line

NewestRun = Annotated[str | None, typer.Argument(help="The run, or the beginning of its id; the newest when left out.")]


def runs(
    name: Annotated[str | None, typer.Option(help="Only those of this agent.", show_default=False)] = None,
    status: Annotated[
        str | None, typer.Option(help=f"Only those: {', '.join(get_args(RunStatus))}.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """List the newest runs."""
    rows = the_log(log).runs(name=name, status=status, limit=limit)
    if json:
        out(rows.dicts())
    elif not rows:
        say(f"no {'such run' if name or status else 'runs yet'} in the log {the_log(log).url}")
    else:
        _print_rows(
            Rows(("run", "name", "status", "started (UTC)", "took", "cost", "error"), [*map(_run, rows.dicts())])
        )


def _run(row: dict[str, Any]) -> tuple[str, ...]:
    """One line of `agentkit runs`."""
    took, cost = row["duration_ms"], row["cost_usd"]
    return (
        row["run_id"],
        row["name"],
        row["status"],
        f"{row['started_at']:%Y-%m-%d %H:%M:%S}",
        "" if took is None else f"{took / 1000:,.1f} s",
        "unknown" if cost is None else f"${cost:.4f}",
        one_line(str(row["error"] or ""), 60),
    )


def show(
    run_id: NewestRun = None,
    graph: Annotated[
        Literal["text", "mermaid", "svg"] | None,
        typer.Option(help="Print its graph instead: lines, mermaid's text or an SVG.", show_default=False),
    ] = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Show a run as a tree: steps, durations, tokens, cost, attempts, and why each was taken."""
    if graph is not None and json:
        raise ConfigError("--graph prints a picture and --json the steps: give one of them")
    place = the_log(log)
    run = find.run_by(place, run_id)
    if graph is not None:
        from agentkit.graph import Picture, of_run

        out({"text": str, "mermaid": Picture.mermaid, "svg": Picture.svg}[graph](of_run(run)))
        return
    if json:
        steps = place.sql("SELECT * FROM steps WHERE run_id = $run ORDER BY started_at, step", run=run.run_id)
        out(
            {**summary(run), "steps": steps.dicts(), "comments": [*map(asdict, run.comments)], "links": dict(run.links)}
        )
        return
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print(coloured(Tree(run).text()))
    for name, url in run.links:
        say(f"{name}: {url}")
    for asked in run.pending:
        say(f"waits: {asked}\n  {how_to_answer(asked)}")


def compare(
    a: Annotated[str, typer.Argument(help="A run, or the beginning of its id.")],
    b: Annotated[
        str | None, typer.Argument(help="Another; left out, A is a fork, compared with its parent.", show_default=False)
    ] = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Hold two runs against each other: where they part, and what each cost."""
    from agentkit.comparison import compare as compared

    both = compared(a, b, log=the_log(log))
    if json:
        out({"parts_at": both.parts_at, "a": asdict(both.a), "b": asdict(both.b), "steps": both.rows.dicts()})
        return
    out(str(both))


def events(
    run_id: NewestRun = None,
    after: Annotated[int, typer.Option(min=0, help="Only those with a higher seq.")] = 0,
    json: Annotated[bool, typer.Option("--json", hidden=True, help="As it is anyway.")] = True,  # noqa: ARG001
    log: LogUrl = None,
) -> None:
    """Print a run's events, one JSON object a line."""
    for event in find.run_by(the_log(log), run_id).events(after):
        out(inert(event.encode().decode()))


def prompt(
    run_id: Annotated[str, typer.Argument(help="The run, or the beginning of its id.")],
    step: Annotated[str, typer.Argument(help='The model call, for example "model/3".')],
    log: LogUrl = None,
) -> None:
    """Print what a model call was given, rebuilt from the events, as JSON."""
    found = find.run_by(the_log(log), run_id).prompt(step)
    if not found.exact:
        say(f"not exactly what was sent: {found.difference}")
    out(found.request.model_dump(mode="json", exclude_defaults=True))


def pending(json: AsJson = False, log: LogUrl = None) -> None:
    """List what waits for a person, over all runs, oldest first."""
    waiting = the_log(log).pending()
    if json:
        out([question(asked) for asked in waiting])
        return
    if not waiting:
        say("nothing waits for a person")
    for asked in waiting:
        minutes = int((datetime.now(UTC) - asked.requested_at).total_seconds() // 60)
        age = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        why = f"\n  why: {asked.why}" if asked.why else ""
        out(f"{asked}\n  run {asked.run_id}, for {age}{why}\n  {how_to_answer(asked)}")


def sql(
    query: Annotated[str, typer.Argument(help='One reading statement, for example "SELECT * FROM runs"; - reads it.')],
    param: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="NAME=JSON", help="The value of $NAME; may be repeated."),
    ] = None,
    json: AsJson = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    log: LogUrl = None,
) -> None:
    """Ask the log anything, read-only: views events, runs, steps, model_calls, tool_calls, decisions, approvals, …."""
    parameters = dict(_parameter(text) for text in param or ())
    rows = the_log(log).sql(read_file("-") if query == "-" else query, **parameters)
    if json:
        out(rows.dicts())
    elif csv:
        _print_csv(rows)
    else:
        _print_rows(rows)


def _parameter(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name.isidentifier():
        raise ConfigError(f"-p {text}: write name=value, for example -p amount=5 or -p name='\"support\"'")
    try:
        return name, json_value(value, f"-p {name}")
    except ConfigError:
        return name, value  # what is no JSON is text


def _print_rows(rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:  # for a file or a pipe nothing is cut
        console = Console(highlight=False, markup=False, emoji=False, width=10_000)
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in rows.columns:
        table.add_column(inert(column), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    errors().print(f"({len(rows)} row{'' if len(rows) == 1 else 's'})" + (f" {rows.note}" if rows.note else ""))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _print_csv(rows: Rows) -> None:
    writer = csv_format.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows.columns)
    writer.writerows([_field(value) for value in row] for row in rows)


def _field(value: Any) -> Any:
    """A value as CSV holds it: JSON for what is nested, and no character that acts on a terminal."""
    if isinstance(value, dict | list):
        value = json_format.dumps(value, default=str)
    return inert(value) if isinstance(value, str) else value


def copy(
    to: Annotated[str, typer.Option(help="The other log: a folder or a URL.", show_default=False)],
    run_ids: Annotated[
        list[str] | None, typer.Argument(help="Runs to copy; all that ended when left out.", show_default=False)
    ] = None,
    log: LogUrl = None,
) -> None:
    """Copy ended runs to another log: a team's, say."""
    source, target = the_log(log), the_log(to, make=True)
    count = source.copy_to(target, run_ids or None)
    say(f"{count} run{'' if count == 1 else 's'} copied to {target.url}")


def prune(
    run_ids: Annotated[list[str] | None, typer.Argument(help="Runs to remove.", show_default=False)] = None,
    before: Annotated[
        datetime | None, typer.Option(help="Those that ended before this time (UTC).", show_default=False)
    ] = None,
    status: Annotated[
        Literal["succeeded", "failed", "cancelled"] | None,
        typer.Option(help="Those that ended so.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    log: LogUrl = None,
) -> None:
    """Remove ended runs for good."""
    place = the_log(log)
    if not run_ids and before is None and status is None:
        raise ConfigError("say which runs: ids, --before TIME, --status STATUS")
    which = ", ".join(run_ids) if run_ids else "the ended runs that these options choose"
    if not yes and not sys.stdin.isatty():
        raise ConfigError(f"nobody is there to be asked about {which}: give --yes")
    if not yes:
        typer.confirm(f"Remove {which} for good?", abort=True, err=True)
    when = before.replace(tzinfo=UTC) if before is not None and before.tzinfo is None else before
    count = place.prune(run_ids or None, before=when, status=status)
    say(f"{count} run{'' if count == 1 else 's'} removed")
