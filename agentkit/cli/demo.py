"""`agentkit demo`: the audit of the licences of the packages installed here."""

from pathlib import Path
from typing import Annotated

import typer

from agentkit.cli.follow import finish, follow
from agentkit.cli.options import Approve, AsJson, LogUrl, the_log
from agentkit.cli.screen import say
from agentkit.demo.job import make_audit
from agentkit.errors import ConfigError
from agentkit.models.default import default_model


def demo(
    model: Annotated[
        str | None,
        typer.Option(help="The model that reads: provider/name, or local/name. Default: the best that is here."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Have the model read at most so many packages.", show_default=False)
    ] = None,
    report: Annotated[Path, typer.Option(help="The file that the report goes to.")] = Path("licences.md"),
    approve: Approve = None,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Audit the licences of the packages installed here: plain code, a model where it takes one, and you.

    Needs no key. Packages whose metadata is clear are read by plain code; the others by a model, whose quotation plain
    code checks. What does not hold is asked of you, and so is writing the report. Killed at any moment,
    `agentkit resume` finishes the same job.
    """
    if model is None:
        model = default_model()
    else:
        say(f"model: {model} (--model names it)")
    place = report.resolve()
    if place.is_dir() or not place.parent.is_dir():
        raise ConfigError(f"--report {report}: give a file in a folder that is there")
    given = {"model": model, "limit": limit, "report": str(place)}
    where = the_log(log, make=True)
    run = make_audit(model).run(given, tags=["demo"], log=where)
    finish(run, follow(run, approve=approve), where, json=json)
