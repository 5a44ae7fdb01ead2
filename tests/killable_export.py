"""Exports in processes that are killed: a server that forks one process for each order, as `killable` does for runs."""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import agentkit as ak
from agentkit.export import Target
from agentkit.export.background import Exporter
from agentkit.export.backlog import backlog
from agentkit.export.delivery import Delivery
from agentkit.testing import FailPoints, ScriptedModel


class Server:
    """The server as its owner sees it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parent,
        )  # fmt: skip

    def order(self, what: str, folder: Path, url: str, *, at: str | None = None, nth: int = 1) -> bool:
        """Have a process do something with a log.

        Args:
            what: "deliver" sends what is recorded, "run" runs an agent in a log that exports.
            folder: where the log is.
            url: the target's.
            at: the fail point at which it is killed; None lets it end.
            nth: at which time it gets there.

        Returns:
            Whether it came to its end.
        """
        order = {"what": what, "log": str(folder / "log"), "url": url, "at": at, "nth": nth}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        assert code in {0, -9}, f"{order} ended with {code}"
        return code == 0

    def close(self) -> None:
        """End the server."""
        self._process.stdin.close()
        self._process.wait(10)


def serve() -> None:
    """Fork a child for each order."""
    import httpx  # noqa: F401  once, for all children
    import opentelemetry.exporter.otlp.proto.common.trace_encoder
    import opentelemetry.sdk.trace  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            work(order)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def work(order: dict) -> None:
    """One order, in the child; never returns."""
    try:
        with FailPoints(order["at"], nth=order["nth"], action="kill"):
            log = ak.open_log(order["log"])
            # a request for each run, so that each point is reached more than once
            where = Target("otlp", f"{order['url']}/v1/traces", max_bytes=1)
            (deliver if order["what"] == "deliver" else run)(log, where)
            log.close()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def deliver(log: ak.Log, where: Target) -> None:
    """Send what is recorded."""
    delivery = Delivery(log.store, where, pauses=())
    assert delivery.send(backlog(log.store, where)).down is None


def run(log: ak.Log, where: Target) -> None:
    """Run an agent in a log that exports, and wait until all is sent."""
    log.exporter = Exporter(log.store, [where])
    ak.Agent("support", ScriptedModel(["Done."]), "Help with orders.").run("hello", log=log).result(20)
    assert log.exporter.flush(20)


if __name__ == "__main__":
    serve()
