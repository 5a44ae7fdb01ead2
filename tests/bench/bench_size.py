"""What a run leaves on disk after close, against the bytes of its new content.

    uv run python bench_size.py [--json FILE]

An empty store's own bytes are shown apart: a database file begins with pages, and a log is opened once for many runs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
import workload
from contestants import NAMES, PACKAGES, SETTINGS

# The goal for agentkit: three times what was said, plus an envelope a fact (run, seq, time, type, step, name, cost …).
TIMES_CONTENT, BYTES_AN_EVENT = 3, 400
CASES = ((20, 1), (200, 1), (20, 20))  # turns, runs in one store


def stored(folder: Path) -> dict[str, int]:
    """The bytes of each file below a folder."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


def once(name: str, turns: int, runs: int, parent: Path | None) -> dict[str, Any]:
    """Run in a fresh process and weigh what it left."""
    with measure.fresh_folder(parent) as folder:
        played = measure.script("play.py", name, folder, turns, runs)
        case = {"turns": turns, "runs": runs, "content": played["content"], "files": stored(folder)}
        if name != "agentkit" or not runs:
            return {**case, "events": None, "folded": None}
        # A reader folds the journal into the table when it closes; what was folded is unlinked by the fold after it.
        read = [measure.script("events.py", folder / "log")["events"] for _ in range(2)]
        return {**case, "events": read[0], "folded": sum(stored(folder).values())}


def total(case: dict[str, Any]) -> int:
    """All bytes of a case's files."""
    return sum(case["files"].values())


def row(name: str, empty: int, case: dict[str, Any]) -> list[str]:
    """One line: bytes a turn in all and above an empty store, and how often the content that is."""
    turns = case["turns"] * case["runs"]
    bytes_, above = total(case), total(case) - empty
    return [
        name,
        f"{case['runs']} x {case['turns']}",
        f"{case['content'] / turns:,.0f}",
        f"{bytes_:,}",
        f"{bytes_ / turns:,.0f}",
        f"{above / turns:,.0f}",
        f"{above / case['content']:.1f}",
        "-" if case["folded"] is None else f"{case['folded']:,}",
        goal(case, above),
    ]


def goal(case: dict[str, Any], above: int) -> str:
    """Whether agentkit's goal holds, and the room it gives."""
    if case["events"] is None:
        return "-"
    room = TIMES_CONTENT * case["content"] + BYTES_AN_EVENT * case["events"]
    verdict = "met" if above <= room else "MISSED"
    return f"{verdict}: {above / room:.2f} of {room:,} B ({case['events']} events)"


def show(report: dict[str, Any]) -> None:
    """Print the table and the files behind it."""
    print(measure.heading("Bytes on disk after close", report["facts"]))
    header = (
        "contestant",
        "runs x turns",
        "content a turn",
        "bytes",
        "a turn",
        "above empty",
        "/ content",
        "folded",
        "goal",
    )
    rows = [row(name, total(own[0]), case) for name, own in report["results"].items() for case in own[1:]]
    print(measure.table(header, rows), "\n")
    for name, own in report["results"].items():
        print(f"{name}: empty {total(own[0]):,} B; the last case's files {own[-1]['files']}")


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contestants", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(given)
    names, parent = options.contestants, options.folder
    report: dict[str, Any] = {
        "facts": {
            "versions": measure.versions(sorted({package for name in names for package in PACKAGES[name]})),
            "workload": workload.facts(CASES[1][0]),
            "settings": {name: SETTINGS[name] for name in names},
        },
        "results": {
            name: [once(name, 20, 0, parent), *(once(name, turns, runs, parent) for turns, runs in CASES)]
            for name in names
        },
    }
    show(report)
    measure.write_json(options.json, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
