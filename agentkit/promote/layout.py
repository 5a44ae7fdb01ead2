"""A module's text: a line that says who wrote it, imports, statements; and whether somebody changed it since."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from agentkit.promote.imports import Import, write_imports
from agentkit.promote.source_of import Statement
from agentkit.promote.tidy import find_ruff, run_ruff

_HEADER = re.compile(r"# Written by agentkit's promote; an edit of this file changes its digest: ([0-9a-f]{16})\n")


def lay_out(docstring: str, statements: Sequence[Statement], imports: Iterable[Import], *, postponed: bool) -> str:
    """A module's source, formatted by ruff where it is installed.

    Args:
        docstring: the module's, as it is written, quotes included.
        statements: in the order in which they run.
        imports: what they need.
        postponed: whether annotations stay text.
    """
    future = [Import("__future__", "annotations")] if postponed else []
    parts = [docstring, write_imports([*future, *imports])]
    text = "\n\n".join(part for part in parts if part)
    before: Statement | None = None
    for one in statements:
        spread = _is_block(one) or (before is not None and _is_block(before))
        text += ("\n\n\n" if spread else "\n\n" if _is_apart(before, one) else "\n") + one.text
        before = one
    return signed(formatted(text.rstrip() + "\n"))


def signed(body: str) -> str:
    """A module's text under a line that has its digest."""
    return f"# Written by agentkit's promote; an edit of this file changes its digest: {_digest(body)}\n{body}"


def edited(text: str) -> str | None:
    """Why a file must not be written over: in words; None where it is as it was written."""
    found = _HEADER.match(text)
    if found is None:
        return "agentkit did not write it"
    return None if _digest(text[found.end() :]) == found[1] else "somebody edited it since it was written"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _is_block(one: Statement) -> bool:
    return hasattr(one.node, "body") and not hasattr(one.node, "test")


def _is_apart(before: Statement | None, one: Statement) -> bool:
    """Whether two plain statements have an empty line between them."""
    return before is None or "\n" in before.text or "\n" in one.text or type(before.node) is not type(one.node)


def formatted(text: str) -> str:
    """As `ruff format` has it, with the settings of the folder; as it is where there is no ruff, or it fails."""
    ruff = find_ruff()
    if ruff is None:
        return text
    return run_ruff(
        [ruff, "format", "--quiet", "--stdin-filename", str(Path.cwd() / "promoted.py"), "-"], text, Path.cwd()
    )
