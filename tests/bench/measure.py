"""What every benchmark shares: fresh processes, interleaved repetitions, medians, tables.

Wall times on a shared machine swing several fold, so a figure is a median with its range beside it, the contestants
take turns within every repetition, and ratios are formed within one repetition before their median is taken.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
# What makes bytes durable: the two calls, and a write that does it itself (O_DSYNC of one write).
SYNCS = ("fsync", "fdatasync", "pwritev2")
_SYNC = re.compile(r"\b(?:fsync\(|fdatasync\(|pwritev2\(.*RWF_D?SYNC)")


@dataclass(frozen=True)
class Spread:
    """The middle and the ends of some repetitions."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{digits(self.median)} ({digits(self.low)}-{digits(self.high)})"


def spread(values: Sequence[float]) -> Spread:
    """Median, least and greatest of at least one value."""
    return Spread(median(values), min(values), max(values))


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """The spread of each repetition's own ratio: what slows a whole repetition down cancels out."""
    return spread([value / unit for value, unit in zip(values, base, strict=True)])


def interleave(names: Sequence[str], repetitions: int, measure: Callable[[str], Any]) -> dict[str, list[Any]]:
    """Measure A B C A B C …; every second round runs backwards, so that nobody always follows the same neighbour."""
    results: dict[str, list[Any]] = {name: [] for name in names}
    for turn in range(repetitions):
        for name in names if turn % 2 == 0 else reversed(names):
            results[name].append(measure(name))
    return results


COSTS = ("contestant", "wall ms", "x raw", "x agentkit", "CPU ms", "x raw", "x agentkit")


def cost_rows(results: Mapping[str, Sequence[Any]], cost: Callable[[Any, str], float]) -> list[list[str]]:
    """One row a contestant, as `COSTS` heads them: wall and CPU, each also over raw's and agentkit's.

    Args:
        results: each contestant's repetitions, in the same order; a base that did not run leaves a dash.
        cost: the milliseconds a unit in one repetition, of "wall_ms" or of "cpu_ms".
    """

    def costs(name: str, kind: str) -> list[float]:
        return [cost(result, kind) for result in results[name]]

    def over(name: str, base: str, kind: str) -> str:
        return digits(ratios(costs(name, kind), costs(base, kind)).median) if base in results else "-"

    def cells(name: str, kind: str) -> list[str]:
        return [str(spread(costs(name, kind))), *(over(name, base, kind) for base in ("raw", "agentkit"))]

    return [[name, *cells(name, "wall_ms"), *cells(name, "cpu_ms")] for name in results]


def slope(marks: Sequence[float], early: range, late: range) -> tuple[float, float]:
    """The mean cost of a turn early and late in one run, from the times at which its turns passed the same point.

    Args:
        marks: one time a turn, rising.
        early: 1-based turns; the cost of turn n is `marks[n] - marks[n - 1]`.
        late: the same, near the end.
    """

    def mean(turns: range) -> float:
        first, last = turns[0], turns[-1]
        return (marks[last] - marks[first - 1]) / len(turns)

    return mean(early), mean(late)


def digits(value: float) -> str:
    """Three significant digits without an exponent."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in a terminal."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([row(header), row(["-" * width for width in widths]), *(row(line) for line in rows)])


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The installed version of each package; "absent" where there is none."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def machine(folder: Path) -> dict[str, str]:
    """What a reader must know of the machine to read the figures."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "file system": filesystem(folder),
    }


def filesystem(folder: Path) -> str:
    """The type of the file system that holds a folder: on tmpfs a sync costs nothing and the figures mean nothing."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    where = folder.resolve()
    held = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    fitting = [(len(point), kind) for point, kind in held if where.is_relative_to(point)]
    return max(fitting)[1]


@contextmanager
def fresh_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder, removed afterwards; in the system's temporary folder unless a parent is given."""
    folder = Path(tempfile.mkdtemp(prefix="agentkit-bench-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def script(name: str, *arguments: object, under: Sequence[str] = ()) -> dict[str, Any]:
    """Run a script of this folder in a fresh process, quietly, and read the JSON object that it prints last.

    Args:
        name: the script's file name.
        arguments: its command line.
        under: a command that runs it, for example strace.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    command = [*under, sys.executable, str(HERE / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=quiet(), check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def quiet() -> dict[str, str]:
    """The environment of a measured process: no tracing service is reached, no peer reports home."""
    off = {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false", "DO_NOT_TRACK": "true"}
    return {**os.environ, **off, "HAMILTON_TELEMETRY_ENABLED": "false", "BURR_TELEMETRY_ENABLED": "false"}


def count_syncs(name: str, *arguments: object) -> int | None:
    """How often a script's process waits for the disk, all threads; None where strace cannot say."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with fresh_folder(None) as folder:
        calls = folder / "calls"
        traced = ["-f", "-s", "0", "-o", str(calls), "-e", "trace=" + ",".join(SYNCS)]
        script(name, *arguments, under=[strace, *traced])
        return parse_syncs(calls.read_text())


def parse_syncs(calls: str) -> int:
    """The durable waits in strace's lines; a call that another thread's line cuts in two begins once."""
    return sum(_SYNC.search(line) is not None for line in calls.splitlines())


def heading(title: str, facts: Mapping[str, Mapping[str, str]]) -> str:
    """A title and what stands behind the figures, one line a group."""
    lines = [f"# {title}", ""]
    lines += [
        f"{group}: " + "; ".join(f"{key} {value}" for key, value in pairs.items()) for group, pairs in facts.items()
    ]
    return "\n".join([*lines, ""])


def write_json(path: Path | None, report: Mapping[str, Any]) -> None:
    """Keep a report's figures for later comparison."""
    if path is not None:
        path.write_text(json.dumps(report, indent=1, default=vars) + "\n")
