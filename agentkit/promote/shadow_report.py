"""What a shadow run found, as text, as HTML and as rows: what was compared, and what that proves."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from agentkit.jsonvalue import canonical
from agentkit.log import Log
from agentkit.promote.comparison import Compared, ComparedWrite, upper_bound
from agentkit.rows import Rows
from agentkit.text import brief, call_text, inert, one_line

_SHOWN = 10
"""So many differences are in the report; `.writes` has all."""

_NEEDED = 299
"""So many runs without a difference prove a rate under 1%: 1 - 0.05^(1/299) = 0.00997."""


@dataclass(frozen=True, repr=False)
class Shadow:
    """A pipeline beside its agent, run by run; it shows itself as a report.

    Args:
        name: the pipeline's.
        runs: what was compared.
        log: where the pipeline's runs are, in memory.
    """

    name: str
    runs: Sequence[Compared]
    log: Log

    @property
    def counts(self) -> Counter[str]:
        """How many runs had which verdict."""
        return Counter(run.verdict for run in self.runs)

    @property
    def compared(self) -> int:
        """How many runs wrote, or would have written, to their end: those that are equal and those that differ."""
        return self.counts["equal"] + self.counts["differs"]

    @property
    def mismatches(self) -> int:
        """How many of those differ."""
        return self.counts["differs"]

    @property
    def bound(self) -> float | None:
        """The rate of runs that differ, at most, with 95% confidence; None where nothing was compared."""
        return upper_bound(self.mismatches, self.compared)

    @property
    def rows(self) -> Rows:
        """One row a run."""
        columns = (
            "agent_run",
            "verdict",
            "writes",
            "output_equal",
            "model_calls",
            "cost_usd",
            "why",
            "input",
            "run_id",
        )
        return Rows(
            columns,
            [
                (
                    run.agent_run,
                    run.verdict,
                    len(run.writes),
                    run.output_equal,
                    run.model_calls,
                    run.cost_usd,
                    run.why,
                    canonical(run.input).decode(),
                    run.run_id,
                )
                for run in self.runs
            ],
        )

    @property
    def writes(self) -> Rows:
        """One row a write of either; where arguments differ, one row an argument."""
        columns = ("agent_run", "kind", "tool", "step", "argument", "agent", "pipeline")
        return Rows(columns, [row for run in self.runs for write in run.writes for row in _rows(run, write)])

    def __repr__(self) -> str:
        return "\n".join(inert(line) for line in self._lines())

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        lines = list(self._lines())
        told = "".join(f"<li>{escape(inert(line.strip()))}</li>" for line in lines[1:])
        return {
            "text/plain": str(self),
            "text/html": f'<div class="agentkit-shadow"><b>{escape(inert(lines[0]))}</b><ul>{told}</ul>'
            f"{self.rows._repr_html_()}</div>",  # pyright: ignore[reportPrivateUsage]  Jupyter's name for what is public
        }

    def _lines(self) -> Iterator[str]:
        many = len(self.runs)
        runs = f"{many} run{'' if many == 1 else 's'}"
        yield f"shadow of {self.name}: {runs}, reads done, writes predicted, none performed"
        for verdict, words in _WORDS.items():
            if self.counts[verdict]:
                yield f"  {self.counts[verdict]} {words}"
        yield from (f"  {line}" for line in self._proof())
        differing = [(run, write) for run in self.runs for write in run.writes if write.kind in _DIFFERENCES]
        yield from (f"  ✗ {_told(run, write)}" for run, write in differing[:_SHOWN])
        if len(differing) > _SHOWN:
            yield f"  … {len(differing) - _SHOWN} more; .writes has them"
        yield from (f"  · {run.verdict}: {one_line(run.why, 120)}" for run in self._stopped()[:_SHOWN])

    def _stopped(self) -> list[Compared]:
        return [run for run in self.runs if run.why and run.verdict not in {"equal", "differs"}]

    def _proof(self) -> Iterator[str]:
        """What the comparisons prove, and nothing more."""
        bound, n, k = self.bound, self.compared, self.mismatches
        if bound is None:
            yield "nothing was compared with an agent, so nothing is proved"
            return
        if k:
            yield f"{k} of {n} compared differ: with 95% confidence at most {bound:.1%} of such runs do"
            return
        more = f"; {_NEEDED} without one prove under 1%" if n < _NEEDED else ""
        yield (
            f"no mismatch in {n} compared: with 95% confidence at most {bound:.1%} of runs like these would write "
            f"something else (3/n: {min(1.0, 3 / n):.1%}){more}"
        )


_WORDS = {
    "equal": "would have written what the agent wrote",
    "differs": "would have written something else",
    "deopt": "met what the pipeline was not made for, and would have handed over",
    "asked": "would have asked a person before they could be compared",
    "failed": "failed",
    "predicted": "had no agent's run to be compared with",
    "left out": "left out: the agent's run did not succeed",
}
_DIFFERENCES = ("differs", "missing", "extra")


def _told(run: Compared, write: ComparedWrite) -> str:
    """One difference, in words."""
    where = f"run {run.agent_run[:13]}" if run.agent_run is not None else "a run"
    if write.kind == "missing":
        return f"{where}: it would not have done {call_text(write.tool, write.agents)}"
    if write.kind == "extra":
        return f"{where}: it would have done {call_text(write.tool, write.arguments)}, which the agent did not"
    fields = "; ".join(
        f"{name}: {brief(theirs, 40)} → {brief(ours, 40)}" for name, (theirs, ours) in (write.fields or {}).items()
    )
    return f"{where}: {write.tool} with other arguments (the agent's → the pipeline's): {fields}"


def _rows(run: Compared, write: ComparedWrite) -> Iterator[tuple[Any, ...]]:
    if write.kind == "differs":
        for name, (theirs, ours) in (write.fields or {}).items():
            told = (canonical(theirs).decode(), canonical(ours).decode())
            yield (run.agent_run, write.kind, write.tool, write.step, name, *told)
        return
    both = (None if value is None else canonical(value).decode() for value in (write.agents, write.arguments))
    yield (run.agent_run, write.kind, write.tool, write.step, None, *both)
