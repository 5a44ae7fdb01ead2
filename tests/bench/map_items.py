"""Maps a trivial pipeline over items in one fresh process: `map_items.py FOLDER ITEMS CONCURRENCY` prints JSON.

First over a hundred, so that threads, imports and caches are there, then over ITEMS others, then over the same once
more: what one item costs, and what the process grows by.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import agentkit as ak

trivial = ak.Pipeline("trivial", input={"n": int})


@trivial.step
async def double(n: int) -> int:
    """As little as a step can do, on the loop's own thread."""
    return 2 * n


def rss_mb() -> float:
    """The resident size at this moment, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def peak_mb() -> float:
    """The highest resident size since the last `forget_peak`, in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def forget_peak() -> None:
    """Begin to look for the highest resident size anew; Linux."""
    Path("/proc/self/clear_refs").write_text("5")


def mapped(log: ak.Log, first: int, count: int, concurrency: int) -> dict[str, Any]:
    """Map over `count` items that nobody mapped before, from a generator; what it cost."""
    forget_peak()
    before, wall, cpu = rss_mb(), time.perf_counter(), time.process_time()
    batch = trivial.map((n for n in range(first, first + count)), concurrency=concurrency, log=log).wait()
    cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    assert batch.counts == (count, 0, 0, 0, 0), batch.counts
    return {**cost, "items": count, "before": before, "peak": peak_mb(), "after": rss_mb()}


def measured(folder: Path, items: int, concurrency: int) -> dict[str, Any]:
    """The map, then a call that finds everything done."""
    log = ak.open_log(folder)
    mapped(log, 0, 100, concurrency)
    return {"map": mapped(log, 100, items, concurrency), "again": mapped(log, 100, items, concurrency)}


if __name__ == "__main__":
    where, many_, together = sys.argv[1:]
    print(json.dumps(measured(Path(where), int(many_), int(together))))
