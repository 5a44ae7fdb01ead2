"""The DuckDB file's tables, as numbered migrations that are only ever appended to.

Migration n brings a file from version n - 1 to n; `schema_version` records which ran. The views are no migrations: they
are written anew whenever their text or the log's folder changed.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentkit.errors import LogTooNew

if TYPE_CHECKING:
    import duckdb

# No primary key and no index: run ids are UUIDv7 and arrive in order, so DuckDB's zone maps prune by them, and an index
# made reading one run slower and every fold dearer (measured).
MIGRATIONS: Sequence[str] = (
    """
CREATE TABLE events_cold (
  run_id UUID NOT NULL, seq INTEGER NOT NULL, ts TIMESTAMPTZ NOT NULL, type VARCHAR NOT NULL, step VARCHAR,
  attempt INTEGER, name VARCHAR, status VARCHAR, duration_ms DOUBLE, input_tokens BIGINT, output_tokens BIGINT,
  cost_usd DOUBLE, parent_run_id UUID, approval_id VARCHAR, body JSON USING COMPRESSION zstd,
  schema_version INTEGER NOT NULL);
CREATE TABLE ingested (segment VARCHAR NOT NULL, folded_at TIMESTAMPTZ NOT NULL, events INTEGER NOT NULL);
CREATE TABLE views_of (folder VARCHAR NOT NULL, sha256 VARCHAR NOT NULL);
""",
)


def version(connection: "duckdb.DuckDBPyConnection") -> int:
    """The version of the file attached as `log`; 0 when it is new.

    Raises:
        LogTooNew: a newer agentkit wrote it.
    """
    tables = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = 'log' AND table_name = 'schema_version'"
    ).fetchall()
    if not tables:
        return 0
    found = int(connection.execute("SELECT max(version) FROM log.schema_version").fetchall()[0][0])
    if found > len(MIGRATIONS):
        raise LogTooNew(
            f"the log's DuckDB file has version {found}, this agentkit knows up to {len(MIGRATIONS)}: upgrade it "
            "(pip install --upgrade jupyter-agentkit), or open the log with the agentkit that wrote it"
        )
    return found


def migrate(connection: "duckdb.DuckDBPyConnection") -> None:
    """Bring the file attached as `log`, which is the current catalog, to this agentkit's version, in one transaction.

    Raises:
        LogTooNew: a newer agentkit wrote it.
    """
    found = version(connection)
    if found == len(MIGRATIONS):
        return
    connection.execute("BEGIN")
    if found == 0:
        connection.execute(
            "CREATE TABLE schema_version (version INTEGER NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
        )
    for number, statements in enumerate(MIGRATIONS[found:], start=found + 1):
        connection.execute(statements)
        connection.execute("INSERT INTO schema_version (version) VALUES ($version)", {"version": number})
    connection.execute("COMMIT")
