"""The evaluation: promote from a few runs of a family, run the pipeline on held-out cases, count the outcomes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from types import ModuleType
from typing import Any, Protocol, Self, TypeVar

import agentkit as ak
from families.case import Case
from families.controls import Control
from families.judging import Judged, judge
from families.solve import finish
from families.stand_in import StandIn

T = TypeVar("T")

RUNS = (1, 2, 3, 5, 10)
"""How many runs are learned from."""
AT_ONCE = 32
"""How many held-out cases run at one time."""
NOISE = 0.2
"""How likely each unneeded thing is in the runs that are learned from: about one in each run."""


class Promoted(Protocol):
    """What `ak.promote` returns, as far as it is measured."""

    refused: Sequence[str]

    def load(self, *, model: Any = None) -> ak.Pipeline:
        """The pipeline, whose model steps ask this model."""
        ...


Promote = Callable[..., Promoted]
"""`ak.promote(agent, runs=[run_ids], log=log)`."""


@dataclass
class Figures:
    """What became of some held-out cases.

    Args:
        refused: why nothing was promoted, one a training set for which that is so.
        judged: one a held-out case that a pipeline was run on.
        kept: how many held-out cases stay with the agent, since nothing was promoted for them.
    """

    refused: list[str] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    kept: int = 0

    @property
    def counts(self) -> Counter[str]:
        """How many cases had each outcome."""
        return Counter(one.outcome for one in self.judged)

    @property
    def equal(self) -> float | None:
        """The share of cases in which the pipeline did what is right; None where none was promoted."""
        return self.counts["equal"] / len(self.judged) if self.judged else None

    @property
    def equal_of_shown(self) -> float | None:
        """The same, of the cases that go a way which the runs showed: of no other they determine what is right."""
        shown = [one for one in self.judged if one.shown]
        return sum(one.outcome == "equal" for one in shown) / len(shown) if shown else None

    @property
    def settled(self) -> int:
        """How many of the deopts ended right all the same, since the agent went on from there."""
        return sum(one.settled for one in self.judged if one.outcome == "deopt")

    def whys(self, outcome: str) -> list[str]:
        """What was not as it has to be, most frequent first."""
        found = Counter(one.why for one in self.judged if one.outcome == outcome)
        return [why for why, _count in found.most_common()]

    def __iadd__(self, other: "Figures") -> Self:
        self.refused += other.refused
        self.judged += other.judged
        self.kept += other.kept
        return self


def upper_bound(wrong: int, cases: int) -> float | None:
    """The rate below which a wrong write is with 95% confidence: 3/n where there was none; None where there was one."""
    return 3 / cases if cases and not wrong else None


def record(family: ModuleType, cases: Sequence[Case], log: ak.Log, *, noise: float, seed: int) -> list[str]:
    """Have a family's agent settle cases; the ids of the runs. A run that is not right would be a mistake of ours."""
    ids: list[str] = []
    for number, case in enumerate(cases):
        case.world.fails, case.world.seed = noise, seed + number
        agent = family.new_agent(family.policy(noise, seed + number))
        run = agent.run(case.input, deps=case.world, log=log)
        output = finish(run, case)
        assert case.world.writes == case.writes, f"the scripted agent wrote {case.world.writes}, not {case.writes}"
        assert case.output == output, f"the scripted agent ended with {output}, not {case.output}"
        ids.append(run.run_id)
    return ids


def learn(
    promote: Promote, family: ModuleType, cases: Sequence[Case], log: ak.Log, *, noise: float, seed: int
) -> Promoted:
    """Promote a family's agent from runs on these cases."""
    return promote(family.agent, runs=record(family, cases, log, noise=noise, seed=seed), log=log)


def run_on(pipeline: ak.Pipeline, model: StandIn, cases: Iterable[Case], log: ak.Log) -> list[Judged]:
    """Run a pipeline on held-out cases, some at a time, and judge each."""
    found: list[Judged] = []
    for some in _chunks(cases, AT_ONCE):
        model.cases = some
        runs = [_begin(pipeline, case, log) for case in some]
        found += [judge(run, case) if isinstance(run, ak.Run) else run for run, case in zip(runs, some, strict=True)]
    return found


def _begin(pipeline: ak.Pipeline, case: Case, log: ak.Log) -> ak.Run | Judged:
    try:
        return pipeline.run(**inputs(case), deps=case.world, log=log)
    except ak.AgentKitError as error:
        return Judged("error", f"the input was refused: {error}")


def inputs(case: Case) -> dict[str, Any]:
    """A case's input as a pipeline takes it: an object's fields, or a text as `text`."""
    return {"text": case.input} if isinstance(case.input, str) else case.input


def evaluate(
    promote: Promote,
    family: ModuleType,
    training: Sequence[Case],
    held_out: Sequence[Case],
    *,
    seed: int,
    noise: float = NOISE,
) -> Figures:
    """Learn from some cases, and judge what comes of it on others; in logs of their own."""
    log, other = ak.open_log("memory:"), ak.open_log("memory:")
    try:
        promotion = learn(promote, family, training, log, noise=noise, seed=seed)
        if promotion.refused:
            return Figures(refused=["; ".join(map(str, promotion.refused))], kept=len(held_out))
        model, ways = StandIn(), {case.way for case in training}
        judged = run_on(promotion.load(model=model), model, held_out, other)
        return Figures(
            judged=[replace(one, shown=case.way in ways) for one, case in zip(judged, held_out, strict=True)]
        )
    finally:
        log.close()
        other.close()


def family_figures(
    promote: Promote, family: ModuleType, *, runs: int, seeds: Iterable[int], held_out: int, noise: float = NOISE
) -> Figures:
    """A family's figures for a number of runs, over several training sets.

    Args:
        promote: as `ak.promote`.
        family: the family's module.
        runs: how many runs are learned from.
        seeds: one a training set; its cases, its noise and its held-out cases all follow from it.
        held_out: how many cases each is judged on.
        noise: how likely each unneeded thing is in the runs.
    """
    figures = Figures()
    for seed in seeds:
        training = [family.case(1000 * seed + number, "training") for number in range(runs)]
        others = [family.case(100_000 * seed + number, "held_out") for number in range(held_out)]
        figures += evaluate(promote, family, training, others, seed=1000 * seed, noise=noise)
    return figures


def control_figures(promote: Promote, control: Control, *, seeds: Iterable[int], held_out: int) -> Figures:
    """A negative control's figures, over several training sets."""
    figures = Figures()
    for seed in seeds:
        training = [control.training(1000 * seed + number) for number in range(control.runs)]
        others = [control.held_out(100_000 * seed + number) for number in range(held_out)]
        figures += evaluate(promote, control.family, training, others, seed=1000 * seed)
    return figures


def not_right(control: Control, figures: Figures) -> str | None:
    """What is not as the control says; None where it is."""
    if control.refused and figures.judged:
        return "was promoted, and has to be refused"
    for outcome in sorted(set(figures.counts) - control.right):
        return f"{figures.counts[outcome]} of {len(figures.judged)} {outcome}: {figures.whys(outcome)[0]}"
    return None


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
