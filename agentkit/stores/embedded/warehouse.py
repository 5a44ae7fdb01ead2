# ruff: noqa: S608  the SQL is put together from our own names and the folder, quoted
"""What the journal's closed segments become: rows of the DuckDB file, and the SQL over both.

A fold is one transaction that inserts the events and records the segments' names, so a segment is in the file exactly
once whatever dies when. A segment leaves the journal in a later fold only: a query that is under way may still read it.
"""

import contextlib
import hashlib
import os
import threading
import time
import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit import failpoints
from agentkit.errors import LogBusy, LogUnwritable, QueryError
from agentkit.rows import Rows
from agentkit.stores import sqlguard, views
from agentkit.stores.embedded.duckfile import DuckFile, as_pattern, quoted
from agentkit.stores.embedded.segment import read_segment
from agentkit.stores.inside import inside

if TYPE_CHECKING:
    import duckdb

FAIL_POINTS = (
    "file.created",
    "fold.attached",
    "fold.inserted",
    "fold.recorded",
    "fold.stored",
    "fold.detached",
)
SEGMENT_WAIT = 2.0  # seconds that a query looks again when a segment was removed under it
LONGEST = 4 * 1024 * 1024
"""Bytes of a line: DuckDB holds twice as much for each thread of each scan, and all queries share its memory. A line of
ours is far shorter: a larger body is a file of its own."""
EMPTY = "empty.json"  # read_json refuses a pattern that matches nothing; this matches it, and is no segment

_TYPES = {
    "run_id": "UUID", "seq": "INTEGER", "ts": "TIMESTAMPTZ", "type": "VARCHAR", "step": "VARCHAR",
    "attempt": "INTEGER", "name": "VARCHAR", "status": "VARCHAR", "duration_ms": "DOUBLE", "input_tokens": "BIGINT",
    "output_tokens": "BIGINT", "cost_usd": "DOUBLE", "parent_run_id": "UUID", "approval_id": "VARCHAR",
    "body": "JSON", "schema_version": "INTEGER",
}  # fmt: skip
_COLUMNS = ", ".join(_TYPES)


class Warehouse:
    """The folded part of an embedded log, and SQL over all of it.

    Args:
        folder: the log's folder, with `journal/` in it.
        memory_limit: what DuckDB may use, for example "256MB".
        threads: how many threads a query may use.
    """

    def __init__(self, folder: Path, *, memory_limit: str = "256MB", threads: int = 2) -> None:
        self.folder = folder.absolute()
        self._file = DuckFile(self.folder, memory_limit=memory_limit, threads=threads)
        self._made: set[tuple[int, str]] = set()
        self._making = threading.Lock()
        self._refreshed = False

    @inside()
    def fold(self, segments: Sequence[Path]) -> list[str]:
        """Put closed segments into the file, each exactly once, in one transaction.

        Args:
            segments: segments that nobody writes any more, those folded before among them. The caller holds the fold
                lock.

        Returns:
            The names of those that are in the file now: to be removed by a later fold, not by this one.

        Raises:
            LogBusy: another program keeps the file open; nothing is lost, a later fold does it.
            LogTooNew: a newer agentkit or DuckDB wrote the file.
            LogCorrupt: a segment has a damaged line; none of them was folded.
            LogUnwritable: the disk takes nothing.
        """
        with self._file.writing(own_wait=2.0, wait=0.0) as connection:
            failpoints.hit("fold.attached")
            self._refresh_views(connection)
            done = _ingested(connection)
            _insert(connection, {path.name: _rows(path) for path in segments if path.name not in done})
            failpoints.hit("fold.stored")
            done = _ingested(connection)
        failpoints.hit("fold.detached")
        return [path.name for path in segments if path.name in done]

    @inside()
    def ingested(self) -> set[str]:
        """The names of the segments that are in the file.

        Raises:
            LogBusy: another program keeps the file open.
        """
        if not self._file.path.exists():
            return set()
        with self._file.reading() as connection:
            return _ingested(connection)

    @inside()
    def read(self, run_id: str, after: int = 0, until: int | None = None) -> list[dict[str, Any]]:
        """A run's folded events with `after < seq <= until`, in order.

        Returns:
            One dict an event: the envelope's columns that are not NULL, `body` as JSON text, `schema_version`.

        Raises:
            LogBusy: another program keeps the file open.
        """
        if not self._file.path.exists():
            return []
        bound = "" if until is None else f" AND seq <= {int(until)}"
        sql = f"SELECT {_COLUMNS} FROM log.events_cold WHERE run_id = CAST($run AS UUID) AND seq > $after{bound}"
        with self._file.reading() as connection:
            found = sqlguard.fetch(connection, f"{sql} ORDER BY seq", {"run": run_id, "after": after})
        return [{key: value for key, value in row.items() if value is not None} for row in found.dicts()]

    @inside()
    def read_many(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """All folded events of several runs, in no order; as `read` gives them.

        Raises:
            LogBusy: another program keeps the file open.
        """
        if not run_ids or not self._file.path.exists():
            return []
        # the bounds let DuckDB skip what lies before and after: run ids are UUIDv7, and arrive in order
        sql = (
            f"SELECT {_COLUMNS} FROM log.events_cold WHERE run_id BETWEEN CAST($first AS UUID) AND CAST($last AS UUID) "
            "AND run_id IN (SELECT CAST(unnest($runs) AS UUID))"
        )
        parameters = {"runs": list(run_ids), "first": min(run_ids), "last": max(run_ids)}
        with self._file.reading() as connection:
            found = sqlguard.fetch(connection, sql, parameters)
        return [{key: value for key, value in row.items() if value is not None} for row in found.dicts()]

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Run one reading statement over the views, folded events and journal united.

        While another program keeps the file open, the journal alone answers; the rows' `note` and a warning say so.

        Raises:
            QueryError: it is refused or wrong.
        """
        deadline = time.monotonic() + SEGMENT_WAIT
        while True:
            try:
                return self._query_once(sql, parameters)
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise LogBusy(
                        f"the journal in {self.folder} changes faster than it can be read: {error}"
                    ) from error
                time.sleep(0.01)

    @inside()
    def prune(self, run_ids: Iterable[str]) -> int:
        """Remove runs' folded events. What the journal still holds of them comes back, so the caller folds first.

        Returns:
            How many events were removed.

        Raises:
            LogBusy: another program keeps the file open.
        """
        wanted = list(run_ids)
        if not wanted or not self._file.path.exists():
            return 0
        with self._file.writing() as connection:
            sql = "DELETE FROM events_cold WHERE run_id IN (SELECT CAST(unnest($runs) AS UUID))"
            return int(connection.execute(sql, {"runs": wanted}).fetchall()[0][0])

    @inside()
    def refresh(self) -> None:
        """Point the file's own views at this folder's journal, where it was moved or an older agentkit wrote them."""
        if self._file.path.exists():
            with self._file.writing(own_wait=0.0, wait=0.0) as connection:
                self._refresh_views(connection)

    @inside()
    def close(self) -> None:
        """Give back the memory; the next use opens it again."""
        self._file.close()
        self._made.clear()

    @inside()
    def _query_once(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        busy = None
        if self._file.path.exists():
            try:
                self._refresh_once()
                with self._file.reading() as connection:
                    return self._run(connection, "whole", self._united("log."), sql, parameters)
            except LogBusy as error:
                busy = error
        with self._file.alone() as connection:
            found = self._run(connection, "hot", self._hot(), sql, parameters)
        if busy is None and self._file.path.exists():
            # a first fold made the file after the look for it, and a second may have unlinked what this query missed
            raise OSError("the table was made meanwhile")
        if busy is None:
            return found
        note = f"Only events that are not folded yet: {busy}"
        warnings.warn(note, RuntimeWarning, stacklevel=4)
        return Rows(found.columns, found.rows, note)

    def _run(
        self, connection: "duckdb.DuckDBPyConnection", schema: str, events: str, sql: str, parameters: Mapping[str, Any]
    ) -> Rows:
        import duckdb

        self._use_views(connection, schema, events)
        try:
            return sqlguard.run(connection, sql, parameters)
        except duckdb.IOException as error:
            if "/journal/" in str(error):  # a segment was folded and unlinked between being listed and being opened
                raise FileNotFoundError(str(error)) from error
            raise QueryError(str(error)) from error

    def _use_views(self, connection: "duckdb.DuckDBPyConnection", schema: str, events: str) -> None:
        """Our own queries have views of their own: the file's may be an older agentkit's, or another folder's."""
        self._ensure_empty_files()
        made = (os.getpid(), schema)  # a forked child begins with an empty instance
        with self._making:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS memory.{schema}")
            connection.execute(f"USE memory.{schema}")
            if made not in self._made:
                views.create_views(connection, events, self._ledger())
                self._made.add(made)

    def _refresh_once(self) -> None:
        """A log that nobody folds was perhaps moved: its first query sees to it that foreign tools find the journal."""
        if not self._refreshed:
            self._refreshed = True
            with self._file.reading() as connection:
                stale = connection.execute("SELECT folder, sha256 FROM log.views_of").fetchall() != [self._mark()]
            if stale:
                with contextlib.suppress(LogBusy, LogUnwritable):
                    self.refresh()

    def _mark(self) -> tuple[str, str]:
        """What the file's views were made for: this folder, and this text."""
        text = "\n".join(views.statements(self._united(""), self._ledger()))
        return str(self.folder), hashlib.sha256(text.encode()).hexdigest()

    def _refresh_views(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """The file's own views are for foreign tools: they hold the absolute path of the journal."""
        self._ensure_empty_files()
        mark = self._mark()
        if connection.execute("SELECT folder, sha256 FROM views_of").fetchall() == [mark]:
            return
        connection.execute("BEGIN")
        views.create_views(connection, self._united(""), self._ledger())
        connection.execute("DELETE FROM views_of")
        connection.execute("INSERT INTO views_of VALUES ($1, $2)", list(mark))
        connection.execute("COMMIT")

    def _ensure_empty_files(self) -> None:
        with contextlib.suppress(OSError):  # a log that is only readable: its journal has a segment, or it says so
            for name in ("journal", "exports"):
                (self.folder / name).mkdir(exist_ok=True)
                (self.folder / name / EMPTY).touch()

    def _united(self, catalog: str) -> str:
        known = f"SELECT segment FROM {catalog}ingested"
        cold = f"SELECT {_COLUMNS} FROM {catalog}events_cold"
        return f"{cold} UNION ALL {self._hot()} AND parse_filename(filename) NOT IN ({known})"

    def _ledger(self) -> str:
        """The exports' lines; none of a log that is only readable and was made by an older agentkit."""
        if not (self.folder / "exports" / EMPTY).exists():
            return views.NO_EXPORTS
        pattern = quoted(f"{as_pattern(self.folder)}/exports/*.json*")
        types = ", ".join(f"{name}: '{kind}'" for name, kind in views.LEDGER.items())
        return (
            f"SELECT {', '.join(views.LEDGER)} FROM read_json({pattern}, format = 'newline_delimited', "
            f"columns = {{{types}}}, ignore_errors = true, maximum_object_size = {LONGEST}) WHERE target IS NOT NULL"
        )

    def _hot(self) -> str:
        """The journal's lines. A torn one comes out of read_json as NULLs."""
        pattern = quoted(f"{as_pattern(self.folder)}/journal/*.json*")
        types = ", ".join(f"{name}: '{kind}'" for name, kind in _TYPES.items())
        return (
            f"SELECT {_COLUMNS} FROM read_json({pattern}, format = 'newline_delimited', columns = {{{types}}}, "
            f"ignore_errors = true, filename = true, maximum_object_size = {LONGEST}) "
            "WHERE run_id IS NOT NULL AND body IS NOT NULL"
        )


def _insert(connection: "duckdb.DuckDBPyConnection", found: Mapping[str, list[tuple[Any, ...]]]) -> None:
    """One transaction: the events, and the names of the segments they came from."""
    if not found:
        return
    with _transaction(connection):
        events = connection.appender("events_cold")
        for rows in found.values():
            if rows:
                events.append_rows(rows)
        events.flush()
        failpoints.hit("fold.inserted")
        names = {"names": list(found), "counts": [len(rows) for rows in found.values()]}
        connection.execute("INSERT INTO ingested SELECT unnest($names), now(), unnest($counts)", names)
        failpoints.hit("fold.recorded")


@contextlib.contextmanager
def _transaction(connection: "duckdb.DuckDBPyConnection") -> Generator[None, None, None]:
    import duckdb

    try:
        connection.execute("BEGIN")
        yield
        connection.execute("COMMIT")
    except duckdb.Error as error:
        raise LogUnwritable(f"the fold was not written and will be tried again: {error}") from error


def _ingested(connection: "duckdb.DuckDBPyConnection") -> set[str]:
    return {str(name) for (name,) in connection.execute("SELECT segment FROM log.ingested").fetchall()}


def _rows(segment: Path) -> list[tuple[Any, ...]]:
    return [tuple(map(row.get, _TYPES)) for row in read_segment(segment)]
