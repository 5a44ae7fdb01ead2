"""Exporting a whole log in one fresh process: `export_many.py FOLDER URL` prints what it cost as JSON.

`export_many.py FOLDER --write RUNS` writes that log first, in a process of its own: runs of 20 spans each.
"""

import json
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workload import ANSWER, QUESTION, turn

import agentkit as ak
from agentkit import ids
from agentkit.events import (
    Decided,
    Event,
    Header,
    ModelRequested,
    ModelResponded,
    RunStarted,
    RunSucceeded,
    ToolStarted,
    ToolSucceeded,
)
from agentkit.export import Target
from agentkit.export.backlog import backlog
from agentkit.export.delivery import Delivery
from agentkit.messages import ToolCall

TURNS = 6  # three spans each and the last answer's, with the run's own: 20


def one_run(run_id: str) -> list[Event]:
    """The events of a run of `TURNS` calls and an answer."""
    bodies: list[tuple[Any, dict[str, Any]]] = []
    began = RunStarted(kind="agent", definition_sha256="0" * 64, header=Header(instructions="Help."), input=QUESTION)
    bodies.append((began, {"name": "support", "status": "running"}))
    for number in range(1, TURNS + 1):
        made = turn(number)
        model, tool = {"step": f"model/{number}", "name": "gpt-5-mini"}, f"tool/find_order/{number}"
        call = ToolCall(id=f"call_{number}", name="find_order", arguments=made.arguments)
        answered = {"status": "ok", "input_tokens": 900, "output_tokens": 40, "cost_usd": 0.001, "attempt": 1}
        bodies += [
            (ModelRequested(request_sha256="0" * 64, messages=number), {**model, "attempt": 1}),
            (ModelResponded(tool_calls=(call,)), {**model, **answered}),
            (Decided(action="find_order", call_id=call.id), {"step": tool, "name": "find_order"}),
            (
                ToolStarted(call_id=call.id, arguments=made.arguments, idempotency_key="k"),
                {"step": tool, "name": "find_order", "attempt": 1},
            ),
            (ToolSucceeded(call_id=call.id, result=made.result), {"step": tool, "name": "find_order", "attempt": 1}),
        ]
    last = {"step": f"model/{TURNS + 1}", "name": "gpt-5-mini", "attempt": 1}
    bodies += [
        (ModelRequested(request_sha256="0" * 64, messages=TURNS), last),
        (ModelResponded(text=ANSWER), {**last, "status": "ok", "input_tokens": 900, "output_tokens": 40}),
        (RunSucceeded(output=ANSWER), {"status": "succeeded"}),
    ]
    start = datetime.now(UTC)
    return [
        Event(run_id=run_id, seq=seq, ts=start + timedelta(milliseconds=seq), body=body, **columns)
        for seq, (body, columns) in enumerate(bodies, 1)
    ]


def write(folder: Path, runs: int) -> dict[str, Any]:
    """Write the log, and fold it."""
    log = ak.open_log(folder)
    size = 0
    for _ in range(runs):
        run_id = ids.new_id()
        events = one_run(run_id)
        claim = log.store.claim(run_id, new=True)
        log.store.append(claim, events, durable=False)
        log.store.release(claim)
        size += sum(len(event.body_json()) for event in events)
    log.store.fold(timeout=60)
    log.close()
    return {"runs": runs, "content_mb": size / 1e6}


def rss_mb() -> float:
    """The highest resident size so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def export(folder: Path, url: str, name: str) -> dict[str, Any]:
    """Send all of it."""
    log = ak.open_log(folder)
    where = Target(name, url)
    found = backlog(log.store, where)
    warm = Delivery(log.store, where)
    warm.send(found[:50])  # imports, connections and DuckDB's memory are there
    before, wall, cpu = rss_mb(), time.perf_counter(), time.process_time()
    outcome = Delivery(log.store, where).send(found[50:])
    assert outcome.down is None, str(outcome.down)
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "runs": outcome.sent,
        "spans": outcome.spans,
        "mb": outcome.size / 1e6,
        "requests": outcome.requests,
        "rss_before_mb": before,
        "rss_mb": rss_mb(),
    }


if __name__ == "__main__":
    place, *rest = sys.argv[1:]
    print(json.dumps(write(Path(place), int(rest[1])) if rest[0] == "--write" else export(Path(place), *rest)))
