"""What the README's questions cost on logs of 1 and 10 million events, and whether the goals hold.

    python tests/bench/bench_queries.py --events 1_000_000 --json out.json

The log is generated straight into a DuckDB file with agentkit's own tables and asked through `Warehouse.query`, views
and SQL guard included. CPU is the process's, all threads; wall is the clock's; both the best and the median of the
rounds. 10 million events take about 4 GB of disk while they are made.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from agentkit.stores.embedded.warehouse import Warehouse

PER_RUN = 60
BATCH = 5_000  # runs in one insert
NEEDS = 800  # bytes of disk an event takes while the log is made

# seq 1 begins a run, 2 to 56 are eleven turns of five events, 57 and 58 ask a person, 60 ends the run
GENERATE = """
INSERT INTO log.events_cold
SELECT
  CAST(printf('%08x-%04x-7%03x-8%03x-%012x', ms >> 16, ms & 65535, run & 4095, run % 4093, hash(run) >> 16) AS UUID),
  seq, make_timestamptz((ms + seq * 700) * 1000), type,
  CASE WHEN type LIKE 'model%' THEN 'model/' || turn WHEN type LIKE 'tool%' OR type = 'decided' THEN
    'tool/' || tool || '/' || turn WHEN type LIKE 'approval%' THEN 'tool/refund/1' END,
  CASE WHEN type LIKE 'model%' OR type LIKE 'tool%' THEN 1 END,
  CASE WHEN type LIKE 'model%' THEN 'openai/gpt-5-mini' WHEN type LIKE 'tool%' THEN tool WHEN type LIKE 'approval%'
    THEN 'refund' WHEN type = 'run_started' THEN 'support' END,
  CASE type WHEN 'run_started' THEN 'running' WHEN 'run_succeeded' THEN 'succeeded' WHEN 'run_paused' THEN 'paused'
    WHEN 'model_responded' THEN 'ok' WHEN 'tool_succeeded' THEN 'ok' WHEN 'tool_failed' THEN 'error' END,
  CASE WHEN type IN ('model_responded', 'tool_succeeded', 'tool_failed') THEN 20 + r % 4000 / 3.0 END,
  CASE WHEN type = 'model_responded' THEN 800 + r % 5000 END,
  CASE WHEN type = 'model_responded' THEN 20 + r % 700 END,
  CASE WHEN type = 'model_responded' THEN (800 + r % 5000) * 25e-8 + (20 + r % 700) * 2e-6 END,
  NULL,
  CASE WHEN type LIKE 'approval%' THEN printf('%016x', hash(run)) END,
  '{"call_id":"call_' || md5(CAST(r AS VARCHAR)) || '",' || CASE type
    WHEN 'run_started' THEN '"kind":"agent","definition_sha256":"' || md5('d') || '","tags":["bench"],'
    WHEN 'approval_requested' THEN '"kind":"call","prompt":"Run refund?",'
    WHEN 'approval_answered' THEN '"verdict":"approve","who":"kim",'
    WHEN 'tool_started' THEN '"arguments":{"order_id":"A-' || r % 100000 || '"},' ELSE '' END
    || '"text":"' || words[CAST(r % 500 AS INTEGER):CAST(400 + r % 700 AS INTEGER)]
    || '","refs":["' || md5(CAST(r + 1 AS VARCHAR)) || '","' || md5(CAST(r + 2 AS VARCHAR)) || '","'
    || sha256(CAST(r + 3 AS VARCHAR)) || sha256(CAST(r + 4 AS VARCHAR))
    || sha256(CAST(r + 5 AS VARCHAR)) || '"]}',
  1
FROM (
  SELECT *, 1767225600000 + run * 2500 AS ms, (seq - 2) // 5 + 1 AS turn,
    CAST(hash(run * 64 + seq) >> 33 AS BIGINT) AS r,
    'tool_' || CAST(hash(run * 64 + (seq - 2) // 5) % 12 AS VARCHAR) AS tool,
    CASE WHEN seq = 1 THEN 'run_started'
      WHEN seq <= 56 THEN CASE (seq - 2) % 5 WHEN 0 THEN 'model_requested' WHEN 1 THEN 'model_responded'
        WHEN 2 THEN 'decided' WHEN 3 THEN 'tool_started'
        ELSE CASE WHEN hash(run * 64 + seq) % 20 = 0 THEN 'tool_failed' ELSE 'tool_succeeded' END END
      WHEN seq = 57 THEN 'approval_requested'
      WHEN seq = 58 THEN CASE WHEN run % 1000 = 7 THEN 'note' ELSE 'approval_answered' END
      WHEN seq = 59 THEN 'note' WHEN run % 1000 = 7 THEN 'run_paused' ELSE 'run_succeeded' END AS type
  FROM (SELECT unnest(range($first, $last)) AS run), (SELECT CAST(unnest(range(1, 61)) AS INTEGER) AS seq)
), (SELECT string_agg(md5(CAST(i AS VARCHAR))[1:CAST(3 + i % 9 AS INTEGER)], ' ') AS words FROM range(200) t(i))
ORDER BY run, seq
"""

QUESTIONS = {
    "cost per run, all runs": "SELECT run_id, sum(cost_usd) FROM costs GROUP BY run_id ORDER BY 2 DESC LIMIT 20",
    "p95 latency per tool": "SELECT name, quantile_cont(duration_ms, 0.95) FROM tool_calls WHERE status = 'ok' "
    "GROUP BY name ORDER BY name",
    "one run's events": "SELECT * FROM events WHERE run_id = $run ORDER BY seq",
    "pending approvals": "SELECT run_id, approval_id, step, name, requested_at FROM approvals WHERE status = 'pending'",
    "status of 100 runs": "SELECT run_id, status FROM runs WHERE run_id IN ($runs)",
    "cost of one run": "SELECT status, cost_usd, input_tokens FROM runs WHERE run_id = $run",
    "runs by status": "SELECT status, count(*) FROM runs GROUP BY status",
    "the last 20 runs": "SELECT run_id, name, status, cost_usd FROM runs ORDER BY run_id DESC LIMIT 20",
}
GOALS = dict.fromkeys(list(QUESTIONS)[:5], 0.3) | {"pending approvals": 0.6}  # seconds of CPU at 10 million events


def generate(warehouse: Warehouse, runs: int) -> None:
    """Fill the file with runs, in the order of their ids, as folding does."""
    warehouse.fold([])
    for first in range(0, runs, BATCH):
        with warehouse._file.writing() as connection:
            connection.execute(GENERATE, {"first": first, "last": min(first + BATCH, runs)})


def measure(warehouse: Warehouse, rounds: int) -> list[dict[str, object]]:
    """Ask each question in turn, round by round, so that a busy moment of the machine hits all of them."""
    known = [
        row[0] for row in warehouse.query("SELECT run_id FROM events WHERE seq = 1 ORDER BY hash(run_id) LIMIT 100", {})
    ]
    listed = ", ".join(f"'{run_id}'" for run_id in known)  # a list in the text prunes, a subquery would not
    taken: dict[str, list[tuple[float, float, int]]] = {name: [] for name in QUESTIONS}
    for _ in range(rounds):
        for name, sql in QUESTIONS.items():
            wanted = {"run": known[50]} if "$run " in f"{sql} " else {}
            cpu, wall = time.process_time(), time.perf_counter()
            found = warehouse.query(sql.replace("$runs", listed), wanted)
            taken[name].append((time.process_time() - cpu, time.perf_counter() - wall, len(found)))
    return [
        {
            "question": name,
            "rows": times[0][2],
            "cpu_s": round(statistics.median(t[0] for t in times), 4),
            "cpu_best_s": round(min(t[0] for t in times), 4),
            "wall_s": round(statistics.median(t[1] for t in times), 4),
            "goal_cpu_s": GOALS.get(name),
        }
        for name, times in taken.items()
    ]


def main() -> None:
    """Generate, ask, print, delete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", default="256MB")
    parser.add_argument("--folder", type=Path, help="use the log in it, made by an earlier call, and keep it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="agentkit-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < options.events * NEEDS * 1.5:
        raise SystemExit(f"{folder}: {options.events} events need {options.events * NEEDS / 1e9:.1f} GB of free disk")
    try:
        report = bench(folder, options)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def bench(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """One log's figures, printed."""
    warehouse = Warehouse(folder, memory_limit=options.memory)
    began = time.perf_counter()
    if not (folder / "log.duckdb").exists():
        generate(warehouse, options.events // PER_RUN)
    made = time.perf_counter() - began
    size = (folder / "log.duckdb").stat().st_size
    [(events, body)] = warehouse.query("SELECT count(*), avg(strlen(body)) FROM events", {})
    warehouse.close()
    warehouse = Warehouse(folder, memory_limit=options.memory)
    results = measure(warehouse, options.rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{events:,} events, bodies {body:.0f} B, file {size / 1e6:.0f} MB ({size / events:.0f} B an event)")
    print(f"made in {made:.0f} s; memory_limit {options.memory}, peak RSS {peak:.0f} MB, load {os.getloadavg()[0]:.1f}")
    print(f"{'question':<26}{'rows':>7}{'CPU s':>9}{'best':>9}{'wall s':>9}{'goal':>7}")
    for row in results:
        print(
            f"{row['question']:<26}{row['rows']:>7}{row['cpu_s']:>9.3f}{row['cpu_best_s']:>9.3f}{row['wall_s']:>9.3f}"
            f"{row['goal_cpu_s'] or '':>7}"
        )
    warehouse.close()
    return {
        "events": events,
        "file_bytes": size,
        "memory_limit": options.memory,
        "peak_rss_mb": peak,
        "results": results,
    }


if __name__ == "__main__":
    main()
