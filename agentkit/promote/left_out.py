"""Leave-one-out: the pipeline is made of all runs but one, and done on that one."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agentkit.interval import wilson
from agentkit.promote.kept import kept_run
from agentkit.promote.loading import load_plan
from agentkit.promote.planning import plan_runs
from agentkit.promote.replay import compare, replay
from agentkit.promote.traces import Trace
from agentkit.text import inert

Fate: TypeAlias = Literal["equal", "deopt", "different", "refused"]

_SURE = 0.95


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One run that the pipeline was not made of.

    Args:
        run_id: the run.
        fate: "equal" the same writes and output; "deopt" the pipeline stopped; "different" it would have written
            something else; "refused" the other runs make no pipeline.
        why: what it was, where it was not equal.
    """

    run_id: str
    fate: Fate
    why: str = ""


@dataclass(frozen=True, repr=False)
class LeaveOneOut:
    """What became of runs that a pipeline was not made of.

    Args:
        results: one a left-out run.
        runs: how many runs there are.
    """

    results: tuple[LeftOut, ...]
    runs: int

    @property
    def counts(self) -> Counter[Fate]:
        """How many runs had each fate."""
        return Counter(one.fate for one in self.results)

    @property
    def doubt(self) -> str:
        """What the result proves, and no more."""
        tried, counts = len(self.results), self.counts
        if not tried:
            return "nothing was tried"
        low, _ = wilson(counts["equal"], tried)
        said = f"like cases come out equal in {low:.0%} or more (95% confidence)"
        if counts["different"]:
            return f"{said}; {counts['different']} of {tried} would have been written wrongly"
        bound = 1 - (1 - _SURE) ** (1 / tried)
        return f"{said}; no wrong write in {tried} is a rate of at most {bound:.1%}, and no more is shown"

    def __str__(self) -> str:
        tried, counts = len(self.results), self.counts
        parts = [f"{counts[fate]} {fate}" for fate in ("equal", "deopt", "different", "refused") if counts[fate]]
        of = "" if tried == self.runs else f" of {self.runs}"
        head = f"leave one out, {tried}{of} runs: {', '.join(parts) or 'none tried'}; {self.doubt}"
        odd = [f"  {one.run_id}: {one.fate}: {one.why}" for one in self.results if one.fate != "equal"]
        return inert("\n".join([head, *odd]))

    __repr__ = __str__


def leave_one_out(
    owner: Any, traces: Sequence[Trace], *, sample: int = 20, seconds: float | None = None
) -> LeaveOneOut:
    """Make the pipeline of all runs but one, and do it on that one; for each, or for a sample.

    Args:
        owner: the agent.
        traces: the runs.
        sample: how many runs are left out at most, one at a time, spread evenly.
        seconds: no further one is begun after so long; None is no limit.
    """
    began = time.monotonic()
    results: list[LeftOut] = []
    for place in _spread(len(traces), sample):
        if results and seconds is not None and time.monotonic() - began > seconds:
            break
        results.append(_without(owner, traces, place))
    return LeaveOneOut(tuple(results), len(traces))


def _spread(count: int, sample: int) -> list[int]:
    if count <= sample:
        return list(range(count))
    return [round(step * (count - 1) / max(1, sample - 1)) for step in range(sample)]


def _without(owner: Any, traces: Sequence[Trace], place: int) -> LeftOut:
    left, others = traces[place], [*traces[:place], *traces[place + 1 :]]
    if not others:
        return LeftOut(left.run_id, "refused", "there is no other run")
    agent = owner.definition
    plan, problems = plan_runs(agent, others)
    if plan is None or problems:
        return LeftOut(left.run_id, "refused", "; ".join(problems))
    pipeline = load_plan(plan, owner, f"{owner.name} without one run")
    run = kept_run(agent, plan, left)
    outcome, why = compare(run, replay(pipeline, run))
    if outcome in {"equal", "different"}:
        return LeftOut(left.run_id, "equal" if outcome == "equal" else "different", why)
    return LeftOut(left.run_id, "deopt", why)
