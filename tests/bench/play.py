"""One contestant in one fresh process: `play.py NAME FOLDER TURNS [RUNS]` prints what it cost as JSON."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from contestants import load
from workload import Script


def clock() -> tuple[float, float]:
    """Wall and CPU seconds; CPU is the whole process's, every thread."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> dict[str, float]:
    """Milliseconds since a `clock()`."""
    wall, cpu = clock()
    return {"wall_ms": (wall - start[0]) * 1000, "cpu_ms": (cpu - start[1]) * 1000}


def play(name: str, folder: Path, turns: int, runs: int) -> dict[str, Any]:
    """Open and define, run, close; each phase timed apart. With 0 runs it shows what an empty store costs."""
    report: dict[str, Any] = {"contestant": name, "turns": turns, "runs": runs}
    scripts = [Script.of(turns) for _ in range(runs)]
    start = clock()
    contestant = load(name)(folder)
    ready = [contestant.ready(script) for script in scripts]
    report["open"] = since(start)
    start = clock()
    for script, run in zip(scripts, ready, strict=True):
        script.check(run())
    report["run"] = since(start)
    start = clock()
    contestant.close()
    report["close"] = since(start)
    report["content"] = sum(script.bytes() for script in scripts)
    report["marks"] = {"wall": scripts[-1].wall, "cpu": scripts[-1].cpu} if scripts else {}
    return report


if __name__ == "__main__":
    named, where, count, *more = sys.argv[1:]
    print(json.dumps(play(named, Path(where), int(count), int(more[0]) if more else 1)))
