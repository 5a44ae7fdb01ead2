# ruff: noqa: S608  the SQL is put together from our own names
"""The ledger of exports of a log in PostgreSQL: a table of lines, and an advisory lock for each target."""

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentkit.errors import LogBusy
from agentkit.store import Exported
from agentkit.stores.postgres.connections import Connections
from agentkit.stores.views import LEDGER

if TYPE_CHECKING:
    import psycopg

_COLUMNS = ", ".join(LEDGER)
_WRITE = f"INSERT INTO ledger ({_COLUMNS}) VALUES ({', '.join(f'%({name})s' for name in LEDGER)})"
_READ = f"""
SELECT DISTINCT ON (run_id) {_COLUMNS} FROM ledger
WHERE target = %s ORDER BY run_id, CASE WHEN run_id IS NULL THEN id ELSE -id END
"""


class PostgresLedger:
    """The ledger; see `Ledger`.

    Args:
        connections: to the server.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @contextlib.contextmanager
    def turn(self, target: str, *, timeout: float) -> Generator[None]:
        """Be the only one who exports to a target; see `Ledger.turn`."""
        deadline = time.monotonic() + timeout
        key = [f"agentkit export {self._connections.place.schema} {target}"]
        with self._own() as connection:
            while not _got(connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key).fetchone()):
                if time.monotonic() >= deadline:
                    raise LogBusy(f"another process exports to {target} for more than {timeout} s; let it end")
                time.sleep(0.05)
            yield  # the lock goes with the connection

    @contextlib.contextmanager
    def _own(self) -> "Generator[psycopg.Connection[Any]]":
        """A connection for as long as an export takes: the shared ones are few."""
        import psycopg

        try:
            connection = self._connections.own()
        except psycopg.Error as error:
            raise self._connections.unwritable(error) from error
        with contextlib.closing(connection):
            yield connection

    def read(self, target: str) -> Mapping[str | None, Exported]:
        """The newest line of each run; see `Ledger.read`."""
        rows = self._connections.execute(_READ, [target])
        lines = [Exported.model_validate(dict(zip(LEDGER, row, strict=True))) for row in rows]
        return {line.run_id: line for line in lines}

    def write(self, lines: Sequence[Exported]) -> None:
        """Add lines; see `Ledger.write`."""
        with self._connections.use() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(_WRITE.encode(), [{name: getattr(line, name) for name in LEDGER} for line in lines])


def _got(row: tuple[Any, ...] | None) -> bool:
    return row is not None and bool(row[0])
