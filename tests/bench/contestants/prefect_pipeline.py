"""Prefect as its users run it on one machine: flows over tasks whose results are kept, and its temporary server."""

import os
from pathlib import Path

import pipeline_work

# Prefect reads these when it is imported. Without a heartbeat a run is spared waiting up to a second at its end.
SPARED = {
    "PREFECT_FLOWS": '{"heartbeat_frequency": null}',
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


class Contestant:
    """Two flows; Prefect starts a server of its own at the first run and stops it when the process ends."""

    def __init__(self, folder: Path) -> None:
        os.environ.update(SPARED, PREFECT_HOME=str(folder))
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner

        names = ("a", "b", "c", "work", "count")
        a, b, c, work, count = (task(getattr(pipeline_work, name), persist_result=True) for name in names)

        @flow(persist_result=True)
        def three(x: int) -> dict:
            return c(b(a(x)))

        @flow(persist_result=True, task_runner=ThreadPoolTaskRunner(max_workers=pipeline_work.CONCURRENCY))
        def fan(items: list[int]) -> int:
            return count(work.map(items).result())

        self.three, self.fan = three, fan

    def close(self) -> None:
        """Nothing: what is kept has been written, and the server ends with the process."""
