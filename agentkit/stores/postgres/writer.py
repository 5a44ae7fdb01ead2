# ruff: noqa: S608  the SQL is put together from our own names
"""What a process appends: one thread writes what every run appended meanwhile, in one statement and one commit.

The statement moves the head of each run on where the claim's token and head are still what this process knows, and
inserts the events of those runs only: a process that was stopped while another took its run over writes nothing.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

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
_CLOSING = 15.0  # seconds more that a process waits for it at its end

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
    base: int  # the claim's head before them
    lines: list[bytes]
    future: Acknowledgement | None

    @property
    def size(self) -> int:
        return sum(map(len, self.lines))


@dataclass(slots=True)
class _Part:
    """What one claim has in a statement, after which head."""

    claim: FencedClaim
    base: int
    lines: list[bytes] = field(default_factory=list[bytes])

    @property
    def head(self) -> int:
        """The claim's head once it is written."""
        return self.base + len(self.lines)


Job: TypeAlias = "Callable[[], tuple[str, dict[str, Any]]]"
"""What is to be said to the server after what was appended before it: makes the statement when it is its turn."""


class Writer:
    """What this process writes.

    Args:
        connections: to the server.
        process: this process's name in the log.
    """

    def __init__(self, connections: Connections, process: str) -> None:
        self.process = process
        self._connections = connections
        self._lock = threading.Lock()  # orders appends
        self._waiting: list[_Entry] = []
        self._jobs: list[Job] = []
        self._committer = Committer("agentkit-postgres", self._lock, self._commit_waiting)
        self._io = threading.Lock()  # held while something is written
        self._connection: psycopg.Connection[Any] | None = None

    def append(self, claim: FencedClaim, events: Sequence[Event], *, durable: bool) -> "Future[None]":
        """Put events after the claim's head; see `Store.append`."""
        lines = [event.encode() for event in events]
        with self._lock:
            claim.check(events, self.process)
            if claim.broken is not None:
                return failed(claim.broken)
            base = claim.head
            claim.head += len(lines)
            future = Acknowledgement() if durable and claim.written < claim.head else None
            if lines or future is not None:
                self._waiting.append(_Entry(claim, base, lines, future))
            if future is not None:
                self._committer.wake()
        return future or DONE

    def soon(self, job: Job) -> None:
        """Have a statement run after everything that was appended; again and again until the server takes it."""
        with self._lock:
            self._jobs.append(job)
            self._committer.wake()

    def tell(self, job: Job) -> None:
        """Have it run soon and wait for that, but not on a loop, which drives other runs."""
        self.soon(job)
        if asyncio._get_running_loop() is None:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  no error where there is none
            self.settle()

    def flush(self) -> None:
        """Have done what waits, if anything does, without waiting for it."""
        with self._lock:
            if self._waiting or self._jobs:
                self._committer.wake()

    def settle(self) -> None:
        """Wait until everything appended up to now can be read, or has failed."""
        if self._waiting or self._jobs or self._io.locked():
            self._committer.settle()

    def close(self) -> None:
        """Write what waits, for as long as a server may take that is not well, and end."""
        with contextlib.suppress(TimeoutError):
            self._committer.settle(_PATIENCE + _CLOSING)
            self._committer.stop()
            with self._io:
                self._drop()

    def _commit_waiting(self) -> None:
        interrupted: BaseException | None = None
        with self._io:
            with self._lock:
                batch, self._waiting = self._waiting, []
                jobs, self._jobs = self._jobs, []
            try:
                for parts in _statements(batch):
                    self._write(parts)
                self._do(jobs)
            except BaseException as error:  # noqa: BLE001  the interpreter ends, and somebody presses Ctrl-C
                self._break([entry.claim for entry in batch if entry.claim.written < entry.claim.head], error)
                interrupted = error
            waiting = [(entry.future, entry.claim.broken) for entry in batch if entry.future is not None]
        acknowledge(waiting)
        if interrupted is not None:
            raise interrupted

    def _write(self, parts: list[_Part]) -> None:
        """Write parts of claims, each whole or not at all; a claim whose part is not written is broken."""
        sound = [part for part in parts if part.claim.broken is None]
        try:
            if sound:
                self._put(sound)
        except Exception as error:  # noqa: BLE001  whatever it is, these events are not in the log
            import psycopg

            if len(sound) > 1 and not isinstance(error, psycopg.OperationalError):
                for part in sound:  # what the server does not take of one run is no reason to stop the others
                    self._write([part])
            else:
                self._break([part.claim for part in sound], error)

    def _break(self, claims: Sequence[FencedClaim], error: BaseException) -> None:
        problem = error if isinstance(error, LogError) else self._connections.unwritable(error)
        with self._lock:
            for claim in claims:
                claim.broken = claim.broken or problem

    def _do(self, jobs: list[Job]) -> None:
        """Run statements in their order; from the first on that the server does not take now, they wait."""
        while jobs:
            sql, parameters = jobs[0]()
            try:
                self._open().execute(sql.encode(), parameters)
            except Exception:  # noqa: BLE001  the server is away, or not well
                self._drop()
                with self._lock:
                    self._jobs[:0] = jobs
                return
            jobs.pop(0)

    def _open(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            self._connection = self._connections.own()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _put(self, parts: list[_Part]) -> None:
        """Send them, again where the server went away meanwhile, until it has said what became of them."""
        import psycopg

        deadline = time.monotonic() + _PATIENCE
        attempt = 0
        while True:
            try:
                connection = self._open()
                failpoints.hit("postgres.sending")
                moved = _send(connection, parts)
                failpoints.hit("postgres.committed")
                left = [part for part in parts if part.claim.run_id not in moved]
                missed = {part.claim.run_id: _missed(connection, part) for part in left}
            except psycopg.Error as error:
                passing = self._connection is None or is_lost(self._connection) or _passes(error)
                if not passing or time.monotonic() > deadline:
                    raise
                self._drop()
            else:
                self._settle_parts(parts, missed)
                return
            wait_a_little(attempt)
            attempt += 1

    def _settle_parts(self, parts: list[_Part], missed: Mapping[str, LogError | None]) -> None:
        for part in parts:
            if (problem := missed.get(part.claim.run_id)) is not None:
                self._break([part.claim], problem)
            else:
                part.claim.written = part.head


def _statements(batch: Sequence[_Entry]) -> Iterator[list[_Part]]:
    """What waits, in statements of a size that a server takes well, each claim once in a statement."""
    parts: dict[str, _Part] = {}
    size = 0
    for entry in batch:
        if parts and size + entry.size > _AT_ONCE:
            yield list(parts.values())
            parts, size = {}, 0
        if entry.lines:
            parts.setdefault(entry.claim.run_id, _Part(entry.claim, entry.base)).lines.extend(entry.lines)
            size += entry.size
    if parts:
        yield list(parts.values())


def _send(connection: "psycopg.Connection[Any]", parts: Sequence[_Part]) -> set[str]:
    """Write the parts of the claims that still hold; the runs of those."""
    ordered = sorted(parts, key=lambda part: part.claim.run_id)  # one order for all: no deadlock between processes
    given = {
        "runs": [part.claim.run_id for part in ordered],
        "tokens": [part.claim.token for part in ordered],
        "heads": [part.base for part in ordered],
        "counts": [len(part.lines) for part in ordered],
        "events": (b"[%s]" % b",".join(line for part in ordered for line in part.lines)).decode(),
    }
    return {str(run_id) for (run_id,) in connection.execute(_PUT.encode(), given).fetchall()}


def _missed(connection: "psycopg.Connection[Any]", part: _Part) -> LogError | None:
    """Why a claim's part was not written now; None where it was before, and only the server's word of it was lost."""
    row = connection.execute(_CLAIM, [part.claim.run_id]).fetchone()
    if row is None:
        return RunClaimed(part.claim.run_id, "nobody: it was removed from the log")
    token, there, pid, host = row
    if (token, there) == (part.claim.token, part.head):
        return None
    who = "another process" if pid is None else f"process {pid} on {host}"
    return RunClaimed(part.claim.run_id, f"{who}, which took it over while this one gave no sign of life")


def _passes(error: Exception) -> bool:
    """Whether the same statement can succeed after an error: the server stops or starts, or hands over to another."""
    from psycopg import errors

    passing = errors.DeadlockDetected | errors.SerializationFailure | errors.AdminShutdown | errors.CannotConnectNow
    waited = errors.QueryCanceled | errors.LockNotAvailable  # a statement_timeout or lock_timeout of the role's
    return isinstance(error, passing | waited | errors.ReadOnlySqlTransaction)
