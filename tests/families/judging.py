"""What became of a held-out case: equal, deopt, wrong write, or an error."""

import re
from collections.abc import Sequence
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
        model_calls: how often a model was asked.
        cost_usd: what that cost, USD.
    """

    outcome: Outcome
    why: str = ""
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


def in_order(truth: Sequence[Write], found: Sequence[Write]) -> bool:
    """Whether the writes are the true ones, one by one."""
    return len(truth) == len(found) and all(map(_same_write, truth, found))


def judge(run: ak.Run, case: Case) -> Judged:
    """Wait for a run of a pipeline, and say what it made of the case."""
    try:
        finish(run, case)
    except (ak.AgentKitError, TimeoutError) as error:
        failed = error
    else:
        failed = None
    state = run.state
    outcome, why = _outcome(run, case, failed)
    usage = state.usage + state.child_usage
    return Judged(outcome, why, usage.model_calls, usage.cost_usd or 0.0)


def _outcome(run: ak.Run, case: Case, failed: BaseException | None) -> tuple[Outcome, str]:
    state = run.state
    if wrong := untrue(case):
        return "wrong", f"wrote {wrong[0]}, true is {case.writes}"
    if any(event.type == "deopted" for event in run.events()) or (state.error and state.error.type == "Deopt"):
        return "deopt", state.error.message if state.error else ""
    if failed is not None:
        return "error", f"{state.error.type}: {state.error.message}" if state.error else repr(failed)
    if not in_order(case.writes, case.world.writes):
        return "error", f"wrote {case.world.writes}, true is {case.writes}"
    if not same(case.output, state.output):
        return "error", f"ended with {state.output}, true is {case.output}"
    return "equal", ""
