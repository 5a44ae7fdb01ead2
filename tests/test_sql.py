"""The SQL guard: people's SQL reads the log's views, and nothing else."""

import threading

import duckdb
import pytest

from agentkit.errors import QueryError
from agentkit.rows import Rows
from agentkit.stores import sqlguard
from agentkit.stores.embedded.warehouse import Warehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    found = Warehouse(tmp_path_factory.mktemp("log"))
    found.fold([])
    yield found
    found.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS x",
        "FROM runs",
        "VALUES (1)",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
        "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a WHERE x < 5) SELECT * FROM a",
        "SELECT * FROM runs UNION ALL SELECT * FROM runs",
        "DESCRIBE runs",
        "SUMMARIZE costs",
        "SHOW TABLES",
        "EXPLAIN SELECT * FROM runs",
        "explain analyze SELECT * FROM runs",
        "SELECT * FROM range(3)",
        "SELECT r.run_id, j.key FROM runs r, json_each(r.tags) j",
        "PIVOT costs ON model IN ('a', 'b') USING sum(cost_usd)",
        "SELECT 1; -- done",
        "SELECT run_id FROM log.main.events_cold",
    ],
)
def test_reading_statements_run(warehouse, sql):
    """Everything that only reads is allowed."""
    assert isinstance(warehouse.query(sql, {}), Rows)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "DELETE FROM log.events_cold",
        "INSERT INTO log.ingested VALUES ('x', now(), 1)",
        "WITH x AS (DELETE FROM log.events_cold RETURNING *) SELECT * FROM x",
        "EXPLAIN ANALYZE DELETE FROM log.events_cold",
        "EXPLAIN ANALYZE WITH x AS (DELETE FROM log.events_cold RETURNING *) SELECT * FROM x",
        "CREATE TABLE x (i INTEGER)",
        "DROP VIEW runs",
        "COPY runs TO 'out.csv'",
        "EXPORT DATABASE 'out'",
        "ATTACH 'other.duckdb'",
        "DETACH log",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '10GB'",
        "SET VARIABLE x = 1",
        "USE memory",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CHECKPOINT",
        "PREPARE p AS SELECT 1",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT (SELECT content FROM read_text('/etc/passwd'))",
        "DESCRIBE SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM runs WHERE EXISTS (FROM READ_BLOB('/etc/passwd'))",
        "FROM '/etc/passwd'",
        "FROM 'secrets.csv'",
        'FROM "https://example.org/x.parquet"',
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('runs')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM parquet_scan('x')",
        "SELECT write_log('x')",
        "PIVOT costs ON model USING sum(cost_usd)",
        "SUMMARIZE 'secrets.csv'",
        "SELECT nope FROM",
    ],
)
def test_everything_else_is_refused(warehouse, sql, tmp_path, monkeypatch):
    """What writes, changes a setting or reaches a file raises, and nothing of it happens."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets.csv").write_text("secret\n1\n")
    before = sorted([*tmp_path.iterdir(), *warehouse.folder.iterdir()])
    with pytest.raises(QueryError):
        warehouse.query(sql, {})
    assert sorted([*tmp_path.iterdir(), *warehouse.folder.iterdir()]) == before


def test_files_stay_closed_behind_the_guard(warehouse):
    """Were the guard to miss something, DuckDB itself refuses files and settings."""
    with warehouse._file.reading() as connection:
        for sql in ["SELECT * FROM read_text('/etc/passwd')", "SET enable_external_access = true", "INSTALL httpfs"]:
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
        with pytest.raises(duckdb.Error):
            connection.execute("DELETE FROM log.events_cold")


def test_python_variables_are_not_tables(warehouse):
    """A local variable of that name is no table: what a query reads is the log."""
    secret = duckdb.sql("SELECT 1 AS x")
    assert secret is not None
    with pytest.raises(QueryError, match="secret"):
        warehouse.query("SELECT * FROM secret", {})


def test_parameters_are_bound_by_name(warehouse):
    """A value is a value, whatever is in it."""
    assert warehouse.query("SELECT $a || $b AS x, $a AS y", {"a": "'; DROP", "b": "!"})[0] == ("'; DROP!", "'; DROP")
    assert warehouse.query("SELECT len($ids) AS n", {"ids": ["a", "b"]})[0] == (2,)


@pytest.mark.parametrize(
    ("sql", "values", "says"),
    [
        ("SELECT $a, $b", {"a": 1}, r"no value for \$b; give b="),
        ("SELECT $a", {"a": 1, "c": 1}, r"the SQL has no \$c"),
        ("SELECT ?", {}, "name the parameters"),
        ("SELECT $1", {}, "name the parameters"),
        ("FROM nope", {}, "The log's views: events, runs, steps"),
        ("FROM rnus", {}, "no view rnus; did you mean runs"),
        ("SELECT nme FROM runs", {}, r"no column nme in runs; did you mean name\?\nruns has run_id, kind, name"),
        ("SELECT r.nme FROM runs r", {}, "no column nme in runs; did you mean name"),
        ("FROM runs WHERE run_id LIKE '01a2%'", {}, r"by its beginning a run is found so: CAST\(run_id AS VARCHAR\)"),
        ("SELECT seq FROM runs", {}, "no column seq in runs; it is one of events, model_calls"),
        ("FROM runs WHERE status = succeeded", {}, "a text goes in single quotes: 'succeeded'"),
        ("WITH a AS (SELECT name AS label FROM runs) SELECT lable FROM a", {}, "did you mean label"),
        ("SELECT nope", {}, "DESCRIBE"),
        ("SELECT * FORM runs", {}, r"syntax error at or near \"runs\"\n\nLINE 1"),
        ("SELECT * FROM read_text('x')", {}, "read_text is refused"),
        ("DELETE FROM runs", {}, "append-only"),
        ("SELECT 'x' + 1 FROM range(3)", {}, "Binder Error"),
    ],
)
def test_errors_say_what_to_do(warehouse, sql, values, says):
    """Each error names what is wrong and what to do; the driver's own is chained."""
    with pytest.raises(QueryError, match=says):
        warehouse.query(sql, values)


def test_the_drivers_error_is_chained(warehouse):
    """The original is there for who wants it."""
    with pytest.raises(QueryError) as raised:
        warehouse.query("FROM nope", {})
    assert isinstance(raised.value.__cause__, duckdb.Error)


def test_values_are_plain(warehouse):
    """Ids are text, times are UTC, JSON is text: the same from every store."""
    row = warehouse.query("SELECT uuid() AS a, now() AS b, '{}'::JSON AS c", {})[0]
    assert isinstance(row[0], str)
    assert row[1].utcoffset().total_seconds() == 0
    assert row[2] == "{}"


def test_a_plain_connection_has_the_same_guard():
    """The guard does not depend on the embedded file: a log in memory uses it too."""
    connection = duckdb.connect(":memory:")
    assert sqlguard.run(connection, "SELECT $x AS x", {"x": 1}) == Rows(("x",), [(1,)])
    with pytest.raises(QueryError):
        sqlguard.run(connection, "CREATE TABLE x (i INTEGER)", {})


def test_memory_is_limited(warehouse):
    """The limit is set, and what needs more goes to disk or fails as an error of the query."""
    [(limit,)] = warehouse.query("SELECT current_setting('memory_limit')", {})
    assert float(limit.split()[0]) < 256
    assert len(warehouse.query("SELECT i FROM range(2000000) t(i) ORDER BY hash(i) LIMIT 1", {})) == 1


def test_threads_query_at_once(warehouse):
    """Queries of several threads share the file and do not disturb each other."""
    found, errors = [], []

    def ask(i):
        try:
            found.extend(warehouse.query("SELECT $i AS i, count(*) AS n FROM runs", {"i": i}))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(found) == [(i, 0) for i in range(8)]
