"""What Tab offers in a `%%log` cell: the views, their columns, the notebook's variables after `$`, SQL's words."""

import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit.stores.views import COLUMNS

_MAGIC = re.compile(r"\s*%%?log\b")
_WORD = re.compile(r"\$?\w*$")
_OPTION = re.compile(r"(?<=\s)--?\w*$")
_SOURCE = re.compile(r"\b(?:from|join)\s+(?:\w+(?:\s+(?:as\s+)?\w+)?\s*,\s*)*$", re.IGNORECASE)
_ALIAS = re.compile(r"(?:\bfrom|\bjoin|,)\s*(\w+)(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)
_WITH = re.compile(r"(?:\bwith|,)\s+(\w+)\s+as\s*\(", re.IGNORECASE)
_TEXT = re.compile(r"'(?:[^']|'')*('|\Z)|--[^\n]*(\n|\Z)")
_OPTIONS = ("-o", "--log", "--frame")
_WORDS = re.findall(
    r"\w+",
    "SELECT FROM WHERE GROUP BY ORDER LIMIT HAVING JOIN LEFT USING ON AND OR NOT IN IS NULL LIKE ILIKE BETWEEN CASE"
    " WHEN THEN ELSE END AS DISTINCT DESC ASC WITH UNION ALL DESCRIBE SUMMARIZE FILTER OVER PARTITION INTERVAL CAST"
    " count sum avg min max round median quantile_cont coalesce date_trunc now strftime extract",
)
_MANY = 100
_IDENTIFIER = "agentkit.log"


class Candidate:
    """One thing that Tab offers.

    Args:
        text: what would stand there.
        type: what it is, for the icon that a notebook shows.
    """

    def __init__(self, text: str, type: str) -> None:
        self.text = text
        self.type = type


def candidates(text: str, names: Mapping[str, Any], *, rest: str = "") -> tuple[str, list[Candidate]]:
    """What may stand at the end of a text.

    Args:
        text: a cell up to the cursor, its `%%log` line included.
        names: the notebook's variables.
        rest: what stands behind the cursor: a statement names its columns before it says of which view they are.

    Returns:
        What is there of the word, and what it could become: what fits the place first.
    """
    if "\n" not in text and (dashed := _OPTION.search(text)):
        return dashed[0], [Candidate(name, "option") for name in _OPTIONS if name.startswith(dashed[0])]
    word = _WORD.search(text)
    fragment = word[0] if word else ""
    sql = _without_texts(_MAGIC.sub("", text))
    if sql is None:
        return fragment, []
    sources = _sources(f"{sql}{_without_texts(rest) or ''}")
    found = _offered(sql.removesuffix(fragment), fragment, sources, names)
    known: dict[str, Candidate] = {}
    for one in found:
        if one.text.lower().startswith(fragment.lower()) and one.text != fragment:
            known.setdefault(one.text.lower(), one)
    return fragment, list(known.values())[:_MANY]


def _without_texts(sql: str) -> str | None:
    """A statement with blanks for its texts and comments; None where it ends inside of one."""
    is_inside = any(found.end() == len(sql) and not (found[1] or found[2]) for found in _TEXT.finditer(sql))
    return None if is_inside else _TEXT.sub(" ", sql)


def _offered(before: str, fragment: str, sources: Mapping[str, str], names: Mapping[str, Any]) -> Iterator[Candidate]:
    if fragment.startswith("$"):
        yield from (Candidate(f"${name}", "variable") for name in names if not name.startswith("_"))
        return
    if dotted := re.search(r"(\w+)\.$", before):
        view = sources.get(dotted[1].lower(), dotted[1].lower())
        yield from (Candidate(column, "column") for column in COLUMNS.get(view, ()))
        return
    tables = [*COLUMNS, *(name for name in _WITH.findall(before) if name.lower() not in COLUMNS)]
    is_source = _SOURCE.search(before) is not None
    if not is_source and before.strip():
        yield from _columns(sources)
    yield from (Candidate(name, "table") for name in tables)
    if not is_source:
        yield from (Candidate(word, "keyword") for word in _WORDS)


def _columns(sources: Mapping[str, str]) -> Iterator[Candidate]:
    views = list(dict.fromkeys(view for view in sources.values() if view in COLUMNS)) or list(COLUMNS)
    yield from (Candidate(column, "column") for view in views for column in COLUMNS[view])


def _sources(sql: str) -> dict[str, str]:
    """What the statement reads from: alias, or view, to view."""
    found: dict[str, str] = {}
    for view, alias in _ALIAS.findall(sql):
        if view.lower() in COLUMNS:
            found[view.lower()] = view.lower()
            if alias and alias.upper() not in _WORDS:
                found[alias.lower()] = view.lower()
    return found


def load(shell: Any) -> None:  # IPython has no types
    """Have a shell's Tab know `%%log` cells."""
    unload(shell)
    shell.Completer.custom_matchers.append(_matcher(shell))


def unload(shell: Any) -> None:  # as above
    """Have it know them no more."""
    kept = [one for one in shell.Completer.custom_matchers if getattr(one, "matcher_identifier", "") != _IDENTIFIER]
    shell.Completer.custom_matchers[:] = kept


def _matcher(shell: Any) -> Any:  # as above
    completer: Any = importlib.import_module("IPython.core.completer")

    def match(context: Any) -> dict[str, Any]:
        if not _MAGIC.match(context.full_text):
            return {"completions": []}
        lines = context.full_text.split("\n")[: context.cursor_line + 1]
        lines[-1] = lines[-1][: context.cursor_position]
        text = "\n".join(lines)
        fragment, found = candidates(text, shell.user_ns, rest=context.full_text[len(text) :])
        offered = [completer.SimpleCompletion(one.text, type=one.type) for one in found]
        return {"completions": offered, "matched_fragment": fragment, "suppress": True, "ordered": True}

    return completer.context_matcher(priority=100, identifier=_IDENTIFIER)(match)
