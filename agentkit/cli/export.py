"""`agentkit export`: send what is recorded to a tracing system."""

import contextlib
import re
import signal
import threading
from collections.abc import Callable, Generator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Annotated, Any, Literal

import typer

from agentkit.cli.options import AsJson, LogUrl, the_log
from agentkit.cli.screen import errors, out, say
from agentkit.errors import ConfigError
from agentkit.export.backlog import backlog
from agentkit.export.delivery import CHUNK, Delivery, Outcome
from agentkit.export.replies import Reply
from agentkit.export.spans import need_opentelemetry
from agentkit.export.targets import Target, target

_LOOK = 2.0
"""Seconds between two looks for runs that ended, with `--follow`."""

_DOWN = 5
"""The exit code that says: the system could not be reached or refused the key; the same command sends the rest."""


def export(
    to: Annotated[
        Literal["langfuse", "langsmith", "helicone", "otlp"],
        typer.Argument(
            metavar="TARGET", help="langfuse, langsmith, helicone or otlp, as its own variables configure it."
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(help='Only runs that ended since: "7d", "12h", "30m", or a time (UTC).', show_default=False),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with runs that end from now on, until Ctrl-C.")
    ] = False,
    content: Annotated[
        Literal["full", "redacted", "none"] | None,
        typer.Option(help="How much of what was said leaves. Default: $AGENTKIT_EXPORT_CONTENT, else redacted."),
    ] = None,
    sample: Annotated[
        float | None, typer.Option(min=0, max=1, help="The share of runs that is sent.", show_default=False)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also runs that were sent, or refused, before.")] = False,
    json: AsJson = False,
    log: LogUrl = None,
) -> None:
    """Send what is recorded to Langfuse, LangSmith, Helicone or an OpenTelemetry backend, each run once.

    Exit code 0: all of it is there; 1: some runs were refused, in part or as a whole, or cannot be read; 5: the target
    is down or refuses the key, and the same command sends the rest.
    """
    where = target(to, content=content, sample=sample)
    if where.name != "helicone":
        need_opentelemetry()
    place = the_log(log)
    stop = threading.Event()
    delivery = Delivery(place.store, where, again=again, stop=stop)
    with _stopped_by_ctrl_c(stop):
        _send(delivery, backlog(place.store, where, since=_time(since), again=again))
        if follow:
            _follow(delivery, stop, lambda: backlog(place.store, where, since=_time(since)))
    delivery.close()
    _report(where, delivery.outcome, json=json)
    raise typer.Exit(_code(delivery.outcome))


@contextlib.contextmanager
def _stopped_by_ctrl_c(stop: threading.Event) -> Generator[None]:
    """Ctrl-C ends it after the request that is under way, whose answer is remembered; a second one at once."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _send(delivery: Delivery, run_ids: list[str]) -> None:
    """Send runs, some at a time, and show how far that is where somebody looks."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors(), transient=True, disable=not errors().is_terminal) as progress:
        task = progress.add_task(f"to {delivery.target.key}", total=len(run_ids))
        for start in range(0, len(run_ids), CHUNK):
            chunk = run_ids[start : start + CHUNK]
            delivery.send(chunk)
            if delivery.outcome.down is not None:
                delivery.outcome.left += len(run_ids) - start - len(chunk)
                break
            progress.advance(task, len(chunk))


def _follow(delivery: Delivery, stop: threading.Event, look: Callable[[], list[str]]) -> None:
    """Send what ends, until Ctrl-C; a target that is down is said once, and tried again."""
    down: Reply | None = None
    while not stop.is_set():
        if delivery.outcome.down is not None and down is None:
            say(f"{delivery.target.key} is down: {delivery.outcome.down}; trying again")
        down = delivery.outcome.down
        if stop.wait(_LOOK if down is None else max(_LOOK * 5, down.wait or 0.0)):
            return
        delivery.outcome.left = 0
        _send(delivery, look())


def _report(where: Target, outcome: Outcome, *, json: bool) -> None:
    if json:
        said: dict[str, Any] = {**asdict(outcome), "target": where.key, "down": outcome.down and str(outcome.down)}
        out(said)
        return
    for problem in outcome.problems:
        say(f"✗ {problem}")
    if outcome.down is not None:
        say(f"✗ {where.key}: {outcome.down}; {outcome.left} runs are left: run the same command again")
    other = {
        "sent before": outcome.already,
        "sent in part": outcome.partial,
        "refused": outcome.refused,
        "unreadable": outcome.unreadable,
    }
    more = "".join(f", {count} {word}" for word, count in other.items() if count)
    out(f"{where.key}: {outcome.sent} runs sent, {outcome.spans} spans, {outcome.size / 1e6:.1f} MB{more}")


def _code(outcome: Outcome) -> int:
    if outcome.down is not None:
        return _DOWN
    return 1 if outcome.partial or outcome.refused or outcome.unreadable else 0


_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _time(text: str | None) -> datetime | None:
    """What `--since` says, as a time.

    Raises:
        ConfigError: it is neither a length nor a time.
    """
    if text is None:
        return None
    if (length := re.fullmatch(r"(\d+)([mhdw])", text)) is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[length[2]]: int(length[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f'--since {text}: give a length such as "7d", "12h", "30m", or a time (UTC)') from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
