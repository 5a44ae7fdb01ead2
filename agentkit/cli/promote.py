"""`agentkit promote`: a pipeline as a module that stands alone."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from agentkit.agent import Agent
from agentkit.cli.find import definition_at
from agentkit.cli.screen import out, say
from agentkit.promote import PromotedModule
from agentkit.promote import promote as promote_it


def promote(
    what: Annotated[str, typer.Argument(help='"module:name" or "path/file.py:name" of a pipeline or an agent.')],
    out_: Annotated[
        Path | None, typer.Option("--out", help="The file to write; its source is printed where none is given.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 where --out is not what would be written now.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also a file that somebody edited since it was written.")
    ] = False,
    to: Annotated[
        Literal["pipeline", "module"] | None, typer.Option("--to", help='"module" writes an agent down as it is.')
    ] = None,
) -> None:
    """Write a pipeline, or an agent and its tools, as one module that stands alone."""
    owner = definition_at(what)
    # an agent's runs become a pipeline by another way: what `promote_it` gives for them is not a `PromotedModule`
    promoted = promote_it(owner, to=to) if isinstance(owner, Agent) else promote_it(owner)
    if isinstance(promoted, PromotedModule):
        _module(promoted, out_, check=check, overwrite=overwrite)


def _module(promoted: PromotedModule, path: Path | None, *, check: bool, overwrite: bool) -> None:
    if path is None:
        if check:
            raise typer.BadParameter("--check compares a file: give --out")
        out(promoted.source.rstrip("\n"))
    elif not check:
        say(f"wrote {promoted.write(path, overwrite=overwrite)}")
    elif not path.exists() or path.read_text("utf-8", "replace") != promoted.source:
        say(f"{path} is not what would be written now; agentkit promote … --out {path} writes it")
        raise typer.Exit(1)
