"""The report: a Markdown table of packages and their licences' categories."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

from pydantic import BaseModel

from agentkit.demo.categories import CATEGORIES
from agentkit.text import inert

Decider: TypeAlias = Literal["plain code", "model", "person", "nobody"]


class Row(BaseModel):
    """One package's row.

    Args:
        package: its name.
        version: its version.
        category: what its licence is.
        by: who decided.
        why: the words that say so, or why nobody could tell.
    """

    package: str
    version: str
    category: Literal["permissive", "weak copyleft", "strong copyleft", "proprietary", "unknown"]
    by: Decider
    why: str


class Audit(BaseModel):
    """What an audit ends with.

    Args:
        packages: how many there are.
        by: how many rows were decided by whom.
        categories: how many packages are of which category.
        report: the file; None where a person did not want it written.
    """

    packages: int
    by: dict[str, int]
    categories: dict[str, int]
    report: str | None


def audit_of(rows: Sequence[Row], report: str | None) -> Audit:
    """The sums of a report's rows, and where it was written."""
    return Audit(
        packages=len(rows),
        by=dict(Counter(row.by for row in rows)),
        categories=dict(Counter(row.category for row in rows)),
        report=report,
    )


_ORDER = (*reversed(CATEGORIES), "unknown")


def report(rows: Sequence[Row]) -> str:
    """The report's text: what needs attention first.

    Args:
        rows: one a package, in any order.
    """
    lines = ["# Licences of the installed packages", "", f"{len(rows)} packages.", ""]
    lines += [f"- {category}: {count}" for category in _ORDER if (count := _count(rows, category))]
    lines += ["", "| package | version | category | decided by | because |", "|---|---|---|---|---|"]
    ordered = sorted(rows, key=lambda row: (_rank(row.category), row.package.lower()))
    lines += [
        f"| {_cell(row.package)} | {_cell(row.version)} | {row.category} | {row.by} | {_cell(row.why)} |"
        for row in ordered
    ]
    return "\n".join(lines) + "\n"


def _rank(category: str) -> int:
    """Unknown first, then from the strictest to the freest."""
    return -1 if category == "unknown" else _ORDER.index(category)


def _count(rows: Sequence[Row], category: str) -> int:
    return sum(row.category == category for row in rows)


def _cell(text: str) -> str:
    """Somebody else's words in a Markdown table: one line, and no markup."""
    flat = inert(" ".join(text.split()))
    return "".join("\\" + char if char in "\\`*_[]<>|#" else char for char in flat)
