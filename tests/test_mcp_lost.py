"""MCP servers that die, hang, are slow or wrong; and that none outlives its process."""

import gc
import os
import re
import signal
import subprocess
import sys

import pytest
from mcp_shop import ONCE, QUICK, SERVER, children, gone, kill, ledger, pid_of, ran, results, stdio, until
from small_agents import SOON, bodies, paused

import agentkit as ak
from agentkit.errors import ConfigError, ServerUnavailable
from agentkit.events import ToolFailed, ToolSucceeded
from agentkit.testing import FunctionModel, ScriptedModel, call


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """One server, started again by whoever killed it."""
    folder = tmp_path_factory.mktemp("kept")
    with stdio(folder) as server:
        yield server, folder


@pytest.fixture
def desk(kept):
    """That server and its folder, whose ledger is empty."""
    (kept[1] / "ledger").unlink(missing_ok=True)
    return kept


def test_a_read_killed_in_mid_call_is_done_again(desk, log):
    """So is an idempotent write: with a new process, by the core's own retry."""
    server, folder = desk
    tools = server.tools("look", "put", retry=QUICK)
    for proposed, right in ((call("look"), str.isdigit), (call("put", text="x"), "put x".__eq__)):
        (folder / "kill").touch()
        run = ran(log, tools, proposed)
        assert run.result(SOON) == "done"
        (lost,) = bodies(run, ToolFailed)
        assert (lost.error.type, lost.error.retryable, lost.retrying) == ("ServerUnavailable", True, True)
        assert "was lost during the call" in lost.error.message
        assert "starting with no token" in lost.error.message
        (done,) = bodies(run, ToolSucceeded)
        assert right(done.result)
    assert ledger(folder) == ["look", "look", "put x", "put x"]


def test_a_plain_write_killed_in_mid_call_is_asked_about(desk, log):
    """Nobody knows what it did: it is not done again, and the next call of that tool asks a person."""
    server, folder = desk
    tools = server.tools("note")
    (folder / "kill").touch()
    run = ran(log, tools, call("note", text="one"), call("note", text="two"))
    (asked,) = paused(run)
    assert bodies(run, ToolFailed)[0].effect == "unknown"
    assert ledger(folder) == ["note one"]
    assert asked.arguments == {"text": "two"}
    run.approve()
    assert run.result(SOON) == "done"
    assert ledger(folder) == ["note one", "note two"]


def test_a_server_killed_between_calls_is_started_again(desk, log):
    """The call never reached the dead one, so that even a plain write just runs, once."""
    server, folder = desk
    first = pid_of(log, server)
    kill(first)
    until(lambda: not server._link.connection.alive)
    (told,) = results(log, server.tools("note"), call("note", text="one"))
    assert told == "noted one"
    assert pid_of(log, server) != first
    assert ledger(folder) == ["look", "note one", "look"]


def test_a_server_that_cannot_start_again_did_nothing(tmp_path, log):
    """A plain write that could not be sent is no unknown effect: the model may try it again."""
    script = tmp_path / "server.py"
    script.write_text(
        f"import runpy, sys\nsys.argv = ['', {str(tmp_path)!r}]\nrunpy.run_path({SERVER!r}, run_name='__main__')"
    )
    with ak.MCP.stdio("python", str(script)) as server:
        tools = server.tools("note")
        pid = pid_of(log, server)
        script.write_text("import sys; sys.exit('no licence')")
        kill(pid)
        until(lambda: not server._link.connection.alive)
        (told,) = results(log, tools, call("note", text="one"))
    assert told["error"]["type"] == "ToolError"
    assert "nothing was done" in told["error"]["message"]
    assert "no licence" in told["error"]["message"]
    assert told["error"]["retrying_can_help"]


def test_a_changed_tool_is_refused_until_it_is_taken_anew(tmp_path, log):
    """What the agent was given, and a person approved, is what runs: on the new and the old kind of server."""
    for era in ([], ["--legacy"]):
        with stdio(tmp_path, *era) as server:
            tools = server.tools("look", "grow")
            first, _, refused = results(log, tools, call("look"), call("grow"), call("look"))
            assert int(first)
            assert "is not what it was when this agent was made" in refused["error"]["message"]
            assert results(log, server.tools("grown", "look"), call("grown"))[0] == "here"


def test_another_version_of_the_server_asks_again(tmp_path, log):
    """An approval is bound to the tool's schema and its server."""
    said = FunctionModel(lambda request: "done" if len(request.messages) > 1 else call("note", text="one"))
    with stdio(tmp_path) as one, stdio(tmp_path, "--version", "2") as two:
        first = ak.Agent("noter", said, tools=one.tools("note", approve=True))
        run = first.run("go", log=log)
        paused(run)
        again = ak.Agent("noter", said, tools=two.tools("note", approve=True))
        run.approve()
        assert [asked.because for asked in paused(run)] == ["changed"]
        run.approve()
        assert run.result(SOON) == "done"
    assert again.definition.tools["note"].source_sha256 != first.definition.tools["note"].source_sha256
    assert ledger(tmp_path) == ["note one"]


# time and cancelling --------------------------------------------------------------------------------------------------


def test_a_call_that_takes_too_long_is_given_up(desk, log):
    """The server is told, and serves the next call; the error says which server, which tool and how long."""
    server, folder = desk
    tools = [*server.tools("wait", timeout=0.2, retry=ONCE), *server.tools("look")]
    late, number = results(log, tools, call("wait"), call("look"))
    assert late["error"]["type"] == "TimeoutError"
    assert re.fullmatch(r"wait of python .*mcp_server\.py .* gave no result within 0\.2 s", late["error"]["message"])
    assert int(number)
    until(lambda: "cancelled" in ledger(folder))


def test_a_run_is_cancelled_while_a_server_works(desk, log):
    """At once, and the server stops too."""
    server, folder = desk
    run = ran(log, server.tools("wait"), call("wait"))
    until(lambda: ledger(folder))
    run.cancel()
    with pytest.raises(ak.RunCancelled):
        run.result(SOON)
    until(lambda: "cancelled" in ledger(folder))


def test_a_stopped_server_keeps_nobody_waiting(desk, tmp_path, log):
    """A process that answers no more holds up its own calls and no other run."""
    other, _ = desk
    with stdio(tmp_path) as server:
        pid = pid_of(log, server)
        os.kill(pid, signal.SIGSTOP)
        waiting = ran(log, server.tools("wait", timeout=1, retry=ONCE), call("wait"))
        assert pid_of(log, other)
        assert waiting.result(SOON) == "done"
        assert bodies(waiting, ToolFailed)[0].error.type == "TimeoutError"
        kill(pid)  # `close` would do that too, some seconds later


# starting and ending --------------------------------------------------------------------------------------------------


def test_a_slow_server_is_named_with_what_it_said_last(tmp_path):
    """And it is ended."""
    server = stdio(tmp_path, "--sleep", "30", env={"API_TOKEN": "hunter2-hunter2"}, connect_timeout=1.5)
    with pytest.raises(
        ServerUnavailable, match=r"(?s)mcp_server.py.*gave no answer within 1.5 s.*starting with"
    ) as raised:
        server.tools()
    assert "hunter2" not in str(raised.value)
    until(lambda: not any(str(tmp_path) in " ".join(child.cmdline()) for child in children()))


@pytest.mark.parametrize(
    ("command", "error", "message"),
    [
        (["no-such-command-7"], ConfigError, "there is no 'no-such-command-7'; install"),
        ([SERVER], ConfigError, "cannot be started"),
        (["python", "-c", "raise SystemExit('no licence')"], ServerUnavailable, "no licence"),
        (["python", "-c", "print('hello'); input()"], ServerUnavailable, "MCP's messages only, and it wrote 'hello'"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(command, error, message):
    """Not found, not a program, ended at once, or not an MCP server."""
    with pytest.raises(error, match=message):
        ak.MCP.stdio(*command, connect_timeout=3).tools()


def test_a_missing_folder_is_named():
    """`cwd` is what is not there, not the command."""
    with pytest.raises(ConfigError, match="there is no '/no/such/folder'"):
        ak.MCP.stdio("python", cwd="/no/such/folder").tools()


def test_a_closed_server_says_so(tmp_path, log):
    """A call after `with` names what to do, and `tools()` opens it again."""
    server = stdio(tmp_path)
    tools = server.tools("look")
    pid = int(results(log, tools, call("look"))[0])
    server.close()
    server.close()
    assert gone(pid)
    (told,) = results(log, tools, call("look"))
    assert "is closed: run the agent inside its `with`" in told["error"]["message"]
    assert server.tools("look")
    server.close()


def test_a_server_that_nobody_can_use_ends(tmp_path, log):
    """A cell that is executed again leaves no process behind; tools alone keep their server."""
    tools = stdio(tmp_path).tools("look")
    pid = int(results(log, tools, call("look"))[0])
    assert results(log, tools, call("look"))[0] == str(pid)
    ak.Agent("clerk", ScriptedModel([]))  # the agent of that name, which had them, is forgotten
    del tools
    gc.collect()
    assert gone(pid)


AT_EXIT = """
import sys
import agentkit as ak
from agentkit.testing import ScriptedModel, call
server = ak.MCP.stdio("python", sys.argv[1], sys.argv[2])
model = ScriptedModel([call("look"), "done"])
run = ak.Agent("clerk", model, tools=server.tools("look")).run("go", log=ak.open_log("memory:"))
run.result(20)
print([message.content for message in run.state.messages if message.role == "tool"][0], flush=True)
"""


def python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.mark.parametrize(("last", "code"), [("raise ValueError", 1), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_no_server_outlives_its_process(tmp_path, last, code):
    """However that ends: killed, it closes the server's input with it."""
    done = python(AT_EXIT + last, SERVER, str(tmp_path))
    assert done.returncode == code
    assert gone(int(done.stdout))


def test_nor_does_one_that_was_given_up(tmp_path):
    """It was too late, and ends only by force: the process waits for that."""
    begun = tmp_path / "pid"
    command = f"trap '' TERM; echo $$ > {begun}; while true; do sleep 1; done"
    done = python(
        "import sys, agentkit as ak\nak.MCP.stdio('sh', '-c', sys.argv[1], connect_timeout=1).tools()", command
    )
    assert "gave no answer within 1 s" in done.stderr
    assert gone(int(begun.read_text()))


def test_a_forked_process_has_servers_of_its_own(tmp_path, log):
    """It neither uses the parent's nor ends it."""
    with stdio(tmp_path) as server:
        pid = pid_of(log, server)
        child = os.fork()
        if child == 0:
            with open(tmp_path / "child", "w") as report:
                report.write(str(pid_of(ak.open_log("memory:"), server)))
            server.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert int((tmp_path / "child").read_text()) != pid
        assert pid_of(log, server) == pid


# a new process --------------------------------------------------------------------------------------------------------


AGENT = """
import agentkit as ak
from agentkit.testing import FunctionModel, call

server = ak.MCP.stdio("python", {server!r}, {folder!r})
said = [call("note", text="one"), "done"]
model = FunctionModel(lambda request: said[sum(message.role == "assistant" for message in request.messages)])
clerk = ak.Agent("clerk", model, tools=server.tools("note", approve=True))
"""
BEGIN = """
import agentkit as ak
from desk import clerk
try:
    print(clerk.run("go").result(20))
except ak.RunPaused as paused:
    print(paused.run_id)
"""
RESUME = """
import sys
import agentkit as ak
run = ak.open_log().run(sys.argv[1])
run.resume()
run.approve()
print(run.result(20))
"""


def test_a_run_goes_on_in_a_new_process(tmp_path):
    """As any other: `tools()` is called when its module is imported."""
    (tmp_path / "desk.py").write_text(AGENT.format(server=SERVER, folder=str(tmp_path)))

    where = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}}
    begun = python(BEGIN, **where)
    assert ledger(tmp_path) == []
    assert python(RESUME, begun.stdout.strip(), **where).stdout == "done\n"
    assert ledger(tmp_path) == ["note one"]
