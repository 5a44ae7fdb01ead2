"""What a log says of an agent, with the query that says so."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from agentkit.rows import Rows
from agentkit.text import inert


@dataclass(frozen=True)
class Insight:
    """One thing that the log shows.

    Args:
        rule: its kind, for example "error-rate".
        tool: the tool that it is about.
        message: what was seen, how often of how many, and what could be done.
        sql: what shows it.
        parameters: the query's values: `log.sql(insight.sql, **insight.parameters)`.
        rows: what the query gave, of it what is about this.
    """

    rule: str
    tool: str
    message: str
    sql: str
    parameters: Mapping[str, Any]  # SQL values
    rows: Rows = field(repr=False)

    def __str__(self) -> str:
        return f"{self.message} [{self.rule}]"


@dataclass(frozen=True)
class Readiness:
    """How much an agent's successful runs are alike, from the oldest to the newest.

    Args:
        message: whether promotion is worth a try.
        sql: what shows it.
        parameters: the query's values.
        rows: one a part of the runs: when, how many, how many sequences of calls, and the most common one.
    """

    message: str
    sql: str
    parameters: Mapping[str, Any]  # SQL values
    rows: Rows = field(repr=False)


@dataclass(frozen=True, repr=False)
class Advice:
    """What the log says of an agent: a list of insights, and whether it is ready to be promoted.

    Args:
        agent: its name.
        runs: how many runs were looked at.
        readiness: how much they are alike; None where none succeeded.
        insights: what could be better.
        unsaid: what the runs are too few for.
    """

    agent: str
    runs: int
    readiness: Readiness | None
    insights: Sequence[Insight]
    unsaid: str | None = None

    def __iter__(self) -> Iterator[Insight]:
        return iter(self.insights)

    def __len__(self) -> int:
        return len(self.insights)

    def __getitem__(self, index: int) -> Insight:
        return self.insights[index]

    def __repr__(self) -> str:
        parts, known = [self._head()], set[str]()
        for title, one in self._shown():
            parts.append(_as_text(title, one, again=one.sql in known))
            known.add(one.sql)
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{escape(inert(self._head()))}</strong></p>"]
        parts += [_as_html(title, one) for title, one in self._shown()]
        return f'<div class="agentkit-advice">{"".join(parts)}</div>'

    def _shown(self) -> "Iterator[tuple[str, Insight | Readiness]]":
        """Each thing that is said, with its title: what is worth most first."""
        if self.readiness is not None:
            yield "promotion", self.readiness
        for number, one in enumerate(self.insights, 1):
            yield f"{number}. {one.rule}", one

    def _head(self) -> str:
        runs = f"{self.runs:,} run{'' if self.runs == 1 else 's'}"
        if not self.runs:
            return f"no run of {self.agent} is in this log: there is nothing to say yet"
        count = len(self.insights)
        found = f"{count} thing{'' if count == 1 else 's'} to look at" if count else "nothing to advise"
        return f"{self.agent}, {runs}: {found}" + (f" ({self.unsaid})" if self.unsaid else "")


def _how(shown: Insight | Readiness) -> str:
    """How the query is run again."""
    given = ", ".join(f"{name}={value!r}" for name, value in shown.parameters.items())
    return f"log.sql(sql, {given})"


def _as_text(title: str, shown: Insight | Readiness, *, again: bool) -> str:
    query = "the query is the one above" if again else shown.sql
    lines = [f"{title}: {inert(shown.message)}", *_indented(repr(shown.rows)), *_indented(query)]
    return "\n".join(lines if again else [*lines, f"    -- {_how(shown)}"])


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]


def _as_html(title: str, shown: Insight | Readiness) -> str:
    table = shown.rows._repr_html_()  # pyright: ignore[reportPrivateUsage]  Jupyter's own name for it
    return (
        f"<details><summary><code>{escape(title)}</code> {escape(inert(shown.message))}</summary>{table}"
        f"<pre>{escape(shown.sql)}\n-- {escape(inert(_how(shown)))}</pre></details>"
    )
