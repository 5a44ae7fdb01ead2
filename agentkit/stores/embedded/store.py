"""The embedded store: a folder with a journal per process, leases, an inbox, large bodies, and DuckDB behind them."""

import os
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.errors import LogUnwritable, RunClaimed
from agentkit.events import Event
from agentkit.ids import new_id
from agentkit.rows import Rows
from agentkit.store import Answer, Claim, ClaimActivity, Holder
from agentkit.stores.claims import HeldClaim, own
from agentkit.stores.embedded.blobs import Blobs
from agentkit.stores.embedded.folder import prepare
from agentkit.stores.embedded.folding import Folding
from agentkit.stores.embedded.history import History
from agentkit.stores.embedded.inbox import Inbox
from agentkit.stores.embedded.journal import Journal, unwritable
from agentkit.stores.embedded.lease import Leases
from agentkit.stores.embedded.ledger import FileLedger
from agentkit.stores.embedded.prune import prune
from agentkit.stores.embedded.queue import FileQueue
from agentkit.stores.embedded.upkeep import Upkeep
from agentkit.stores.names import checked_approval_id, checked_run_id
from agentkit.stores.opened import Opened

if TYPE_CHECKING:
    from agentkit.stores.embedded.warehouse import Warehouse

_FOLD_AT_EXIT = 16  # closed segments from which on the next process would feel them in its first query


def open_store(url: str) -> "EmbeddedStore":
    """Open the log in a folder, or make one.

    Args:
        url: the folder's path.

    Returns:
        The store; within a process, always the same one for a folder, as long as it is open.

    Raises:
        LogUnwritable: there is no log and none can be made.
        LogTooNew: a newer agentkit wrote it.
    """
    folder = Path(url).expanduser().resolve()
    return _opened.at(str(folder), lambda: EmbeddedStore(folder))


class EmbeddedStore:
    """One process's way into the log of a folder; see `Store` for what its methods promise.

    Args:
        folder: the log's; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        prepare(folder)
        self.url = str(folder)
        self.closed = False
        self._folder = folder
        self._begin()
        _opened.add(self)

    def _begin(self) -> None:
        """Become a process of the log: at the start, and once more in a forked child."""
        self.process = f"{os.getpid()}-{new_id()}"
        self._lock = threading.RLock()
        self._claims: dict[str, HeldClaim | None] = {}  # None: being claimed
        self._watched: dict[str, int] = {}  # run → its head when it was released
        self._warehouse: Warehouse | None = None
        self._blobs = Blobs(self._folder / "blobs")
        self._inbox = Inbox(self._folder / "inbox")
        self.exports = FileLedger(self._folder / "exports")
        self._leases = Leases(self._folder / "lease", self.process)
        self.queue = FileQueue(self._folder / "queue", self.process, self._leases)
        self._journal = Journal(self._folder / "journal", self.process, self._blobs)
        self._history = History(self._folder, self._table)
        self._folding = Folding(self._folder, self._table)
        self._upkeep = Upkeep(self._journal, self._folding, self._leases, lambda: bool(self._claims))

    def claim(self, run_id: str, *, new: bool = False, activity: ClaimActivity = "executing") -> HeldClaim:
        """Take the right to append to a run; see `Store.claim`."""
        checked_run_id(run_id)
        with self._lock:
            if self.closed:
                raise LogUnwritable(f"{self.url}: this log was closed in this process; open it again")
            if run_id in self._claims:
                holder = self._leases.holder(run_id) or "this process"
                raise RunClaimed(run_id, f"{holder}, by another activation in it")
            self._claims[run_id] = None
            watched = self._watched.pop(run_id, None)
        try:
            head = self._take(run_id, new, watched, activity)
            claim = HeldClaim(run_id, self.process, head=head, written=head)
        except BaseException as error:
            with self._lock:
                del self._claims[run_id]
            if isinstance(error, OSError):
                raise unwritable(self._folder, error) from error
            raise
        with self._lock:
            self._claims[run_id] = claim
        self._upkeep.start()
        return claim

    def append(self, claim: Claim, events: Sequence[Event], *, durable: bool = True) -> "Future[None]":
        """Put events after the claim's head; see `Store.append`."""
        return self._journal.append(own(claim, HeldClaim), events, durable=durable, alone=len(self._claims) == 1)

    def release(self, claim: Claim, *, watch: bool = False) -> None:
        """Give a claim back; see `Store.release`."""
        held = own(claim, HeldClaim)
        with self._lock:
            if self._claims.get(held.run_id) is not held:
                return
        if held.written < held.head:
            self._journal.settle()  # whoever appended what is lost was told by its own future
        watch = watch and held.broken is None  # who did not write all of it knows nothing of the run
        with self._lock:
            held.held = False
            if watch:
                self._watched[held.run_id] = held.head
            self._leases.give_back(held.run_id, watch=watch)
            self._claims.pop(held.run_id, None)

    def unwatch(self, run_id: str) -> None:
        """Stop being the one who watches a run."""
        with self._lock:
            self._watched.pop(run_id, None)
            self._leases.unwatch(checked_run_id(run_id))

    def holder(self, run_id: str) -> Holder | None:
        """The living process that executes or watches the run; None when nobody does."""
        return self._leases.holder(checked_run_id(run_id))

    def read(self, run_id: str, *, after: int = 0, until: int | None = None) -> list[Event]:
        """A run's events with `after < seq <= until`; see `Store.read`."""
        checked_run_id(run_id)
        head = self._known_head(run_id)
        if head is not None:
            until = head if until is None else min(head, until)
            if until <= after:
                return []
        return self._events(self._history.rows(run_id, after, until))

    def read_many(self, run_ids: Iterable[str]) -> dict[str, list[Event]]:
        """All events of several runs; see `Store.read_many`."""
        self._journal.settle()
        found = self._history.rows_of([checked_run_id(run_id) for run_id in run_ids])
        return {run_id: self._events(rows) for run_id, rows in found.items() if rows}

    def _events(self, rows: Iterable[dict[str, Any]]) -> list[Event]:
        return [Event.from_row({**row, "body": self._blobs.get(row["body"])}) for row in rows]

    def answer(self, run_id: str, approval_id: str, answer: Answer) -> Answer:
        """Answer an approval once; see `Store.answer`."""
        checked_run_id(run_id)
        checked_approval_id(approval_id)
        try:
            return self._inbox.put(run_id, approval_id, answer)
        except OSError as error:
            raise unwritable(self._folder / "inbox", error) from error

    def answers(self, run_id: str) -> dict[str, Answer]:
        """Every answer given for a run, by approval id."""
        return self._inbox.all(checked_run_id(run_id))

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Run one reading statement over the log's views; see `Store.query`."""
        self._journal.settle()
        found = self._table().query(sql, parameters)
        damage = self._history.damage()
        if not damage:
            return found
        note = " ".join(["What the journal's damaged lines say is left out here, or wrong:", *damage])
        warnings.warn(note, RuntimeWarning, stacklevel=3)
        return Rows(found.columns, found.rows, f"{found.note} {note}" if found.note else note)

    def prune(self, run_ids: Iterable[str]) -> int:
        """Remove runs with their answers and the large bodies nobody else needs; see `Store.prune`."""
        ids = [checked_run_id(run_id) for run_id in run_ids]
        self._journal.close_segment()
        removed = prune(ids, self._folding, self._table(), self._blobs)
        for run_id in ids:
            self._inbox.remove(run_id)
            self.queue.remove(run_id)
        self.exports.remove(ids)
        return removed

    def fold(self, *, timeout: float = 10.0) -> bool:
        """Move what can be moved into the table now, instead of when the background thread finds it worth it.

        Args:
            timeout: seconds to wait for another fold to end.

        Returns:
            Whether it was done: False where another program keeps the table's file open.
        """
        self._journal.close_segment()
        return self._folding.fold(timeout=timeout)

    def close(self) -> None:
        """Make everything durable, give back every claim, stop background work."""
        if self.closed:
            return
        self.closed = True
        for claim in list(self._claims.values()):
            if claim is not None:
                self.release(claim)
        for run_id in list(self._watched):
            self.unwatch(run_id)
        self._upkeep.stop()
        self._journal.close()
        if self._warehouse is not None or self._folding.due() >= _FOLD_AT_EXIT:
            self._folding.fold()
        if self._warehouse is not None:
            self._warehouse.close()
        self._folding.close()
        self.queue.close()
        self._leases.close()

    def become_child(self) -> None:
        """In a forked child: let go of what is the parent's, and be a process of its own from now on."""
        self._journal.forget()
        self._leases.forget()
        self.queue.forget()
        self._folding.close()
        self._blobs.lock.close()
        if self._warehouse is not None:
            # its threads did not survive the fork, and ending it would wait for them
            _inherited.append(self._warehouse)
        self._begin()

    def _take(self, run_id: str, new: bool, watched: int | None, activity: ClaimActivity) -> int:
        """Take the lease and find the run's head."""
        before = self._leases.take(run_id, activity)
        if new:
            return 0
        if watched is not None and before is not None and before.process == self.process:
            return watched  # nobody else had the run since this process released it
        try:
            rows = self._history.rows(run_id, 0, None)
        except BaseException:
            self._leases.give_back(run_id, watch=False)
            raise
        return rows[-1]["seq"] if rows else 0

    def _known_head(self, run_id: str) -> int | None:
        """The head of a run that nobody else can append to, once everything up to it can be read."""
        with self._lock:
            claim = self._claims.get(run_id)
            watched = self._watched.get(run_id)
        if claim is not None and claim.broken is None:
            head = claim.head
            self._journal.settle()
            return head if claim.broken is None else None
        if watched is not None and (holder := self._leases.holder(run_id)) and holder.process == self.process:
            return watched
        return None

    def _table(self) -> "Warehouse":
        with self._lock:
            if self._warehouse is None:
                from agentkit.stores.embedded.warehouse import Warehouse

                self._warehouse = Warehouse(self._folder)
            return self._warehouse


_opened: Opened[EmbeddedStore] = Opened()
_inherited: "list[Warehouse]" = []
