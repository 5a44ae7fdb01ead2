"""`map` over 1,000 and over 10,000 items: what an item costs, and what the process grows by.

    uv run python bench_map.py [--json FILE]

Each size in a fresh process on a log of its own, in turns; ratios are formed within one. The step does nothing;
what is left is a run of its own an item: its claim, five events in the journal and its place in the batch.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure

SIZES = (1000, 10_000)
FLAT = 1.2  # an item's CPU among many, over that among few
GROWTH = 1.1  # the highest resident size with many, over that with few


def once(items: int, options: argparse.Namespace) -> dict[str, Any]:
    """One size in a fresh process."""
    with measure.fresh_folder(options.folder) as folder:
        return measure.script("map_items.py", folder / "log", items, options.concurrency)


def row(items: int, found: list[dict[str, Any]]) -> list[str]:
    """One line of the table: per item, and the process."""
    map_, again = [each["map"] for each in found], [each["again"] for each in found]
    return [
        f"{items:,}",
        str(measure.spread([each["wall"] * 1000 / items for each in map_])),
        str(measure.spread([each["cpu"] * 1000 / items for each in map_])),
        str(measure.spread([each["before"] for each in map_])),
        str(measure.spread([each["peak"] - each["before"] for each in map_])),
        str(measure.spread([each["wall"] * 1000 / items for each in again])),
        str(measure.spread([each["peak"] - each["before"] for each in again])),
    ]


def ratio(found: dict[str, list[dict[str, Any]]], figure: str, per_item: bool) -> measure.Spread:
    """Many over few."""
    few, many = ([each["map"][figure] / (items if per_item else 1) for each in found[str(items)]] for items in SIZES)
    return measure.ratios(many, few)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(given)
    with measure.fresh_folder(options.folder) as folder:
        facts = {"machine": measure.machine(folder), "versions": measure.versions(["jupyter-agentkit", "duckdb"])}
    found = measure.interleave(
        [str(size) for size in SIZES], options.repetitions, lambda size: once(int(size), options)
    )
    cpu, wall, peak = ratio(found, "cpu", True), ratio(found, "wall", True), ratio(found, "peak", False)
    print(measure.heading(f"Map, {options.concurrency} runs at one time", facts))
    header = (
        "items",
        "ms an item",
        "CPU ms",
        "MB before",
        "MB grown by at most",
        "ms done already",
        "MB grown by then",
    )
    print(measure.table(header, [row(size, found[str(size)]) for size in SIZES]), "\n")
    met = cpu.median <= FLAT and peak.median <= GROWTH
    print(f"an item among {SIZES[1]:,} over one among {SIZES[0]:,}: CPU {cpu} (goal {FLAT}), wall {wall}")
    print(f"highest resident size over the same: {peak} (goal {GROWTH}): {'met' if met else 'MISSED'}")
    measure.write_json(options.json, {"facts": facts, "results": found})
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
