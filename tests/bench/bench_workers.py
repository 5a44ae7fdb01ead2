"""Workers beside a process that maps by itself, on a team's log in PostgreSQL.

    uv run --project ../.. python bench_workers.py [--json FILE]

The server is started for it, on the disk of `--folder`, as durable as PostgreSQL is by default. Times are those of the
events, so a process's start is not in them.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import measure
import worker_items

sys.path.append(str(Path(__file__).parent.parent))
from postgres_server import PostgresServer, fresh_database, running

import agentkit as ak

ALONE = 0.3
"""So much of what `map` does in one process may a worker do at least: it reads, claims and gives back each run."""
SLOTS = 16
_SPAN = """
SELECT extract(epoch FROM max(ts) - min(ts)) FROM events
WHERE type IN ('run_succeeded', CASE WHEN $submitted THEN 'run_resumed' ELSE 'run_started' END)
"""
_WAITED = """
SELECT extract(epoch FROM taken.ts - given.ts) FROM events AS given JOIN events AS taken USING (run_id)
WHERE given.type = 'run_started' AND taken.type = 'run_resumed'
"""


@contextmanager
def worker(log: ak.Log, *more: str) -> Generator["subprocess.Popen[bytes]"]:
    """A worker process, ready."""
    command = [sys.executable, "-W", "ignore", "-m", "agentkit", "worker", worker_items.__file__, "--log", log.url]
    with subprocess.Popen([*command, "--slots", str(SLOTS), *more], stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            process.stderr.readline()  # it says what it takes
            yield process
        finally:
            process.kill()


def rate(server: PostgresServer, workers: int, count: int) -> dict[str, float]:
    """Runs a second: by so many workers, or with none by `map` in this process."""
    log = ak.open_log(fresh_database(server))
    try:
        if not workers:
            worker_items.quick.map(range(count), concurrency=SLOTS, log=log, progress=False).result()
            return {"runs_s": count / log.sql(_SPAN, submitted=False)[0][0]}
        began = time.perf_counter()
        runs = [worker_items.quick.submit(n=n, log=log) for n in range(count)]
        submitted = count / (time.perf_counter() - began)
        with ExitStack() as open_:
            for process in [open_.enter_context(worker(log, "--until-idle")) for _ in range(workers)]:
                process.wait()
        assert all(run.status == "succeeded" for run in runs)
        return {"runs_s": count / log.sql(_SPAN, submitted=True)[0][0], "submitted_s": submitted}
    finally:
        log.close()


def idle(server: PostgresServer, count: int) -> list[float]:
    """Milliseconds from a run's first event until an idle worker has it."""
    log = ak.open_log(fresh_database(server))
    rng = random.Random(1)
    with worker(log):
        for n in range(count):
            time.sleep(rng.uniform(0.0, 1.0))
            worker_items.quick.submit(n=n, log=log).result(30)
        waited = [1000 * row[0] for row in log.sql(_WAITED)]
    log.close()
    return waited


def taken_over(server: PostgresServer, repetitions: int) -> list[float]:
    """Milliseconds from a worker's SIGKILL until the other one has all of its runs."""
    found = []
    for _ in range(repetitions):
        log = ak.open_log(fresh_database(server))
        with worker(log) as doomed:
            runs = [worker_items.slow.submit(n=n, log=log) for n in range(8)]
            while any(run.state.activation == 1 for run in runs):
                time.sleep(0.01)
            with worker(log):
                doomed.send_signal(signal.SIGKILL)
                doomed.wait()  # one that nobody waited for still has its pid
                began = time.perf_counter()
                while any(run.state.activation == 2 for run in runs):
                    time.sleep(0.005)
                found.append(1000 * (time.perf_counter() - began))
        log.close()
    return found


def report(server: PostgresServer, options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    names = {"map in one process": 0, "1 worker": 1, "2 workers": 2}
    return {
        "rates": measure.interleave(
            list(names), options.repetitions, lambda name: rate(server, names[name], options.count)
        ),
        "idle": idle(server, 20),
        "taken over": taken_over(server, options.repetitions),
    }


def show(found: dict[str, Any]) -> bool:
    """Print it; say whether the goal is met."""
    rates = found["rates"]
    over = {
        name: measure.ratios(*([each["runs_s"] for each in rates[one]] for one in (name, "map in one process")))
        for name in rates
    }
    print("## Runs of five durable steps a second; median (least-most) of the repetitions\n")
    rows = [[name, str(measure.spread([each["runs_s"] for each in rates[name]])), str(over[name])] for name in rates]
    print(measure.table(("", "runs/s", "x map"), rows), "\n")
    submitted = measure.spread([each["submitted_s"] for each in rates["1 worker"]])
    print(f"Submitted one after the other: {submitted} a second.")
    print(f"An idle worker has a run after {measure.spread(found['idle'])} ms.")
    print(f"A killed worker's eight runs are another's after {measure.spread(found['taken over'])} ms.\n")
    met = over["1 worker"].median >= ALONE
    print(f"goal: one worker at least {ALONE} x map in one process: {'met' if met else 'missed'}")
    return met


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--count", type=int, default=300, help="runs a repetition")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(given)
    os.environ.pop("AGENTKIT_LOG", None)
    with running(fsync=True, parent=options.folder) as server:
        version = server.execute("SHOW server_version")[0][0]
        facts = {
            "machine": measure.machine(server.folder),
            "versions": measure.versions(["jupyter-agentkit", "psycopg"]) | {"PostgreSQL": version},
        }
        print(measure.heading("workers", facts))
        found = report(server, options)
    met = show(found)
    measure.write_json(options.json, {"facts": facts, **found})
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
