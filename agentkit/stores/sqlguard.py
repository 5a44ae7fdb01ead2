"""Reading SQL from people, run on DuckDB: one statement, only reading, no files, its parameters by name.

The statement is parsed before it runs, by DuckDB itself, and every table it names must be a table or a view and every
table function one that reads nothing but its arguments. DuckDB's own settings (no files outside the log's folder, no
setting can be changed) stand behind that.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from agentkit.errors import QueryError
from agentkit.rows import Rows
from agentkit.stores.explained import explained
from agentkit.stores.refused import check_parameters, refused, several, writing

if TYPE_CHECKING:
    import duckdb

_READS = "SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES, EXPLAIN"
# Table functions that read no file, no other SQL text and change nothing. An unknown one is refused: the next DuckDB
# can bring a new way to read a file.
_TABLE_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row", "duckdb_columns"}
    | {"duckdb_tables", "duckdb_views", "duckdb_functions", "duckdb_types", "duckdb_keywords", "pragma_table_info"}
)
_FUNCTIONS = frozenset({"write_log", "setseed", "setval", "nextval"})  # scalar functions that change something
_FILE_LIKE = re.compile(r"[/\\:*?]|\.(?!$)")
_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?", re.IGNORECASE)


def run(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: Mapping[str, Any]) -> Rows:
    """Run one reading statement.

    Args:
        connection: where the views are; nobody else uses it meanwhile.
        sql: the statement, `$name` standing for parameters.
        parameters: a value for each name: what DuckDB takes from Python.

    Returns:
        All its rows.

    Raises:
        QueryError: it is refused, wrong, or a parameter is missing or unused.
        duckdb.IOException: a file of the log could not be read; the caller knows which and why.
    """
    import duckdb

    try:
        check(connection, sql, parameters)
        return fetch(connection, sql, parameters)
    except duckdb.IOException:
        raise
    except duckdb.Error as error:
        raise QueryError(explained(error, sql)) from error


def fetch(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: Mapping[str, Any]) -> Rows:
    """Run SQL of our own.

    Raises:
        duckdb.Error: it failed.
    """
    result = connection.execute(sql, dict(parameters)) if parameters else connection.execute(sql)
    columns = tuple(str(column[0]) for column in result.description)
    return Rows(columns, [tuple(map(_plain, row)) for row in result.fetchall()])


def check(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: Mapping[str, Any]) -> None:
    """See that a statement only reads, and that its parameters are all there.

    Raises:
        QueryError: it does not, or they are not.
        duckdb.Error: it is no SQL.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise refused(_READS, several(len(statements)))
    kind = str(statements[0].type.name)
    if kind not in {"SELECT", "EXPLAIN"}:
        raise refused(_READS, _instead(kind))
    check_parameters({str(name) for name in statements[0].named_parameters}, set(parameters))
    reading = _EXPLAIN.sub("", sql, count=1) if kind == "EXPLAIN" else sql
    parsed = connection.execute("SELECT json_serialize_sql($sql)", {"sql": reading}).fetchall()[0][0]
    tree = json.loads(parsed)
    if tree["error"]:
        raise refused(_READS, tree["error_message"])
    for node in _nodes(tree["statements"]):
        _check_node(node)


def _instead(kind: str) -> str:
    if kind == "MULTI":
        return "write PIVOT with its values: PIVOT … ON column IN (…)"
    return writing(kind)


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    """Every object of the parsed statement."""
    if isinstance(value, dict):
        node = cast("dict[str, Any]", value)
        yield node
        for item in node.values():
            yield from _nodes(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _nodes(item)


def _check_node(node: dict[str, Any]) -> None:
    kind = str(node.get("type", ""))
    if kind.endswith("_QUERY_NODE"):
        raise refused(_READS, f"{kind.removesuffix('_QUERY_NODE')} is not one of them, in a WITH neither")
    if kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise QueryError(f"the table function {name} is refused: log.sql reads the log's views and no files")
    if kind == "FUNCTION" and str(node.get("function_name", "")).lower() in _FUNCTIONS:
        raise QueryError(f"the function {node['function_name']} is refused: it changes something; log.sql only reads")
    for name in (node.get("table_name"), node.get("catalog_name")) if kind in {"BASE_TABLE", "SHOW_REF"} else ():
        if name and _FILE_LIKE.search(str(name)):
            raise QueryError(f"{name!r} names a file: log.sql reads the log's views and no files")


def _plain(value: Any) -> Any:
    """A SQL value as every store gives it: ids are text, as everywhere in agentkit."""
    return str(value) if isinstance(value, uuid.UUID) else value
