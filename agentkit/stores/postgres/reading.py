"""Reading SQL from people, run on PostgreSQL: one statement, only reading, nothing outside the log, parameters by name.

Three things stand behind each other. The statement's words are read before it runs (`statement`, `outside`): how it
begins, the functions that it calls, the tables that it names. The server is asked which of its names are volatile
functions or tables of other schemas. Then it runs by itself in a transaction that is READ ONLY and always rolled back,
in the extended protocol, which takes no second statement.

What is left to the rights of the log's user: tables, foreign tables too, and functions that someone put into the log's
own schema, what views there read, and how long a statement runs and how much memory it takes. A statement that
reads by a name in the search path finds the log's schema first.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, LiteralString, cast

from agentkit.errors import QueryError
from agentkit.rows import Rows
from agentkit.stores.explained import about_ids, no_column, no_view
from agentkit.stores.postgres import outside, statement
from agentkit.stores.postgres.values import register
from agentkit.stores.refused import refused, writing

if TYPE_CHECKING:
    import psycopg

# Rights and limits of the transaction. The last ones: values mean the same whatever the database has as its default.
_SETTINGS = """
SET TRANSACTION READ ONLY; SET LOCAL search_path TO {}, pg_catalog; SET LOCAL standard_conforming_strings = on;
SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'"""
_TABLE = re.compile(r'relation "(.+)" does not exist')
_COLUMN = re.compile(r'column (?:"(.+)"|(.+)\.(.+)) does not exist')
_COMMAND = re.compile(r"cannot execute (.+) in a read-only transaction")
_HINTED = re.compile(r'"(?:[^"]*\.)?([^"]*)"')
_HOW = "SELECT column_name FROM information_schema.columns WHERE table_name = 'runs' lists a view's columns"


def run(connection: "psycopg.Connection[Any]", schema: str, sql: str, parameters: Mapping[str, Any]) -> Rows:
    """Run one reading statement.

    Args:
        connection: in autocommit mode; nobody else uses it meanwhile.
        schema: where the log's table and its views are.
        sql: the statement, `$name` standing for parameters.
        parameters: a value for each name: what psycopg takes from Python.

    Returns:
        All its rows.

    Raises:
        QueryError: it is refused, wrong, or a parameter is missing or unused.
        psycopg.OperationalError: the connection was lost.
    """
    import psycopg
    from psycopg.sql import SQL, Identifier

    asked = statement.read(sql, parameters)
    names = outside.check_names(sql, asked.words, schema)
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(SQL(_SETTINGS).format(Identifier(schema)))
            _look_up(connection, schema, names)
            return fetch(connection, asked.text, [parameters[name] for name in asked.names])
    except UnicodeError as error:
        raise QueryError(f"the SQL or a parameter is no text that PostgreSQL can hold: {error}") from error
    except psycopg.Error as error:
        if _is_lost(connection, error):
            raise
        raise QueryError(_explained(error, asked)) from error


def fetch(connection: "psycopg.Connection[Any]", sql: str, parameters: list[Any]) -> Rows:
    """Run SQL of our own, or that was read: one statement.

    Args:
        connection: in a transaction.
        sql: the statement, with `$1`.
        parameters: the values.

    Raises:
        psycopg.Error: it failed.
    """
    import psycopg

    with psycopg.RawCursor(connection) as cursor:
        register(cursor)
        # With a value, also one that the text does not use, psycopg takes the extended protocol, whatever is set on
        # the connection; without, the simple one, which takes several statements.
        cursor.execute(cast("LiteralString", sql), parameters or [0])
        columns = tuple(column.name for column in cursor.description or ())
        return Rows(columns, cursor.fetchall())


def _look_up(connection: "psycopg.Connection[Any]", schema: str, names: outside.Names) -> None:
    """See that nothing is refused that only the server knows."""
    if not names.called and not names.dotted:
        return
    for kind, name in fetch(connection, outside.ASKED, names.parameters(schema)):
        raise outside.refusal(kind, name)


def _is_lost(connection: "psycopg.Connection[Any]", error: "psycopg.Error") -> bool:
    """Whether the error is the connection's, not the statement's."""
    import psycopg

    if error.sqlstate is None:
        return connection.closed or isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return connection.closed or error.sqlstate.startswith(("08", "57P"))  # the latter: the server shuts down, starts


def _explained(error: "psycopg.Error", asked: statement.Statement) -> str:
    """An error as its reader needs it: what is wrong, a guess or the server's hint, and the place in the SQL."""
    import psycopg

    said = error.diag.message_primary
    if said is None:  # psycopg's own: a value that it cannot send or read
        what = "; a parameter is a text, a number, a time, a UUID, bytes, or a list of one of them"
        return f"{error}{what if isinstance(error, psycopg.ProgrammingError) else ''}"
    position = error.diag.statement_position
    place = asked.place(int(position) - 1) if position else ""
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        command = _COMMAND.fullmatch(said)
        what = command[1] if command else said
        return str(refused(statement.READS, writing("a WITH that writes" if what == "SELECT" else what)))
    if isinstance(error, psycopg.errors.UndefinedColumn) and (column := _COLUMN.fullmatch(said)):
        candidates = _HINTED.findall(error.diag.message_hint or "")  # also those of a WITH
        name, is_text = (column[1], True) if column[1] else (column[3], False)
        return f"{no_column(name, asked.sql, candidates, is_text=is_text, how=_HOW)}{place}"
    if isinstance(error, psycopg.errors.UndefinedTable) and (table := _TABLE.fullmatch(said)):
        return f"{no_view(table[1])}{place}"
    parts = [said, error.diag.message_detail, error.diag.message_hint]
    return "\n".join(part for part in parts if part) + place + about_ids(said)
