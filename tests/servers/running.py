"""Real servers on loopback, each a process of its own in a folder of its own, ended by its id."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

BIN = Path(sys.executable).parent
PATIENCE = 200.0
"""Seconds until a server answers: both import a web framework, a database and a machine-learning library or two."""

QUIET = {
    "PHOENIX_TELEMETRY_ENABLED": "false",
    "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
}
"""Nothing of a server under test reports home or looks for news."""


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(command, folder, url, **environment):
    """Run a server until the block ends.

    Args:
        command: a program of this environment and its arguments.
        folder: its working directory, where its output is kept too.
        url: what answers 200 once it is ready.
        environment: beside what it inherits; nothing of it reports home.
    """
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=folder,
            env={**os.environ, **QUIET, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, url, folder / "output")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # its own session: the workers it began are in it, and nobody else
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _wait(process, url, output):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"no answer from {url}; the server said:\n{output.read_text()[-3000:]}")


def until(look, enough, seconds=30.0):
    """Look until there is enough: servers take spans in the background."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if enough(found) or time.monotonic() > end:
            return found
        time.sleep(0.2)
