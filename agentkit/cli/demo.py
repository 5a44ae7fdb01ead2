"""`agentkit demo`: the audit of the licences of the packages installed here, by an agent or as a pipeline."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from agentkit.cli.follow import finish, follow
from agentkit.cli.options import Approve, AsJson, LogUrl, the_log
from agentkit.cli.screen import say
from agentkit.demo.job import make_audit
from agentkit.errors import ConfigError
from agentkit.models.default import default_model

app = typer.Typer()

Named: TypeAlias = Annotated[
    str | None,
    typer.Option("--model", help="The model that reads: provider/name, or local/name. Default: the best that is here."),
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option(min=0, help="Have the model read at most so many packages.", show_default=False)
]
Report: TypeAlias = Annotated[Path, typer.Option(help="The file that the report goes to.")]
_REPORT = Path("licences.md")


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    model: Named = None,
    limit: Limit = None,
    report: Report = _REPORT,
    approve: Approve = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Audit the licences of the packages installed here: plain code, a model where it takes one, and you.

    Needs no key. Packages whose metadata is clear are read by plain code; the others by a model, whose quotation plain
    code checks. What does not hold is asked of you, and so is writing the report. Killed at any moment,
    `agentkit resume` finishes the same job.
    """
    if context.invoked_subcommand is not None:
        if any((model, limit is not None, report != _REPORT, approve, json, log)):
            raise ConfigError(f"options go after the word: agentkit demo {context.invoked_subcommand} --…")
        return
    name, place = _named(model), _place(report)
    where = the_log(log, make=True)
    run = make_audit(name).run({"model": name, "limit": limit, "report": place}, tags=["demo"], log=where)
    finish(run, follow(run, approve=approve), where, json=json)


@app.command()
def pipeline(
    model: Named = None,
    limit: Limit = None,
    report: Report = _REPORT,
    approve: Approve = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Do the same job as a pipeline: its steps are fixed, and a second audit asks only about what is new."""
    from agentkit.demo.pipeline import audit

    name, place = _named(model), _place(report)
    where = the_log(log, make=True)
    run = audit.run(model=name, limit=limit, path=place, tags=["demo"], log=where)
    finish(run, follow(run, approve=approve), where, json=json)


def _named(model: str | None) -> str:
    """The model that reads; says which it is, and why, as the first line."""
    if model is None:
        return default_model()
    say(f"model: {model} (--model names it)")
    return model


def _place(report: Path) -> str:
    place = report.resolve()
    if place.is_dir() or not place.parent.is_dir():
        raise ConfigError(f"--report {report}: give a file in a folder that is there")
    return str(place)
