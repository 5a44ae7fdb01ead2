"""The commands, and what an error becomes: a line that says what to do, and an exit code that means something.

| exit code | it means |
|---|---|
| 0 | done: the run succeeded |
| 1 | the run failed, or a check of `doctor` did, or `export` could not send a run whole |
| 2 | the command was wrong, or the log cannot be used |
| 3 | the run waits for a person |
| 4 | the run was cancelled |
| 5 | `export`: the target is down or refuses the key; the rest is sent by the same command |
| 130 | Ctrl-C: the run is paused, and can be resumed |
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import agentkit
from agentkit.cli import advise, answer, demo, doctor, execute, export, look, models, promote, work
from agentkit.cli.screen import out, say
from agentkit.errors import AgentKitError


class _DemoFirst(TyperGroup):
    """Lists the demo before all else; it has a command of its own, and would come last."""

    def list_commands(self, ctx: Any) -> list[str]:  # click's, which typer carries with it
        """The commands' names, in order."""
        return sorted(super().list_commands(ctx), key=lambda name: name != "demo")


app = typer.Typer(
    cls=_DemoFirst,
    help="Prototype agents: run them, watch them, answer them, ask their log.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(demo.app, name="demo")
app.command()(execute.run)
app.command()(execute.resume)
app.command()(execute.fork)
app.command()(execute.pause)
app.command()(execute.cancel)
app.command()(work.worker)
app.command()(look.runs)
app.command()(look.show)
app.command()(look.compare)
app.command()(look.events)
app.command()(look.prompt)
app.command()(look.pending)
app.command()(answer.approve)
app.command()(answer.reject)
app.command(name="answer")(answer.answer)
app.command()(answer.resolve)
app.command()(answer.grade)
app.command()(answer.comment)
app.command()(look.sql)
app.command()(advise.advise)
app.command()(look.copy)
app.command()(look.prune)
app.command()(export.export)
app.add_typer(models.app, name="models")
app.command()(promote.promote)
app.command()(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        out(f"agentkit {agentkit.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Prototype agents: run them, watch them, answer them, ask their log."""


def main() -> None:
    """Run the command that `sys.argv` names; agents are imported from the working directory, as with `python -m`."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        app()
    except AgentKitError as error:
        say(f"agentkit: {error}")
        sys.exit(2)
    except BrokenPipeError:  # `agentkit runs | head`: whoever read has seen enough
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a full disk, a closed standard output
        say(f"agentkit: {error}")
        sys.exit(2)
