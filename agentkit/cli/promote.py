"""`agentkit promote`: an agent's recorded runs as a pipeline with its tests, a pipeline as a module of its own."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from agentkit.agent import Agent
from agentkit.cli.find import definition_at
from agentkit.cli.options import LogUrl, the_log
from agentkit.cli.screen import out, say
from agentkit.errors import PromotionError
from agentkit.log import Log
from agentkit.pipeline import Pipeline
from agentkit.promote import PromotedModule
from agentkit.promote import promote as promote_it
from agentkit.promote.promotion import Promotion


def promote(
    what: Annotated[
        str,
        typer.Argument(
            help='"module:name" or "path/file.py:name" of a pipeline or an agent; or the name of an agent whose runs '
            "the log has."
        ),
    ],
    out_: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The file to write, of an agent's runs with test_<file> and <file>.runs.json beside it; its source is "
            "printed where none is given.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 where --out is not what would be written now.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also what somebody edited since it was written, or wrote.")
    ] = False,
    to: Annotated[
        Literal["pipeline", "module"] | None, typer.Option("--to", help='"module" writes an agent down as it is.')
    ] = None,
    log: LogUrl = None,
) -> None:
    """Write what an agent's recorded runs do as a pipeline with its tests; or a pipeline as a module.

    Exit codes: 0 it is written, printed, or as it would be written; 1 the runs are refused, an edit of somebody's
    conflicts, or --check found a difference; 2 the command is wrong.
    """
    if check and out_ is None:
        raise typer.BadParameter("--check compares a file: give --out")
    owner = _owner(what, log)
    if isinstance(owner, Agent) and to != "module":
        found = promote_it(owner, to=to, log=the_log(log))
        assert isinstance(found, Promotion), "an agent's runs give a promotion"
        _runs(found, out_, check=check, overwrite=overwrite)
        return
    promoted = promote_it(owner, to=to)
    assert isinstance(promoted, PromotedModule), "all else becomes a module"
    _module(promoted, out_, check=check, overwrite=overwrite)


def _owner(what: str, log: str | None) -> Agent | Pipeline:
    """What is to be promoted: by where it is, or by the name that its runs have in the log."""
    if ":" not in what and not what.endswith(".py"):
        place = _recorded_place(the_log(log), what)
        if place is not None:
            return definition_at(place)
    return definition_at(what)


def _recorded_place(log: Log, name: str) -> str | None:
    """Where the newest run of that name says that its agent is."""
    rows = log.sql(
        "SELECT body->>'module' FROM events WHERE type = 'run_started' AND name = $name "
        "AND body->>'module' IS NOT NULL ORDER BY ts DESC LIMIT 1",
        name=name,
    )
    return str(rows[0][0]) if rows else None


def _runs(promotion: Promotion, path: Path | None, *, check: bool, overwrite: bool) -> None:
    """An agent's runs: the pipeline, or why there is none."""
    if promotion.refused:
        say(str(promotion))
        raise typer.Exit(1)
    if path is None:
        say(str(promotion))
        out(promotion.source.rstrip("\n"))
        return
    try:
        if not check:
            promotion.write(path, overwrite=overwrite)
            tests = path.with_name(f"test_{path.name}")
            say(f"{promotion}\nwrote {path}, and its tests beside it: python -m pytest {tests}")
        elif differing := promotion.check(path):
            listed = ", ".join(map(str, differing))
            say(f"not what would be written now: {listed}; agentkit promote … --out {path} writes it")
            raise typer.Exit(1)
    except PromotionError as error:
        say(f"agentkit: {str(error).replace('write(…, overwrite=True)', '--overwrite')}")
        raise typer.Exit(1) from error


def _module(promoted: PromotedModule, path: Path | None, *, check: bool, overwrite: bool) -> None:
    if path is None:
        out(promoted.source.rstrip("\n"))
    elif not check:
        say(f"wrote {promoted.write(path, overwrite=overwrite)}")
    elif not path.exists() or path.read_text("utf-8", "replace") != promoted.source:
        say(f"{path} is not what would be written now; agentkit promote … --out {path} writes it")
        raise typer.Exit(1)
