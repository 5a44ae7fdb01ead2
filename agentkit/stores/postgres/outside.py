"""What a reading statement may not name, because it reaches outside the log: files, settings, sessions, other SQL.

PostgreSQL's own functions and tables that begin with `pg_` are refused but for a list of harmless ones, so that the
next version's are refused too; the others by the names below, and what the server knows as volatile by `ASKED`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.errors import QueryError
from agentkit.stores.postgres.tokens import Token, place

_HARMLESS = frozenset(
    # what is in the log's schema, and what it looks like; pg_proc would show the text of everybody's functions
    {"pg_catalog", "pg_class", "pg_namespace", "pg_attribute", "pg_type", "pg_enum", "pg_index", "pg_indexes"}
    | {"pg_constraint", "pg_description", "pg_tables", "pg_views", "pg_matviews", "pg_operator", "pg_cast"}
    | {"pg_get_viewdef", "pg_get_indexdef", "pg_get_constraintdef", "pg_get_expr", "pg_get_userbyid"}
    | {"pg_table_is_visible", "pg_function_is_visible", "pg_type_is_visible", "pg_timezone_names"}
    # what a value is
    | {"pg_typeof", "pg_size_pretty", "pg_size_bytes", "pg_column_size", "pg_column_compression", "pg_collation_for"}
    | {"pg_input_is_valid", "pg_input_error_info", "pg_lsn"}
    # how large the log is
    | {"pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size"}
)
# Of information_schema: the others tell of users and of other servers, with their passwords.
_SCHEMA_VIEWS = frozenset(
    {"columns", "tables", "views", "schemata", "element_types", "domains", "sequences"}
    | {"table_constraints", "key_column_usage", "constraint_column_usage", "view_table_usage", "view_column_usage"}
)
_UNSEEN = "it runs or reads what a text says, which is not looked at"
_PREFIXES = {
    "dblink": "it runs SQL on another server",
    "postgres_fdw_": "it acts on connections to other servers",
    "binary_upgrade_": "it changes the server's own tables",
    "txid_": "it takes a transaction's number",
    **dict.fromkeys(("query_to_xml", "cursor_to_xml", "table_to_xml", "schema_to_xml", "database_to_xml"), _UNSEEN),
}
_FUNCTIONS = {
    **dict.fromkeys(("lo_import", "lo_export"), "it reaches the server's files"),
    **dict.fromkeys(("lo_get", "lo_put", "lo_open", "loread", "lowrite"), "it reaches large objects"),
    "current_setting": "the server's settings can hold a password; SHOW has the harmless ones",  # primary_conninfo
    **dict.fromkeys(("ts_stat", "ts_rewrite"), _UNSEEN),
    **dict.fromkeys(("crosstab", "connectby", "xpath_table"), _UNSEEN),  # extensions'
    **dict.fromkeys(("set_config", "setseed", "setval", "nextval"), "it changes something"),
}
# Volatile, and yet they change and reach nothing; the last two are ways of TABLESAMPLE.
_VOLATILE = frozenset(
    {"random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "clock_timestamp", "timeofday"}
    | {"bernoulli", "system"}
)

ASKED = """
SELECT 'function', p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.proname = ANY($1::text[]) AND p.provolatile = 'v' AND n.nspname IN ('pg_catalog', $4)
UNION ALL
SELECT 'table', n.nspname || '.' || c.relname FROM unnest($2::text[], $3::text[]) AS named(space, relation)
JOIN pg_catalog.pg_namespace n ON n.nspname = named.space
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = named.relation
WHERE n.nspname NOT IN ($4, 'pg_catalog', 'information_schema')"""
"""What of a statement's names the server knows as volatile functions, and as tables of other schemas."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a statement names, as far as only the server knows whether it is refused.

    Args:
        called: what may be functions.
        dotted: what may be tables, with their schemas.
    """

    called: frozenset[str]
    dotted: frozenset[tuple[str, str]]

    def parameters(self, schema: str) -> list[object]:
        """The values of `ASKED`."""
        pairs = sorted(self.dotted)
        return [sorted(self.called), [space for space, _ in pairs], [name for _, name in pairs], schema]


def check_names(sql: str, words: Sequence[Token], schema: str) -> Names:
    """See that a statement names nothing that is refused by its name alone.

    Args:
        sql: the statement.
        words: its tokens.
        schema: the log's.

    Returns:
        The names to ask the server about.

    Raises:
        QueryError: it does.
    """
    called: set[str] = set()
    dotted: set[tuple[str, str]] = set()
    for i, word in enumerate(words):
        if (name := word.name) is None:
            continue
        of = words[i - 2].name if i > 1 and words[i - 1].text == "." else None
        has_arguments = i + 1 < len(words) and words[i + 1].text == "("
        is_called = has_arguments or (i > 0 and words[i - 1].text == ".")  # (x).f calls f, as f(x) does
        why = _why_of_server(name, of) or (_why_of_function(name) if is_called else None)
        if why is None and has_arguments and of not in {None, schema, "pg_catalog"}:
            why = f"the function {of}.{name} is refused: log.sql calls PostgreSQL's own and the log's"
        if why is not None:
            raise QueryError(f"{why}{place(sql, word.start)}")
        called.update([name] if is_called else [])
        dotted.update([(of, name)] if of is not None else [])
    return Names(frozenset(called - _VOLATILE - _HARMLESS), frozenset(dotted))


def _why_of_server(name: str, of: str | None) -> str | None:
    """Why a name is refused wherever it stands."""
    if name.startswith("pg_") and name not in _HARMLESS:
        return f"{name} is refused: log.sql reads the log, and nothing of the server or its other sessions"
    if of == "information_schema" and name not in _SCHEMA_VIEWS:
        return f"information_schema.{name} is refused; there are {', '.join(sorted(_SCHEMA_VIEWS))}"
    return None


def _why_of_function(name: str) -> str | None:
    why = _FUNCTIONS.get(name) or next((why for start, why in _PREFIXES.items() if name.startswith(start)), None)
    return why and f"the function {name} is refused: {why}; log.sql reads the log's views, and no files"


def refusal(kind: str, name: str) -> QueryError:
    """The error for a name that `ASKED` gave.

    Args:
        kind: "function" or "table".
        name: the name.
    """
    if kind == "table":
        return QueryError(f"{name} is in another schema: log.sql reads the log's own views")
    return QueryError(f"the function {name} is refused: it is volatile, so it may change something; log.sql only reads")
