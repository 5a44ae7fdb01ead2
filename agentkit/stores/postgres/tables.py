# ruff: noqa: S608  the SQL is put together from our own names
"""The tables of a log in PostgreSQL: how they are made, and how those of an older agentkit are brought up to date.

All are in one schema, which is first on the search path of every connection. `body` is `json` and not `jsonb`: the text
stays as it was written, and the digests of prompts are taken of that text.
"""

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

from agentkit.errors import LogTooNew, LogUnwritable
from agentkit.stores import views

if TYPE_CHECKING:
    import psycopg

_OLDEST = 13  # PostgreSQL's own oldest that is still mended is 14

EVENTS = {
    "run_id": "uuid", "seq": "integer", "ts": "timestamptz", "type": "text", "step": "text", "attempt": "integer",
    "name": "text", "status": "text", "duration_ms": "double precision", "input_tokens": "bigint",
    "output_tokens": "bigint", "cost_usd": "double precision", "parent_run_id": "uuid", "approval_id": "text",
    "body": "json", "schema_version": "integer",
}  # fmt: skip
"""The columns of `events` with their types."""

_NEEDED = {"run_id", "seq", "ts", "type", "body", "schema_version"}
_EVENTS = ",\n  ".join(f"{name} {kind}{' NOT NULL' if name in _NEEDED else ''}" for name, kind in EVENTS.items())
_LEDGER = ",\n  ".join(f"{name} {kind}" for name, kind in views.LEDGER.items())

# version 1; what came later is in the migrations, which a new log goes through as an old one does
_MADE = f"""
CREATE TABLE meta (version integer NOT NULL, views text NOT NULL);

-- who has the log open to write: alive as long as it is seen, and holds the advisory lock of its name; one that lost it
-- with its connection has a moment to take it again
CREATE TABLE processes (
  process text PRIMARY KEY,
  pid integer NOT NULL,
  host text NOT NULL,
  seen timestamptz NOT NULL
);

-- a row a run: its last seq, and who has it; every append checks the token, which each new claim changes
CREATE TABLE claims (
  run_id uuid PRIMARY KEY,
  head integer NOT NULL,
  token bigint NOT NULL,
  process text,
  activity text,
  since timestamptz
);

CREATE TABLE events (
  {_EVENTS},
  PRIMARY KEY (run_id, seq)
);
CREATE INDEX events_by_time ON events USING brin (ts);
CREATE INDEX events_costs ON events (run_id) INCLUDE (name, input_tokens, output_tokens, cost_usd)
  WHERE type IN ('model_responded', 'model_failed');
CREATE INDEX events_tools ON events (name) INCLUDE (duration_ms) WHERE type IN ('tool_succeeded', 'tool_failed');
CREATE INDEX events_approvals ON events (run_id, approval_id, type)
  WHERE type IN ('approval_requested', 'approval_answered', 'approval_expired');
CREATE INDEX events_runs ON events (type, name)
  WHERE type IN ('run_started', 'run_succeeded', 'run_failed', 'run_cancelled');

-- what a person says of themselves is in the answer; the role is whom the server let in
CREATE TABLE answers (
  run_id uuid NOT NULL,
  approval_id text NOT NULL,
  answer json NOT NULL,
  role text NOT NULL DEFAULT session_user,
  given_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, approval_id)
);

CREATE TABLE ledger (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  {_LEDGER}
);
CREATE INDEX ledger_newest ON ledger (target, run_id, id);

CREATE FUNCTION lives(text, lease double precision, grace double precision) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT 1 FROM processes WHERE process = $1 AND seen > now() - make_interval(secs => grace))
    OR EXISTS (SELECT 1 FROM processes WHERE process = $1 AND seen > now() - make_interval(secs => lease))
    AND EXISTS (
      SELECT 1 FROM pg_locks
      WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((CAST(classid AS bigint) << 32) | CAST(objid AS bigint)) = hashtextextended($1, 0)
    )
$$;
"""

_QUEUE = """
-- the runs that wait for a worker: ready where nobody has it and it is not asleep; 'infinity' is until it is woken
CREATE TABLE queue (
  run_id uuid PRIMARY KEY,
  name text NOT NULL,
  submitted_at timestamptz NOT NULL DEFAULT now(),
  lost integer NOT NULL DEFAULT 0,
  process text,
  token bigint,
  asleep_until timestamptz
);
CREATE INDEX queue_ready ON queue (name, submitted_at, run_id) WHERE process IS NULL AND asleep_until IS NULL;
CREATE INDEX queue_asleep ON queue (asleep_until) WHERE asleep_until < 'infinity';
CREATE INDEX queue_taken ON queue (process) WHERE process IS NOT NULL;
"""

_MIGRATIONS = (_QUEUE,)
"""What brings the tables from version 1 to 2, from 2 to 3 and so on: never changed, only added to."""

VERSION = 1 + len(_MIGRATIONS)
"""Of these tables; a log of a newer one is refused."""

_LEDGER_LINES = f"SELECT {', '.join(views.LEDGER)} FROM ledger"


def prepare(connection: "psycopg.Connection[Any]", schema: str) -> None:
    """Make the log's tables and views, or bring them up to date; one process at a time does.

    Args:
        connection: in autocommit mode, with the schema first on its search path.
        schema: the schema's name.

    Raises:
        LogTooNew: a newer agentkit made them.
        LogUnwritable: the server is too old, or the database cannot hold every text.
        psycopg.Error: the server does not let us.
    """
    if connection.info.server_version < _OLDEST * 10_000:
        raise LogUnwritable(
            f"the server is PostgreSQL {connection.info.server_version // 10_000}; a log needs {_OLDEST} or newer"
        )
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise LogUnwritable(f"the database's encoding is {encoding}, and a log needs UTF8: createdb --encoding=UTF8")
    if _is_current(connection, schema):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('agentkit ' || %s, 0))", [schema])
        if not _exists(connection, schema):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}".encode())
            connection.execute(_MADE.encode())
            connection.execute("INSERT INTO meta VALUES (1, '')")
        version, mark = _meta(connection)
        if version < VERSION:
            _migrate(connection, version)
        if mark != _views_mark():
            _try_to_make_views(connection)


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _is_current(connection: "psycopg.Connection[Any]", schema: str) -> bool:
    return _exists(connection, schema) and _meta(connection) == (VERSION, _views_mark())


def _exists(connection: "psycopg.Connection[Any]", schema: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{quoted(schema)}.meta"]).fetchone()
    return found is not None and bool(found[0])


def _meta(connection: "psycopg.Connection[Any]") -> tuple[int, str]:
    """The version of the tables that the log has, and which views.

    Raises:
        LogTooNew: a newer agentkit made them.
    """
    row = connection.execute("SELECT version, views FROM meta").fetchone()
    version, mark = row if row is not None else (VERSION, "")
    if version > VERSION:
        raise LogTooNew(
            f"the log's tables are of version {version}, this agentkit knows up to {VERSION}; upgrade agentkit to open "
            "it"
        )
    return int(version), str(mark)


def _migrate(connection: "psycopg.Connection[Any]", version: int) -> None:
    """Bring the tables up to date; who may write claims may use the tables that are new."""
    from psycopg import errors

    rights = connection.execute(_RIGHTS, [["claims"]]).fetchall()
    try:
        for statements in _MIGRATIONS[version - 1 :]:
            connection.execute(statements.encode())
        connection.execute("UPDATE meta SET version = %s", [VERSION])
    except errors.InsufficientPrivilege as error:
        raise LogUnwritable(
            f"the log's tables are of version {version}, and this role may not bring them to {VERSION} "
            f"({str(error).splitlines()[0]}): have the role that made the log open it once with this agentkit"
        ) from error
    for right, _, role in rights:
        more = ", DELETE" if right == "UPDATE" else ""  # what ended is removed from the queue; a claim never is
        connection.execute(f"GRANT {right}{more} ON queue TO {role}".encode())


def _view_texts() -> list[str]:
    """The statements that make the views over the table `events`."""
    return views.statements("", _LEDGER_LINES, replace="")[1:]


def _views_mark() -> str:
    return hashlib.sha256("\n".join(_view_texts()).encode()).hexdigest()


def _try_to_make_views(connection: "psycopg.Connection[Any]") -> None:
    """Another agentkit's do where this role may not remake them, or where somebody's own view is made of them."""
    from psycopg import errors

    lasting = errors.InsufficientPrivilege, errors.DependentObjectsStillExist
    with contextlib.suppress(*lasting), connection.transaction():
        _make_views(connection)


def _make_views(connection: "psycopg.Connection[Any]") -> None:
    """Anew, with the rights that roles have on them: PostgreSQL replaces a view only by one with the same columns."""
    rights = connection.execute(_RIGHTS, [list(views.VIEWS)]).fetchall()
    for name in views.VIEWS:
        connection.execute(f"DROP VIEW IF EXISTS {quoted(name)}".encode())
    for statement in _view_texts():
        connection.execute(statement.encode())
    for right, name, role in rights:
        connection.execute(f"GRANT {right} ON {quoted(name)} TO {role}".encode())
    connection.execute("UPDATE meta SET views = %s", [_views_mark()])


_RIGHTS = """
SELECT a.privilege_type, c.relname,
  CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE CAST(CAST(a.grantee AS regrole) AS text) END
FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid, aclexplode(c.relacl) AS a
WHERE n.nspname = current_schema() AND c.relname = ANY(%s) AND a.grantee <> c.relowner
"""
