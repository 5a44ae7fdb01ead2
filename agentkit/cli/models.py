"""`agentkit models`: the models that run on this machine."""

from typing import Annotated

import typer

from agentkit.cli.options import AsJson
from agentkit.cli.screen import out, say
from agentkit.models import weights
from agentkit.models.default import choose, pull_visibly

app = typer.Typer(help="Models that run on this machine: list them, fetch them.", no_args_is_help=True)


@app.command(name="list")
def list_(json: AsJson = False) -> None:
    """List the models that run here, the best first, and say which one answers where none is named."""
    if json:
        out([_facts(one) for one in weights.listing()])
        return
    for one in weights.listing():
        mark, how = ("✓", "installed") if one.installed else ("·", f"agentkit models pull {one.name}")
        out(f"{mark} local/{one.name}  {one.size / 1e6:,.0f} MB, {one.licence}: {one.good_for}\n    {how}")
    say(f"in {weights.cache_folder()}\n{choose()}")


def _facts(one: weights.Weights) -> dict[str, object]:
    return {
        "name": f"local/{one.name}",
        "size": one.size,
        "licence": one.licence,
        "good_for": one.good_for,
        "installed": one.installed,
        "path": str(one.path),
    }


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help='As `agentkit models list` has it, for example "qwen2.5-coder-0.5b".')],
) -> None:
    """Fetch a model: what comes is checked against its known digest, and its licence is shown."""
    wanted = weights.named(name.removeprefix("local/"))
    if wanted.installed:
        say(f"{wanted.name} is here already: {wanted.path}")
        return
    pull_visibly(wanted)
    say(f"{wanted.name} is here: ak.Agent(…, model='local/{wanted.name}')")
