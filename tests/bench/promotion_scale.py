"""An agent of twenty steps: a number is handed on from one reading tool to the next, and written at the end."""

import random
from typing import Any

import agentkit as ak
from agentkit.messages import ModelRequest, ToolCall
from agentkit.testing import FunctionModel

STEPS = 20


def _stage(number: int) -> ak.Tool[..., Any]:
    def look_up(key: str, ctx: ak.Context) -> dict[str, Any]:
        return ctx.deps[f"stage_{number}", key]

    name = f"stage_{number}"
    described = f"Look up what stage {number} knows under a key. Returns the next key, with what else it holds."
    return ak.tool(name=name, description=described)(look_up)


@ak.tool(writes=True)
def close_case(case_id: str, key: str, ctx: ak.Context) -> dict[str, str]:
    """Close a case under the last key. Returns the case's number.

    Args:
        case_id: the case's number, for example "C-10428".
        key: the last key, for example "k19-204".
    """
    ctx.deps["closed", case_id] = key
    return {"case_id": case_id}


STAGES = [_stage(number) for number in range(STEPS - 1)]
globals().update({tool.name: tool for tool in STAGES})  # where generated code imports them from


def follow(request: ModelRequest) -> ToolCall | str:
    """What the model says next: the stage that comes, with the key that the one before gave."""
    results = [message.content for message in request.messages if message.role == "tool"]
    case_id = str(request.messages[0].content)
    if len(results) == STEPS:
        return f"Case {case_id} is closed."
    key = results[-1]["next"]["key"] if results else case_id
    call_id = f"call_{len(results)}"
    if len(results) == STEPS - 1:
        return ToolCall(id=call_id, name="close_case", arguments={"case_id": case_id, "key": key})
    return ToolCall(id=call_id, name=f"stage_{len(results)}", arguments={"key": key})


agent = ak.Agent("long_way", FunctionModel(follow), tools=[*STAGES, close_case])


def world(number: int) -> tuple[str, dict[Any, Any]]:
    """A case and what the stages know of it: ten fields each, so that a key has where to hide."""
    dice = random.Random(number)
    key = case_id = f"C-{10_000 + number}"
    found: dict[Any, Any] = {}
    for stage in range(STEPS - 1):
        after = f"k{stage}-{dice.randrange(10**9)}"
        other = {f"field_{at}": dice.randrange(10**6) for at in range(8)}
        found[f"stage_{stage}", key] = {"next": {"key": after, "since": dice.randrange(10**6)}, **other}
        key = after
    return case_id, found


def record(runs: int, log: ak.Log) -> list[str]:
    """Have the agent settle so many cases; the runs' ids."""
    ids: list[str] = []
    for first in range(0, runs, 50):
        cases = [world(number) for number in range(first, min(first + 50, runs))]
        started = [agent.run(case_id, deps=found, log=log) for case_id, found in cases]
        for run in started:
            run.result(120)
        ids += [run.run_id for run in started]
    return ids
