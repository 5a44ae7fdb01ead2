"""What a durable step of a pipeline costs: agentkit, its peers, and the raw appends under them, in one interleaved run.

    uv run python bench_pipeline.py [--repetitions 3] [--json FILE]

Two pipelines: three steps in a row, run many times, and a list that is fanned out, eight items at once, and counted.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import measure
import pipeline_work
from contestants.pipelines import NAMES, PACKAGES, SETTINGS

PATIENCE = 30.0  # seconds that a list longer than the compared one may take in the first repetition,
AGAIN = 10.0  # and to be run again in the others
NO_LIMIT = 1e9  # seconds
FLAT = 1.25  # an item of the longest list over one of the compared list, in CPU: that much is noise
# Runs of three steps and items of one list; the differences of two counts are free of what opening and closing sync.
SYNCED = {"base": (10, 8), "runs": (40, 8), "items": (10, 208)}


def play(name: str, options: argparse.Namespace, sizes: Sequence[int], patience: float) -> dict[str, Any]:
    """Both pipelines in a fresh process and a fresh folder."""
    lengths = ",".join(map(str, sizes))
    with measure.fresh_folder(options.folder) as folder:
        return measure.script("play_pipeline.py", name, folder, options.runs, options.seconds, lengths, patience)


def rounds(options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Every repetition; a list that was slow in the first one is not run again, but for the one that is compared."""
    sizes: dict[str, list[int]] = {}

    def once(name: str) -> dict[str, Any]:
        if name in sizes:
            return play(name, options, sizes[name], NO_LIMIT)
        first = play(name, options, options.sizes, PATIENCE)
        quick = {int(size): cost["wall_ms"] <= AGAIN * 1000 for size, cost in first["fan"].items()}
        sizes[name] = [size for size in quick if quick[size] or size == compared(options.sizes)]
        return first

    return measure.interleave(options.contestants, options.repetitions, once)


def compared(sizes: Sequence[int]) -> int:
    """The length of list at which the contestants are compared: the second, 1,000 unless told."""
    return sizes[min(1, len(sizes) - 1)]


def syncs(name: str, parent: Path | None) -> dict[str, float | None]:
    """How often a step, and an item, waits for the disk; None without strace."""
    counts = {}
    for case, (runs, items) in SYNCED.items():
        with measure.fresh_folder(parent) as folder:
            counts[case] = measure.count_syncs("play_pipeline.py", name, folder, runs, NO_LIMIT, items, NO_LIMIT)
    if None in counts.values():
        return {"step": None, "item": None}
    steps, items = ((SYNCED[case][place] - SYNCED["base"][place]) for place, case in enumerate(("runs", "items")))
    more = {case: count - counts["base"] for case, count in counts.items()}
    return {"step": more["runs"] / steps / pipeline_work.STEPS, "item": more["items"] / items}


def a_step(result: dict[str, Any], kind: str) -> float:
    """Milliseconds a step, "wall_ms" or "cpu_ms": a run's whole time over its three."""
    return result["three"][kind] / result["three"]["units"]


def an_item(result: dict[str, Any], size: int, kind: str) -> float:
    """Milliseconds an item of a list of that size: the whole run, its last step too, over its items."""
    return result["fan"][str(size)][kind] / size


def having(results: dict[str, list[dict[str, Any]]], size: int) -> dict[str, list[dict[str, Any]]]:
    """The repetitions with a list of that size, of those who ran it."""
    held = {name: [result for result in own if str(size) in result["fan"]] for name, own in results.items()}
    return {name: own for name, own in held.items() if own}


def flat_rows(results: dict[str, list[dict[str, Any]]], sizes: Sequence[int], kind: str) -> list[list[str]]:
    """One row a contestant: what an item costs at each size, and at its largest over at its smallest."""
    rows = []
    for name, own in results.items():
        held = {size: having({name: own}, size).get(name, []) for size in sizes}
        cells = [
            measure.spread([an_item(one, size, kind) for one in ones]) if ones else "-" for size, ones in held.items()
        ]
        last = max(size for size, ones in held.items() if ones)
        growth = measure.spread([an_item(one, last, kind) / an_item(one, sizes[0], kind) for one in held[last]])
        rows.append([name, *map(str, cells), str(growth)])
    return rows


def memory_rows(results: dict[str, list[dict[str, Any]]], sizes: Sequence[int]) -> list[list[str]]:
    """One row a contestant: the highest resident size, in MB, up to the end of each part."""
    rows = []
    for name, own in results.items():
        first = own[0]
        peaks = [first["fan"].get(str(size), {}).get("peak_mb") for size in sizes]
        parts = [first["warm_mb"], first["three"]["peak_mb"], *peaks]
        rows.append([name, *("-" if part is None else measure.digits(part) for part in parts)])
    return rows


def edge_rows(results: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """One row a contestant: how many steps were measured, and the CPU of importing and opening."""
    return [
        [name, str(own[0]["three"]["units"]), str(measure.spread([result["open"]["cpu_ms"] for result in own]))]
        for name, own in results.items()
    ]


def missed(results: dict[str, list[dict[str, Any]]], sizes: Sequence[int]) -> list[str]:
    """Where agentkit does not reach its goal: a peer costs less, or an item costs more in a longer list."""
    size = compared(sizes)
    said = behind(results, a_step, "a step")
    said += behind(having(results, size), lambda result, kind: an_item(result, size, kind), "an item")
    longest = max(length for length in sizes if "agentkit" in having(results, length))
    ratios = [
        an_item(result, longest, "cpu_ms") / an_item(result, size, "cpu_ms")
        for result in having(results, longest)["agentkit"]
    ]
    grown = measure.spread(ratios).median
    return [*said, *([f"an item costs {grown:.2f} x in a list of {longest:,}"] if grown > FLAT else [])]


def behind(results: dict[str, list[dict[str, Any]]], cost: Callable[[Any, str], float], unit: str) -> list[str]:
    """The peers that are not more expensive than agentkit, a sentence each."""
    said = []
    for name, kind in product(results.keys() - {"raw", "agentkit"}, ("wall_ms", "cpu_ms")):
        theirs, ours = ([cost(result, kind) for result in results[which]] for which in (name, "agentkit"))
        ratio = measure.ratios(theirs, ours).median
        said += [f"{name} takes {ratio:.2f} x agentkit's {kind} {unit}"] if ratio <= 1 else []
    return sorted(said)


def show(report: dict[str, Any]) -> None:
    """Print every table."""
    results, sizes = report["results"], report["sizes"]
    print(measure.heading("Overhead of a pipeline's durable step", report["facts"]))
    print(f"## Three steps in a row, a step; median (least-most) of {report['repetitions']}\n")
    print(measure.table(measure.COSTS, measure.cost_rows(results, a_step)), "\n")
    size = compared(sizes)
    print(f"## A list of {size:,}, an item\n")
    rows = measure.cost_rows(having(results, size), lambda one, kind: an_item(one, size, kind))
    print(measure.table(measure.COSTS, rows), "\n")
    for kind, said in (("wall_ms", "wall"), ("cpu_ms", "CPU")):
        print(f"## {said} ms an item, by the length of the list\n")
        header = ("contestant", *(f"{size:,}" for size in sizes), "longest / shortest")
        print(measure.table(header, flat_rows(results, sizes, kind)), "\n")
    print("## RSS, highest so far, MB\n")
    print(measure.table(("contestant", "warm", "three", *(f"{size:,}" for size in sizes)), memory_rows(results, sizes)))
    print("\n## Steps measured, and CPU ms of importing and opening\n")
    print(measure.table(("contestant", "steps", "import and open"), edge_rows(results)), "\n")
    print("## Durable waits: fsync, fdatasync, and writes with RWF_DSYNC\n")
    rows = [[name, *map(counted, found.values())] for name, found in report["syncs"].items()]
    print(measure.table(("contestant", "a step", "an item"), rows))


def counted(count: float | None) -> str:
    """A number of syncs."""
    return "no strace here" if count is None else f"{count:.2f}"


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything."""
    names = options.contestants
    with measure.fresh_folder(options.folder) as folder:
        machine = measure.machine(folder)
    packages = sorted({package for name in names for package in PACKAGES[name]})
    return {
        "repetitions": options.repetitions,
        "sizes": options.sizes,
        "facts": {
            "machine": machine,
            "versions": measure.versions(packages),
            "workload": pipeline_work.facts(),
            "settings": {name: SETTINGS[name] for name in names},
        },
        "results": rounds(options),
        "syncs": {name: syncs(name, options.folder) for name in names} if options.syncs else {},
    }


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--runs", type=int, default=200, help="runs of the three steps")
    parser.add_argument("--seconds", type=float, default=5.0, help="but not for longer than this")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000], help="lengths of the list")
    parser.add_argument("--contestants", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--folder", type=Path, help="where to write; on the disk you care about, not on tmpfs")
    parser.add_argument("--json", type=Path, help="keep the figures here")
    parser.add_argument("--no-syncs", dest="syncs", action="store_false", help="skip counting syncs under strace")
    options = parser.parse_args(given)
    options.sizes.sort()
    return options


def main() -> int:
    """Measure, print, keep."""
    options = arguments()
    report = measured(options)
    show(report)
    measure.write_json(options.json, report)
    if "agentkit" not in options.contestants:
        return 0
    wrong = missed(report["results"], report["sizes"])
    print("\ngoal: ahead of each peer by wall and CPU, and flat in the number of items: " + ("; ".join(wrong) or "met"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
