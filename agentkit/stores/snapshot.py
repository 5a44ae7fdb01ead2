"""SQL over events that are in memory: the same views as every store has, in a DuckDB instance made for one query."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agentkit.events import COLUMNS, Event
from agentkit.rows import Rows
from agentkit.store import Exported
from agentkit.stores.inside import inside

if TYPE_CHECKING:
    import duckdb

_TYPES = {
    "run_id": "UUID", "seq": "INTEGER", "ts": "TIMESTAMPTZ", "attempt": "INTEGER", "duration_ms": "DOUBLE",
    "input_tokens": "BIGINT", "output_tokens": "BIGINT", "cost_usd": "DOUBLE", "parent_run_id": "UUID",
}  # fmt: skip


@inside()
def query(events: Iterable[Event], sql: str, parameters: Mapping[str, Any], ledger: Iterable[Exported] = ()) -> Rows:
    """Run one reading statement over the views of these events.

    Args:
        events: all of a log.
        sql: the statement, `$name` standing for parameters.
        parameters: a value for each name.
        ledger: what was exported.

    Returns:
        All its rows.

    Raises:
        QueryError: it is refused or wrong.
    """
    import duckdb

    from agentkit.stores import sqlguard, views

    columns = ", ".join(f"{name} {_TYPES.get(name, 'VARCHAR')}" for name in COLUMNS)
    config: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": False,
        "python_enable_replacements": False,  # SQL must not read Python variables
        "threads": 1,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE recorded({columns}, body JSON, schema_version INTEGER)")
        rows = [_row(event) for event in events]
        if rows:
            appender = connection.appender("recorded")
            appender.append_rows(rows)
            appender.flush()
        _keep(connection, ledger)
        views.create_views(connection, "SELECT * FROM recorded", "SELECT * FROM exported")
        connection.execute("SET lock_configuration = true")
        return sqlguard.run(connection, sql, parameters)


def _keep(connection: "duckdb.DuckDBPyConnection", ledger: Iterable[Exported]) -> None:
    from agentkit.stores.views import LEDGER

    connection.execute(f"CREATE TABLE exported({', '.join(f'{name} {kind}' for name, kind in LEDGER.items())})")
    rows = [tuple(getattr(line, name) for name in LEDGER) for line in ledger]
    if rows:
        connection.executemany(f"INSERT INTO exported VALUES ({', '.join('?' for _ in LEDGER)})", rows)  # noqa: S608


def _row(event: Event) -> tuple[Any, ...]:
    envelope = event.columns()
    return (*(envelope.get(name) for name in COLUMNS), event.body_json().decode(), event.schema_version)
