"""Waiting for a run: in slices, so that interrupting works; with a person at hand who is asked what it waits for."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from agentkit import registry
from agentkit.errors import AgentKitError, RunPaused
from agentkit.runner.engine import engine
from agentkit.runner.shell import the_kernel, the_shell
from agentkit.runner.terminal import can_ask
from agentkit.state import Approval

if TYPE_CHECKING:
    from agentkit.runner.driver import Driver
    from agentkit.runner.run import Run

Put: TypeAlias = Callable[[Sequence[Approval], float | None], bool]

SLICE = 0.2
"""Seconds a wait lasts at most before it looks for an interrupt."""


async def until_settled(driver: "Driver | None", is_settled: Callable[[], bool]) -> None:
    """Wait until nothing executes the run.

    Args:
        driver: who executes it here; None where that is another process.
        is_settled: looks, and may block for as long as the log takes.
    """
    settled = asyncio.Event()
    if driver is not None:
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(settled.set)

        engine().call(lambda: driver.when_settled(wake))
    while not await asyncio.to_thread(is_settled):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(settled.wait(), SLICE)
        if settled.is_set() and not await asyncio.to_thread(is_settled):
            settled.clear()  # it paused and was answered at once


@contextlib.contextmanager
def pausing(run: "Run") -> Generator[None]:
    """Whoever interrupts a wait pauses the run, if it executes here: Ctrl-C, or a notebook's stop button.

    Args:
        run: what is waited for.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_pause(run)) from None
    except asyncio.CancelledError:
        _pause_with_the_cell(run)
        raise


def _pause(run: "Run") -> str:
    with contextlib.suppress(AgentKitError):  # a log that cannot be reached is no reason to go on waiting
        holder = run.store.holder(run.run_id)
        if holder is not None and (holder.process, holder.activity) == (run.store.process, "executing"):
            run.pause()
            return f"run {run.run_id} pauses after what is in flight: run.resume() goes on"
    return f"nobody waits for run {run.run_id} here any more"


def _pause_with_the_cell(run: "Run") -> None:
    """A wait was cancelled by the kernel's interrupt, if its cell ends by that; else by a timeout, say."""
    if the_kernel() is None:
        return
    events = the_shell().events

    def after(result: Any) -> None:  # IPython's
        events.unregister("post_run_cell", after)
        error = getattr(result, "error_in_exec", None)
        if result is None or isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            _pause(run)

    events.register("post_run_cell", after)


def wait_for_a_person(run: "Run", timeout: float | None) -> Any:  # the output, of whatever type
    """Wait for a run's end, and put to whoever is at hand what it waits for.

    Args:
        run: the run.
        timeout: seconds; None waits as long as it takes.

    Raises:
        RunPaused: nobody is at hand. And what `Run.result` raises.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    in_a_cell = the_kernel() is not None
    put: Put = registry.load(registry.DISPLAYS["waiting"])(run) if in_a_cell else _at_the_terminal(run)
    while True:
        try:
            return run.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except RunPaused as paused:
            if not paused.pending:
                raise
            if not put(paused.pending, deadline):
                raise _nobody(paused) from None


def _at_the_terminal(run: "Run") -> Put:
    def put(pending: Sequence[Approval], _deadline: float | None) -> bool:
        if not can_ask():
            return False
        for asked in pending:
            run.ask(asked)
        return True

    return put


def _nobody(paused: RunPaused) -> RunPaused:
    """The same, with what to do from elsewhere."""
    how = "nobody can be asked here; a terminal's `agentkit pending` and another notebook's ak.pending() answer too"
    return RunPaused(f"{paused}\n{how}", run_id=paused.run_id, usage=paused.usage, pending=paused.pending)
