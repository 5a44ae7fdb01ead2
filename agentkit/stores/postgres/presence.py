"""This process's life in a log: others see it, and it is told of answers.

A connection of its own holds an advisory lock of the process's name, which the server gives back the moment that the
process dies, and listens for answers. A row says when the process was last seen, for those that are stopped or cut off
and keep their connection, and for those that lost it and come back.
"""

import contextlib
import os
import platform
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentkit.errors import LogError
from agentkit.stores.postgres.connections import Connections

if TYPE_CHECKING:
    import psycopg

LEASE = 30.0
"""Seconds without a sign of life after which a process counts as dead, whatever its connection does."""

_GRACE = 3.0  # seconds, or a tenth of a shorter lease
_TICK = 1.0  # seconds, or a quarter of a shorter lease
_SLICE = 0.5  # seconds that a wait for announcements lasts: ending without a server takes no longer
_PATIENCE = 10.0  # seconds that a claim waits for a connection to come back
_LONG_AGO = 24 * 3600.0  # seconds after which the row of a process that died is removed

_SEEN = """
INSERT INTO processes VALUES (%s, %s, %s, now())
ON CONFLICT (process) DO UPDATE SET seen = excluded.seen
"""


def is_gone(pid: int, host: str) -> bool:
    """Whether a process of this machine has died; of one elsewhere nobody knows here."""
    if os.name != "posix" or host != platform.node():
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


class Presence:
    """Says that this process lives, from the first claim on.

    Args:
        connections: to the server.
        process: this process's name in the log.
        channel: what answers are announced on.
        on_tick: called about once a second.
        on_answer: told of the run that something was answered for; of None when announcements may have been missed.
        lease: see `LEASE`; other processes of the log have to have the same.
    """

    def __init__(
        self,
        connections: Connections,
        process: str,
        channel: str,
        *,
        on_tick: Callable[[], None],
        on_answer: Callable[[str | None], None],
        lease: float = LEASE,
    ) -> None:
        self._connections = connections
        self._process = process
        self._channel = channel
        self._on_tick = on_tick
        self._on_answer = on_answer
        self._lease = lease
        self._tick = min(_TICK, lease / 4)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._connection: psycopg.Connection[Any] | None = None
        self._holds = False

    @property
    def grace(self) -> float:
        """Seconds for which a process is taken to live that was seen and has no connection: it may be coming back."""
        return min(_GRACE, self._lease / 10)

    @property
    def listens(self) -> bool:
        """Whether every answer is announced here."""
        return self._connection is not None

    def start(self) -> None:
        """Begin, at the first claim or the first look into the queue; does nothing after that.

        Raises:
            LogUnwritable: the server cannot be reached: what is claimed now would be anybody's.
        """
        import psycopg

        with self._lock:
            if self._thread is not None:
                self._wait_until_back()
                return
            try:
                self._connect()
            except psycopg.Error as error:
                raise self._connections.unwritable(error) from error
            self._thread = threading.Thread(target=self._run, name="agentkit-presence", daemon=True)
            self._thread.start()

    def _wait_until_back(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self._connection is None:
            if self._stopping or time.monotonic() > deadline:
                raise self._connections.unwritable(ConnectionError("the connection was lost, and is not back yet"))
            time.sleep(0.05)

    def stop(self) -> None:
        """End: from here on this process is dead for the log."""
        self._stopping = True
        if self._thread is not None:
            with contextlib.suppress(LogError):  # it need not wait for its next look
                self._connections.execute("SELECT pg_notify(%s, '')", [self._channel])
            self._thread.join(timeout=_TICK + 10 * _SLICE)
        self._disconnect()

    def _connect(self) -> None:
        connection = self._connections.own()
        try:
            connection.execute("SET synchronous_commit TO off")  # to be seen is worth no wait for a disk
            self._holds = False
            self._hold(connection)
            connection.execute(f"LISTEN {self._channel}".encode())
            self._be_seen(connection)
            self._tidy(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _hold(self, connection: "psycopg.Connection[Any]") -> None:
        """Take the lock of our name, unless the server takes a connection that we lost for one that still holds it."""
        if not self._holds:
            got = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [self._process]).fetchone()
            self._holds = got is not None and bool(got[0])

    def _be_seen(self, connection: "psycopg.Connection[Any]") -> None:
        connection.execute(_SEEN, [self._process, os.getpid(), platform.node()])

    def _tidy(self, connection: "psycopg.Connection[Any]") -> None:
        from psycopg import errors

        with contextlib.suppress(errors.InsufficientPrivilege):
            connection.execute("DELETE FROM processes WHERE seen < now() - make_interval(secs => %s)", [_LONG_AGO])

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _run(self) -> None:
        while not self._stopping:
            began = time.monotonic()
            try:
                self._once()
            except Exception:  # noqa: BLE001  a server that went away comes back; whoever writes says so until then
                self._disconnect()
            with contextlib.suppress(Exception):  # as above
                self._on_tick()
            while not self._stopping and time.monotonic() < began + self._tick:
                time.sleep(min(_SLICE, self._tick))

    def _once(self) -> None:
        """One tick: be there, be seen, and hear what was answered."""
        if self._connection is None:
            self._connect()
            self._on_answer(None)
            self._connections.renew()
        connection = self._connection
        assert connection is not None, "it was just made"
        self._hold(connection)
        self._be_seen(connection)
        until = time.monotonic() + self._tick
        while not self._stopping and time.monotonic() < until:
            for notify in connection.notifies(timeout=min(_SLICE, self._tick), stop_after=1):
                self._on_answer(notify.payload)
