"""Options that several commands take, and what they become."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer
from pydantic_core import from_json

from agentkit.errors import ConfigError
from agentkit.log import Log, default_place, open_log
from agentkit.policy import Budget

LogUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--log",
        help="The log: a folder, or a store's URL. Default: $AGENTKIT_LOG, else the nearest .agentkit/ folder.",
        show_default=False,
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Approve: TypeAlias = Annotated[
    Literal["all", "none"] | None,
    typer.Option(
        help="Answer without a person: 'all' lets every call run, 'none' rejects it; questions are rejected with both.",
        show_default=False,
    ),
]
Usd: TypeAlias = Annotated[float | None, typer.Option(help="The run's budget in US dollars.", show_default=False)]
ModelCalls: TypeAlias = Annotated[int | None, typer.Option(help="The run's budget in model calls.", show_default=False)]
Deps: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:NAME",
        help="What tools get as ctx.deps; a function is called for it.",
        show_default=False,
    ),
]


def the_log(url: str | None, *, make: bool = False) -> Log:
    """The log that the option names.

    Args:
        url: what the option says, if anything.
        make: make one where there is none; who only looks is told instead.

    Raises:
        ConfigError: there is none.
    """
    place = url or default_place()
    if not make and place is None:
        raise ConfigError("there is no log in this folder or above, and no $AGENTKIT_LOG; `agentkit run` makes one")
    if (
        not make
        and place is not None
        and "://" not in place
        and place not in {"memory:", ":memory:"}
        and not Path(place).exists()
    ):
        raise ConfigError(f"there is no log at {place}; `agentkit run --log {place} …` makes one")
    return open_log(url)


def the_budget(usd: float | None, model_calls: int | None) -> Budget | None:
    """A budget where one was given.

    Raises:
        ConfigError: a number that is no budget.
    """
    if usd is None and model_calls is None:
        return None
    odd = [given for given in (usd, model_calls) if given is not None and not 0 < given < math.inf]
    if odd:
        raise ConfigError(f"a budget is above 0, not {odd[0]}")
    return Budget(usd=usd, model_calls=model_calls) if model_calls is not None else Budget(usd=usd)


def json_value(text: str, option: str) -> Any:  # any JSON value
    """An option's JSON.

    Raises:
        ConfigError: it is none, and where.
    """
    try:
        return from_json(text)
    except ValueError as error:
        raise ConfigError(f"{option} is no JSON: {error}; text goes in quotes: '\"like this\"'") from error


def json_object(text: str, option: str) -> dict[str, Any]:
    """An option's JSON object; raises `ConfigError`."""
    value = json_value(text, option)
    if not isinstance(value, dict):
        raise ConfigError(f"{option} takes an object, for example '{{\"amount\": 5}}', not {text}")
    return value  # pyright: ignore[reportUnknownVariableType]  what JSON held


def read_file(path: str) -> str:
    """A file's text, or standard input's for "-".

    Raises:
        ConfigError: it cannot be read.
    """
    if path == "-":
        return typer.get_text_stream("stdin").read()
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--input {path} cannot be read: {error}") from error
