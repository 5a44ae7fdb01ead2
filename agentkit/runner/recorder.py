"""Writes a run's events and folds them in the same breath, so that live state and the log never differ."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from agentkit.errors import EncodingError
from agentkit.events import Body, Decided, Event, HistoryTrimmed, ModelRequested
from agentkit.fold import advance
from agentkit.redact import Redactor
from agentkit.state import State
from agentkit.store import Claim, Store

_MADE_OF_THE_LOG = (ModelRequested, Decided, HistoryTrimmed)
"""Facts of every turn that hold nothing but what is recorded already: secrets were taken out of that."""


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


def since(began: float) -> float:
    """Milliseconds since a `time.perf_counter()`, as an event's duration."""
    return round((time.perf_counter() - began) * 1000, 3)


def tell_nobody(_event: Event) -> None:
    """Nobody follows a run that is not executing."""


class Recorder:
    """The only writer of a run while its claim is held. Lives on the engine's thread.

    Args:
        store: the log.
        claim: the claim on the run.
        state: the state so far; None for a new run.
        on_event: told of every event after it was folded.
        redactor: takes secrets out of everything that is recorded.
    """

    def __init__(
        self,
        store: Store,
        claim: Claim,
        state: State | None,
        on_event: Callable[[Event], None],
        redactor: Redactor,
    ) -> None:
        self.store = store
        self.claim = claim
        self.redactor = redactor
        self._state = state
        self._on_event = on_event
        self._barrier: _Barrier | None = None
        self._seq = claim.head

    @property
    def state(self) -> State:
        """The run's state, live: look, do not keep."""
        assert self._state is not None, "nothing was recorded yet"
        return self._state

    def record(self, body: Body, **envelope: Any) -> Event:
        """Append an event without secrets and fold it. It is on disk when the next `durable()` ends.

        Args:
            body: what happened.
            envelope: columns: step, attempt, name, status, duration_ms, …

        Raises:
            EncodingError: the event cannot be encoded; nothing was appended.
            LogUnwritable: the log broke earlier.
        """
        event = self._event(body, envelope)
        if not isinstance(body, _MADE_OF_THE_LOG) and self._suspects(event):
            event = self._event(self.redactor.fact(body), envelope)
        self.store.append(self.claim, [event], durable=False)
        self._seq += 1
        self._state = advance(self._state, event)
        self._barrier = None
        self._on_event(event)
        return event

    def _event(self, body: Body, envelope: dict[str, Any]) -> Event:
        return Event(run_id=self.claim.run_id, seq=self._seq + 1, ts=now(), body=body, **envelope)

    def _suspects(self, event: Event) -> bool:
        """Whether the event may hold a secret; one that cannot be encoded may, and must not show it in its error."""
        try:
            return self.redactor.suspects(event.body_json())
        except EncodingError:
            return True

    def settle(self) -> None:
        """The same as `durable` where nobody drives runs: wait in this thread.

        Raises:
            LogUnwritable: it is not on disk.
        """
        self.store.append(self.claim, [], durable=True).result()

    async def durable(self) -> None:
        """Wait until everything recorded so far is on disk; those who wait at the same time share one sync.

        Raises:
            LogUnwritable: it could not be made durable: do not perform what needed it.
        """
        await self._sync().wait()

    def keep(self) -> None:
        """Have everything recorded so far written, and wait for nothing; who waits later hears what became of it."""
        self._sync()

    def _sync(self) -> "_Barrier":
        if self._barrier is None:
            self._barrier = _Barrier(self.store.append(self.claim, [], durable=True))
        return self._barrier


class _Barrier:
    """Lets many wait for one sync, with one wake-up of the loop: this is in every step's way.

    Args:
        synced: the store's future; done in whatever thread the store works in.
    """

    def __init__(self, synced: "Future[None]") -> None:
        self._synced = synced
        self._waiters: list[asyncio.Future[None]] = []
        if not synced.done():
            self._loop = asyncio.get_running_loop()
            synced.add_done_callback(self._on_synced)

    async def wait(self) -> None:
        """Wait for the sync; raises what it raised."""
        if not self._synced.done():
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        self._synced.result()

    def _on_synced(self, _synced: "Future[None]") -> None:
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  no error where there is none
            self._wake()
        else:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
