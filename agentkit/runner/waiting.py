"""Waiting for a run in async code, in slices, so that interrupting the kernel works."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentkit.runner.engine import engine

if TYPE_CHECKING:
    from agentkit.runner.driver import Driver

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
