"""A log in this process's memory: for tests and for trying things out. It ends with the process."""

import os
import platform
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from agentkit.errors import RunClaimed
from agentkit.events import Event
from agentkit.ids import new_id
from agentkit.rows import Rows
from agentkit.store import Answer, Claim, ClaimActivity, Holder
from agentkit.stores.claims import HeldClaim, own
from agentkit.stores.ledger import MemoryLedger
from agentkit.stores.names import checked_approval_id, checked_run_id
from agentkit.stores.queue import MemoryQueue

_stores: "weakref.WeakValueDictionary[str, MemoryStore]" = weakref.WeakValueDictionary()


def open_store(url: str = "memory:") -> "MemoryStore":
    """Open a log in memory.

    Args:
        url: `memory:` for a new log, `memory:name` for the one of that name as long as somebody holds it.

    Returns:
        The store.
    """
    name = url.removeprefix("memory:").strip("/") or new_id()
    if (store := _stores.get(name)) is None:
        store = _stores[name] = MemoryStore(name)
    return store


class MemoryStore:
    """The simplest store: a list of encoded events a run.

    Args:
        name: what `memory:<name>` opens again.
    """

    def __init__(self, name: str) -> None:
        self.url = f"memory:{name}"
        self.process = f"{os.getpid()}-{new_id()}"
        self._lock = threading.RLock()
        self._events: dict[str, list[bytes]] = {}
        self._claims: dict[str, HeldClaim] = {}
        self._holders: dict[str, Holder] = {}
        self._answers: dict[str, dict[str, Answer]] = {}
        self.exports = MemoryLedger()
        self.queue = MemoryQueue()

    def claim(
        self,
        run_id: str,
        *,
        new: bool = False,  # noqa: ARG002  a list's length costs nothing
        activity: ClaimActivity = "executing",
    ) -> HeldClaim:
        """Take the right to append to a run; see `Store.claim`."""
        checked_run_id(run_id)
        with self._lock:
            if run_id in self._claims:
                raise RunClaimed(run_id, f"{self._holders[run_id]}, by another activation in it")
            claim = HeldClaim(run_id, self.process, head=len(self._events.get(run_id, ())))
            self._claims[run_id] = claim
            self._holders[run_id] = self._holder(activity)
            return claim

    def append(self, claim: Claim, events: Sequence[Event], *, durable: bool = True) -> "Future[None]":  # noqa: ARG002
        """Put events after the claim's head; see `Store.append`. They last as long as this process, durable or not."""
        encoded = [event.encode() for event in events]
        with self._lock:
            held = own(claim, HeldClaim)
            held.check(events, self.process)
            self._events.setdefault(held.run_id, []).extend(encoded)
            held.head += len(encoded)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def release(self, claim: Claim, *, watch: bool = False) -> None:
        """Give a claim back; see `Store.release`."""
        with self._lock:
            if self._claims.get(claim.run_id) is not claim:
                return
            self._claims.pop(claim.run_id).held = False
            if watch:
                self._holders[claim.run_id] = self._holder("watching")
            else:
                del self._holders[claim.run_id]

    def unwatch(self, run_id: str) -> None:
        """Stop being the one who watches a run."""
        with self._lock:
            if run_id not in self._claims:
                self._holders.pop(run_id, None)

    def holder(self, run_id: str) -> Holder | None:
        """The process that executes or watches the run; None when nobody does."""
        return self._holders.get(checked_run_id(run_id))

    def read(self, run_id: str, *, after: int = 0, until: int | None = None) -> list[Event]:
        """A run's events with `after < seq <= until`."""
        with self._lock:
            encoded = self._events.get(checked_run_id(run_id), [])[after:until]
        return [Event.decode(data) for data in encoded]

    def read_many(self, run_ids: Iterable[str]) -> dict[str, list[Event]]:
        """All events of several runs."""
        return {run_id: events for run_id in run_ids if (events := self.read(run_id))}

    def answer(self, run_id: str, approval_id: str, answer: Answer) -> Answer:
        """Answer an approval once; see `Store.answer`."""
        checked_approval_id(approval_id)
        with self._lock:
            return self._answers.setdefault(checked_run_id(run_id), {}).setdefault(approval_id, answer)

    def answers(self, run_id: str) -> dict[str, Answer]:
        """Every answer given for a run, by approval id."""
        with self._lock:
            return dict(self._answers.get(checked_run_id(run_id), {}))

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Run one reading statement over the log's views."""
        from agentkit.stores.snapshot import query

        with self._lock:
            events = [Event.decode(data) for run in self._events.values() for data in run]
        return query(events, sql, parameters, self.exports.lines)

    def prune(self, run_ids: Iterable[str]) -> int:
        """Remove runs with their answers."""
        run_ids, removed = list(run_ids), 0
        with self._lock:
            for run_id in run_ids:
                removed += len(self._events.pop(run_id, ()))
                self._answers.pop(run_id, None)
                self.queue.remove(run_id)
        self.exports.remove(run_ids)
        return removed

    def close(self) -> None:
        """Give back every claim; what was written stays until the last reference to the store goes."""
        with self._lock:
            for claim in list(self._claims.values()):
                self.release(claim)
            self._holders.clear()
        self.queue.let_go()

    def _holder(self, activity: Any) -> Holder:
        return Holder(self.process, os.getpid(), platform.node(), datetime.now(UTC), activity)
