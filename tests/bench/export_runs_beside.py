"""Runs with and without an exporter beside them, block by block in one process: `… FOLDER URL BLOCKS RUNS SECONDS`.

Prints each block's median latency of a run as JSON: what exporting costs a run is the ratio of neighbouring blocks.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median

import agentkit as ak
from agentkit.export import Target
from agentkit.export.background import Exporter
from agentkit.messages import ModelRequest, ToolCall
from agentkit.testing import FunctionModel

CALLS = 4


@ak.tool
def find_order(order_id: str) -> dict:
    """Look up one order by its number. Returns its record.

    Args:
        order_id: the order's number, for example "A-1042".
    """
    return {"id": order_id, "note": "x" * 500}


def agent(seconds: float) -> ak.Agent:
    """Its model takes so long for each of five answers."""

    async def think(request: ModelRequest) -> ToolCall | str:
        await asyncio.sleep(seconds)
        done = sum(message.role == "tool" for message in request.messages)
        return (
            "Done."
            if done == CALLS
            else ToolCall(id=f"c{done}", name="find_order", arguments={"order_id": f"A-{done}"})
        )

    return ak.Agent("beside", FunctionModel(think), "Look up what is asked.", tools=[find_order])


def block(log: ak.Log, one: ak.Agent, runs: int) -> float:
    """The median latency of runs one after the other, in milliseconds."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        one.run("hello", log=log).result(60)
        took.append((time.perf_counter() - began) * 1000)
    return median(took)


def main(folder: Path, url: str, blocks: int, runs: int, seconds: float) -> dict[str, list[float]]:
    """Blocks in turn: without, with, with, without, …"""
    log, one = ak.open_log(folder), agent(seconds)
    found: dict[str, list[float]] = {"without": [], "with": []}
    log.exporter = Exporter(log.store, [Target("otlp", url)])
    block(log, one, runs)  # threads and imports are there
    log.exporter.flush(60)
    log.exporter.close(1)
    for number in range(blocks):
        for exporting in (False, True) if number % 2 == 0 else (True, False):
            log.exporter = Exporter(log.store, [Target("otlp", url)]) if exporting else None
            found["with" if exporting else "without"].append(block(log, one, runs))
            if log.exporter is not None:
                assert log.exporter.flush(60)
                log.exporter.close(1)
    log.exporter = None
    log.close()
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))))
