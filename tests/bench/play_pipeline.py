"""One contestant in one fresh process: `play_pipeline.py NAME FOLDER RUNS SECONDS SIZES PATIENCE` prints JSON.

It runs the three steps RUNS times, or for SECONDS, and then a list of each size of SIZES ("100,1000"). A size after the
second is left out when the one before says that it would take longer than PATIENCE seconds.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pipeline_work
import psutil
from contestants.pipelines import Contestant, load
from play import clock, since

WARM = 5, 8  # runs of three steps and items of a list before the measured ones: threads, caches, a peer's server


def children_ms() -> float:
    """The CPU milliseconds that this process's children have used so far: a peer may keep a server of its own."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children) * 1000


def peak_mb() -> float:
    """The highest resident sizes so far, in MB, of this process and of its children, added up."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    texts = [Path(f"/proc/{each.pid}/status").read_text() for each in family]
    return sum(int(text.partition("VmHWM:")[2].split()[0]) for text in texts) / 1024


def timed(run: Callable[[], int]) -> dict[str, float]:
    """What a run costs, its children's CPU included, and how much memory there was at most by its end.

    Args:
        run: gives how many units (steps, items) it did.
    """
    helped, start = children_ms(), clock()
    units = run()
    cost = since(start)
    cost["cpu_ms"] += children_ms() - helped
    return {**cost, "units": units, "peak_mb": peak_mb()}


def three(contestant: Contestant, runs: int, seconds: float) -> int:
    """Runs of the three steps, one after the other; how many steps."""
    end = time.perf_counter() + seconds
    for x in range(runs):
        pipeline_work.check_three(x, contestant.three(x))
        if time.perf_counter() > end:
            break
    return (x + 1) * pipeline_work.STEPS


def fan(contestant: Contestant, items: int) -> int:
    """One run over a list; how many items."""
    pipeline_work.check_fan(items, contestant.fan(list(range(items))))
    return items


def fans(contestant: Contestant, sizes: list[int], patience: float) -> dict[int, dict[str, float]]:
    """The lists, rising, as long as the next one can be awaited."""
    done: dict[int, dict[str, float]] = {}
    an_item = 0.0
    for size in sizes:
        if len(done) > 1 and an_item * size > patience:
            break
        done[size] = timed(lambda size=size: fan(contestant, size))
        an_item = done[size]["wall_ms"] / 1000 / size
    return done


def play(name: str, folder: Path, runs: int, seconds: float, sizes: list[int], patience: float) -> dict[str, Any]:
    """Open and define, warm up, run, close."""
    start = clock()
    contestant = load(name)(folder)
    opened = since(start)
    three(contestant, WARM[0], seconds)
    fan(contestant, WARM[1])
    report = {"contestant": name, "open": opened, "warm_mb": peak_mb()}
    report["three"] = timed(lambda: three(contestant, runs, seconds))
    report["fan"] = fans(contestant, sizes, patience)
    start = clock()
    contestant.close()
    return {**report, "close": since(start)}


if __name__ == "__main__":
    named, where, many, lasting, lengths, longest = sys.argv[1:]
    rising = sorted(map(int, lengths.split(",")))
    print(json.dumps(play(named, Path(where), int(many), float(lasting), rising, float(longest))))
