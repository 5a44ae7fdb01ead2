"""The DuckDB file of a log, attached for as long as one fold or one query takes.

DuckDB lets one process open a file for writing, or many for reading. So the process keeps an in-memory instance (20 ms
to make) and attaches the file to it (1 ms) when it needs it. Nothing else in the process may open, hash or copy the
file: closing any descriptor of it would drop DuckDB's lock on it, and with it another process's committed rows.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit import failpoints
from agentkit.errors import LogBusy, LogError, LogTooNew, LogUnwritable
from agentkit.stores.embedded import migrations, sidelock
from agentkit.stores.embedded.locks import sync_folder

if TYPE_CHECKING:
    import duckdb

OWN_WAIT = 10.0  # seconds to wait for agentkit's own processes: a fold takes milliseconds, a query may take seconds
FOREIGN_WAIT = 0.5  # seconds to wait for another program to close the file


class DuckFile:
    """`log.duckdb` of a log's folder.

    Args:
        folder: the log's folder; it is there already.
        memory_limit: what DuckDB may use for its buffers, for example "256MB"; more spills to the folder.
        threads: how many threads a query may use.
    """

    def __init__(self, folder: Path, *, memory_limit: str, threads: int) -> None:
        self.folder = folder.absolute()
        self.path = self.folder / "log.duckdb"
        self._lock_path = self.folder / "duckdb.lock"
        self._memory_limit = memory_limit
        self._threads = threads
        self._mutex = threading.Lock()
        self._opening = threading.Lock()
        self._readers = 0
        self._instance: duckdb.DuckDBPyConnection | None = None
        self._pid = os.getpid()
        self._abandoned: list[duckdb.DuckDBPyConnection] = []

    @contextlib.contextmanager
    def reading(self, *, wait: float = FOREIGN_WAIT) -> "Generator[duckdb.DuckDBPyConnection, None, None]":
        """A connection with the file, which is there, attached as `log`, read-only, in this agentkit's version.

        Args:
            wait: seconds to wait for another program that keeps the file open.

        Raises:
            LogBusy: another program keeps it open; the message names it.
            LogTooNew: a newer agentkit or DuckDB wrote it.
        """
        with self._read_only(wait) as connection:
            current = migrations.version(connection) == len(migrations.MIGRATIONS)
            if current:
                yield connection
        if not current:
            with self.writing(wait=wait):
                pass
            with self._read_only(wait) as connection:
                yield connection

    @contextlib.contextmanager
    def writing(
        self, *, own_wait: float = OWN_WAIT, wait: float = FOREIGN_WAIT
    ) -> "Generator[duckdb.DuckDBPyConnection, None, None]":
        """A connection with the file attached as `log` and current, for this process alone; it is made when missing.

        Args:
            own_wait: seconds to wait for agentkit's own readers.
            wait: seconds to wait for another program that keeps the file open.

        Raises:
            LogBusy: others have it.
            LogTooNew: a newer agentkit or DuckDB wrote it.
            LogUnwritable: the disk or the folder takes nothing.
        """
        with sidelock.hold(self._lock_path, shared=False, timeout=own_wait):
            if not self.path.exists():
                self._create()
            with self._attached(self.path, "", wait) as connection:
                connection.execute("USE log")
                migrations.migrate(connection)
                yield connection

    @contextlib.contextmanager
    def alone(self) -> "Generator[duckdb.DuckDBPyConnection, None, None]":
        """A connection without the file."""
        connection = self._open().cursor()
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """Give back the instance's memory, unless a query is under way; the next use makes a new one."""
        self._leave_parent()
        with self._mutex, self._opening:
            if self._readers == 0 and self._instance is not None:
                self._instance.close()
                self._instance = None

    @contextlib.contextmanager
    def _read_only(self, wait: float) -> "Generator[duckdb.DuckDBPyConnection, None, None]":
        """Several threads share one attached file: the first attaches it, the last detaches it."""
        with sidelock.hold(self._lock_path, shared=True, timeout=OWN_WAIT):
            with self._mutex:
                if self._readers == 0:
                    self._attach(self.path, "(READ_ONLY)", wait)
                self._readers += 1
            try:
                with self.alone() as connection:
                    yield connection
            finally:
                with self._mutex:
                    self._readers -= 1
                    if self._readers == 0:
                        self._open().execute("DETACH log")

    @contextlib.contextmanager
    def _attached(self, path: Path, options: str, wait: float) -> "Generator[duckdb.DuckDBPyConnection, None, None]":
        import duckdb

        self._attach(path, options, wait)
        try:
            with self.alone() as connection:
                try:
                    yield connection
                except BaseException:
                    with contextlib.suppress(duckdb.Error):
                        connection.execute("ROLLBACK")
                    raise
        finally:
            _translated(lambda: self._open().execute("DETACH log"), path)

    def _create(self) -> None:
        """Make the file under another name first: DuckDB refuses a file whose making was interrupted."""
        for left in self.folder.glob("log.duckdb.new*"):
            left.unlink()
        new = self.folder / "log.duckdb.new"
        with self._attached(new, "(STORAGE_VERSION 'v1.5.0')", FOREIGN_WAIT) as connection:
            connection.execute("USE log")
            migrations.migrate(connection)
        failpoints.hit("file.created")
        new.rename(self.path)
        sync_folder(self.folder)

    def _attach(self, path: Path, options: str, wait: float) -> None:
        deadline = time.monotonic() + wait
        while True:
            try:
                _translated(lambda: self._open().execute(f"ATTACH {quoted(path)} AS log {options}"), path)
            except LogBusy:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _open(self) -> "duckdb.DuckDBPyConnection":
        self._leave_parent()
        with self._opening:
            if self._instance is None:
                self._instance = self._connect()
            return self._instance

    def _leave_parent(self) -> None:
        """A forked child has none of its parent's DuckDB threads, and its parent's locks as they stood."""
        if self._pid == os.getpid():
            return
        self._pid, self._readers = os.getpid(), 0
        self._mutex, self._opening = threading.Lock(), threading.Lock()
        if self._instance is not None:
            self._abandoned.append(self._instance)
            self._instance = None

    def _connect(self) -> "duckdb.DuckDBPyConnection":
        import duckdb

        instance = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": self._memory_limit,
                "threads": self._threads,
                "temp_directory": str(self.folder / "spill"),
                "python_enable_replacements": False,  # SQL must not read Python variables
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        instance.execute("SET GLOBAL TimeZone = 'UTC'")
        # DuckDB compares a pattern with these as text, before it looks for files
        allowed = ", ".join({quoted(f"{self.folder}/"), quoted(f"{as_pattern(self.folder)}/")})
        instance.execute(f"SET allowed_directories = [{allowed}]")
        instance.execute("SET enable_external_access = false")
        instance.execute("SET lock_configuration = true")
        return instance


def quoted(text: object) -> str:
    """A text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def as_pattern(path: Path) -> str:
    """A path that stands for itself in a pattern."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))


def _translated(work: Callable[[], object], path: Path) -> None:
    """Do something with the file and say what went wrong in the log's words."""
    import duckdb

    try:
        work()
    except duckdb.Error as error:
        raise _as_log_error(path, str(error)) from error


def _as_log_error(path: Path, message: str) -> LogError:
    first = message.partition("\n")[0].removeprefix("IO Error: ")
    if "set lock on file" in message or "already attached" in message or "Resource" in message:
        return LogBusy(
            f"another program keeps {path} open, so nothing can be folded into it: {first} "
            "Close it there; no event is lost meanwhile"
        )
    if "version number" in message or "storage version" in message.lower():
        return LogTooNew(f"{path} was written by a newer DuckDB ({first}): pip install --upgrade duckdb")
    return LogUnwritable(f"{path}: {first}")
