"""The server of `mcp_server.py` as its tests use it: started, asked, killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
from small_agents import SOON

import agentkit as ak
from agentkit.testing import FunctionModel, call

SERVER = str(Path(__file__).parent / "mcp_server.py")
QUICK = ak.Retry(initial=0.01, max=0.05)
PATIENT = ak.Retry(initial=0.2, factor=1, max_attempts=100, jitter="none")
ONCE = ak.Retry(max_attempts=1)


def stdio(folder, *args, **options):
    return ak.MCP.stdio("python", SERVER, str(folder), *args, **options)


def ran(log, tools, *turns):
    """A run of an agent whose model says these turns, then "done"."""
    said = [*turns, "done"]
    model = FunctionModel(lambda request: said[sum(message.role == "assistant" for message in request.messages)])
    return ak.Agent("clerk", model, tools=tools).run("go", log=log)


def results(log, tools, *turns):
    """What the model was told of its calls."""
    run = ran(log, tools, *turns)
    assert run.result(SOON) == "done"
    return [message.content for message in run.state.messages if message.role == "tool"]


def ledger(folder):
    """What the server did."""
    path = folder / "ledger"
    return path.read_text().splitlines() if path.exists() else []


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def pid_of(log, server):
    return int(results(log, server.tools("look"), call("look"))[0])


def gone(pid):
    """Whether the process ends within some seconds."""
    deadline = time.monotonic() + SOON
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def until(what):
    deadline = time.monotonic() + SOON
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children():
    """Our processes that run, without those that end just now."""
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and child.cmdline():
                yield child
        except psutil.Error:
            continue


class Remote:
    """A server over HTTP that can be killed and started again at its address."""

    def __init__(self, folder, *args):
        self.folder, self.args = folder, args
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.start()

    def start(self):
        command = [sys.executable, SERVER, str(self.folder), "--http", str(self.port), *self.args]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(self.answers)

    def answers(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()
