"""Many agent runs at once in one fresh process: `many_runs.py FOLDER RUNS CALLS SECONDS` prints what they cost as JSON.

The same process then makes as many durable appends of the same bytes through the same store, with no agent above it:
that is what the disk, the journal and the interpreter can do, on that machine, in that minute.
"""

import asyncio
import json
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appender import note, reach
from workload import ANSWER, QUESTION, turn

import agentkit as ak
from agentkit import ids
from agentkit.messages import ModelRequest, ToolCall
from agentkit.stores.embedded import EmbeddedStore
from agentkit.testing import FunctionModel


@dataclass
class Count:
    """What went through the store."""

    appends: int = 0  # durable ones: somebody waits for the disk
    events: int = 0


@contextmanager
def counted() -> Iterator[Count]:
    """Count what every embedded store is given meanwhile."""
    count, append, guard = Count(), EmbeddedStore.append, threading.Lock()

    def counting(self: EmbeddedStore, claim: Any, events: Any, *, durable: bool = True) -> Any:
        with guard:
            count.appends += durable
            count.events += len(events)
        return append(self, claim, events, durable=durable)

    EmbeddedStore.append = counting
    try:
        yield count
    finally:
        EmbeddedStore.append = append


def agent(calls: int, seconds: float) -> ak.Agent:
    """An agent whose model takes its time; each of its calls but the last, which answers, reads a record."""
    turns = [turn(number) for number in range(1, calls)]
    records = {each.arguments["order_id"]: each.result for each in turns}

    async def think(request: ModelRequest) -> ToolCall | str:
        await asyncio.sleep(seconds)
        done = sum(message.role == "tool" for message in request.messages)
        if done == len(turns):
            return ANSWER
        return ToolCall(id=f"call_{done}", name="find_order", arguments=turns[done].arguments)

    @ak.tool
    def find_order(order_id: str, note: str) -> dict:
        """Look up one order by its number. Returns its record with what happened to it.

        Args:
            order_id: the order's number, for example "A-1042".
            note: what is wrong with it.
        """
        return records[order_id]

    return ak.Agent("many", FunctionModel(think), tools=[find_order])


def run_all(log: ak.Log, many: ak.Agent, runs: int) -> tuple[dict[str, float], ak.Run]:
    """Start every run, wait for all of them; what it cost, and one of them."""
    wall, cpu = time.perf_counter(), time.process_time()
    started = [many.run(QUESTION, log=log) for _ in range(runs)]
    answers = [run.result(timeout=300) for run in started]
    cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    assert answers == [ANSWER] * runs
    return cost, started[-1]


async def append_all(store: Any, runs: int, each: int, size: int) -> float:
    """Seconds for `runs` appenders at once, each making `each` durable appends, one after the other."""

    async def appender() -> None:
        claim = store.claim(ids.new_id(), new=True)
        for _ in range(each):
            await asyncio.wrap_future(store.append(claim, [note(claim, size)]))
        store.release(claim)

    start = time.perf_counter()
    await asyncio.gather(*(appender() for _ in range(runs)))
    return time.perf_counter() - start


def rss_mb() -> float:
    """The highest resident size so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(folder: Path, runs: int, calls: int, seconds: float) -> dict[str, Any]:
    """Both halves, then the figures."""
    log, many = ak.open_log(folder / "runs"), agent(calls, seconds)
    run_all(log, many, 1)  # threads, imports and caches are there
    before = rss_mb()
    with counted() as count:
        cost, last = run_all(log, many, runs)
    found = {**cost, **vars(count), "rss_before_mb": before, "rss_mb": rss_mb()}
    content = sum(len(event.body_json()) for event in last.events())
    log.close()
    store = reach(folder / "bare")
    each = round(count.appends / runs)
    bare = asyncio.run(append_all(store, runs, each, content // each))
    store.close()
    return {**found, "rate": runs * each / bare}


if __name__ == "__main__":
    where, many_, length, pause = sys.argv[1:]
    print(json.dumps(measured(Path(where), int(many_), int(length), float(pause))))
