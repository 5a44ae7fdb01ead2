"""Beginning the runs of a batch, a few at a time, and following them: the part that nobody sees."""

import contextlib
import contextvars
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from functools import partial

from agentkit.batch.items import Item
from agentkit.batch.options import MapOptions
from agentkit.batch.recorded import Recorded, find_recorded
from agentkit.batch.table import WITHOUT_OUTPUT, Table
from agentkit.definition import Definition
from agentkit.errors import AgentKitError, ResumeError, RunClaimed, RunNotFound
from agentkit.messages import Usage
from agentkit.runner.flight import Flight
from agentkit.runner.recorder import now
from agentkit.runner.run import Run
from agentkit.runner.start import resume, start
from agentkit.state import State
from agentkit.store import Store

_SLICE = 0.2
"""Seconds between two tries to have one's turn."""
_TURNS = uuid.UUID("6f1d0d52-55a1-4c34-9d3c-0a6c6f7d3b11")  # any constant: it keeps these names apart from others'


class Work:
    """Begins runs and keeps track of them. Thread-safe: a thread feeds it, the engine reports, the user looks.

    Args:
        store: the log.
        definition: what is run for each item.
        options: what holds for every run.
    """

    def __init__(self, store: Store, definition: Definition, options: MapOptions) -> None:
        self.store = store
        self.definition = definition
        self.options = options
        self.table = Table(store, definition)
        self.flights: dict[int, Flight] = {}  # what executes or waits, by its item
        self.error: BaseException | None = None  # what broke the items, or the log
        self.stopped: str | None = None  # why nothing more is begun
        self.complete = False  # every item was read
        self.waits_for: str | None = None  # who maps the same just now
        self._usage = Usage()  # of ended runs
        self.began = time.monotonic()
        self.settled_at: float | None = None
        self._feeding = 0
        self._slots = threading.Semaphore(options.concurrency)
        self._changed = threading.Condition()

    # looking ---------------------------------------------------------------------------------------------------------

    @property
    def usage(self) -> Usage:
        """What the ended runs used, and those that wait until they stopped."""
        with self._changed:
            return sum((flight.usage for flight in self.flights.values()), self._usage)

    @property
    def settled(self) -> bool:
        """Whether nothing happens by itself any more."""
        if (self._feeding and self.stopped is None) or self.table.statuses["running"]:
            return False
        drivers = [flight.driver for flight in list(self.flights.values())]  # they wait: was one just answered?
        return all(driver is None or driver.settled.is_set() for driver in drivers)

    def wait(self, seconds: float) -> bool:
        """Wait so long at most for everything to settle; whether it did."""
        with self._changed:
            return self._changed.wait_for(lambda: self.settled, seconds)

    def run(self, index: int) -> Run | None:
        """An item's newest run: where it executes here, by what executes it."""
        flight = self.flights.get(index)
        driver = flight.driver if flight is not None else None
        if driver is not None:
            return Run(self.store, driver.run_id, driver=driver)
        run_id = self.table.run_id(index)
        return None if run_id is None else Run(self.store, run_id, definition=self.definition)

    # beginning -------------------------------------------------------------------------------------------------------

    def feed(self, items: Iterable[Item], *, whole: bool) -> None:
        """Begin runs for items in the background.

        Args:
            items: read lazily, in a thread.
            whole: they are all the batch has; else some of them, which are begun anew.
        """
        with self._changed:
            self._feeding += 1
            self.stopped = self.settled_at = None
        work = self._take_all if whole else self._take_again
        here = contextvars.copy_context()  # the runs are in the trace of who called map
        feed = partial(self._feed, work, items)
        threading.Thread(target=lambda: here.run(feed), name="agentkit-map", daemon=True).start()

    def _feed(self, work: Callable[[Iterable[Item]], None], items: Iterable[Item]) -> None:
        try:
            work(items)
        except BaseException as error:  # noqa: BLE001  the items are the user's code: who waits for the batch is told
            self.error = error
        finally:
            with self._changed:
                self._feeding -= 1
                self._tell()
                self._changed.notify_all()

    def _take_all(self, items: Iterable[Item]) -> None:
        with self._turn():
            recorded = {} if self.options.again else find_recorded(self.store, self.definition)
            self.complete = all(self._take(item, recorded.pop(item.key, None)) for item in items)

    def _take_again(self, items: Iterable[Item]) -> None:
        all(self._take(item, None) for item in items)

    @contextlib.contextmanager
    def _turn(self) -> Generator[None]:
        """Of those who map one definition in one log, in whatever process, one begins runs at a time.

        So whoever comes second finds what the first began, and no item is done twice.
        """
        name = str(uuid.uuid5(_TURNS, f"{self.definition.name} {self.definition.sha256}"))
        claim = None
        while claim is None and self.stopped is None:
            try:
                claim = self.store.claim(name, new=True)
            except RunClaimed as claimed:
                self.waits_for = claimed.holder
                time.sleep(_SLICE)
        self.waits_for = None
        try:
            yield
        finally:
            if claim is not None:
                with contextlib.suppress(AgentKitError):  # what broke the log was raised already
                    self.store.release(claim)

    def _take(self, item: Item, recorded: Recorded | None) -> bool:
        """See to one item; False where nothing more is to be begun."""
        if self.stopped is not None:
            return False
        if item.error is not None:
            self._put(item.index, None, "failed", error=item.error)
        elif recorded is not None and recorded.status in {"succeeded", "failed", "cancelled"}:
            self._keep(item.index, recorded)
        else:
            self._slots.acquire()
            if self.stopped is not None:
                self._slots.release()
                return False
            self._fly(item, recorded)
        return True

    def _keep(self, index: int, recorded: Recorded) -> None:
        with self._changed:
            self._usage += recorded.usage
        cost = recorded.usage.cost_usd
        self._put(index, recorded.run_id, recorded.status, error=recorded.error, seconds=recorded.seconds, cost=cost)

    def _fly(self, item: Item, recorded: Recorded | None) -> None:
        options = self.options
        try:
            if recorded is None:
                driver = start(
                    self.store,
                    self.definition,
                    item.given,
                    deps=options.deps,
                    tags=options.tags,
                    session=options.session,
                    user=options.user,
                    item=item.recorded,
                )
            else:
                driver = resume(self.store, recorded.run_id, self.definition, deps=options.deps)
        except (ResumeError, RunNotFound) as error:
            self._slots.release()
            self._put(item.index, recorded and recorded.run_id, "interrupted", error=f"ResumeError: {error}")
            return
        except BaseException:
            self._slots.release()
            raise
        flight = Flight(driver, item.index, self._on_stop, self._on_go)
        self._put(item.index, driver.run_id, "running", flight=flight)
        flight.begin()

    # following, on the engine's thread -------------------------------------------------------------------------------

    def _on_go(self, flight: Flight) -> None:
        if self.table.status(flight.index) != "running":
            self._put(flight.index, flight.run_id, "running", flight=flight)

    def _on_stop(self, flight: Flight, state: State | None, error: BaseException | None) -> None:
        if self.flights.get(flight.index) is flight:  # the item may have been begun anew since
            if error is not None:
                self.error = self.error or error
                self.stopped = self.stopped or "the log cannot be used"
                self._put(flight.index, flight.run_id, "interrupted", error=f"{type(error).__name__}: {error}")
            elif state is not None:
                self._record(flight, state)
        if flight.has_slot:
            flight.has_slot = False
            self._slots.release()

    def _record(self, flight: Flight, state: State) -> None:
        usage = state.usage + state.child_usage
        flight.usage = usage
        if state.ended:
            with self._changed:
                self._usage += usage
        said = None
        if state.status == "failed":
            said = f"{state.error.type}: {state.error.message}" if state.error else "failed"
        elif state.status == "cancelled":
            said = "cancelled" + (f": {state.stopped_why}" if state.stopped_why else "")
        seconds = ((state.ended_at or now()) - state.started_at).total_seconds()
        kept = None if state.ended else flight
        self._put(
            flight.index, flight.run_id, state.status, error=said, seconds=seconds, cost=usage.cost_usd, flight=kept
        )

    def _put(
        self,
        index: int,
        run_id: str | None,
        status: str,
        *,
        error: str | None = None,
        seconds: float | None = None,
        cost: float | None = 0.0,
        flight: Flight | None = None,
    ) -> None:
        with self._changed:
            self.table.put(index, run_id, status, error=error, seconds=seconds, cost=cost)
            if flight is not None:
                self.flights[index] = flight
            else:
                self.flights.pop(index, None)
            if status in WITHOUT_OUTPUT and self.options.on_error == "fail":
                self.stopped = self.stopped or "an item failed"
            self._tell()

    def _tell(self) -> None:
        if self.settled:
            self.settled_at = time.monotonic()
            self._changed.notify_all()

    # steering --------------------------------------------------------------------------------------------------------

    def stop(self, why: str) -> None:
        """Begin nothing more."""
        self.stopped = why
        self._slots.release()  # the feeder may wait for one
        with self._changed:
            self._changed.wait_for(lambda: self._feeding == 0, 1.0)
        self._slots.acquire(blocking=False)

    def each(self, act: Callable[[Run], None], *statuses: str) -> None:
        """Do something to the runs that execute or wait here; one that just ended is left alone."""
        for index in self.table.those(*statuses):
            run = self.run(index)
            if run is not None and index in self.flights:
                with contextlib.suppress(AgentKitError):
                    act(run)

    def refresh(self) -> None:
        """See what other processes made of the runs that wait."""
        waiting = [flight for flight in list(self.flights.values()) if self.table.status(flight.index) == "paused"]
        for flight in waiting:
            run = self.run(flight.index)
            state = run.state if run is not None else None
            if state is not None and state.ended and self.flights.get(flight.index) is flight:
                self._record(flight, state)
