"""From an agent's runs to a plan: which ways they go, what tells the ways apart, and each way's calls."""

from collections import Counter
from collections.abc import Mapping, Sequence

from agentkit.definition import AgentDefinition
from agentkit.promote.align import common, looped, path_of, reach, slots_of, without_repeats
from agentkit.promote.placing import Planner
from agentkit.promote.plan import Plan
from agentkit.promote.search import Source
from agentkit.promote.traces import RecordedCall, Trace
from agentkit.promote.ways import splits

_SILENT = 10
"""So many runs that wrote nothing are believed."""
NOTHING_WRITTEN = "nothing"
"""What the way of runs is called that wrote nothing."""


def plan_runs(agent: AgentDefinition, traces: Sequence[Trace]) -> tuple[Plan | None, list[str]]:
    """Plan the pipeline of an agent's runs.

    Args:
        agent: whose runs they are.
        traces: the runs; at least one.

    Returns:
        The plan, or None and why there is none.
    """
    calls = [without_repeats(trace.calls) for trace in traces]
    loops = looped(calls)
    ways = [way_of(path_of(made, loops)) for made in calls]
    if len(set(ways)) == 1:
        kept, dropped = common(calls, loops)
        planner = Planner(agent, traces, slots_of(kept, loops), dropped)
        planner.place_all()
        silent = _never_wrote(agent, traces)
        return planner.plan({"": planner.output()}), [*planner.problems, *planner.unproven(), *silent]
    return _plan_ways(agent, traces, calls, loops, ways)


def _never_wrote(agent: AgentDefinition, traces: Sequence[Trace]) -> list[str]:
    """An agent that may write and never did: in few runs that says only that nobody saw when it does."""
    writes = [name for name, tool in agent.tools.items() if tool.writes]
    wrote = any(call.writes for trace in traces for call in trace.calls)
    if not writes or wrote or len(traces) >= _SILENT:
        return []
    found = f"no run called {' or '.join(writes)}, and {len(traces)} runs do not say when one would"
    return [f"{found}: give runs that do, or {_SILENT} that do not"]


def _plan_ways(
    agent: AgentDefinition,
    traces: Sequence[Trace],
    calls: Sequence[Sequence[RecordedCall]],
    loops: frozenset[str],
    ways: Sequence[str],
) -> tuple[Plan | None, list[str]]:
    """What all runs read first, what tells the ways apart then, and each way by itself."""
    shared = _read_by_all(calls)
    first = [[call for call in made if call.name in shared] for made in calls]
    planner = Planner(agent, traces, slots_of(first, loops), {})
    planner.place_all()
    found = splits(reach(planner.envs), ways)
    counts = Counter(ways)
    if not found:
        said = ", ".join(f"{count} {way}" for way, count in counts.most_common())
        return None, [f"the runs go {len(counts)} ways ({said}), and nothing that all of them read tells which"]
    outputs: dict[str, Mapping[str, Source]] = {}
    for way, _ in counts.most_common():
        chosen = [run for run, went in enumerate(ways) if went == way]
        rest = [[call for call in calls[run] if call.name not in shared] for run in chosen]
        kept, dropped = common(rest, loops)
        branch = planner.branch(way, chosen, slots_of(kept, loops), dropped)
        branch.place_all()
        if branch.unproven():
            continue
        outputs[way] = branch.output()
        planner.take(branch)
    kept_ways = {way: counts[way] for way in outputs}
    if not outputs:
        return None, [f"the runs go {len(counts)} ways, and of each there are too few to believe what they wrote"]
    for way, count in counts.items():
        if way not in outputs:
            planner.doubts.append(f"{count} of {len(ways)} runs went another way ({way}): that stays with the agent")
    plan = planner.plan(outputs)
    plan.splits, plan.ways = found, kept_ways
    return plan, planner.problems


def _read_by_all(calls: Sequence[Sequence[RecordedCall]]) -> set[str]:
    """The reads that every run made."""
    found = {call.name for made in calls for call in made if not call.writes}
    return {name for name in found if all(any(call.name == name for call in made) for made in calls)}


def way_of(path: tuple[str, ...]) -> str:
    """What a way is called: by its writes."""
    return "_then_".join(path) or NOTHING_WRITTEN
