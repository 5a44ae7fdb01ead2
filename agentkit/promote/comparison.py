"""What a pipeline would have written beside what its agent wrote, and what so many comparisons prove."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import exp, lgamma, log
from typing import Any, Literal, TypeAlias, cast

from agentkit.promote.predictions import PredictedWrite, Predictions, RecordedWrite, same

Verdict: TypeAlias = Literal["equal", "differs", "deopt", "asked", "failed", "predicted", "left out"]
"""Of a run: it writes the same, or not; it met what it was not made for; it asks a person; it failed otherwise; nothing
to compare with; or the agent's run is no example."""

Ended: TypeAlias = Literal["succeeded", "ended", "deopt", "asked", "failed"]
"""How a shadow run ended; "ended": at a write that the agent did not do."""

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class ComparedWrite:
    """One write of either.

    Args:
        kind: the same; the same tool with other arguments; only the agent did it; only the pipeline would.
        tool: the tool.
        step: the pipeline's step; None where only the agent did it.
        arguments: what the pipeline would have called it with, JSON.
        agents: what the agent called it with, JSON.
        fields: of other arguments, those that differ: name → the agent's and the pipeline's.
    """

    kind: Literal["equal", "differs", "missing", "extra", "predicted"]
    tool: str
    step: str | None = None
    arguments: Any = None
    agents: Any = None
    fields: Mapping[str, tuple[Any, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """One run of the pipeline beside the agent's.

    Args:
        input: the pipeline's, JSON.
        agent_run: the agent's run; None where there was none.
        run_id: the shadow run, in the shadow's own log.
        verdict: what came of it.
        writes: each write of either.
        why: what stopped it, where something did.
        output_equal: whether both ended with the same; None where the pipeline did not get there.
        cost_usd: of the pipeline's model calls; None where a price is unknown.
        model_calls: the pipeline's.
    """

    input: Any
    agent_run: str | None = None
    run_id: str | None = None
    verdict: Verdict = "left out"
    writes: tuple[ComparedWrite, ...] = ()
    why: str = ""
    output_equal: bool | None = None
    cost_usd: float | None = 0.0
    model_calls: int = 0


def compare(plain: Compared, ended: Ended, predictions: Predictions) -> Compared:
    """Judge one run by its writes.

    Args:
        plain: what is known of it.
        ended: how it ended.
        predictions: what it would have written, and what the agent wrote.

    Returns:
        The same with its verdict. A write that the agent did not do is a difference however the run ended: the pipeline
        would have done it before it got there.
    """
    writes = tuple(_writes(predictions, whole=ended == "succeeded"))
    differs = any(one.kind != "equal" for one in writes)
    if ended in {"succeeded", "ended"}:
        return replace(plain, verdict="differs" if differs else "equal", writes=writes)
    return replace(plain, verdict="differs" if differs else cast("Verdict", ended), writes=writes)


def _writes(predictions: Predictions, *, whole: bool) -> Iterator[ComparedWrite]:
    """The predicted writes, each with the agent's next of that tool where none is equal; then what is left."""
    left = list(predictions.left)
    for made in predictions.made:
        if made.equal is not None:
            yield ComparedWrite("equal", made.name, made.step, made.arguments, made.equal.arguments)
            continue
        other = next((one for one in left if one.name == made.name), None)
        if other is None:
            yield ComparedWrite("extra", made.name, made.step, made.arguments)
        else:
            left.remove(other)
            yield _differing(made, other)
    if whole:
        yield from (ComparedWrite("missing", one.name, agents=one.arguments) for one in left)


def _differing(made: PredictedWrite, other: RecordedWrite) -> ComparedWrite:
    theirs, ours = cast("dict[str, Any]", other.arguments), cast("dict[str, Any]", made.arguments)
    fields = {
        name: (theirs.get(name), ours.get(name))
        for name in dict.fromkeys([*theirs, *ours])
        if not same(theirs.get(name), ours.get(name))
    }
    return ComparedWrite("differs", made.name, made.step, ours, theirs, fields)


def upper_bound(differing: int, compared: int) -> float | None:
    """The rate of differences below which the true one is with 95% confidence, where runs come as those did.

    Exact (Clopper and Pearson 1934): the largest rate at which so few would be seen in 5% of such samples. Without one
    it is 1 - 0.05^(1/n), a little less than the rule of three's 3/n.

    Args:
        differing: runs that differ.
        compared: all that were compared.

    Returns:
        The rate, from 0 to 1; None where nothing was compared.

    Example:
        >>> round(upper_bound(0, 20), 3), round(upper_bound(0, 299), 4), round(upper_bound(1, 20), 3)
        (0.139, 0.01, 0.216)
    """
    if compared == 0 or differing >= compared:
        return None if compared == 0 else 1.0
    if differing == 0:
        return float(1 - (1 - CONFIDENCE) ** (1 / compared))
    low, high = differing / compared, 1.0
    for _ in range(60):  # halvings: to the last digit of a float
        middle = (low + high) / 2
        seen = sum(_probability(count, compared, middle) for count in range(differing + 1))
        low, high = (middle, high) if seen > 1 - CONFIDENCE else (low, middle)
    return high


def _probability(count: int, of: int, rate: float) -> float:
    """How likely so many of so many are at a rate between 0 and 1; by logarithms, since the numbers are very large."""
    ways = lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)
    return exp(ways + count * log(rate) + (of - count) * log(1 - rate))
