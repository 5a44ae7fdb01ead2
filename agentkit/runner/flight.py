"""One run among many, as whoever began them all follows it: told when it stops and when it goes on, then let go."""

import asyncio
from collections.abc import Callable

from agentkit.events import Event, RunResumed
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.load import load_state
from agentkit.runner.threads import threads
from agentkit.state import State

_ELSEWHERE = 0.5
"""Seconds between two looks at a run that another process executes."""


class Flight:
    """Follows a run from when it began here until it ended. All but the constructor is for the engine's thread.

    Args:
        driver: executes the run.
        index: the item it is of.
        on_stop: told the flight, the run's state and, where something broke, the error: the run ended or waits.
        on_go: told that a run which waited goes on.
    """

    def __init__(
        self,
        driver: Driver,
        index: int,
        on_stop: "Callable[[Flight, State | None, BaseException | None], None]",
        on_go: "Callable[[Flight], None]",
    ) -> None:
        self.driver: Driver | None = driver
        self.index = index
        self.run_id = driver.run_id
        self.has_slot = True  # it counts among those that execute at one time
        self._on_stop = on_stop
        self._on_go = on_go
        self._waits = False

    def begin(self) -> None:
        """Follow from now on; from any thread."""
        engine().spawn(self._attach())

    async def _attach(self) -> None:
        if self.driver is not None:
            self.driver.audience.listen(self._on_event)
            self._wait(self.driver)

    def _wait(self, driver: Driver) -> None:
        if not self._waits:
            self._waits = True
            driver.when_settled(self._settled)

    def _on_event(self, event: Event) -> None:
        if isinstance(event.body, RunResumed) and self.driver is not None:
            self._on_go(self)
            self._wait(self.driver)

    def _settled(self) -> None:
        self._waits = False
        driver = self.driver
        if driver is None:
            return
        state = driver.live_state if driver.has_state else None
        if driver.error is None and state is not None and state.status in {"running", "waiting"}:
            engine().spawn(self._look_elsewhere(driver))
        else:
            self._stop(state, driver.error)

    async def _look_elsewhere(self, driver: Driver) -> None:
        """Another process, or another activation here, executes it: see what becomes of it, or take it up."""
        try:
            while True:
                await asyncio.sleep(_ELSEWHERE)
                state = await threads.run(lambda: load_state(driver.store, self.run_id))
                if state.status not in {"running", "waiting"}:
                    self._stop(state, None)
                    return
                if await threads.run(lambda: driver.store.holder(self.run_id)) is None:
                    break
        except Exception as error:  # noqa: BLE001  whatever a store raises: who waits for the run is told
            self._stop(None, error)
            return
        self._wait(driver)
        engine().spawn(driver.resume())

    def _stop(self, state: State | None, error: BaseException | None) -> None:
        if state is None or state.ended or error is not None:
            self.driver = None  # the state goes with it
        self._on_stop(self, state, error)
