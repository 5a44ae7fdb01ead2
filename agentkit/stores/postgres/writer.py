# ruff: noqa: S608  the SQL is put together from our own names
"""What a process appends: one thread writes what every run appended meanwhile, in one statement and one commit.

The statement moves the head of each run on where the claim's token and head are still what this process knows, and
inserts the events of those runs only: a process that was stopped while another took its run over writes nothing.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentkit import failpoints
from agentkit.errors import LogError, RunClaimed
from agentkit.events import Event
from agentkit.stores.acknowledgement import DONE, Acknowledgement, acknowledge, failed
from agentkit.stores.claims import HeldClaim
from agentkit.stores.committer import Committer
from agentkit.stores.postgres.connections import Connections, is_lost, wait_a_little
from agentkit.stores.postgres.tables import EVENTS

if TYPE_CHECKING:
    import psycopg

FAIL_POINTS = ("postgres.sending", "postgres.committed")

_AT_ONCE = 8 * 1024 * 1024  # bytes of a statement, unless one append has more
_PATIENCE = 20.0  # seconds in which a server that went away can come back before runs fail

_COLUMNS = ", ".join(EVENTS)
_PUT = f"""
WITH given AS (
  SELECT * FROM unnest(%(runs)s::uuid[], %(tokens)s::bigint[], %(heads)s::int[], %(counts)s::int[])
    AS g(run_id, token, head, count)
), moved AS (
  UPDATE claims AS c SET head = g.head + g.count FROM given AS g
  WHERE c.run_id = g.run_id AND c.token = g.token AND c.head = g.head RETURNING c.run_id
), put AS (
  INSERT INTO events ({_COLUMNS})
  SELECT {", ".join(f"e.{name}" for name in EVENTS)}
  FROM json_to_recordset(%(events)s::json) AS e({", ".join(f"{name} {kind}" for name, kind in EVENTS.items())})
  JOIN moved ON moved.run_id = e.run_id
)
SELECT run_id FROM moved
"""
_CLAIM = """
SELECT c.token, c.head, p.pid, p.host FROM claims AS c LEFT JOIN processes AS p ON p.process = c.process
WHERE c.run_id = %s
"""


@dataclass(eq=False, slots=True)
class FencedClaim(HeldClaim):
    """A claim with the token that every append of it shows: whoever claims the run next gets another one."""

    token: int = field(default=0, kw_only=True)


@dataclass(slots=True)
class _Entry:
    """Events of one claim that wait to be written; the future, where there is one, waits for the commit."""

    claim: FencedClaim
    lines: list[bytes]
    future: Acknowledgement | None

    @property
    def size(self) -> int:
        return sum(map(len, self.lines))


@dataclass(slots=True)
class _Part:
    """What one claim has in a statement."""

    claim: FencedClaim
    lines: list[bytes] = field(default_factory=list[bytes])


class Writer:
    """What this process writes.

    Args:
        connections: to the server.
        process: this process's name in the log.
    """

    def __init__(self, connections: Connections, process: str) -> None:
        self._connections = connections
        self._process = process
        self._lock = threading.Lock()  # orders appends
        self._waiting: list[_Entry] = []
        self._committer = Committer("agentkit-postgres", self._commit_waiting)
        self._io = threading.Lock()  # held while something is written
        self._connection: psycopg.Connection[Any] | None = None

    def append(self, claim: FencedClaim, events: Sequence[Event], *, durable: bool) -> "Future[None]":
        """Put events after the claim's head; see `Store.append`."""
        lines = [event.encode() for event in events]
        with self._lock:
            claim.check(events, self._process)
            if claim.broken is not None:
                return failed(claim.broken)
            claim.head += len(lines)
            future = Acknowledgement() if durable and claim.written < claim.head else None
            if lines or future is not None:
                self._waiting.append(_Entry(claim, lines, future))
            if future is not None:
                self._committer.wake()
        return future or DONE

    def flush(self) -> None:
        """Have written what waits, if anything does, without waiting for it."""
        with self._lock:
            if self._waiting:
                self._committer.wake()

    def settle(self) -> None:
        """Wait until everything appended up to now can be read, or has failed."""
        if self._waiting or self._io.locked():
            self._commit_waiting()

    def close(self) -> None:
        """Write what waits."""
        self._commit_waiting()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit_waiting(self) -> None:
        with self._io:
            with self._lock:
                batch, self._waiting = self._waiting, []
            for parts in _statements(batch):
                self._write(parts)
            waiting = [(entry.future, entry.claim.broken) for entry in batch if entry.future is not None]
        acknowledge(waiting)

    def _write(self, parts: list[_Part]) -> None:
        """Write parts of claims, each whole or not at all; a claim whose part is not written is broken."""
        sound = [part for part in parts if part.claim.broken is None]
        try:
            if sound:
                self._put(sound)
        except Exception as error:  # noqa: BLE001  whatever it is, these events are not in the log
            problem = error if isinstance(error, LogError) else self._connections.unwritable(error)
            with self._lock:
                for part in sound:
                    if part.claim.broken is None:
                        part.claim.broken = problem

    def _put(self, parts: list[_Part]) -> None:
        """Send them, again where the server went away meanwhile, until it has said what became of them."""
        import psycopg

        deadline = time.monotonic() + _PATIENCE
        attempt = 0
        while True:
            connection = self._connection
            try:
                if connection is None:
                    connection = self._connection = self._connections.own()
                failpoints.hit("postgres.sending")
                moved = _send(connection, parts)
                failpoints.hit("postgres.committed")
                self._settle_parts(connection, parts, moved)
            except psycopg.OperationalError as error:
                passing = connection is None or is_lost(connection) or _passes(error)
                if not passing or time.monotonic() > deadline:
                    raise
            else:
                return
            if connection is not None and is_lost(connection):
                self._connection = None
            wait_a_little(attempt)
            attempt += 1

    def _settle_parts(self, connection: "psycopg.Connection[Any]", parts: list[_Part], moved: set[str]) -> None:
        for part in parts:
            claim, head = part.claim, part.claim.written + len(part.lines)
            if claim.run_id not in moved and (problem := _missed(connection, claim, head)) is not None:
                with self._lock:
                    claim.broken = problem
            else:
                claim.written = head


def _statements(batch: Sequence[_Entry]) -> Iterator[list[_Part]]:
    """What waits, in statements of a size that a server takes well, each claim once in a statement."""
    parts: dict[str, _Part] = {}
    size = 0
    for entry in batch:
        if parts and size + entry.size > _AT_ONCE:
            yield list(parts.values())
            parts, size = {}, 0
        if entry.lines:
            parts.setdefault(entry.claim.run_id, _Part(entry.claim)).lines.extend(entry.lines)
            size += entry.size
    if parts:
        yield list(parts.values())


def _send(connection: "psycopg.Connection[Any]", parts: Sequence[_Part]) -> set[str]:
    """Write the parts of the claims that still hold; the runs of those."""
    ordered = sorted(parts, key=lambda part: part.claim.run_id)  # one order for all: no deadlock between processes
    given = {
        "runs": [part.claim.run_id for part in ordered],
        "tokens": [part.claim.token for part in ordered],
        "heads": [part.claim.written for part in ordered],
        "counts": [len(part.lines) for part in ordered],
        "events": (b"[%s]" % b",".join(line for part in ordered for line in part.lines)).decode(),
    }
    return {str(run_id) for (run_id,) in connection.execute(_PUT.encode(), given).fetchall()}


def _missed(connection: "psycopg.Connection[Any]", claim: FencedClaim, head: int) -> LogError | None:
    """Why a claim's part was not written now; None where it was before, and only the server's word of it was lost."""
    row = connection.execute(_CLAIM, [claim.run_id]).fetchone()
    if row is None:
        return RunClaimed(claim.run_id, "nobody: it was removed from the log")
    token, there, pid, host = row
    if token == claim.token and there == head:
        return None
    who = "another process" if pid is None else f"process {pid} on {host}"
    return RunClaimed(claim.run_id, f"{who}, which took it over while this one gave no sign of life")


def _passes(error: Exception) -> bool:
    """Whether the same statement can succeed after an error."""
    from psycopg import errors

    passing = errors.DeadlockDetected | errors.SerializationFailure | errors.AdminShutdown | errors.CannotConnectNow
    return isinstance(error, passing)
