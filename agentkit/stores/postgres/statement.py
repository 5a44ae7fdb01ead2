"""One reading statement as a person wrote it, and as PostgreSQL gets it: `$name` becomes `$1`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agentkit.stores.postgres.tokens import Token, place, tokens
from agentkit.stores.refused import check_parameters, refused, several, writing

READS = "SELECT, WITH, VALUES, TABLE, EXPLAIN, SHOW"
_QUERIES = frozenset({"select", "with", "values", "table"})
_INSTEAD = {
    "from": "write SELECT * FROM …, PostgreSQL has no FROM alone",
    "describe": "DESCRIBE is DuckDB's; SELECT * FROM information_schema.columns WHERE table_name = 'runs'",
    "summarize": "SUMMARIZE is DuckDB's; write SELECT count(*), min(…), max(…) FROM …",
    "pivot": "PIVOT is DuckDB's; write sum(…) FILTER (WHERE …) for each column",
}
# SHOW tells of nothing else: other settings can hold a password (primary_conninfo), or say where files are
_SETTINGS = frozenset(
    {"server_version", "server_version_num", "server_encoding", "client_encoding", "search_path", "datestyle"}
    | {"intervalstyle", "timezone", "lc_collate", "lc_ctype", "max_connections", "statement_timeout", "work_mem"}
    | {"standard_conforming_strings", "transaction_isolation", "transaction_read_only", "is_superuser"}
)
# Behind one of these comes a value; a `?` there is a parameter of another driver, elsewhere PostgreSQL's own operator.
_BEFORE_VALUES = frozenset(
    {"select", "where", "and", "or", "not", "on", "having", "when", "then", "else", "case", "in", "is", "between"}
    | {"like", "ilike", "limit", "offset", "by", "values", "distinct", "all", "any", "from"}
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that begins as a reading one does, with its parameters.

    Args:
        sql: as it was written.
        words: its tokens.
        text: as PostgreSQL gets it.
        names: the parameters, `$1` first.
    """

    sql: str
    words: Sequence[Token]
    text: str
    names: tuple[str, ...]

    def place(self, position: int) -> str:
        """The line of the SQL as it was written with a caret below a place.

        Args:
            position: characters of `text`, from 0.
        """
        shift = 0  # how much shorter `text` is up to there
        for word in _parameters(self.words):
            number = f"${self.names.index(word.text[1:]) + 1}"
            if position + shift < word.start + len(number):
                return place(self.sql, min(position + shift, word.start))
            shift += len(word.text) - len(number)
        return place(self.sql, min(position + shift, len(self.sql)))


def read(sql: str, given: Collection[str]) -> Statement:
    """Read a text.

    Args:
        sql: the text.
        given: the names that have a value.

    Raises:
        QueryError: it is no reading statement, or not one, or a parameter is missing or unused.
    """
    words = tokens(sql)
    _check_one(words)
    _check_kind(words)
    if any(_is_placeholder(words, i) for i, word in enumerate(words) if word.kind == "operator"):
        check_parameters(["1"], given)
    names = tuple(dict.fromkeys(word.text[1:] for word in _parameters(words)))
    check_parameters(names, given)
    parts, behind = list[str](), 0
    for word in _parameters(words):
        parts += [sql[behind : word.start], f"${names.index(word.text[1:]) + 1}"]
        behind = word.start + len(word.text)
    return Statement(sql, words, "".join([*parts, sql[behind:]]), names)


def _parameters(words: Sequence[Token]) -> list[Token]:
    return [word for word in words if word.kind == "parameter"]


def _check_one(words: Sequence[Token]) -> None:
    ends = [word.text == ";" for word in words]
    count = sum(not end and (i == 0 or ends[i - 1]) for i, end in enumerate(ends))
    if count != 1:
        raise refused(READS, several(count))


def _check_kind(words: Sequence[Token]) -> None:
    begin = next((i for i, word in enumerate(words) if word.text not in {"(", ";"}), 0)
    first = words[begin]
    if _keyword(first) == "show":
        _check_setting(words[begin + 1 :])
        return
    if _keyword(first) == "explain":
        first = _explained(words[begin + 1 :]) or first
    if (kind := _keyword(first)) not in _QUERIES:
        raise refused(READS, _INSTEAD.get(kind or "") or writing(first.text.upper()))


def _keyword(word: Token) -> str | None:
    return word.name if word.kind == "word" else None


def _explained(words: Sequence[Token]) -> Token | None:
    """What the statement behind EXPLAIN and its options begins with."""
    at = 0
    if len(words) > 1 and words[0].text == "(" and words[1].text != "(" and _keyword(words[1]) not in _QUERIES:
        at = next((i for i, word in enumerate(words) if word.text == ")"), 0)  # behind (ANALYZE, FORMAT json)
    skipped = {"(", ")", ";", "analyze", "analyse", "verbose"}
    return next((word for word in words[at:] if word.text.lower() not in skipped), None)


def _check_setting(words: Sequence[Token]) -> None:
    name = " ".join(word.name or word.text for word in words if word.text != ";")
    if name.replace("time zone", "timezone") in _SETTINGS:
        return
    if name == "tables":
        raise refused(READS, "SHOW TABLES is DuckDB's; SELECT * FROM information_schema.tables lists the views")
    raise refused(READS, f"SHOW {name} is refused: it shows {', '.join(sorted(_SETTINGS))}")


def _is_placeholder(words: Sequence[Token], i: int) -> bool:
    """Whether an operator is the `?` of other drivers, not PostgreSQL's (`body ? 'key'`)."""
    text = words[i].text
    if text != "?":
        return text.endswith("?") and text[:-1] in {"=", "<", ">", "<=", ">=", "<>", "!=", "+", "-", "*", "/", "||"}
    before = words[i - 1] if i else None
    if before is None or before.kind == "operator" or before.text in {"(", ",", "["}:
        return True
    return _keyword(before) in _BEFORE_VALUES
