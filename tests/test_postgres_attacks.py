"""Somebody means ill: SQL as a superuser of a real PostgreSQL that tries to reach what is not the log's."""

import random

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from test_postgres_reading import SCHEMA, a_log

from agentkit.errors import QueryError
from agentkit.stores.postgres import reading
from agentkit.stores.postgres.tokens import tokens

WORD = "the-servers-secret"


@pytest.fixture(scope="module")
def url(postgres):
    (postgres.folder / "secret.txt").write_text(WORD)
    url = a_log(postgres)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("SET search_path TO {}; CREATE SEQUENCE numbers").format(Identifier(SCHEMA)))
        for argument in ("", "integer"):
            body = "'DELETE FROM events; SELECT 1'"
            connection.execute(f"CREATE FUNCTION deletes({argument}) RETURNS integer LANGUAGE sql AS {body}")
    return url


@pytest.fixture
def attack(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda sql, **parameters: reading.run(connection, SCHEMA, sql, parameters)


FILES = [
    "SELECT pg_read_file('{}')",
    "SELECT pg_catalog.pg_read_binary_file('{}')",
    "SELECT \"pg_read_file\"('{}')",
    "SELECT ('{}'::text).pg_read_file",
    "SELECT (x).pg_read_file FROM (VALUES ('{}'::text)) v(x)",
    "SELECT x.pg_read_file FROM concat('{}') x",
    "SELECT (ARRAY['{}'])[1].pg_read_file",
    "SELECT a FROM pg_read_file('{}') a",
    "SELECT * FROM ROWS FROM (pg_read_file('{}'), pg_ls_dir('.'))",
    "SELECT U&\"pg_\\0072ead_file\"('{}')",
    "SELECT E'a'\n'\\' -- ', pg_read_file('{}') --'",
    "SELECT 1 /* /* */ -- */ */, pg_read_file('{}')",
    "SELECT $a$ $b$ $a$, pg_read_file('{}') -- $b$",
    "SELECT pg_stat_file('{}')",
    "SELECT lo_import('{}')",
    "SELECT ('{}'::text).lo_import",
    "SELECT * FROM pg_hba_file_rules",
    "COPY (SELECT 1) TO '{}'",
    "COPY events FROM PROGRAM 'cat {}'",
    "EXPLAIN ANALYZE SELECT pg_read_file('{}')",
    "SELECT query_to_xml('SELECT pg_read_file(''{}'')', true, true, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(pg_read_file(''{}''))')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT pg_read_file(''{}'')::tsquery, ''a''::tsquery')",
    "SHOW data_directory",
    "SELECT current_setting('data_directory')",
    "SELECT x.current_setting FROM lower('data_directory') x",
    "SELECT setting FROM pg_settings",
]


@pytest.mark.parametrize("sql", FILES)
def test_no_file_is_read(postgres, attack, sql):
    """Nor is it said where files are."""
    with pytest.raises(QueryError) as raised:
        attack(sql.format(postgres.folder / "secret.txt"))
    assert WORD not in str(raised.value)


def test_xml_brings_in_no_file(postgres, attack):
    """PostgreSQL leaves an entity empty that names a file."""
    found = attack(
        "SELECT xpath('/x', xmlparse(document $doc::text))::text",
        doc=f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{postgres.folder}/secret.txt">]><x>&e;</x>',
    )
    assert WORD not in str(found[0])


OTHERS = [
    "SELECT * FROM public.secret",
    'SELECT * FROM "public" /* */ . -- \n secret',
    "SELECT * FROM runs, public.secret",
    "TABLE public.secret",
    "SELECT (SELECT word FROM ONLY (public.secret))",
    "EXPLAIN ANALYZE SELECT * FROM public.secret",
    "WITH a AS (TABLE public.secret) SELECT * FROM a",
    "SELECT table_to_xml('public.secret', true, true, '')",
    "SELECT ('public.secret'::regclass, true, true, ''::text).table_to_xml",
    "SELECT schema_to_xml('public', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "SELECT query FROM pg_stat_activity",
    "SELECT * FROM pg_stat_get_activity(NULL)",
    "SELECT most_common_vals FROM pg_stats",
    "SELECT option_value FROM information_schema.user_mapping_options",
    "SELECT umoptions FROM pg_user_mappings",
    "SELECT * FROM secret",
]


@pytest.mark.parametrize("sql", OTHERS)
def test_no_data_of_others_are_read(attack, sql):
    """Other schemas' tables, passwords, what other sessions do."""
    with pytest.raises(QueryError) as raised:
        attack(sql)
    assert "hidden" not in str(raised.value)


WRITES = [
    "DELETE FROM events",
    "WITH x AS (DELETE FROM events RETURNING 1) SELECT * FROM x",
    "WITH x AS (INSERT INTO events (seq) VALUES (9) RETURNING 1) SELECT * FROM x",
    "WITH x AS (UPDATE events SET seq = 9 RETURNING 1) SELECT * FROM x",
    "EXPLAIN ANALYZE WITH x AS (DELETE FROM events RETURNING 1) SELECT * FROM x",
    "EXPLAIN ANALYZE DELETE FROM events",
    "EXPLAIN (ANALYZE) CREATE TABLE taken AS SELECT 1",
    "SELECT * INTO taken FROM events",
    "SELECT * INTO TEMP taken FROM events",
    "SELECT * FROM events FOR UPDATE",
    "SELECT * FROM events FOR KEY SHARE",
    "SELECT 1; DELETE FROM events",
    "SELECT 1; COMMIT; DELETE FROM events",
    "SELECT 1;\0DELETE FROM events",
    "SELECT '\\'; DELETE FROM events; --'",
    "COMMIT",
    "SET TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT pg_catalog.set_config('search_path', 'public', false)",
    "SELECT query_to_xml('DELETE FROM events RETURNING 1', true, true, '')",
    "SELECT nextval('numbers')",
    "SELECT lo_create(4711)",
    "SELECT lo_from_bytea(4711, 'x')",
    "SELECT pg_notify('channel', 'x')",
    "SELECT txid_current()",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('x')",
    "SELECT deletes()",
    "SELECT x.deletes FROM generate_series(1, 1) x",
    "DO $$ BEGIN DELETE FROM events; END $$",
    "CALL deletes()",
    "PREPARE x AS DELETE FROM events",
    "EXPLAIN ANALYZE EXECUTE x",
    "LOCK TABLE events",
]


@pytest.mark.parametrize("sql", WRITES)
def test_nothing_is_written(url, attack, sql):
    """Whatever the text is, the tables and settings are as they were."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("SET search_path TO {}").format(Identifier(SCHEMA)))
        state = (
            "SELECT (SELECT array_agg(e::text) FROM events e), (SELECT last_value FROM numbers),"
            " (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_largeobject_metadata)"
        )
        before = connection.execute(state).fetchall()
        with pytest.raises(QueryError):
            attack(sql)
        assert connection.execute(state).fetchall() == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_sleep(1000)",
        "SELECT (1000::float8).pg_sleep",
        "SELECT pg_sleep_for('1 hour'), pg_sleep_until('tomorrow')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_terminate_backend({})",
        "SELECT pg_cancel_backend({})",
        "SELECT ({}).pg_terminate_backend",
        "SELECT pg_rotate_logfile()",
        "SELECT pg_promote()",
        "SELECT pg_log_backend_memory_contexts({})",
    ],
)
@pytest.mark.timeout(30)
def test_nobody_waits_and_no_session_ends(postgres, url, attack, sql):
    """Neither this session is held, nor another one ended."""
    with psycopg.connect(url, autocommit=True) as other:
        with pytest.raises(QueryError, match="refused"):
            attack(sql.format(other.info.backend_pid))
        assert other.execute("SELECT 1").fetchone() == (1,)
        assert attack("SELECT 1")[0] == (1,)


PIECES = ["'", "'", "''", "\\", "E'", "e'", ",", ", 'a'", "; SELECT ", "--", "\n", "\r", "/*", "*/", "$$", "$a$", '"']
PIECES += ["1", " ", "x", "'b'", "E'\\''", "U&'", "N'", "B'1'", "$", "a$", "é", "+", "-- c\n", "\t"]


def test_a_text_ends_where_the_server_says_that_it_does(postgres):
    """What is hidden in a literal or a comment is hidden on both sides: statements and columns are counted alike."""
    draw, agreed = random.Random(4), 0
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        for _ in range(4000):
            sql = f"SELECT {''.join(draw.choices(PIECES, k=draw.randint(1, 11)))}{draw.choice([chr(39), ''])}"
            try:
                cursor = connection.execute(sql)
            except psycopg.Error:
                continue
            counted = [max(len(cursor.description or ()), 1)]
            while cursor.nextset():
                counted.append(max(len(cursor.description or ()), 1))
            assert columns(sql) == counted, sql
            agreed += 1
    assert agreed > 200


def columns(sql):
    """How many columns each statement of a text has, by our tokens."""
    found = [[]]
    for token in tokens(sql):
        found[-1].append(token.text) if token.text != ";" else found.append([])
    return [words.count(",") + 1 for words in found if words]
