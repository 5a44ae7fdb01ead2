"""What `import agentkit` costs, against `import pydantic`, and that nothing heavy comes with it.

uv run python bench_import.py [--repetitions 15] [--json FILE]
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure

GOAL = 1.4
HEAVY = ("litellm", "langfuse", "duckdb", "IPython", "ipywidgets", "anywidget")
# `import pydantic` defers its parts until they are named, so what anybody pays who defines a model stands beside it.
STATEMENTS = {
    "nothing": "pass",
    "pydantic": "import pydantic",
    "a pydantic model": "from pydantic import BaseModel\nclass M(BaseModel):\n    x: int",
    "agentkit": "import agentkit",
    "agentkit.Agent": "import agentkit\nagentkit.Agent",
}


def cpu_ms(name: str) -> float:
    """CPU milliseconds, user and system, of a fresh interpreter that runs a statement, files already cached."""
    child = subprocess.Popen([sys.executable, "-c", STATEMENTS[name]], stderr=subprocess.PIPE)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise RuntimeError(f"{STATEMENTS[name]!r} failed: {child.stderr.read().decode()[-2000:]}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def loaded(statement: str) -> list[str]:
    """Which heavy modules a statement brings in."""
    say = f"{statement}\nimport sys, json\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True)
    return [name for name in HEAVY if f'"{name}"' in done.stdout]


def show(report: dict[str, Any]) -> bool:
    """Print the table; say whether the goal is met."""
    print(measure.heading("Import", report["facts"]))
    times = report["cpu_ms"]
    rows = [
        [name, str(measure.spread(own)), measure.digits(measure.ratios(own, times["pydantic"]).median)]
        for name, own in times.items()
    ]
    print(measure.table(("statement", "CPU ms", "x import pydantic"), rows), "\n")
    used = measure.ratios(times["agentkit.Agent"], times["a pydantic model"]).median
    print(f"`import agentkit` defers its parts too; once Agent is named, it is {used:.2f} x a first pydantic model")
    ratio = measure.ratios(times["agentkit"], times["pydantic"]).median
    met = ratio <= GOAL and not report["heavy"]
    print(f"goal: at most {GOAL} x import pydantic: {ratio:.2f}; heavy modules loaded: {report['heavy'] or 'none'}")
    print("met" if met else "MISSED")
    return met


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(given)
    for name in STATEMENTS:  # once unmeasured, so that every repetition finds its bytecode written
        cpu_ms(name)
    report: dict[str, Any] = {
        "facts": {
            "machine": measure.machine(Path.cwd()),
            "versions": measure.versions(["jupyter-agentkit", "pydantic"]),
        },
        "cpu_ms": measure.interleave(list(STATEMENTS), options.repetitions, cpu_ms),
        "heavy": loaded(STATEMENTS["agentkit.Agent"]),
    }
    met = show(report)
    measure.write_json(options.json, report)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
