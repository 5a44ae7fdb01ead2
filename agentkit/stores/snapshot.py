"""SQL over events that are in memory: the same views as every store has, in a DuckDB instance made for one query."""

from collections.abc import Iterable, Mapping
from typing import Any

from agentkit.events import COLUMNS, Event
from agentkit.rows import Rows

_TYPES = {
    "run_id": "UUID", "seq": "INTEGER", "ts": "TIMESTAMPTZ", "attempt": "INTEGER", "duration_ms": "DOUBLE",
    "input_tokens": "BIGINT", "output_tokens": "BIGINT", "cost_usd": "DOUBLE", "parent_run_id": "UUID",
}  # fmt: skip


def query(events: Iterable[Event], sql: str, parameters: Mapping[str, Any]) -> Rows:
    """Run one reading statement over the views of these events.

    Args:
        events: all of a log.
        sql: the statement, `$name` standing for parameters.
        parameters: a value for each name.

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
        views.create_views(connection, "SELECT * FROM recorded")
        connection.execute("SET lock_configuration = true")
        return sqlguard.run(connection, sql, parameters)


def _row(event: Event) -> tuple[Any, ...]:
    envelope = event.columns()
    return (*(envelope.get(name) for name in COLUMNS), event.body_json().decode(), event.schema_version)
