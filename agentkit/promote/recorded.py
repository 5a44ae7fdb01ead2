"""From an agent's recorded runs to a pipeline, or to a refusal."""

from collections.abc import Iterable, Sequence
from typing import Any

from agentkit.log import Log, open_log
from agentkit.promote.plan import Plan
from agentkit.promote.planning import plan_runs
from agentkit.promote.promotion import Promotion
from agentkit.promote.traces import Trace, read_traces
from agentkit.promote.variants import select, variants_of


def promote_runs(
    agent: Any, runs: Iterable[Any] | None = None, *, log: "Log | str | None" = None, min_runs: int = 2
) -> Promotion:
    """Promote an agent from its recorded runs.

    Args:
        agent: the `ak.Agent`.
        runs: only these runs, or their ids; all of the agent's in the log when left out.
        log: where they are; the default log when left out.
        min_runs: a path that fewer runs took is not promoted.

    Returns:
        The promotion: the variants, the code, or why there is none.
    """
    log = log if isinstance(log, Log) else open_log(log)
    ids = None if runs is None else [run if isinstance(run, str) else run.run_id for run in runs]
    selection = select(agent.definition, read_traces(log, agent.definition, ids))
    variants = variants_of(selection.traces)
    plan, refused = _plan(agent, selection.traces, min_runs)
    return Promotion(agent, selection, variants, plan, refused)


def _plan(agent: Any, traces: Sequence[Trace], min_runs: int) -> tuple[Plan | None, list[str]]:
    if len(traces) < min_runs:
        found = "1 run is an example" if len(traces) == 1 else f"{len(traces)} runs are examples"
        needed = f"{found}, and {min_runs} are needed: run the agent on more inputs, and grade what came out"
        return None, [needed]
    plan, problems = plan_runs(agent.definition, traces)
    return (None, problems) if plan is None or problems else (plan, [])
