"""Looks into the log's inbox for the runs that this process executes or paused."""

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING

from agentkit.runner.engine import engine
from agentkit.runner.threads import threads
from agentkit.state import State
from agentkit.store import Answer, Store

if TYPE_CHECKING:
    from agentkit.runner.driver import Driver

_SLICE = 0.2
"""Seconds between two looks; with many runs, ten times what a look takes."""


class Watch:
    """One loop for all runs of the process; it stops when there is nothing to watch."""

    def __init__(self) -> None:
        self._drivers: dict[str, Driver] = {}
        self._running = False

    def follow(self, driver: "Driver") -> None:
        """Look for answers to a run from now on. On the engine's thread."""
        self._drivers[driver.run_id] = driver
        if not self._running:
            self._running = True
            engine().spawn(self._look())

    def forget(self, driver: "Driver") -> None:
        """Stop looking for answers to a run and to its children."""
        if self._drivers.get(driver.run_id) is driver:  # another one may have taken the run up since
            del self._drivers[driver.run_id]
        for child in driver.children.values():
            self.forget(child)

    def take_over(self, driver: "Driver") -> "Driver | None":
        """Follow a run that is about to be resumed, in place of whoever followed it.

        Returns:
            Who did, to be given the place back if the run cannot be claimed.
        """
        before = self.current(driver)
        self.follow(driver)
        return before if before is not driver else None

    def current(self, driver: "Driver") -> "Driver":
        """Who goes on with a driver's run: the last one that took it up in this process."""
        return self._drivers.get(driver.run_id, driver)

    def tell(self, run_id: str, answers: dict[str, Answer]) -> bool:
        """Hand over answers that were given in this process, without waiting for the next look.

        Returns:
            Whether the run is followed here, so that it goes on.
        """
        driver = self._drivers.get(run_id)
        if driver is not None:
            driver.deliver(answers)
        return driver is not None

    def follows(self, run_id: str) -> bool:
        """Whether some driver of this process is told of the run's answers."""
        return run_id in self._drivers

    def resting(self, store: Store, run_id: str, seq: int) -> State | None:
        """The state of a run of a log that is followed and rests here, to be kept. On the engine's thread.

        Returns:
            None where it does not rest here, or not at a later event than `seq`.
        """
        driver = self._drivers.get(run_id)
        if driver is None or driver.store is not store or not driver.rests:
            return None
        return driver.snapshot() if driver.live_state.seq > seq else None

    async def _look(self) -> None:
        try:
            while self._drivers:
                began = time.perf_counter()
                with contextlib.suppress(Exception):  # every run of the process depends on the next look
                    await self._look_once()
                await asyncio.sleep(max(_SLICE, 10 * (time.perf_counter() - began)))
        finally:
            self._running = False

    async def _look_once(self) -> None:
        drivers = [driver for driver in self._drivers.values() if driver.has_state and not driver.live_state.ended]
        found = await threads.run(lambda: [_answers(driver) for driver in drivers])
        for driver, answers in zip(drivers, found, strict=True):
            if self._drivers.get(driver.run_id) is not driver:  # it was let go of while the answers were read
                continue
            if answers or driver.live_state.pending:
                with contextlib.suppress(Exception):  # one run's trouble is not another's
                    driver.deliver(answers)


def _answers(driver: "Driver") -> dict[str, Answer]:
    """What a run's inbox holds; nothing where it cannot be read at this moment: the next look may."""
    try:
        return driver.store.answers(driver.run_id)
    except Exception:  # noqa: BLE001  whatever a disk or a server raises: the other runs are looked at
        return {}


watch = Watch()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watch.__init__)  # what is followed is the parent's
