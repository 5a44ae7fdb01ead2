"""A worker in a terminal, or under whatever starts and stops a team's processes."""

import contextlib
import os
import platform
import signal
import threading
from collections.abc import Generator
from datetime import datetime
from typing import Annotated, Any

import typer

from agentkit.cli import find
from agentkit.cli.options import Deps, LogUrl, the_log
from agentkit.cli.screen import say
from agentkit.worker import Worker


def worker(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="MODULE[:NAME]...",
            help="What to execute: an agent or a pipeline, or all that a module defines: shop:support, refund.py.",
        ),
    ],
    slots: Annotated[int, typer.Option(min=1, help="How many runs execute at one time.")] = 8,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is left to do.")] = False,
    deps: Deps = None,
    log: LogUrl = None,
) -> None:
    """Execute the runs that were submitted to a log; as many workers as you start share them, on many machines.

    Ctrl-C and SIGTERM: stop after what is in flight, and leave the runs in hand to other workers; once more: at once.
    A worker that is killed loses nothing: another one goes on with its runs.
    """
    owners = list({id(owner): owner for one in what for owner in find.definitions_at(one)}.values())
    place = the_log(log, make=log is None)  # nobody submits to a path that was mistyped
    made = Worker(*owners, log=place, slots=slots, deps=None if deps is None else find.value_at(deps), tell=_tell)
    names = ", ".join(owner.name for owner in owners)
    _tell(f"process {os.getpid()} on {platform.node()} takes runs of {names}, {slots} at one time, from {place.url}")
    with _stopping(made) as was_told:
        made.work(until_idle=until_idle)
    _tell("stopped" if was_told.is_set() or not until_idle else "nothing is left to do")


def _tell(line: str) -> None:
    say(f"{datetime.now():%H:%M:%S} {line}")  # noqa: DTZ005  a clock on the wall, for who sits before it


@contextlib.contextmanager
def _stopping(made: Worker) -> Generator[threading.Event]:
    """Have the first signal stop the worker, and the second one end the process; whether there was one."""
    was_told = threading.Event()

    def stop(_number: int, _frame: Any) -> None:  # Python's
        for one, handler in before.items():
            signal.signal(one, handler)
        was_told.set()
        made.stop()

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    for one in before:
        signal.signal(one, stop)
    try:
        yield was_told
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
