"""Exporting: what a whole log takes, in time and memory, and what a run notices of it.

uv run python bench_export.py [--runs 10000] [--repetitions 3] [--json FILE]
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measure

TARGETS = ("otlp", "langfuse", "langsmith")
PACE = {"a model that answers at once": 0.0, "a model that takes 20 ms": 0.02}


@contextmanager
def sink() -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, str(measure.HERE / "sink.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def whole_logs(options: argparse.Namespace, url: str) -> dict[str, list[dict[str, Any]]]:
    """Each target's exports of the same log; its ledger knows it by another host each time."""
    with measure.fresh_folder(options.folder) as folder:
        measure.script("export_many.py", folder / "log", "--write", options.runs)

        def once(name: str) -> dict[str, Any]:
            (folder / "log" / "exports" / "ledger.jsonl").unlink(missing_ok=True)
            return measure.script("export_many.py", folder / "log", url, name)

        return measure.interleave(TARGETS, options.repetitions, once)


def beside(options: argparse.Namespace, url: str) -> dict[str, dict[str, list[float]]]:
    """Each pace's blocks of runs with and without an exporter."""
    found = {}
    for what, seconds in PACE.items():
        with measure.fresh_folder(options.folder) as folder:
            blocks = (options.blocks, options.block, seconds)
            found[what] = measure.script("export_runs_beside.py", folder / "log", url, *blocks)
    return found


def whole_rows(results: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """One row a target."""
    rows = []
    for name, own in results.items():
        rates = [one["spans"] / one["wall_s"] for one in own]
        cpu = [one["cpu_s"] / one["spans"] * 1e6 for one in own]
        grown = [one["rss_mb"] - one["rss_before_mb"] for one in own]
        rows.append([
            name, *(str(measure.spread(values)) for values in (rates, cpu, grown)),
            str(own[0]["requests"]), measure.digits(own[0]["mb"]),
        ])  # fmt: skip
    return rows


def beside_rows(results: dict[str, dict[str, list[float]]]) -> list[list[str]]:
    """One row a pace."""
    return [
        [what, str(measure.spread(own["without"])), str(measure.spread(own["with"])),
         str(measure.ratios(own["with"], own["without"]))]
        for what, own in results.items()
    ]  # fmt: skip


def show(report: dict[str, Any]) -> None:
    """Print both tables."""
    print(measure.heading("Exporting", report["facts"]))
    print(f"## A log of {report['runs']} runs of 20 spans; median (least-most) of {report['repetitions']}\n")
    header = ("target", "spans/s", "CPU us a span", "memory grown, MB", "requests", "MB sent, before gzip")
    print(measure.table(header, whole_rows(report["whole"])), "\n")
    print("## A run's latency with an exporter beside it, ms; the ratio is of neighbouring blocks\n")
    print(measure.table(("the run has", "without", "with", "with / without"), beside_rows(report["beside"])))


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--block", type=int, default=40, help="runs in a block")
    parser.add_argument("--folder", type=Path, help="where to write; on the disk you care about, not on tmpfs")
    parser.add_argument("--json", type=Path, help="keep the figures here")
    options = parser.parse_args(given)
    with measure.fresh_folder(options.folder) as folder:
        facts = {"machine": measure.machine(folder)}
    facts["versions"] = measure.versions(["jupyter-agentkit", "opentelemetry-sdk", "httpx", "protobuf"])
    with sink() as url:
        report = {
            "facts": facts,
            "runs": options.runs,
            "repetitions": options.repetitions,
            "whole": whole_logs(options, url),
            "beside": beside(options, url),
        }
    show(report)
    measure.write_json(options.json, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
