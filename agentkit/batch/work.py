"""Beginning the runs of a batch, here or at the workers, and following them: the part that nobody sees."""

import contextlib
import contextvars
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from functools import partial

from agentkit.batch.following import Following, News
from agentkit.batch.items import Item
from agentkit.batch.lanes import Job, side_by_side
from agentkit.batch.options import MapOptions
from agentkit.batch.recorded import Recorded, find_recorded
from agentkit.batch.table import WITHOUT_OUTPUT, Table
from agentkit.definition import Definition
from agentkit.errors import AgentKitError, ConfigError, LogCorrupt, LogError, ResumeError, RunClaimed, RunNotFound
from agentkit.messages import Usage
from agentkit.runner.flight import Flight
from agentkit.runner.recorder import now
from agentkit.runner.run import Run
from agentkit.runner.start import resume, start, submit
from agentkit.state import State
from agentkit.store import Store

_SLICE = 0.2
"""Seconds between two tries to have one's turn."""
_FAILED = "an item failed"
CANCELLED = "cancelled"
"""Why nothing more is begun."""
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
        self.flights: dict[int, Flight] = {}  # what executes or waits here, by its item
        self.following = Following(store, self._on_news, self._leave)  # what was submitted
        self.error: BaseException | None = None  # what broke the items, or the log
        self.stopped: str | None = None  # why nothing more is begun
        self._cancelled_why: str | None = None
        self.complete = False  # every item was read
        self.renews = False  # what an earlier call left without an output is begun anew where it is met
        self.waits_for: str | None = None  # who maps the same just now
        self._usage = Usage()  # of ended runs
        self._so_far: dict[int, Usage] = {}  # of those that have not ended, until they last stopped, by their item
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
            return sum(self._so_far.values(), self._usage)

    @property
    def settled(self) -> bool:
        """Whether nothing happens by itself any more."""
        if not self.idle:
            return False
        # once a failure is the outcome, nobody waits for what goes on at the workers
        if self.table.statuses["running"] and self.stopped != _FAILED:
            return False
        drivers = [flight.driver for flight in list(self.flights.values())]  # they wait: was one just answered?
        return all(driver is None or driver.settled.is_set() for driver in drivers)

    @property
    def idle(self) -> bool:
        """Whether nothing is begun any more, and nothing executes here."""
        if self._feeding and self.stopped is None:
            return False
        return all(self.table.status(index) != "running" for index in list(self.flights))

    def wait(self, seconds: float) -> bool:
        """Wait so long at most for everything to settle; whether it did."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.settled, seconds):
                return False
        with contextlib.suppress(LogError):  # whoever looks at what came of it is told
            return not self.following.answered()
        return True

    def wait_idle(self, seconds: float) -> bool:
        """Wait so long at most until nothing executes here any more, whatever others do; whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self.idle, seconds)

    def wait_begun(self, seconds: float) -> bool:
        """Wait so long at most until nothing more is to be begun; whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._feeding, seconds)

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
        thread = threading.Thread(target=lambda: here.run(feed), name="agentkit-map")
        thread.daemon = not self.options.submit  # a process does not end before all is submitted
        thread.start()

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
            self.complete = self._take_each(items, recorded)

    def _take_again(self, items: Iterable[Item]) -> None:
        self._take_each(items, {})

    def _take_each(self, items: Iterable[Item], recorded: dict[str, Recorded]) -> bool:
        """See to items until nothing more is to be begun; whether that was all of them."""
        if self.options.submit:
            return side_by_side(items, lambda item: self._submitting(item, self._known(item, recorded)))
        return all(self._take(item, self._known(item, recorded)) for item in items)

    def _known(self, item: Item, recorded: dict[str, Recorded]) -> Recorded | None:
        """The run of an item that counts; None where one is to be begun."""
        found = recorded.pop(item.key, None)
        return None if found is not None and self.renews and found.status in WITHOUT_OUTPUT else found

    def wait_taken(self, index: int, seconds: float) -> bool:
        """Wait so long at most until an item was taken, or nothing more is; whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.table) > index or not self._feeding, seconds)

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
        if not self._needs_nothing(item, recorded):
            self._slots.acquire()
            if self.stopped is not None:
                self._slots.release()
                return False
            self._fly(item, recorded)
        return True

    def _needs_nothing(self, item: Item, recorded: Recorded | None) -> bool:
        """Note what became of an item that cannot be begun, has ended, or is the workers'; False of any other."""
        if item.error is not None:
            self._put(item.index, None, "failed", error=item.error)
        elif recorded is not None and recorded.ended:
            self._keep(item.index, recorded)
        elif recorded is not None and recorded.submitted:
            self._follow(item.index, recorded.run_id)
        else:
            return False
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

    def _submitting(self, item: Item, recorded: Recorded | None) -> Job | None:
        """What is left to be done to have an item at the workers; None where nothing more is to be begun."""
        if self.stopped is not None:
            return None
        if self._needs_nothing(item, recorded):
            return _nothing
        self._put(item.index, recorded and recorded.run_id, "running")
        return partial(self._submit, item) if recorded is None else partial(self._hand_over, item, recorded.run_id)

    def _submit(self, item: Item) -> None:
        options = self.options
        try:
            run_id = submit(
                self.store,
                self.definition,
                item.given,
                tags=options.tags,
                session=options.session,
                user=options.user,
                item=item.recorded,
            )
        except BaseException as error:
            self._put(item.index, None, "interrupted", error=f"{type(error).__name__}: {error}")
            raise
        self._follow(item.index, run_id)
        self._cancel_late(run_id)

    def _cancel_late(self, run_id: str) -> None:
        """The batch was cancelled while a run of it was being left to the workers."""
        if self.stopped == CANCELLED:
            with contextlib.suppress(AgentKitError):  # it ended
                Run(self.store, run_id, definition=self.definition).cancel(self._cancelled_why)

    def _hand_over(self, item: Item, run_id: str) -> None:
        try:
            self._follow(item.index, run_id, held=not self._leave(run_id))
            self._cancel_late(run_id)
        except ConfigError as error:  # it was begun where no worker could import it
            self._on_news(item.index, run_id, error)

    def _leave(self, run_id: str) -> bool:
        """Leave a run that is no worker's to them, where nobody has it; whether it is theirs now, or has ended."""
        if self.store.holder(run_id) is not None:
            return False
        with contextlib.suppress(ResumeError):  # it ended just now
            try:
                Run(self.store, run_id, definition=self.definition).resume(submit=True)
            except RunClaimed:
                return False
        return True

    def _follow(self, index: int, run_id: str, *, held: bool = False) -> None:
        self._put(index, run_id, "running")
        self.following.add(index, run_id, held=held)

    # following: on the engine's thread, and on that which looks into the log -----------------------------------------

    def _on_news(self, index: int, run_id: str, news: News) -> None:
        if self.table.run_id(index) != run_id:  # the item was begun anew since
            return
        if news is None:
            self._put(index, run_id, "running")
        elif isinstance(news, State):
            self._record(index, news)
        else:
            if not isinstance(news, RunNotFound | LogCorrupt | ConfigError):  # which are this run's trouble alone
                self._break(news)
            self._put(index, run_id, "interrupted", error=f"{type(news).__name__}: {news}")

    def _break(self, error: BaseException) -> None:
        self.error = self.error or error
        self.stopped = self.stopped or "the log cannot be used"

    def _on_go(self, flight: Flight) -> None:
        if self.table.status(flight.index) != "running":
            self._put(flight.index, flight.run_id, "running", flight=flight)

    def _on_stop(self, flight: Flight, state: State | None, error: BaseException | None) -> None:
        if self.flights.get(flight.index) is flight:  # the item may have been begun anew since
            if error is not None:
                self._break(error)
                self._put(flight.index, flight.run_id, "interrupted", error=f"{type(error).__name__}: {error}")
            elif state is not None:
                self._record(flight.index, state, flight)
        if flight.has_slot:
            flight.has_slot = False
            self._slots.release()

    def _record(self, index: int, state: State, flight: Flight | None = None) -> None:
        usage = state.usage + state.child_usage
        with self._changed:
            if state.ended:
                self._usage += usage
            else:
                self._so_far[index] = usage
        said = None
        if state.status == "failed":
            said = f"{state.error.type}: {state.error.message}" if state.error else "failed"
        elif state.status == "cancelled":
            said = "cancelled" + (f": {state.stopped_why}" if state.stopped_why else "")
        seconds = ((state.ended_at or now()) - state.started_at).total_seconds()
        kept = None if state.ended else flight
        self._put(index, state.run_id, state.status, error=said, seconds=seconds, cost=usage.cost_usd, flight=kept)

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
            if status not in {"running", "paused"}:
                self._so_far.pop(index, None)
            if status in WITHOUT_OUTPUT and self.options.on_error == "fail":
                self.stopped = self.stopped or _FAILED
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

    def cancel(self, why: str | None) -> None:
        """Begin nothing more, and end what executes or waits, here or at the workers; what just ended is left alone."""
        self._cancelled_why = why
        self.stop(CANCELLED)

        def cancel(run: Run) -> None:
            with contextlib.suppress(AgentKitError):
                run.cancel(why)

        self.each(cancel, "running", "paused")
        followed = (Run(self.store, run_id, definition=self.definition) for run_id in self.following.unfinished)
        side_by_side(followed, lambda run: partial(cancel, run))
        self.following.look_soon()

    def refresh(self) -> None:
        """See what other processes made of the runs that wait."""
        if self.following.unfinished:
            self.following.look()
        waiting = [flight for flight in list(self.flights.values()) if self.table.status(flight.index) == "paused"]
        for flight in waiting:
            run = self.run(flight.index)
            state = run.state if run is not None else None
            if state is None or self.flights.get(flight.index) is not flight:
                continue
            if state.ended:
                self._record(flight.index, state, flight)
            elif state.submitted:  # it was left to the workers
                self._follow(flight.index, flight.run_id)


def _nothing() -> None:
    """Nothing is left to be done."""
