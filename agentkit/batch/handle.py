"""The handle on a batch: wait for it, look at it, try again what failed, stop it, go on with it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sized
from typing import Any, cast

from pydantic import BaseModel

from agentkit.batch import show
from agentkit.batch.items import Item, read_items
from agentkit.batch.options import MapOptions
from agentkit.batch.recorded import first_event, read_outputs
from agentkit.batch.table import WITHOUT_OUTPUT, Counts, Row
from agentkit.batch.work import CANCELLED, Work
from agentkit.definition import Definition
from agentkit.errors import AgentKitError, ConfigError, RunCancelled, RunFailed, RunPaused
from agentkit.failed import Failed
from agentkit.jsonvalue import JsonValue
from agentkit.log import Log
from agentkit.messages import Usage
from agentkit.rows import Rows
from agentkit.runner.engine import engine
from agentkit.runner.run import Run
from agentkit.runner.start import refuse_notebooks
from agentkit.state import Approval
from agentkit.text import brief

_SLICE = 0.2
"""Seconds a wait lasts at most before it looks for an interrupt."""
_PATIENCE = 60.0
"""Seconds for which an interrupt waits for what is in flight; a second one leaves at once."""
_COLUMNS = ("index", "run_id", "status", "output", "error", "seconds", "cost")


class Batch:
    """Many runs, one for each item. `batch.result()` and `await batch` give the outputs in the items' order.

    It keeps a few numbers an item; what the runs did is in the log. Called again with the same items, `map` finds there
    what is done and goes on with the rest. Runs that were submitted are looked at about once a second.

    Raises:
        ConfigError: it is to be submitted, and no worker could import the definition. And what makes an iterator of the
            items raises.
    """

    def __init__(
        self,
        log: Log,
        definition: Definition,
        items: Iterable[Any],
        read: Callable[[Any], JsonValue],
        options: MapOptions,
    ) -> None:
        if options.submit:
            refuse_notebooks(definition.name, definition.module)
        self.log = log
        self.name = definition.name
        self.total = len(items) if isinstance(items, Sized) else None
        self._definition = definition
        self._work = Work(log.store, definition, options)
        self.shown: Any = None  # where in a notebook it is kept up to date
        self._work.feed(read_items(_iterator(items), definition, read), whole=True)

    # looking ---------------------------------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether nothing happens by itself any more: all is done, or waits for a person."""
        return self._work.settled

    @property
    def waits_for(self) -> str | None:
        """The process that maps the same just now; this batch begins when that one has begun everything."""
        return self._work.waits_for

    @property
    def counts(self) -> Counts:
        """How many items are done, failed, paused, running and left; what waits for a worker counts as running."""
        return self._work.table.counts(len(self._work.table) if self._work.complete else self.total)

    @property
    def queued(self) -> int:
        """How many of those that count as running no worker has taken yet."""
        return min(self._work.following.waiting, self.counts.running)

    @property
    def submitted(self) -> tuple[int, int]:
        """How many runs the workers go on with, whatever becomes of this process, and how many of theirs are paused."""
        following = self._work.following
        paused = following.paused
        return len(following.unfinished) - paused, paused

    @property
    def trouble(self) -> str | None:
        """Why the log could not be read at the last look at what was submitted; it is looked at again."""
        error = self._work.following.trouble
        return None if error is None or not self._work.following.unfinished else str(error)

    @property
    def usage(self) -> Usage:
        """What the runs used until they last stopped, those of earlier calls and retries too."""
        return self._work.usage

    @property
    def cost(self) -> float | None:
        """US dollars; None when a price was unknown."""
        return self.usage.cost_usd

    @property
    def seconds(self) -> float:
        """How long it has been at work since `map` was called, or took until it settled."""
        return (self._work.settled_at or time.monotonic()) - self._work.began

    @property
    def failed(self) -> list[Row]:
        """The items that have no output and will get none, each with its `.error` and `.run`."""
        return [self._work.table.row(index) for index in self._work.table.those(*WITHOUT_OUTPUT)]

    @property
    def begun(self) -> list[Row]:
        """The items that were begun, in order."""
        return [self._work.table.row(index) for index in range(len(self._work.table))]

    @property
    def waiting(self) -> list[Run]:
        """The runs that wait for a person, or were stopped."""
        self._work.refresh()
        runs = [self._work.run(index) for index in self._work.table.those("paused")]
        return [run for run in runs if run is not None]

    @property
    def pending(self) -> list[Approval]:
        """What the runs wait for from a person, over all items, oldest first."""
        asked = [approval for run in self.waiting for approval in run.pending]
        return sorted(asked, key=lambda approval: approval.requested_at)

    def run(self, index: int) -> Run | None:
        """The newest run of an item; None where it was never begun.

        Args:
            index: the item's place, from 0.
        """
        return self._work.run(index) if 0 <= index < len(self._work.table) else None

    def outcomes(self, limit: int | None = None) -> Iterator[tuple[Row, JsonValue]]:
        """The items that were read, in order, each with its output as JSON; None where there is none.

        Args:
            limit: only the first so many.
        """
        table = self._work.table
        indices = range(len(table) if limit is None else min(limit, len(table)))
        done = (index for index in table.those("succeeded") if index in indices)
        outputs = read_outputs(self.log.store, (str(table.run_id(index)) for index in done))
        ahead = next(outputs, None)
        for index in indices:
            row = table.row(index)
            output = None
            if ahead is not None and ahead[0] == row.run_id:
                output, ahead = ahead[1], next(outputs, None)
            yield row, output

    @property
    def results(self) -> list[Any]:
        """The outputs in the items' order; None where there is none."""
        return [
            self._definition.output.from_json(output) if row.status == "succeeded" else None
            for row, output in self.outcomes()
        ]

    @property
    def rows(self) -> Rows:
        """A table of the items: index, run_id, status, output (in short), error, seconds, cost."""
        return self.first_rows(None)

    def first_rows(self, limit: int | None) -> Rows:
        """The same of the first so many items."""
        found = [
            (row.index, row.run_id, row.status, None if row.status != "succeeded" else brief(output), *_numbers(row))
            for row, output in self.outcomes(limit)
        ]
        return Rows(_COLUMNS, found)

    def df(self) -> Any:  # a pandas frame
        """The table as a pandas frame.

        Raises:
            ImportError: pandas is missing; the message says how to get it.
        """
        return self.rows.df()

    def __repr__(self) -> str:
        return show.text(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude
        return show.bundle(self)

    def _ipython_display_(self) -> None:
        show.display(self)

    # waiting ---------------------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> "Batch":
        """Wait until nothing happens by itself any more: every item is done, failed, or waits for a person.

        Ctrl-C stops it: nothing more is begun, what executes here is paused, and `map` with the same items goes on.
        What was submitted goes on at the workers.

        Args:
            timeout: seconds; None waits as long as it takes.

        Returns:
            The batch.

        Raises:
            TimeoutError: some are still running.
            ConfigError: called in an async tool or step, where waiting would stop every run: `await` it there.
        """
        with show.while_waiting(self, self._work.options.progress) as update:
            self._wait(self._work.wait, timeout, update)
        return self

    def wait_begun(self, timeout: float | None = None) -> "Batch":
        """Wait until every item was begun: with `submit=True`, until each is durably the workers'.

        Args:
            timeout: seconds; None waits as long as it takes.

        Returns:
            The batch.

        Raises:
            TimeoutError: some were not begun. And what kept them from it, as `result` raises it.
        """
        self._wait(self._work.wait_begun, timeout, _nothing)
        if self._work.error is not None:
            raise self._work.error
        return self

    def _wait(self, wait: Callable[[float], bool], timeout: float | None, update: Callable[[], None]) -> None:
        if engine().here:
            raise ConfigError("waiting here would stop every run of this process: write `await batch` in async code")
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not wait(_SLICE if deadline is None else min(_SLICE, deadline - time.monotonic())):
                update()
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"{self.name}: {show.summary(self)} after {timeout} s")
        except KeyboardInterrupt:
            raise self._interrupted() from None

    def sleep(self, seconds: float) -> bool:
        """Wait so long at most; whether it settled."""
        return self._work.wait(seconds)

    def _interrupted(self) -> KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):
            if not self._work.options.submit:
                show.say_that_it_stops(self._work.options.progress)
            self.pause()
            self._work.wait_idle(_PATIENCE)
        return KeyboardInterrupt(f"{self.name}: {show.summary(self)}; {show.how_to_come_back(self)}")

    def result(self, timeout: float | None = None) -> list[Any]:
        """Wait, and return the outputs in the items' order, an `ak.Failed` in the place of each that failed.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            RunFailed: an item failed, and `on_error="fail"`.
            RunPaused: some wait for a person; `.pending` lists for what. Or the batch was stopped.
            RunCancelled: the batch was cancelled.
            TimeoutError: some are still running.
            LogError: the log broke.
            Exception: whatever reading the items raised.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.wait(timeout)
            if (outcome := self._outcome()) is not None:
                return outcome
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())

    def check(self) -> None:
        """Raise what `result` would, without reading what the runs gave: nothing where there is a result."""
        work = self._work
        if work.error is not None:
            raise work.error
        if work.options.on_error == "fail" and (failed := self.failed):
            raise self._failure(failed[0])
        if work.stopped == CANCELLED:
            raise RunCancelled(f"{self.name}: the batch was cancelled: {show.summary(self)}", run_id="")
        pending = self.pending
        paused = work.table.those("paused")
        if (paused and work.settled) or not work.complete:
            raise RunPaused(
                show.how_to_go_on(self, pending),
                run_id=str(work.table.run_id(paused[0])) if paused else "",
                usage=self.usage,
                pending=pending,
            )

    def _outcome(self) -> list[Any] | None:
        """The outputs; None where what waited for a person went on while it was looked at."""
        self.check()
        if not self._work.settled:
            return None
        from_json = self._definition.output.from_json
        return [from_json(output) if row.status == "succeeded" else _failed(row) for row, output in self.outcomes()]

    def _failure(self, row: Row) -> RunFailed:
        run = row.run
        state = run.state if run is not None else None
        return RunFailed(
            f"item {row.index}: {row.error}",
            run_id=row.run_id or "",
            usage=state.usage + state.child_usage if state is not None else None,
            error=state.error if state is not None else None,
        )

    def __await__(self) -> Generator[Any, None, list[Any]]:
        return self._wait_async().__await__()

    async def _wait_async(self) -> list[Any]:
        while True:
            while not await asyncio.to_thread(self._work.wait, _SLICE):
                pass
            if (outcome := await asyncio.to_thread(self._outcome)) is not None:
                return outcome

    # steering --------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Begin nothing more, and stop what executes here after what is in flight; `map` with the same items goes on.

        What was submitted goes on at the workers; `run(index).pause()` stops one of them.
        """
        self._work.stop("paused")
        self._work.each(lambda run: run.pause(), "running")

    def cancel(self, why: str | None = None) -> None:
        """Begin nothing more, and end the runs that execute or wait, at the workers too.

        Args:
            why: recorded.
        """
        self._work.cancel(why)

    def retry(self, index: int | None = None) -> "Batch":
        """Begin, or submit, a new run of an item that failed, or of all of them; the newest run of an item counts.

        Args:
            index: the item's place, from 0; all that failed when left out, and what failed in an earlier call among
                the items that are still to be read.

        Returns:
            The batch, at work again.

        Raises:
            ConfigError: the item did not fail, or was never begun.
        """
        table = self._work.table
        self._work.renews |= index is None
        if index is not None and index >= 0:
            self._wait(lambda seconds: self._work.wait_taken(index, seconds), None, _nothing)
        failed = table.those(*WITHOUT_OUTPUT)
        if index is not None and index not in failed:
            what = table.status(index) if 0 <= index < len(table) else "not there"
            raise ConfigError(f"item {index} is {what}; what failed can be tried again: {failed[:20]}")
        chosen = [one for one in failed if index in {None, one} and table.run_id(one) is not None]
        if not chosen and failed:
            first = table.row(failed[0] if index is None else index)
            raise ConfigError(f"item {first.index} was never begun ({first.error}); correct it and call map again")
        if self._work.error is None or isinstance(self._work.error, AgentKitError):
            self._work.error = None  # the log may be well again
        self._work.feed((self._again(one) for one in chosen), whole=False)
        return self

    def _again(self, index: int) -> Item:
        run_id = cast("str", self._work.table.run_id(index))
        started = first_event(self.log.store, run_id)
        recorded = started.config.get("map", {})
        return Item(index, recorded.get("item", ""), started.input, recorded.get("source"))


def _iterator(items: Any) -> Iterator[Any]:
    """The items, one after the other; what is probably one item is refused."""
    if isinstance(items, str | bytes | Mapping | BaseModel):
        raise ConfigError(f"map takes many items, and was given one {type(items).__name__}; put it into a list: [item]")  # pyright: ignore[reportUnknownArgumentType]
    try:
        return iter(items)
    except TypeError as error:
        raise ConfigError(f"map takes items to iterate over, not {brief(items)}") from error


def _nothing() -> None:
    """Nothing is shown."""


def _numbers(row: Row) -> tuple[str | None, float | None, float | None]:
    return row.error, row.seconds, row.cost


def _failed(row: Row) -> Failed:
    kind, _, message = (row.error or row.status).partition(": ")
    return Failed(step=f"item {row.index}", type=kind, message=message or kind)
