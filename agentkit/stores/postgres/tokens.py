"""The words of a SQL text as PostgreSQL reads them, and the parameters `$name` between them.

It follows the rules of the manual's chapter "Lexical Structure" under `standard_conforming_strings`, with one word of
our own: `$name`, which is no token of PostgreSQL's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from agentkit.errors import QueryError

Kind: TypeAlias = Literal["word", "name", "text", "parameter", "number", "operator", "sign"]

_SPACE = r"[ \t\n\r\f\v]"
_LETTER = r"A-Za-z_\x80-\U0010ffff"  # PostgreSQL takes every character beyond ASCII for a letter
_TAG = rf"[{_LETTER}][{_LETTER}0-9]*"
# A text goes on behind a line's end, in the same form: E'a' and 'b\'' in the next line are one text with a backslash.
_ON = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*+[\n\r])*+"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*+'"  # *+: a text that does not end is none, not two
_FORMS = {
    "space": rf"{_SPACE}+|--[^\n\r]*",
    "comment": r"/\*",
    "escape": rf"[eE]{_ESCAPED}(?:{_ON}{_ESCAPED})*",
    "text": r"'(?:[^']|'')*+'",
    "dollar": rf"\$(?P<tag>{_TAG})?\$.*?\$(?(tag)(?P=tag))\$",
    "unicode": r'[uU]&"',
    "name": r'"(?:[^"]|"")*+"',
    "open": rf"[eE]?'|\"|\$(?:{_TAG})?\$",
    "parameter": rf"\$(?:[0-9]+|{_TAG})",
    "word": rf"[{_LETTER}][{_LETTER}0-9$]*",
    "number": r"[0-9]+",
    "operator": r"(?:(?!--|/\*)[~!@#^&|`?+\-*/%<>=])+",
    "sign": r".",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in _FORMS.items()), re.DOTALL)
_KINDS: dict[str, Kind] = {"escape": "text", "dollar": "text"}
_LINE_END = re.compile(r"\r\n|\n|\r")
_COMMENT = re.compile(r"/\*|\*/")
_NAME_BYTES = 63  # PostgreSQL cuts longer names, so two that differ behind it are one
_SHOWN = 100  # characters of a line in a message


@dataclass(frozen=True, slots=True)
class Token:
    """One word.

    Args:
        kind: what it is; "word" is a keyword or a name, "name" a quoted one, "text" any literal in quotes.
        text: as it is written.
        start: its place in the SQL, characters from 0.
    """

    kind: Kind
    text: str
    start: int

    @property
    def name(self) -> str | None:
        """The name that PostgreSQL takes it for: in small letters, or as it is quoted; None for anything else."""
        if self.kind == "word":
            found = "".join(c.lower() if c.isascii() else c for c in self.text)
        elif self.kind == "name":
            found = self.text[1:-1].replace('""', '"')
        else:
            return None
        return found.encode("utf-8", "replace")[:_NAME_BYTES].decode("utf-8", "ignore")


def tokens(sql: str) -> list[Token]:
    """A text's words, without spaces and comments.

    Raises:
        QueryError: a text, a quoted name or a comment does not end, or one is written in a way that is refused.
    """
    if "\0" in sql:
        raise QueryError(f"a NUL character is in the SQL; take it out{place(sql, sql.index(chr(0)))}")
    return list(_tokens(sql))


def _tokens(sql: str) -> Iterator[Token]:
    start = 0
    while start < len(sql):
        match = _TOKEN.match(sql, start)
        assert match is not None, "the last form takes any character"
        kind, end = str(match.lastgroup), match.end()
        if kind == "comment":
            end = _comment_end(sql, start)
        elif kind == "open":
            raise QueryError(f"what {match[0]} opens is not closed{place(sql, start)}")
        elif kind == "unicode":
            raise QueryError(f'U&"…" is refused; write the name itself, in plain double quotes{place(sql, start)}')
        elif kind != "space":
            yield Token(_KINDS.get(kind) or cast("Kind", kind), match[0], start)
        start = end


def _comment_end(sql: str, start: int) -> int:
    """Behind a comment, and the comments in it."""
    depth = 0
    for mark in _COMMENT.finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise QueryError(f"what /* opens is not closed{place(sql, start)}")


def place(sql: str, position: int) -> str:
    """The line of a text with a caret below a place in it, to be put behind a message.

    Args:
        sql: the text.
        position: characters from 0.
    """
    lines = _LINE_END.split(sql[:position])
    column = len(lines[-1])
    line = _LINE_END.split(lines[-1] + sql[position:], maxsplit=1)[0]
    cut = max(0, column - _SHOWN // 2) if len(line) > _SHOWN else 0
    head = f"LINE {len(lines)}: {'…' if cut else ''}"
    shown = "".join(c if c.isprintable() else " " for c in line[cut : cut + _SHOWN])
    return f"\n\n{head}{shown}\n{' ' * (len(head) + column - cut)}^"
