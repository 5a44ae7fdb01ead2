"""Connections to the server of a log: a few that are shared, and what becomes of their errors."""

import contextlib
import logging
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from agentkit.errors import ConfigError, LogUnwritable
from agentkit.stores.postgres.tables import quoted

if TYPE_CHECKING:
    import psycopg
    import psycopg_pool

_SHARED = 8  # connections a process; the threads of a process that read at once share them
_PATIENCE = 10.0  # seconds in which a server has to answer
_IDLE = 120.0  # seconds after which a connection that nobody used is closed
_NAME = "agentkit"
_SCHEMA = "agentkit"


@dataclass(frozen=True)
class Place:
    """Where a log is: the server and database as libpq takes them, and the schema in it.

    Args:
        conninfo: with what is secret in it, as `psycopg.connect` takes it.
        schema: the schema of the log's tables.
        url: what opens the same log again, without a password.
    """

    conninfo: str
    schema: str
    url: str

    @classmethod
    def of(cls, url: str) -> "Place":
        """Read a URL: `postgresql://user@host:5432/database`, with `?schema=team` where it is not `agentkit`'s own.

        Raises:
            ConfigError: it is no such URL.
        """
        psycopg = _psycopg()
        parts = urlsplit(url)
        query = _query(parts.query)
        schema = query.pop("schema", _SCHEMA)
        if not schema or len(schema.encode()) > 63 or "\0" in schema:
            raise ConfigError(f"schema={schema!r} is no name for a schema: 1 to 63 bytes")
        conninfo = urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
        try:
            psycopg.conninfo.conninfo_to_dict(conninfo)
        except psycopg.ProgrammingError as error:
            raise ConfigError(f"{_shown(url)!r} is no URL of a PostgreSQL database: {str(error).strip()}") from error
        return cls(conninfo, schema, _shown(url))


def _shown(url: str) -> str:
    """A URL without its password, wherever that is."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    kept = {name: value for name, value in _query(parts.query).items() if name not in {"password", "sslpassword"}}
    shown = urlencode(kept, quote_via=quote)
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}", query=shown))


def _query(text: str) -> dict[str, str]:
    """A URL's parameters as libpq reads them: a plus is a plus."""
    pairs = (part.partition("=") for part in text.split("&") if part)
    return {unquote(name): unquote(value) for name, _, value in pairs}


class Connections:
    """A few connections that the threads of a process share.

    Args:
        place: the log's.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._opening = threading.Lock()
        self._pool: psycopg_pool.ConnectionPool | None = None

    def _shared(self) -> "psycopg_pool.ConnectionPool":
        """The pool, made when it is first needed: a forked child that asks nothing of the log has none."""
        with self._opening:
            if self._pool is None:
                self._pool = self._made()
            return self._pool

    def _made(self) -> "psycopg_pool.ConnectionPool":
        import psycopg_pool

        logging.getLogger("psycopg.pool").addFilter(_is_not_ours)  # who waits for the server gets the error itself
        return psycopg_pool.ConnectionPool(
            self.place.conninfo,
            min_size=0,
            max_size=_SHARED,
            kwargs=self.settings,
            configure=self.configure,
            check=psycopg_pool.ConnectionPool.check_connection,
            timeout=_PATIENCE,
            reconnect_timeout=_PATIENCE,
            max_idle=_IDLE,
            name=_NAME,
            open=True,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What a connection is made with: one whose server is silent is given up, as one that it closed is."""
        usual = {
            "connect_timeout": int(_PATIENCE),
            "target_session_attrs": "read-write",  # of several servers, the one that takes events
            "client_encoding": "UTF8",
            "application_name": _NAME,
            "keepalives_idle": int(_PATIENCE),
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": int(_PATIENCE * 1000),  # milliseconds
        }
        given = _psycopg().conninfo.conninfo_to_dict(self.place.conninfo)
        return {"autocommit": True, **{name: value for name, value in usual.items() if name not in given}}

    def configure(self, connection: "psycopg.Connection[Any]") -> None:
        """Have a new connection see the log's schema, tell times in UTC, and give ids and JSON as text.

        The server is to notice within half a minute that the machine at this end is gone, not after hours.
        """
        from psycopg.types.string import TextLoader

        for name in ("uuid", "json", "jsonb"):
            connection.adapters.register_loader(name, TextLoader)
        settings = (
            f"SET search_path TO {quoted(self.place.schema)}, pg_catalog; SET TIME ZONE 'UTC'; "
            "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
            # what is on disk has to be, whatever the database has as its default; stricter ones are left
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.execute(settings.encode())

    def own(self) -> "psycopg.Connection[Any]":
        """A connection of one's own, to be closed by who asks for it.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
        """
        psycopg = _psycopg()
        connection = psycopg.connect(self.place.conninfo, **self.settings)
        try:
            self.configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def use(self) -> "Generator[psycopg.Connection[Any]]":
        """One of the shared connections, for a `with` block.

        Raises:
            LogUnwritable: the server cannot be reached, refuses us, or went away meanwhile.
        """
        psycopg = _psycopg()
        try:
            with self._shared().connection() as connection:
                yield connection
        except (
            psycopg.OperationalError,
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.ReadOnlySqlTransaction,
        ) as error:
            raise self.unwritable(error) from error

    def execute(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement of our own; its rows, none where it gives none.

        Raises:
            LogUnwritable: as `use`.
        """
        with self.use() as connection:
            found = connection.execute(sql.encode(), parameters)
            return found.fetchall() if found.description is not None else []

    def unwritable(self, error: BaseException) -> LogUnwritable:
        """The error for a server that does not do what it is asked, with what to do."""
        said = " ".join(str(error).split())
        problem = LogUnwritable(f"{self.place.url}: {said}: {_advice(getattr(error, 'sqlstate', None), said)}")
        problem.__cause__ = error
        return problem

    def renew(self) -> None:
        """Replace those that a server which is back has forgotten, before somebody has to find that out."""
        if self._pool is not None:
            self._pool.check()

    def close(self) -> None:
        """Close them; who has one meanwhile finishes with it."""
        if self._pool is not None:
            self._pool.close(timeout=1.0)

    def forget(self) -> "psycopg_pool.ConnectionPool | None":
        """In a forked child: let go of the parent's pool, which must not be closed here."""
        pool, self._pool = self._pool, None
        return pool


def _is_not_ours(record: logging.LogRecord) -> bool:
    return f"'{_NAME}'" not in record.getMessage()


_UNREACHED = "see that the server is up and can be reached, then resume the run"
_ADVICE = {
    "53100": "the server's disk is full; free some space, then resume the run",
    "42501": "this role may not do that; grant it the right to create a schema in the database, or to use the log's",
    "25006": "this server is read-only, a standby perhaps; give the primary's address",
}

_REFUSED = {  # an error of connecting has no code
    "password": "give the right password as PGPASSWORD or in ~/.pgpass",
    "pg_hba.conf": "the server does not let this role in from here; its pg_hba.conf says whom it does",
    'role "': "create the role first: createuser",
    'database "': "create the database first: createdb",
}


def _advice(sqlstate: str | None, said: str) -> str:
    if sqlstate in _ADVICE:
        return _ADVICE[sqlstate]
    return next((advice for words, advice in _REFUSED.items() if sqlstate is None and words in said), _UNREACHED)


def is_lost(connection: "psycopg.Connection[Any]") -> bool:
    """Whether a connection is of no use any more."""
    return connection.closed or connection.broken


def wait_a_little(attempt: int) -> None:
    """Between two tries to reach a server: 0.1 s, doubled up to 1.6."""
    time.sleep(0.1 * 2 ** min(attempt, 4))


def _psycopg() -> Any:
    try:
        import psycopg
        import psycopg_pool  # noqa: F401  # pyright: ignore[reportUnusedImport]  asked for here, once
    except ImportError as error:
        raise ConfigError("a log in PostgreSQL needs psycopg: pip install 'jupyter-agentkit[postgres]'") from error
    return psycopg
