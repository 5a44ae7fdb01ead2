"""What a durable turn costs: agentkit, its peers, and the raw appends under them, in one interleaved run.

uv run python bench_overhead.py [--repetitions 7] [--json FILE]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
import workload
from contestants import NAMES, PACKAGES, SETTINGS

EARLY, LATE = range(15, 26), range(190, 200)
FEW, MANY = 10, 40  # turns; the difference of two counts is free of what opening and closing sync


def once(name: str, turns: int, parent: Path | None) -> dict[str, Any]:
    """One run in a fresh process and a fresh folder."""
    with measure.fresh_folder(parent) as folder:
        return measure.script("play.py", name, folder, turns)


def syncs_a_turn(name: str, parent: Path | None) -> float | None:
    """How often a turn waits for the disk; None without strace."""
    counts = []
    for turns in (FEW, MANY):
        with measure.fresh_folder(parent) as folder:
            counts.append(measure.count_syncs("play.py", name, folder, turns))
    few, many = counts
    return None if few is None or many is None else (many - few) / (MANY - FEW)


def a_turn(result: dict[str, Any], kind: str) -> float:
    """Milliseconds a turn, "wall_ms" or "cpu_ms", of the run alone: neither opening nor closing."""
    return result["run"][kind] / result["turns"]


def slope_rows(results: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """One row a contestant: what a turn costs early and late in the long run."""
    rows = []
    for name, own in results.items():
        row = [name]
        for kind in ("wall", "cpu"):
            pairs = [measure.slope(result["marks"][kind], EARLY, LATE) for result in own]
            early, late = ([pair[end] * 1000 for pair in pairs] for end in (0, 1))
            row += [str(measure.spread(early)), str(measure.spread(late)), str(measure.ratios(late, early))]
        rows.append(row)
    return rows


def edge_rows(results: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """One row a contestant: the CPU of importing and opening, and of closing."""
    phases = ("open", "close")
    return [
        [name, *(str(measure.spread([result[phase]["cpu_ms"] for result in own])) for phase in phases)]
        for name, own in results.items()
    ]


def show(report: dict[str, Any]) -> None:
    """Print every table."""
    print(measure.heading("Overhead of a durable turn", report["facts"]))
    for turns, results in report["results"].items():
        print(f"## {turns} turns, a turn; median (least-most) of {report['repetitions']}\n")
        print(measure.table(measure.COSTS, measure.cost_rows(results, a_turn)), "\n")
    longest = report["results"][str(workload_sizes(report)[-1])]
    if workload_sizes(report)[-1] >= LATE[-1]:
        ends = ("wall ms early", "late", "late / early", "CPU ms early", "late", "late / early")
        print(f"## What a turn costs early ({EARLY[0]}-{EARLY[-1]}) and late ({LATE[0]}-{LATE[-1]})\n")
        print(measure.table(("contestant", *ends), slope_rows(longest)), "\n")
    print("## CPU ms outside the run\n")
    print(measure.table(("contestant", "import and open", "close"), edge_rows(longest)), "\n")
    print("## Durable waits a turn: fsync, fdatasync, and writes with RWF_DSYNC\n")
    said = [[name, "no strace here" if count is None else f"{count:.2f}"] for name, count in report["syncs"].items()]
    print(measure.table(("contestant", "waits"), said))


def workload_sizes(report: dict[str, Any]) -> list[int]:
    """The turn counts of a report, rising."""
    return sorted(map(int, report["results"]))


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything."""
    names = options.contestants
    parent = options.folder
    with measure.fresh_folder(parent) as folder:
        machine = measure.machine(folder)
    packages = sorted({package for name in names for package in PACKAGES[name]})
    report: dict[str, Any] = {
        "repetitions": options.repetitions,
        "facts": {
            "machine": machine,
            "versions": measure.versions(packages),
            "workload": workload.facts(max(options.turns)),
            "settings": {name: SETTINGS[name] for name in names},
        },
        "results": {},
    }
    for turns in options.turns:
        report["results"][str(turns)] = measure.interleave(
            names, options.repetitions, lambda name, turns=turns: once(name, turns, parent)
        )
    report["syncs"] = {name: syncs_a_turn(name, parent) for name in names} if options.syncs else {}
    return report


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--turns", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--contestants", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--folder", type=Path, help="where to write; on the disk you care about, not on tmpfs")
    parser.add_argument("--json", type=Path, help="keep the figures here")
    parser.add_argument("--no-syncs", dest="syncs", action="store_false", help="skip counting syncs under strace")
    return parser.parse_args(given)


def main() -> int:
    """Measure, print, keep."""
    options = arguments()
    report = measured(options)
    show(report)
    measure.write_json(options.json, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
