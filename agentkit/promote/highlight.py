"""Python source as HTML with colours that are readable on white and on black; nothing in it is executed."""

import builtins
import io
import keyword
import tokenize
from collections.abc import Iterator
from html import escape

_STYLES = {
    "keyword": "color:#9334e6",
    "text": "color:#188038",
    "number": "color:#b06000",
    "comment": "opacity:.65",
    "name": "color:#1a73e8",
}
_TEXTS = frozenset(
    {tokenize.STRING, *(getattr(tokenize, f"FSTRING_{part}", -1) for part in ("START", "MIDDLE", "END"))}
)


def highlighted(source: str) -> str:
    """Source as one `<pre>`, escaped; without colours where it is no Python.

    Args:
        source: the text.
    """
    style = "max-height:40em;overflow:auto;line-height:1.4;font-family:ui-monospace,monospace"
    return f"<pre style='{style}'>{''.join(_pieces(source))}</pre>"


def _pieces(source: str) -> Iterator[str]:
    lines = source.splitlines(keepends=True)
    line, column = 1, 0
    for begin, end, style in _coloured(source):
        yield escape(_between(lines, (line, column), begin))
        yield f"<span style='{style}'>{escape(_between(lines, begin, end))}</span>"
        line, column = end
    yield escape(_between(lines, (line, column), (len(lines) + 1, 0)))


_Place = tuple[int, int]  # line from 1, column from 0


def _coloured(source: str) -> list[tuple[_Place, _Place, str]]:
    """What has a colour: where it begins and ends, and its style."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    kinds = ((token, _kind(token, before.string)) for before, token in zip([tokens[0], *tokens], tokens, strict=False))
    return [(token.start, token.end, _STYLES[kind]) for token, kind in kinds if kind]


def _kind(token: tokenize.TokenInfo, before: str) -> str | None:
    if token.type == tokenize.COMMENT:
        return "comment"
    if token.type in _TEXTS:
        return "text"
    if token.type == tokenize.NUMBER:
        return "number"
    if token.type != tokenize.NAME:
        return "name" if token.string == "@" else None
    if keyword.iskeyword(token.string):
        return "keyword"
    return "name" if before in {"def", "class"} or (before != "." and hasattr(builtins, token.string)) else None


def _between(lines: list[str], begin: _Place, end: _Place) -> str:
    """The text from one place to another."""
    (first, left), (last, right) = begin, end
    if first == last:
        return lines[first - 1][left:right] if first <= len(lines) else ""
    head = lines[first - 1][left:] if first <= len(lines) else ""
    tail = lines[last - 1][:right] if last <= len(lines) else ""
    return head + "".join(lines[first : last - 1]) + tail
