# ruff: noqa: S608  the SQL is put together from our own names
"""The PostgreSQL store: one process's way into a log that a team shares."""

import hashlib
import os
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from agentkit import failpoints
from agentkit.errors import LogCorrupt, LogUnwritable, RunClaimed
from agentkit.events import Event
from agentkit.ids import new_id
from agentkit.rows import Rows
from agentkit.store import Answer, Claim, ClaimActivity, Holder
from agentkit.stores.claims import own
from agentkit.stores.names import checked_approval_id, checked_run_id
from agentkit.stores.opened import Opened
from agentkit.stores.postgres import tables
from agentkit.stores.postgres.answers import Answers
from agentkit.stores.postgres.connections import Connections, Place
from agentkit.stores.postgres.ledger import PostgresLedger
from agentkit.stores.postgres.presence import LEASE, Presence, is_gone
from agentkit.stores.postgres.queue import PostgresQueue
from agentkit.stores.postgres.writer import FencedClaim, Writer

if TYPE_CHECKING:
    import psycopg_pool

FAIL_POINTS = ("postgres.claimed",)

_COLUMNS = ", ".join(tables.EVENTS)
_TAKE = """
INSERT INTO claims AS c VALUES (%(run)s, 0, %(token)s, %(me)s, %(activity)s, now())
ON CONFLICT (run_id) DO UPDATE
SET token = excluded.token, process = excluded.process, activity = excluded.activity, since = excluded.since
WHERE c.activity IS NULL OR c.activity = 'watching' OR c.process = excluded.process
  OR NOT lives(c.process, %(lease)s, %(grace)s)
RETURNING head
"""
_GIVE_BACK = """
UPDATE claims SET activity = CASE WHEN %(watch)s THEN 'watching' END, process = CASE WHEN %(watch)s THEN process END
WHERE run_id = %(run)s AND token = %(token)s
"""
_UNWATCH = """
UPDATE claims SET activity = NULL, process = NULL
WHERE run_id = %(run)s AND process = %(me)s AND activity = 'watching'
"""
_LEAVE = """
UPDATE claims SET activity = NULL, process = NULL WHERE process = %(me)s
"""
_FORGET = """
UPDATE claims SET activity = NULL, process = NULL WHERE run_id = %(run)s AND token = %(token)s
"""
_HOLDER = """
SELECT p.process, p.pid, p.host, c.since, c.activity FROM claims AS c JOIN processes AS p ON p.process = c.process
WHERE c.run_id = %(run)s AND c.activity IS NOT NULL AND lives(c.process, %(lease)s, %(grace)s)
"""


def open_store(url: str) -> "PostgresStore":
    """Open the log in a PostgreSQL database, or make one.

    Args:
        url: `postgresql://user@host:5432/database`, as libpq takes it; `?schema=name` where the log's tables are to be
            in another schema than `agentkit`. The password is better in `~/.pgpass` or `PGPASSWORD`. Connections keep
            a state: a pooler between has to be in session mode. Where a standby takes over, it has to be a synchronous
            one: what another lacks of the log would be done again.

    Returns:
        The store; within a process, always the same one for a place, as long as it is open.

    Raises:
        ConfigError: psycopg is not installed, or it is no such URL.
        LogUnwritable: the server cannot be reached, or the role may not use the log.
        LogTooNew: a newer agentkit made it.
    """
    place = Place.of(url)
    return _opened.at(f"{place.conninfo}\0{place.schema}", lambda: PostgresStore(place))


class PostgresStore:
    """One process's way into a log in PostgreSQL; see `Store` for what its methods promise.

    Args:
        place: where the log is.
        lease: seconds without a sign of life after which a process counts as dead; the same for all of a log.
    """

    def __init__(self, place: Place, *, lease: float = LEASE) -> None:
        import psycopg

        self.url = place.url
        self.closed = False
        self._place = place
        self._lease = lease
        try:
            with Connections(place).own() as connection:
                tables.prepare(connection, place.schema)
        except psycopg.Error as error:
            raise Connections(place).unwritable(error) from error
        self._begin()
        _opened.add(self)

    def _begin(self) -> None:
        """Become a process of the log: at the start, and once more in a forked child."""
        self.process = f"{os.getpid()}-{new_id()}"
        self._lock = threading.RLock()
        self._claims: dict[str, FencedClaim | None] = {}  # None: being claimed
        self._watched: set[str] = set()
        self._connections = Connections(self._place)
        self._writer = Writer(self._connections, self.process)
        channel = f"agentkit_{hashlib.sha256(self._place.schema.encode()).hexdigest()[:16]}"
        self._answers = Answers(self._connections, channel, lambda: self._presence.listens)
        self._presence = Presence(
            self._connections,
            self.process,
            channel,
            on_tick=self._writer.flush,
            on_answer=self._answers.forget,
            lease=self._lease,
        )
        self.exports = PostgresLedger(self._connections)
        self.queue = PostgresQueue(self._connections, self._writer, self._presence, lease=self._lease)

    def claim(self, run_id: str, *, new: bool = False, activity: ClaimActivity = "executing") -> FencedClaim:  # noqa: ARG002  the server knows the head
        """Take the right to append to a run; see `Store.claim`."""
        checked_run_id(run_id)
        with self._lock:
            if self.closed:
                raise LogUnwritable(f"{self.url}: this log was closed in this process; open it again")
            if run_id in self._claims:
                raise RunClaimed(run_id, "this process, by another activation in it")
            self._claims[run_id] = None
        try:
            claim = self._take(run_id, activity)
        except BaseException:
            with self._lock:
                del self._claims[run_id]
            raise
        with self._lock:
            self._claims[run_id] = claim
            self._watched.discard(run_id)
        return claim

    def append(self, claim: Claim, events: Sequence[Event], *, durable: bool = True) -> "Future[None]":
        """Put events after the claim's head; see `Store.append`."""
        return self._writer.append(own(claim, FencedClaim), events, durable=durable)

    def release(self, claim: Claim, *, watch: bool = False) -> None:
        """Give a claim back; see `Store.release`."""
        held = own(claim, FencedClaim)
        with self._lock:
            if self._claims.get(held.run_id) is not held:
                return
            held.held = False
            self._claims.pop(held.run_id, None)
            if watch and held.broken is None:
                self._watched.add(held.run_id)
        if not watch:
            self._answers.forget(held.run_id)

        def give_back() -> tuple[str, dict[str, Any]]:  # by then all of it was written, or never will be
            watches = watch and held.broken is None and held.run_id in self._watched
            return _GIVE_BACK, {"watch": watches, "run": held.run_id, "token": held.token}

        self._writer.tell(give_back)

    def unwatch(self, run_id: str) -> None:
        """Stop being the one who watches a run."""
        checked_run_id(run_id)
        with self._lock:
            if run_id not in self._watched:
                return
            self._watched.discard(run_id)
        self._answers.forget(run_id)
        self._writer.tell(lambda: (_UNWATCH, {"run": run_id, "me": self.process}))

    def holder(self, run_id: str) -> Holder | None:
        """The living process that executes or watches the run; None when nobody does."""
        checked_run_id(run_id)
        holder = self._holder(run_id, self._presence.grace)
        return self._holder(run_id, 0.0) if holder is not None and is_gone(holder.pid, holder.host) else holder

    def read(self, run_id: str, *, after: int = 0, until: int | None = None) -> list[Event]:
        """A run's events with `after < seq <= until`; see `Store.read`."""
        checked_run_id(run_id)
        if run_id in self._claims:
            self._writer.settle()
        bound = "" if until is None else f" AND seq <= {int(until)}"
        sql = f"SELECT {_COLUMNS} FROM events WHERE run_id = %s AND seq > %s{bound} ORDER BY seq"
        events = [_event(row) for row in self._connections.execute(sql, [run_id, after])]
        _check_dense(run_id, events, after)
        return events

    def read_many(self, run_ids: Iterable[str]) -> dict[str, list[Event]]:
        """All events of several runs; see `Store.read_many`."""
        self._writer.settle()
        ids = [checked_run_id(run_id) for run_id in run_ids]
        sql = f"SELECT {_COLUMNS} FROM events WHERE run_id = ANY(%s::uuid[]) ORDER BY run_id, seq"
        found: dict[str, list[Event]] = {}
        for row in self._connections.execute(sql, [ids]):
            event = _event(row)
            found.setdefault(event.run_id, []).append(event)
        for run_id, events in found.items():
            _check_dense(run_id, events, 0)
        return found

    def answer(self, run_id: str, approval_id: str, answer: Answer) -> Answer:
        """Answer an approval once; see `Store.answer`."""
        won = self._answers.give(checked_run_id(run_id), checked_approval_id(approval_id), answer)
        self._answers.forget(run_id)
        return won

    def answers(self, run_id: str) -> dict[str, Answer]:
        """Every answer given for a run, by approval id."""
        checked_run_id(run_id)
        return self._answers.of(run_id, keep=run_id in self._claims or run_id in self._watched)

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Run one reading statement over the log's views, in PostgreSQL's SQL; see `Store.query`."""
        from agentkit.stores.postgres import reading

        self._writer.settle()
        with self._connections.use() as connection:
            return reading.run(connection, self._place.schema, sql, parameters)

    def prune(self, run_ids: Iterable[str]) -> int:
        """Remove runs with their answers; see `Store.prune`."""
        ids = [checked_run_id(run_id) for run_id in run_ids]
        self._writer.settle()
        with self._connections.use() as connection, connection.transaction():
            for table in ("answers", "claims", "ledger", "queue"):
                connection.execute(f"DELETE FROM {table} WHERE run_id = ANY(%s::uuid[])".encode(), [ids])
            return connection.execute("DELETE FROM events WHERE run_id = ANY(%s::uuid[])", [ids]).rowcount

    def close(self) -> None:
        """Make everything durable, give back every claim, stop background work."""
        if self.closed:
            return
        self.closed = True
        # as few waits as can be, whatever the server does: it frees what a dead process had
        for claim in list(self._claims.values()):
            if claim is not None:
                claim.held = False
        self._claims.clear()
        self._watched.clear()
        self._writer.soon(lambda: (_LEAVE, {"me": self.process}))
        if self.queue.took:
            self._writer.soon(self.queue.leave)
        self._writer.close()
        self._presence.stop()
        self._connections.close()

    def become_child(self) -> None:
        """In a forked child: let go of what is the parent's, and be a process of its own from now on."""
        _inherited.append((self._connections.forget(), self._writer, self._presence))
        self._begin()

    def _take(self, run_id: str, activity: ClaimActivity) -> FencedClaim:
        self._presence.start()
        token = secrets.randbits(62)  # of another claim's no part: who has an old one is kept out
        given = {"run": run_id, "token": token, "me": self.process, "activity": activity, "lease": self._lease}
        grace = self._presence.grace
        try:
            rows = self._connections.execute(_TAKE, {**given, "grace": grace})
            if not rows and ((holder := self._holder(run_id, grace)) is None or is_gone(holder.pid, holder.host)):
                rows = self._connections.execute(_TAKE, {**given, "grace": 0.0})
        except BaseException:  # the server may have taken it, and only its word was lost
            self._writer.soon(lambda: (_FORGET, {"run": run_id, "token": token}))
            raise
        if not rows:
            raise RunClaimed(run_id, str(self.holder(run_id) or "another process"))
        failpoints.hit("postgres.claimed")
        return FencedClaim(run_id, self.process, head=rows[0][0], written=rows[0][0], token=token)

    def _holder(self, run_id: str, grace: float) -> Holder | None:
        rows = self._connections.execute(_HOLDER, {"run": run_id, "lease": self._lease, "grace": grace})
        return Holder(*rows[0]) if rows else None


def _event(row: tuple[Any, ...]) -> Event:
    return Event.from_row(dict(zip(tables.EVENTS, row, strict=True)))


def _check_dense(run_id: str, events: Sequence[Event], after: int) -> None:
    for seq, event in enumerate(events, after + 1):
        if event.seq != seq:
            raise LogCorrupt(
                f"event {seq} of run {run_id} is missing in the table `events`, later ones are there; somebody changed "
                "it, restore it from a backup"
            )


_opened: Opened[PostgresStore] = Opened()
_inherited: "list[tuple[psycopg_pool.ConnectionPool | None, Writer, Presence]]" = []
