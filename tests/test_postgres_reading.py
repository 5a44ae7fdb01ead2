"""Reading SQL from people on a real PostgreSQL: what it gives, and what is said of what is wrong."""

import datetime as dt
import threading
import time
import uuid
from contextlib import suppress

import psycopg
import pytest
from postgres_server import PostgresServer, fresh_database
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Identifier

from agentkit.errors import QueryError
from agentkit.rows import Rows
from agentkit.stores import views
from agentkit.stores.postgres import reading

SCHEMA = 'the "log"'
RUN = "019a0000-0000-7000-8000-000000000001"
EVENTS = """CREATE TABLE events(run_id uuid, seq integer, ts timestamptz, type text, step text, attempt integer,
name text, status text, duration_ms double precision, input_tokens bigint, output_tokens bigint,
cost_usd double precision, parent_run_id uuid, approval_id text, body json, schema_version integer)"""


def a_log(server: PostgresServer) -> str:
    """The URL of a database with a log of one run, in which values would look otherwise by default."""
    url = fresh_database(server)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("CREATE SCHEMA {0}; SET search_path TO {0}").format(Identifier(SCHEMA)))
        for statement in [EVENTS, *views.statements("")[1:]]:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO events VALUES (%s, 1, '2026-11-28 12:00+02', 'run_started', NULL, 1, 'support', 'running',"
            """ NULL, NULL, NULL, NULL, NULL, NULL, '{"kind":  "agent"}', 1)""",
            [RUN],
        )
        connection.execute("CREATE TABLE public.secret AS SELECT 'hidden' AS word")
        settings = {"timezone": "Asia/Tokyo", "datestyle": "German", "intervalstyle": "iso_8601"}
        for name, value in {**settings, "standard_conforming_strings": "off"}.items():
            connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET {name} = '{value}'")
    return url


@pytest.fixture(scope="module")
def url(postgres):
    return a_log(postgres)


@pytest.fixture
def connection(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def query(connection):
    return lambda sql, **parameters: reading.run(connection, SCHEMA, sql, parameters)


@pytest.mark.parametrize("view", views.COLUMNS)
def test_every_view_is_read(query, view):
    """The views have on PostgreSQL the columns that are documented."""
    assert set(query(f"SELECT * FROM {view}").columns) >= set(views.COLUMNS[view])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM runs UNION ALL SELECT name FROM runs;",
        "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a WHERE x < 5) SELECT * FROM a",
        "VALUES (1), (2)",
        "TABLE runs",
        "EXPLAIN (ANALYZE, COSTS off) SELECT * FROM runs",
        "EXPLAIN SELECT * FROM runs WHERE name = $name",
        "SHOW search_path",
        "SELECT r.name, e.key FROM runs r, events v, json_each_text(v.body) e",
        "SELECT count(*) FILTER (WHERE type = 'note'), pg_catalog.lower('A') FROM events TABLESAMPLE system(100)",
        "SELECT pg_size_pretty(pg_total_relation_size('events')), pg_typeof(1), random(), gen_random_uuid()",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()",
        "SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_class c ON c.oid = a.attrelid",
        'SELECT events.name FROM "the ""log""".events',
    ],
)
def test_reading_statements_run(query, sql):
    """Everything that only reads the log is allowed."""
    found = query(sql, **({"name": "x"} if "$name" in sql else {}))
    assert isinstance(found, Rows)
    assert len(found) > 0


def test_values_are_as_from_every_store(query):
    """Ids and JSON are text, times are in UTC, numbers are int or float, in arrays too; else what psycopg gives."""
    [row] = query("SELECT run_id, body, body::jsonb, ts, ARRAY[run_id], ARRAY[ts], seq FROM events")
    noon = dt.datetime(2026, 11, 28, 10, tzinfo=dt.UTC)
    assert row == (RUN, '{"kind":  "agent"}', '{"kind": "agent"}', noon, [RUN], [noon], 1)
    assert row[3].tzinfo is dt.UTC
    assert row[5][0].tzinfo is dt.UTC
    sql = "SELECT sum(1::bigint), 1.5, 1.0, 10::numeric ^ 4, '-7'::numeric, 'NaN'::numeric::text, '\\x00ff'::bytea"
    [row] = query(f"{sql}, '1 day'::interval, date '2026-11-28', 10::numeric ^ 5000")
    assert row[:7] == (1, 1.5, 1.0, 10000.0, -7, "NaN", b"\x00\xff")
    assert [type(value) for value in row[:5]] == [int, float, float, float, int]
    assert row[7:] == (dt.timedelta(days=1), dt.date(2026, 11, 28), float("inf"))


def test_columns_are_named_by_the_server(query):
    """Also where two have one name, or none."""
    columns = ("?column?", "count", "Two", "count")
    assert query('SELECT 1, count(*), 2 AS "Two", 3 AS count') == Rows(columns, [(1, 1, 2, 3)])
    assert query("SELECT") == Rows((), [()])


def test_parameters_are_bound_by_name(query):
    """A value is a value, whatever is in it; one name may stand twice."""
    assert query("SELECT $a || $b AS x, $a AS y", a="'; DROP", b="%s!") == Rows(("x", "y"), [("'; DROP%s!", "'; DROP")])
    for ids in ([RUN], [uuid.UUID(RUN)]):
        assert query("SELECT name FROM runs WHERE run_id = ANY($ids)", ids=ids)[0] == ("support",)
    assert query("SELECT $x::int % 2, $y::float8, $z::text IS NULL", x=5, y=0.5, z=None)[0] == (1, 0.5, True)
    since = dt.datetime(2026, 11, 28, 10, tzinfo=dt.UTC)
    assert len(query("SELECT 1 FROM events WHERE ts >= $since", since=since)) == 1


@pytest.mark.parametrize(
    ("sql", "values", "says"),
    [
        ("TABLE nope", {}, "no view nope\nThe log's views: events, runs, steps"),
        (
            "SELECT * FROM rnus",
            {},
            r"no view rnus; did you mean runs\?\n[^\n]*\n\nLINE 1: SELECT \* FROM rnus\n {22}\^$",
        ),
        ("SELECT nme FROM runs", {}, r"no column nme in runs; did you mean name\?\nruns has run_id, kind, name"),
        ("SELECT r.nme FROM runs r", {}, r"no column nme in runs; did you mean name\?"),
        (
            "SELECT FROM runs WHERE run_id LIKE '0%'",
            {},
            r"by its beginning a run is found so: CAST\(run_id AS VARCHAR\)",
        ),
        ("SELECT FROM runs WHERE run_id = '0'", {}, r"by its beginning a run is found so: CAST\(run_id AS VARCHAR\)"),
        ("SELECT seq FROM runs", {}, "no column seq in runs; it is one of events, model_calls"),
        ("SELECT 1 FROM runs WHERE status = succeeded", {}, "a text goes in single quotes: 'succeeded'"),
        ("WITH a AS (SELECT name AS label FROM runs) SELECT lable FROM a", {}, "did you mean label"),
        ("SELECT nope", {}, r"no column nope; .*information_schema\.columns"),
        ("SELECT * FORM runs", {}, 'syntax error at or near "FORM"\n\nLINE 1: SELECT \\* FORM runs\n {17}\\^$'),
        ("SELECT $long, $long, lwer($b)", {"long": 1, "b": 1}, "function lwer.*\nNo function matches"),
        ("SELECT $long,\n  $long, lwer($b)", {"long": 1, "b": 1}, r"\n\nLINE 2:   \$long, lwer\(\$b\)\n {17}\^$"),
        ("SELECT $long FROM runs HAVING $long", {"long": 1}, r"\n\nLINE 1: SELECT \$long .* HAVING \$long\n {38}\^$"),
        ("SELECT 1 +", {}, "syntax error at end of input\n\nLINE 1: SELECT 1 \\+\n {18}\\^$"),
        (f"SELECT '{'x' * 300}', nope, '{'y' * 300}'", {}, r"LINE 1: …x+', nope, 'y+\n {59}\^$"),
        ("SELECT 1 / 0", {}, "^division by zero$"),
        ("SELECT $x::int", {"x": "abc"}, 'invalid input syntax for type integer: "abc"'),
        ("SELECT $x", {"x": {}}, "cannot adapt type 'dict'.*; a parameter is a text, a number"),
        ("SELECT $x", {"x": "\0"}, "NUL"),
        ("SELECT $x", {"x": "\ud800"}, "no text that PostgreSQL can hold"),
        ("SELECT '\ud800'", {}, "no text that PostgreSQL can hold"),
        ("SELECT 'infinity'::timestamptz", {}, "timestamp too large"),
    ],
)
def test_errors_say_what_to_do(query, sql, values, says):
    """Each error names what is wrong and what to do, and shows the place in the text as it was written."""
    with pytest.raises(QueryError, match=says):
        query(sql, **values)


def test_the_drivers_error_is_chained(query):
    """The original is there for who wants it."""
    with pytest.raises(QueryError) as raised:
        query("TABLE nope")
    assert isinstance(raised.value.__cause__, psycopg.errors.UndefinedTable)


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT nope", "SELECT 1 / 0", "SELECT 1 INTO x"])
def test_the_connection_is_as_it_was(connection, query, sql):
    """After a result and after an error: no transaction is open, no setting is left."""
    settings = "SELECT current_setting('search_path'), current_setting('timezone')"
    before = connection.execute(settings).fetchall()
    with suppress(QueryError):
        query(sql)
    assert connection.info.transaction_status == TransactionStatus.IDLE
    assert connection.execute(settings).fetchall() == before
    connection.execute("CREATE TEMP TABLE can_write (x integer)")


@pytest.mark.parametrize("threshold", [5, None])
@pytest.mark.parametrize("parameters", [[], [1]])
def test_the_server_itself_refuses_a_second_statement(connection, threshold, parameters):
    """Were the guard to count wrong, the protocol still takes one; also with prepared statements off, for a pooler."""
    connection.prepare_threshold = threshold
    with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
        reading.fetch(connection, f"SELECT 1{' + $1' if parameters else ''}; SELECT 2", parameters)


def test_a_lost_connection_is_no_error_of_the_query(postgres, url):
    """The caller knows what to do with one."""
    with psycopg.connect(url, autocommit=True) as connection:
        pid = connection.info.backend_pid
        postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError):
                reading.run(connection, SCHEMA, "SELECT 1", {})


def test_a_session_ended_meanwhile_is_a_lost_connection(postgres, url):
    """Not the statement was wrong."""
    with psycopg.connect(url, autocommit=True) as connection:
        stop = f"SELECT pg_terminate_backend({connection.info.backend_pid})"
        timer = threading.Timer(0.3, postgres.execute, [stop])
        timer.start()
        with pytest.raises(psycopg.OperationalError):
            reading.run(connection, SCHEMA, "SELECT count(*) FROM generate_series(1, 100000000000)", {})
        timer.join()


def test_a_query_that_is_cancelled_is_one(postgres, connection, query):
    """By a timeout that somebody set, or by hand; the connection is there."""
    connection.execute("SET statement_timeout = 100")
    start = time.monotonic()
    with pytest.raises(QueryError, match="statement timeout"):
        query("SELECT count(*) FROM generate_series(1, 100000000000)")
    assert time.monotonic() - start < 60
    assert connection.info.transaction_status == TransactionStatus.IDLE
