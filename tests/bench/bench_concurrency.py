"""A thousand runs at once, and four processes on one log.

    uv run python bench_concurrency.py [--json FILE]

Nobody can be faster than the models' own time, nor than the disk commits what must be durable; both are measured in the
same process, and the wall time is shown over the larger one.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import measure

FAIRNESS = 0.6
PROCESSES = 4
OPENING = 4.0  # seconds that every process gets to import and open before the common start


def many_runs(options: argparse.Namespace) -> dict[str, Any]:
    """All runs at once, in a fresh process."""
    with measure.fresh_folder(options.folder) as folder:
        return measure.script("many_runs.py", folder, options.runs, options.calls, options.seconds)


def share(options: argparse.Namespace) -> dict[str, Any]:
    """Four processes append to one log for a while; then the log is read by a fifth."""
    with measure.fresh_folder(options.folder) as folder, ThreadPoolExecutor(PROCESSES) as pool:
        start = time.time() + OPENING
        said = [pool.submit(measure.script, "appender.py", folder, start, options.lasting) for _ in range(PROCESSES)]
        appended = [future.result() for future in said]
        held = measure.script("events.py", folder)
    return {"appended": appended, "held": held}


def lost_or_doubled(shared: dict[str, Any]) -> list[str]:
    """Every run whose events in the log are not exactly 1, 2, … up to what was acknowledged."""
    runs = shared["held"]["runs"]
    wrong = []
    for own in shared["appended"]:
        held = runs.get(own["run_id"], {"events": 0, "distinct": 0, "last": 0})
        if set(held.values()) != {own["acknowledged"]}:
            wrong.append(f"{own['run_id']}: acknowledged {own['acknowledged']}, held {held}")
    return wrong


def show_runs(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the first half."""
    models, disk = options.calls * options.seconds, found["appends"] / found["rate"]
    floor = max(models, disk)
    print(f"## {options.runs:,} runs of {options.calls} model calls of {options.seconds} s\n")
    rows = [
        ["wall", f"{found['wall']:.2f} s"],
        ["the models' own time", f"{models:.2f} s"],
        ["durable appends", f"{found['appends']:,} ({found['events']:,} events)"],
        ["the store's own rate", f"{found['rate']:,.0f} durable appends/s with {options.runs:,} appenders"],
        ["so the disk needs", f"{disk:.2f} s"],
        ["wall over the larger", f"{found['wall'] / floor:.2f}"],
        ["CPU", f"{found['cpu']:.2f} s, {found['cpu'] * 1000 / options.runs / options.calls:.2f} ms a model call"],
        ["RSS, highest", f"{found['rss_mb']:.0f} MB ({found['rss_before_mb']:.0f} before the runs)"],
    ]
    print(measure.table(("what", "measured"), rows), "\n")


def show_share(shared: dict[str, Any], options: argparse.Namespace) -> bool:
    """Print the second half; say whether its goals are met."""
    counts = [own["acknowledged"] for own in shared["appended"]]
    fairness, wrong = min(counts) / max(counts), lost_or_doubled(shared)
    print(f"## {PROCESSES} processes append to one log for {options.lasting:g} s\n")
    rows = [
        [str(index + 1), f"{own['acknowledged']:,}", f"{own['p99_ms']:.1f}"]
        for index, own in enumerate(shared["appended"])
    ]
    print(measure.table(("process", "acknowledged", "p99 ms"), rows), "\n")
    print(f"together {sum(counts) / options.lasting:,.0f} durable appends/s; fairness {fairness:.2f} (goal {FAIRNESS})")
    print("lost or doubled: " + ("; ".join(wrong) or "nothing"))
    return fairness >= FAIRNESS and not wrong


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=5, help="model calls a run; the last one answers")
    parser.add_argument("--seconds", type=float, default=0.2, help="how long the model takes")
    parser.add_argument("--lasting", type=float, default=5.0, help="how long the four processes append")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(given)
    with measure.fresh_folder(options.folder) as folder:
        facts = {"machine": measure.machine(folder), "versions": measure.versions(["jupyter-agentkit", "duckdb"])}
    print(measure.heading("Concurrency", facts))
    report: dict[str, Any] = {"facts": facts, "runs": many_runs(options)}
    show_runs(report["runs"], options)
    report["share"] = share(options)
    met = show_share(report["share"], options)
    measure.write_json(options.json, report)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
