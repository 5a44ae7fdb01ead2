"""Which runs are examples, which were left out and why, and which paths they took."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agentkit.definition import AgentDefinition
from agentkit.interval import wilson
from agentkit.promote.align import looped, without_repeats
from agentkit.promote.traces import RecordedCall, Trace
from agentkit.rows import Rows


@dataclass(slots=True)
class Selection:
    """The runs that are examples, and the others.

    Args:
        traces: the examples.
        left_out: why, and how many runs.
        seen: how many runs of the agent there are in all.
    """

    traces: list[Trace]
    left_out: Counter[str] = field(default_factory=Counter[str])
    seen: int = 0


def select(agent: AgentDefinition, traces: Iterable[Trace]) -> Selection:
    """Sort runs into examples and others.

    Args:
        agent: whose runs they are, as it is defined now.
        traces: all of its runs.
    """
    found = Selection([])
    for trace in traces:
        found.seen += 1
        why = _why_not(agent, trace)
        if why is None:
            found.traces.append(trace)
        else:
            found.left_out[why] += 1
    return found


def _why_not(agent: AgentDefinition, trace: Trace) -> str | None:
    if trace.status is None:
        return "not ended yet"
    if trace.status != "succeeded":
        return trace.status
    if trace.grade == "bad":
        return "graded bad"
    if trace.definition != agent.sha256:
        return "of another version of the agent: its instructions, tools or output were not those of now"
    if trace.trouble is not None:
        return trace.trouble
    if missing := sorted({call.name for call in trace.calls} - set(agent.tools)):
        return f"it called {', '.join(missing)}, which the agent has no more"
    return None


@dataclass(frozen=True, slots=True)
class Variant:
    """Runs that made the same calls, repeats and the order of reads aside.

    Args:
        calls: the calls: reads by name, then writes in order; `*` is a loop.
        traces: the runs.
    """

    calls: tuple[str, ...]
    traces: tuple[Trace, ...]


def variants_of(traces: Sequence[Trace]) -> list[Variant]:
    """The variants, the most frequent first."""
    calls = [without_repeats(trace.calls) for trace in traces]
    loops = looped(calls)
    groups: dict[tuple[str, ...], list[Trace]] = {}
    for trace, made in zip(traces, calls, strict=True):
        groups.setdefault(_shape(made, loops), []).append(trace)
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Variant(shape, tuple(members)) for shape, members in ranked]


def _shape(calls: Sequence[RecordedCall], loops: frozenset[str]) -> tuple[str, ...]:
    reads = sorted(call.name for call in calls if not call.writes and call.name not in loops)
    loop_names = sorted({f"{call.name}*" for call in calls if call.name in loops})
    return (*reads, *loop_names, *(call.name for call in calls if call.writes and call.name not in loops))


def table(variants: Sequence[Variant], seen: int, succeeded: int) -> Rows:
    """The variants as rows.

    Args:
        variants: what was found.
        seen: how many runs of the agent ended.
        succeeded: how many of them are examples.
    """
    rows: list[tuple[object, ...]] = []
    for variant in variants:
        count = len(variant.traces)
        low, high = wilson(count, succeeded)
        costs = [trace.cost_usd for trace in variant.traces]
        seconds = sorted(trace.seconds for trace in variant.traces)
        rows.append(
            (
                " → ".join(variant.calls) or "(no call)",
                count,
                count / succeeded,
                low,
                high,
                sum(trace.grade == "good" for trace in variant.traces),
                sum(trace.model_calls for trace in variant.traces) / count,
                None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in costs) / count,
                _quantile(seconds, 0.5),
                _quantile(seconds, 0.95),
            )
        )
    columns = (
        "calls",
        "runs",
        "coverage",
        "coverage_low",
        "coverage_high",
        "graded_good",
        "model_calls",
        "cost_usd",
        "p50_seconds",
        "p95_seconds",
    )
    note = None if seen == succeeded else f"{seen - succeeded} of {seen} runs are no examples"
    return Rows(columns, rows, note)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
