"""What became of a held-out case: equal, deopt, wrong write, or an error."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import agentkit as ak
from families.case import Case
from families.controls import Outcome
from families.solve import finish
from families.world import Write

_DECIMAL = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True)
class Judged:
    """What a pipeline made of one case.

    Args:
        outcome: equal: the writes and the output are the true ones; deopt: it stopped, and wrote nothing that is not
            true; wrong: it wrote something that is not true; error: anything else, which nothing may be.
        why: what was not as it has to be.
        settled: in the end, by whomever, all is as it has to be: after a deopt, the agent did the rest.
        shown: the runs that were learned from took the way that the case goes.
        model_calls: how often a model was asked.
        cost_usd: what that cost, USD.
    """

    outcome: Outcome
    why: str = ""
    settled: bool = False
    shown: bool = True
    model_calls: int = 0
    cost_usd: float = 0.0


def same(truth: Any, found: Any) -> bool:
    """Whether two JSON values say the same: as they stand, but 5.40 and 5.4 as texts of a decimal are one amount."""
    if isinstance(truth, dict) and isinstance(found, dict):
        return truth.keys() == found.keys() and all(same(value, found[key]) for key, value in truth.items())
    if isinstance(truth, list) and isinstance(found, list):
        return len(truth) == len(found) and all(map(same, truth, found))
    if isinstance(truth, str) and isinstance(found, str) and _DECIMAL.fullmatch(truth) and _DECIMAL.fullmatch(found):
        return Decimal(truth) == Decimal(found)
    return type(truth) is not bool and truth == found if not isinstance(found, bool) else truth is found


def untrue(case: Case) -> list[Write]:
    """The writes that were done and are not among the true ones, each of which stands for one."""
    left = list(case.writes)
    wrong: list[Write] = []
    for write in case.world.writes:
        match = next((one for one in left if _same_write(one, write)), None)
        if match is None:
            wrong.append(write)
        else:
            left.remove(match)
    return wrong


def _same_write(truth: Write, found: Write) -> bool:
    return truth.tool == found.tool and same(truth.arguments, found.arguments)


def all_done(case: Case) -> bool:
    """Whether the writes are the true ones, tool after tool; those of one tool, as a loop does them, in any order."""
    tools = [[write.tool for write in writes] for writes in (case.writes, case.world.writes)]
    return tools[0] == tools[1] and not untrue(case)


def judge(run: ak.Run, case: Case) -> Judged:
    """Wait for a run of a pipeline, and say what it made of the case."""
    try:
        finish(run, case)
    except (ak.AgentKitError, TimeoutError) as error:
        failed = error
    else:
        failed = None
    state = run.state
    wrong, met = untrue(case), _met(run)
    problem = _problem(case, state, failed)
    usage = state.usage + state.child_usage
    used = {"model_calls": usage.model_calls, "cost_usd": usage.cost_usd or 0.0}
    if wrong:
        return Judged("wrong", f"wrote {wrong[0]}, true is {case.writes}", **used)
    if met is not None:
        return Judged("deopt", met, settled=problem is None, **used)
    return Judged("error", problem, **used) if problem is not None else Judged("equal", settled=True, **used)


def _met(run: ak.Run) -> str | None:
    """What a pipeline met that it was not made for; None where it met nothing of the kind."""
    state = run.state
    handed = next((event.body for event in run.events() if event.type == "deopted"), None)
    if handed is not None:
        return handed.message
    return state.error.message if state.error is not None and state.error.type == "Deopt" else None


def _problem(case: Case, state: Any, failed: BaseException | None) -> str | None:
    """What is not as it has to be at the end of a run; None where everything is."""
    if failed is not None:
        return f"{state.error.type}: {state.error.message}" if state.error else repr(failed)
    if not all_done(case):
        return f"wrote {case.world.writes}, true is {case.writes}"
    return None if same(case.output, state.output) else f"ended with {state.output}, true is {case.output}"
