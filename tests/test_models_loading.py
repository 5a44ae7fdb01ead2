"""litellm comes in the background, quietly and without the network; a wrong name is told before that."""

import subprocess
import sys
from pathlib import Path

import pytest
from dialects import Reply  # noqa: F401  the scripts below import it from this folder
from faults import KEY

from agentkit.models import catalogue
from agentkit.models.loading import warm

HERE = Path(__file__).parent

# what a script that makes an agent begins with: every attempt to reach a machine but this one is written down
WATCH = """
import socket, sys, threading, time
reached = []
look_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: reached.append(host) or look_up(host, *more, **named)
connect = socket.socket.connect
socket.socket.connect = lambda self, address: reached.append(address) or connect(self, address)
import agentkit as ak
from agentkit.testing import forbid_real_models
"""


def python(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", WATCH + script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=HERE,
        env={"PATH": "", "HOME": "/nowhere", **environment},
    )


def test_the_import_is_quiet_and_asks_nobody():
    """Making an agent begins it; it prints nothing and reaches no machine."""
    done = python("""
agent = ak.Agent("support", "openai/gpt-5-mini")
from agentkit.models.loading import warm
warm().result(timeout=100)
assert "litellm" in sys.modules
assert not reached, reached
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_run_prints_nothing_and_asks_nobody_else():
    """Nor do its errors: no advertisement, no log lines, no telemetry; tools need no mcp package; the process ends."""
    done = python(
        """
sys.modules["mcp"] = None
from faults import CALL, Cut, FaultServer, Reply, Status, QUICK, find_order
forbid_real_models()
script = [Status(500), Cut(), Reply(text="", calls=CALL, finish="tool_calls"), Status(401)]
with FaultServer(script) as server:
    settings = {"api_base": server.url}
    agent = ak.Agent("support", "loopback/openai/gpt-5-mini", tools=[find_order], retry=QUICK, settings=settings)
    try:
        agent.run("Where is it?", log=ak.open_log("memory:")).result(timeout=100)
    except ak.RunFailed:
        pass
    assert len(server.requests) == 4
elsewhere = [place for place in reached if "127.0.0.1" not in str(place)]
assert not elsewhere, elsewhere
""",
        OPENAI_API_KEY=KEY,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_script_that_only_makes_an_agent_does_not_wait_for_the_import():
    """It ends in peace in the midst of it."""
    done = python("""
import atexit
agent = ak.Agent("support", "openai/gpt-5-mini")
atexit.register(lambda: print("litellm.main" in sys.modules))
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_a_run_cancelled_in_the_midst_of_the_import_takes_nothing_along():
    """Nor does a wait that timed out: the other run, and each run after it, gets litellm."""
    done = python(
        """
import asyncio
from agentkit.models.loading import at_hand, loaded, warm
from faults import FaultServer
forbid_real_models()
with FaultServer() as server:
    settings = {"api_base": server.url}
    agents = [ak.Agent(name, "loopback/openai/gpt-5-mini", settings=settings) for name in ("one", "other")]
    cancelled, kept = [agent.run("Where is it?", log=ak.open_log("memory:")) for agent in agents]
    try:
        asyncio.run(asyncio.wait_for(loaded(), 0.2))
    except TimeoutError:
        print("gave up")
    cancelled.cancel()
    print("imported:", warm().done())
    print(kept.result(timeout=100))
    print(cancelled.status, at_hand() is sys.modules["litellm"])
    print(agents[0].run("And now?", log=ak.open_log("memory:")).result(timeout=100))
""",
        OPENAI_API_KEY=KEY,
    )
    said = ["gave up", "imported: False", "It is on its way.", "cancelled True", "It is on its way."]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, said, "")


def test_a_wrong_name_is_told_without_the_import():
    """The error comes in the cell that made the mistake, and costs no seconds."""
    done = python("""
try:
    ak.Agent("support", "opnai/gpt-5-mini")
except ak.ConfigError as error:
    print(error)
assert "litellm" not in sys.modules
""")
    assert done.returncode == 0, done.stderr
    assert "did you mean 'openai/gpt-5-mini'?" in done.stdout


def test_a_fork_in_the_midst_of_the_import_is_an_error_and_no_hang():
    """The child could wait for ever for a lock whose owner it does not have."""
    done = python("""
import os
agent = ak.Agent("support", "openai/gpt-5-mini")
child = os.fork()
if child == 0:
    try:
        agent.run("Where is it?", log=ak.open_log("memory:")).result(timeout=60)
    except ak.RunFailed as error:
        os._exit(3 if "forked" in str(error) else 4)
    os._exit(5)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_provider_that_litellm_knows_is_known_before_the_import():
    """A name is refused early only where litellm itself would refuse it."""
    litellm = warm().result(timeout=100)
    providers = {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}
    assert providers - catalogue._providers() == set()
    assert len(catalogue._shipped()) > 1000


@pytest.mark.parametrize(
    "name", ["gpt-5-mini", "azure/my-deployment", "ollama/llama3", "openai/gpt-99", "claude-opus-9"]
)
def test_a_name_that_litellm_may_know_is_let_through(name):
    """Deployments and models newer than the list are the provider's to refuse."""
    catalogue.check(name)
