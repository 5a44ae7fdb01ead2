"""The words of a SQL text as PostgreSQL reads them, and what is refused by them, without a server."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import QueryError
from agentkit.stores.postgres.outside import check_names
from agentkit.stores.postgres.statement import read
from agentkit.stores.postgres.tokens import place, tokens

# where no parameter, no semicolon and no function is one
CLOSED = [
    "'{}'",
    "'it''s {}'",
    "'back\\{}'",
    "E'it\\'s {}'",
    "e'\\\\{}'",
    "E'a'\n'it\\'s {}'",
    "E'a' -- b'\n -- c\n 'it\\'s {}'",
    "U&'{}'",
    '"{}"',
    '"say ""{}"""',
    "$${}$$",
    "$tag$ $$ {} $ta$ $tag$",
    "$é$ {} $é$",
    "/* {} */ 1",
    "/* /* {} */ ' {} */ 1",
    "-- {}\n1",
    "1 -- /* {}\r + 1",
    "x$a$z",  # a name goes on behind a dollar
]


@pytest.mark.parametrize("form", CLOSED)
def test_nothing_in_a_literal_or_a_comment_counts(form):
    """A parameter is one where PostgreSQL would read a word; so is a semicolon, and what is refused."""
    sql = f"SELECT {form.replace('{}', '$x; DROP pg_sleep(1) ?')}, $y"
    asked = read(sql, {"y"})
    assert asked.text == sql.replace("$y", "$1")
    assert check_names(sql, asked.words, "log").called <= {"select"}


@given(st.lists(st.sampled_from([*CLOSED, "$a", "$b", "$c_1"]), min_size=1).map(lambda forms: [*forms, "$a"]))
def test_parameters_are_numbered_as_they_come(forms):
    """Whatever stands between them: the first is `$1`, and one name is one parameter."""
    names = list(dict.fromkeys(form[1:] for form in forms if form in {"$a", "$b", "$c_1"}))
    written = [f"${names.index(form[1:]) + 1}" if form[1:] in names else form.replace("{}", "$z") for form in forms]
    sql = "SELECT " + " , ".join(form.replace("{}", "$z") for form in forms)
    asked = read(sql, names)
    assert asked.names == tuple(names)
    assert asked.text == "SELECT " + " , ".join(written)
    for before, after in zip(tokens(sql), tokens(asked.text), strict=True):
        assert asked.place(after.start) == place(sql, before.start)


@given(
    st.lists(st.sampled_from([*"().;?*", "explain", "select", "show", "$a", "$1", "pg_x", "'x'", '"y"', "E'", "\n"]))
)
def test_any_text_is_read_or_refused(words):
    """There is no third way out, however broken the text is."""
    for sql in (" ".join(words), "".join(words)):
        with suppress(QueryError):
            check_names(sql, read(sql, {"a"}).words, "log")


@given(st.text(alphabet="'\"$aE\\/*-; \n1é.?(", max_size=20))
def test_no_character_is_lost(sql):
    """Tokens are slices of the text, in order, and between them is nothing but spaces and comments."""
    try:
        found = tokens(sql)
    except QueryError:
        return
    end = 0
    for token in found:
        assert sql[token.start :].startswith(token.text)
        between = sql[end : token.start].strip(" \n")
        assert between == "" or between.startswith(("--", "/*"))
        end = token.start + len(token.text)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT 'a", r"what ' opens is not closed\n\nLINE 1: SELECT 'a\n               \^"),
        ("SELECT 1,\nE'a\\'", r"what E' opens is not closed\n\nLINE 2: E'a"),
        ('SELECT "a', 'what " opens is not closed'),
        ("SELECT $a$ $$", r"what \$a\$ opens is not closed"),
        ("SELECT /* /* */", r"what /\* opens is not closed"),
        ("SELECT '\0'", "a NUL character"),
        ('SELECT U&"a"', 'U&"…" is refused'),
        ('SELECT u&"pg_\\0072ead_file"(1)', 'U&"…" is refused'),
    ],
)
def test_a_text_that_cannot_be_read_says_where(sql, says):
    """The place is shown in the text as it was written."""
    with pytest.raises(QueryError, match=says):
        read(sql, set())


@pytest.mark.parametrize(
    ("sql", "values", "says"),
    [
        ("SELECT $a, $b", {"a"}, r"no value for \$b; give b="),
        ("SELECT $a", {"a", "c"}, r"the SQL has no \$c; its parameters are \['a'\]"),
        ("SELECT '$c'", {"c"}, r"the SQL has no \$c; its parameters are none"),
        ("SELECT $1", set(), "name the parameters"),
        ("SELECT ?", set(), "name the parameters"),
        ("SELECT * FROM runs WHERE run_id = ? AND true", set(), "name the parameters"),
        ("SELECT * FROM runs WHERE run_id=?", set(), "name the parameters"),
        ("SELECT * FROM runs LIMIT ?", set(), "name the parameters"),
        ("SELECT lower(?)", set(), "name the parameters"),
    ],
)
def test_parameters_are_named_and_given(sql, values, says):
    """What is missing, unused or without a name is said as on every store."""
    with pytest.raises(QueryError, match=says):
        read(sql, values)


@pytest.mark.parametrize("operator", ["?", "?|", "?&", "@?", "?-", "?#"])
def test_an_operator_with_a_question_mark_is_none_of_other_drivers_parameters(operator):
    """`body ? 'key'` is PostgreSQL's own."""
    sql = f"SELECT body {operator} 'key', 5 % 2, '%s' FROM events"
    assert read(sql, set()).text == sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "-- why\n/* how */ select 1;",
        "((SELECT 1) UNION (SELECT 2)) ; -- done",
        ";SELECT 1;;",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "VALUES (1)",
        "TABLE runs",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE VERBOSE (SELECT 1)",
        "EXPLAIN ((SELECT 1))",
        "EXPLAIN (ANALYZE, FORMAT json) WITH a AS (SELECT 1) TABLE a",
        "SHOW search_path",
        "SHOW TIME ZONE;",
    ],
)
def test_reading_statements_pass(sql):
    """Each begins as a statement that only reads."""
    assert read(sql, set()).text == sql


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("", "this text holds 0 statements"),
        (" ; -- nothing", "this text holds 0 statements"),
        ("SELECT 1; SELECT 2", "this text holds 2 statements"),
        ("SELECT 1; DROP TABLE events; --", "this text holds 2 statements"),
        ("SELECT 1;/**/COMMIT", "this text holds 2 statements"),
        ("((", r"\( is not one of them"),
        ("DELETE FROM events", "DELETE is not one of them: the log is append-only"),
        ("(DELETE FROM events)", "DELETE is not one of them"),
        ('"select" 1', "is not one of them"),
        ("COPY events TO STDOUT", "COPY is not one of them"),
        ("EXPLAIN DELETE FROM events", "DELETE is not one of them"),
        ("EXPLAIN ANALYZE DELETE FROM events", "DELETE is not one of them"),
        ("EXPLAIN (ANALYZE, VERBOSE) DELETE FROM events", "DELETE is not one of them"),
        ("EXPLAIN (ANALYZE true) (DELETE FROM events)", "DELETE is not one of them"),
        ("EXPLAIN ANALYZE EXECUTE x", "EXECUTE is not one of them"),
        ("EXPLAIN", "EXPLAIN is not one of them"),
        ("EXPLAIN EXPLAIN SELECT 1", "EXPLAIN is not one of them"),
        ("SHOW ALL", "SHOW all is refused: it shows client_encoding"),
        ("SHOW primary_conninfo", "SHOW primary_conninfo is refused"),
        ("SHOW TABLES", r"information_schema\.tables"),
        ("DESCRIBE runs", r"information_schema\.columns"),
        ("FROM runs", r"write SELECT \* FROM"),
        *((f"{word} x", f"{word} is not one of them") for word in ("INSERT", "UPDATE", "MERGE", "CALL", "DO", "SET")),
        *((f"{word} x", f"{word} is not one of them") for word in ("BEGIN", "COMMIT", "PREPARE", "LOCK", "VACUUM")),
        *((f"{word} x", f"{word} is not one of them") for word in ("DECLARE", "FETCH", "LISTEN", "NOTIFY", "LOAD")),
    ],
)
def test_everything_else_is_refused(sql, says):
    """An error says what the text is not, and what to write instead."""
    with pytest.raises(QueryError, match=says):
        read(sql, set())


@pytest.mark.parametrize(
    "called",
    [
        "pg_read_file('x')",
        "PG_Read_File ('x')",
        "\"pg_read_file\"('x')",
        "pg_catalog . /* a */ pg_read_file -- b\n ('x')",
        "('x'::text).pg_read_file",
        "(SELECT pg_read_file FROM x)",
        "1pg_sleep(9)",
        "lo_import('x')",
        "current_setting('primary_conninfo')",
        "x.current_setting",
        "dblink_exec('x')",
        "query_to_xml_and_xmlschema('x', true, true, '')",
        "table_to_xml('x', true, true, '')",
        "set_config('x', 'y', false)",
        "nextval('x')",
        "txid_current()",
        "public.crosstab('x')",
        "other.lower('x')",
        "(SELECT 1 FROM pg_authid)",
        "(SELECT 1 FROM pg_catalog.pg_shadow)",
        "(SELECT 1 FROM information_schema.user_mapping_options)",
        "a" * 3 + " FROM pg_" + "x" * 70,
    ],
)
def test_what_reaches_outside_is_refused_by_its_name(called):
    """Functions and tables by the words, however they are written."""
    sql = f"SELECT {called}"
    with pytest.raises(QueryError, match=r"refused[^\n]*\n\nLINE \d"):
        check_names(sql, read(sql, set()).words, "log")


def test_the_server_is_asked_about_the_names_that_only_it_knows():
    """What may be a function, and what may be a table of another schema, cut as PostgreSQL cuts names."""
    sql = f"SELECT count(*), r.name, random() FROM \"Log\".runs r, {'é' * 40}.x WHERE r.name IN (lower('A'))"
    names = check_names(sql, read(sql, set()).words, "Log")
    assert names.called == {"count", "name", "runs", "in", "lower", "x"}
    assert names.dotted == {("r", "name"), ("Log", "runs"), ("é" * 31, "x")}
