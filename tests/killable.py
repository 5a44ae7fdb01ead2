"""Runs scenarios on a real log in processes that are killed: a server that forks one process for each order.

Start-up is paid once: the server has imported everything and opened nothing; engine, log and ledger are the child's.
An order is a line of JSON on standard input, the line that answers it says how the child ended.
"""

import json
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

from pipeline_scenarios import PipelineScenario, scenario_of
from scenario_tools import TOOLS, FileLedger
from scenarios import Scenario, finish
from what_matters import answered_prompts, what_matters

from agentkit.errors import RunNotFound
from agentkit.events import Event, StepStarted, ToolStarted
from agentkit.log import open_log
from agentkit.runner import start
from agentkit.runner.load import load_state
from agentkit.runner.run import Run
from agentkit.store import Store
from agentkit.testing import FailPoints


class Server:
    """The server as its owner sees it: gives orders, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )

    def run(
        self, seed: int, folder: Path, run_id: str, *, at: str | None = None, nth: int = 1, log: str | None = None
    ) -> dict[str, Any] | None:
        """Begin a scenario in a folder, or go on with the one that is there, until it ends or is killed.

        Args:
            seed: the scenario.
            folder: where its ledger is, and its log.
            run_id: the run.
            at: the fail point at which it is killed; None lets it end.
            nth: at which time it gets there.
            log: the URL of its log, where that is not in the folder.

        Returns:
            What the process found out; None when it was killed.
        """
        report = folder / "report"
        report.unlink(missing_ok=True)
        order = {"seed": seed, "folder": str(folder), "run_id": run_id, "at": at, "nth": nth, "log": log}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        if code == -9:
            return None
        found = pickle.loads(report.read_bytes())
        assert "problem" not in found, f"{order}: {found['problem']}"
        return found

    def close(self) -> None:
        """End the server."""
        self._process.stdin.close()
        self._process.wait(10)


def serve() -> None:
    """Fork a child for each order."""
    scenarios: dict[int, Scenario | PipelineScenario] = {}
    for line in sys.stdin:
        order = json.loads(line)
        seed = order["seed"]
        if seed not in scenarios:
            scenarios[seed] = scenario_of(seed)
        child = os.fork()
        if child == 0:
            work(scenarios[seed], **(order | {"folder": Path(order["folder"])}))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def work(
    scenario: Scenario | PipelineScenario,
    *,
    seed: int,
    folder: Path,
    run_id: str,
    at: str | None,
    nth: int,
    log: str | None,
) -> None:
    """One order, in the child; never returns."""
    del seed
    try:
        with FailPoints(at, nth=nth, action="kill") as points:
            found = take_up(scenario, folder, run_id, log)
        found["reached"] = dict(points.reached)
    except BaseException:
        found = {"problem": traceback.format_exc()}
    (folder / "report").write_bytes(pickle.dumps(found))
    os._exit(0)


def take_up(scenario: Scenario | PipelineScenario, folder: Path, run_id: str, log: str | None) -> dict[str, Any]:
    """Go on with the run in this folder to its end, or begin it."""
    store = open_log(log or folder / "log").store
    ledger = scenario.ledger = FileLedger(folder / "ledger")
    before = len(ledger.find("model"))
    events = family_events(store, run_id)
    if not events:
        wrote = [entry for entry in ledger.find("called") if TOOLS[entry["tool"]].writes]
        assert not wrote, f"it wrote, and the log knows nothing of it: {wrote}"
        start.new_id = lambda: run_id  # ours, so that the next process finds the run whenever this one is killed
        driver = start.start(store, scenario.definition, scenario.given, deps=scenario)
        run = Run(store, run_id, driver=driver)
    else:
        run = Run(store, run_id, definition=scenario.definition)
        if not load_state(store, run_id).ended:
            run.resume(deps=scenario)
    finish(run, ledger)
    asked = {entry["sha256"] for entry in ledger.find("model")[before:]}
    found = {
        "matters": what_matters(store, run.run_id),
        "ledger": ledger.find("called") + ledger.find("effect"),
        "asked_again": asked & answered_prompts(events),
    }
    store.close()
    return found


def family_events(store: Store, run_id: str) -> list[Event]:
    """The events of a run and of those it called; none where nothing of it is on disk."""
    try:
        events = store.read(run_id)
    except RunNotFound:
        return []
    children = [event.body.child_run_id for event in events if isinstance(event.body, ToolStarted | StepStarted)]
    return events + [event for child in dict.fromkeys(filter(None, children)) for event in family_events(store, child)]


if __name__ == "__main__":
    serve()
