"""What a log holds, seen by a fresh process through SQL: `events.py FOLDER` prints counts as JSON."""

import json
import sys

import agentkit as ak

COUNTS = "SELECT CAST(run_id AS VARCHAR), count(*), count(DISTINCT seq), max(seq) FROM events GROUP BY run_id"

if __name__ == "__main__":
    log = ak.open_log(sys.argv[1])
    runs = {run_id: {"events": held, "distinct": seqs, "last": last} for run_id, held, seqs, last in log.sql(COUNTS)}
    log.close()
    print(json.dumps({"events": sum(run["events"] for run in runs.values()), "runs": runs}))
