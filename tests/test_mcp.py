"""MCP servers as tools: real servers, over standard input and over HTTP, well and killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from small_agents import SOON, bodies, paused

import agentkit as ak
from agentkit.definition import InvalidArguments, ToolSpec
from agentkit.errors import ConfigError, ServerUnavailable
from agentkit.events import ToolFailed, ToolSucceeded
from agentkit.testing import FunctionModel, ScriptedModel, call

SERVER = str(Path(__file__).parent / "mcp_server.py")
QUICK = ak.Retry(initial=0.01, max=0.05)

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.linting.AgentKitWarning")  # the server's tools are odd


def stdio(folder, *args, **options):
    return ak.MCP.stdio("python", SERVER, str(folder), *args, **options)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """One server for the tests that leave it as it was."""
    with stdio(tmp_path_factory.mktemp("shop"), "--pages", "3", env={"API_TOKEN": "hunter2-hunter2"}) as server:
        yield server


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


# a real server --------------------------------------------------------------------------------------------------------


def test_an_agent_uses_a_server_from_pypi(log):
    """`mcp-server-time`: its schema reaches the model, its result and its error come back."""
    with ak.MCP.stdio("python", "-m", "mcp_server_time", "--local-timezone", "Europe/Paris") as clock:
        tools = clock.tools(prefix="time_")
        model = ScriptedModel(
            [
                call("time_convert_time", source_timezone="UTC", time="12:00", target_timezone="Asia/Kolkata"),
                call("time_get_current_time", timezone="Nowhere"),
                "half past five",
            ]
        )
        run = ak.Agent("timekeeper", model, "Tell the time.", tools=tools).run("12:00 UTC in Kolkata?", log=log)
        assert run.result(SOON) == "half past five"
    assert [tool.name for tool in model.requests[0].tools] == ["time_get_current_time", "time_convert_time"]
    assert "Europe/Paris" in model.requests[0].tools[0].parameters["properties"]["timezone"]["description"]
    good, bad = (message for message in run.state.messages if message.role == "tool")
    assert good.content["time_difference"] == "+5.5h"
    assert bad.content["error"]["type"] == "ToolError"
    assert "Invalid timezone" in bad.content["error"]["message"]
    assert not any(tool.writes for tool in tools)


# what a tool is -------------------------------------------------------------------------------------------------------


def test_a_servers_tool_is_a_tool(shop):
    """It satisfies the core's protocol, all pages are there in the server's order, and the schema is the server's."""
    tools = shop.tools("order", "note", "grow", "look")
    assert all(isinstance(tool, ToolSpec) for tool in tools)
    assert [tool.name for tool in tools] == ["look", "note", "order", "grow"]
    order = tools[2].schema.parameters
    assert list(order) == ["$schema", "type", "title", "properties", "required", "additionalProperties", "$defs"]
    assert order["properties"]["items"] == {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 1}
    assert "look" in repr(tools[0])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("look", (False, False, False, 4)),
        ("note", (True, False, False, 1)),
        ("put", (True, True, False, 4)),
        ("wipe", (True, False, True, 1)),
    ],
)
def test_hints_are_respected_and_unknown_is_a_write(shop, name, what):
    """readOnlyHint reads, idempotentHint may be retried, destructiveHint asks; nothing said is a plain write."""
    (tool,) = shop.tools(name)
    assert (tool.writes, tool.idempotent, tool.approve, tool.retry.max_attempts) == what


def test_what_the_user_says_takes_the_place_of_hints(shop):
    """For all tools, or by name."""
    look, note, wipe = shop.tools("look", "note", "wipe", writes=True, approve={"note": True, "wipe": False})
    assert (look.writes, look.retry.max_attempts) == (True, 1)
    assert (look.approve, note.approve, wipe.approve) == (False, True, False)
    (note,) = shop.tools("note", writes={"note": False})
    assert (note.writes, note.idempotent) == (False, False)
    (note,) = shop.tools("note", idempotent={"note": True}, retry=QUICK, timeout=3)
    assert (note.idempotent, note.retry, note.timeout) == (True, QUICK, 3)


def test_a_destructive_tool_asks_first(shop, log):
    """A person stands before what the server calls destructive."""
    run = ran(log, shop.tools("wipe"), call("wipe"))
    (asked,) = paused(run)
    assert (asked.kind, asked.name, asked.arguments) == ("call", "wipe", {})
    run.approve()
    assert run.result(SOON) == "done"


def test_names_are_made_valid_and_clashes_refused(shop):
    """MCP allows dots and slashes, providers do not; the message says what to write, and that works."""
    with pytest.raises(
        ConfigError, match=r"both be called 'files_read_v2'.*\.tools\('files/read.v2', prefix='other_'\)"
    ):
        shop.tools("files.read/v2", "files/read.v2")
    assert shop.tools("files.read/v2")[0].name == "files_read_v2"
    assert shop.tools("files/read.v2", prefix="other_")[0].name == "other_files_read_v2"
    (long,) = shop.tools("look", prefix="p" * 63)
    assert len(long.name) == 64
    assert long.name != "p" * 63 + "l"


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["lok"], {}, "did you mean 'look'"),
        (["look"], {"writes": {"note": True}}, "writes names 'note', and there is no such tool"),
        (["look"], {"prefix": "a b"}, "prefix='a b'; give letters"),
        (["look"], {"timeout": 0}, "timeout=0; give seconds"),
        (["look"], {"approve": {"look": "yes"}}, "approve='yes'; give True"),
    ],
)
def test_a_wrong_option_says_what_to_write(shop, names, options, message):
    """Before any agent is made."""
    with pytest.raises(ConfigError, match=message):
        shop.tools(*names, **options)


def test_two_servers_with_one_name_need_a_prefix(shop):
    """The agent says so."""
    with pytest.raises(ConfigError, match=r"two tools are named 'look'.*prefix="):
        ak.Agent("clerk", ScriptedModel([]), tools=[*shop.tools("look"), *shop.tools("look")])


# arguments ------------------------------------------------------------------------------------------------------------


def test_arguments_are_validated_against_the_servers_schema(shop):
    """Each problem with its path and what was given, as a function's."""
    (order,) = shop.tools("order")
    with pytest.raises(InvalidArguments) as raised:
        order.validate({"items": [{"sku": "a", "count": "1"}, {}], "sped": "fast"})
    assert raised.value.errors == [
        {"path": "items[0].sku", "problem": "'a' does not match '^[A-Z]-[0-9]+$'", "input": "a"},
        {"path": "items[0].count", "problem": "'1' is not of type 'integer'", "input": "1"},
        {"path": "items[1].sku", "problem": "missing"},
        {"path": "items[1].count", "problem": "missing"},
        {"path": "sped", "problem": "unknown argument; did you mean 'speed'?", "input": "fast"},
    ]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("not json", ""),
        ([1], ""),
        (None, "items"),
        ({"items": [{"sku": "A-1", "count": float("nan")}]}, "items[0].count"),
    ],
)
def test_what_is_no_object_is_told_so(shop, given, path):
    """Nothing reaches the server."""
    (order,) = shop.tools("order")
    with pytest.raises(InvalidArguments) as raised:
        order.validate(given)
    assert raised.value.errors[0]["path"] == path


def test_a_long_wrong_value_is_not_repeated(shop):
    """The model pays for it once."""
    (order,) = shop.tools("order")
    with pytest.raises(InvalidArguments) as raised:
        order.validate({"items": [{"sku": "x" * 100_000, "count": 1}]})
    assert len(str(raised.value.errors)) < 1500


def test_defaults_are_filled_in(shop, log):
    """So that a person approves what the server will do."""
    run = ran(log, shop.tools("order", approve=True), call("order", items=[{"sku": "A-1", "count": 2}]))
    (asked,) = paused(run)
    whole = {"items": [{"sku": "A-1", "count": 2}], "speed": "slow", "gift": None}
    assert asked.arguments == whole
    run.approve()
    assert run.result(SOON) == "done"
    assert bodies(run, ToolSucceeded)[0].result == {"got": whole}


# results --------------------------------------------------------------------------------------------------------------


def test_a_result_is_its_structure_else_its_text(shop, log):
    """Markup and escapes stay words; what the log cannot hold is replaced."""
    structure, odd = results(log, shop.tools("structure", "odd"), call("structure"), call("odd"))
    assert structure == {"answer": 42}
    assert odd == "<script>alert(1)</script>\x1b[31m\ufffd\n| second |"


def test_what_is_no_text_is_described(shop, log):
    """A megabyte of picture reaches neither the log nor the model."""
    (told,) = results(log, shop.tools("picture"), call("picture"))
    assert told == [
        "look:",
        {"type": "image", "media_type": "image/png", "bytes": 1_000_004},
        {"type": "audio", "media_type": "audio/wav", "bytes": 3},
        {"type": "resource", "uri": "file:///a.bin", "media_type": "application/x", "bytes": 1_000_004},
        {"type": "resource", "uri": "file:///a.txt", "text": "a page"},
        {"type": "resource_link", "uri": "https://example.org/b", "name": "b", "bytes": 7},
    ]


def test_a_huge_result_is_cut_and_says_so(shop, log):
    """What a model must not pay for is not in its prompt."""
    (told,) = results(log, shop.tools("huge"), call("huge"))
    assert told["note"] == "cut after 50000 of 5000000 characters; ask for less at a time"
    assert len(told["beginning"]) == 50_000


def test_errors_are_told_as_what_they_are(shop, log):
    """A tool that says it failed did nothing; an error of the protocol keeps the server's words."""
    fail, broken = results(log, shop.tools("fail", "broken"), call("fail"), call("broken"))
    assert (fail["error"]["type"], fail["error"]["message"]) == ("ToolError", "no such order: A-1")
    assert (broken["error"]["type"], broken["error"]["message"]) == ("MCPError", "the disk is on fire")


def test_what_a_server_was_given_does_not_come_back(shop, log):
    """A secret of its environment reaches neither log nor model, though the server says it."""
    run = ran(log, shop.tools("leak"), call("leak"))
    assert run.result(SOON) == "done"
    assert bodies(run, ToolSucceeded)[0].result == "your token is [redacted:text]"
    assert "hunter2" not in "".join(event.model_dump_json() for event in run.events())
    assert "hunter2" not in repr(shop) + repr(shop.tools("leak")) + repr(vars(shop))


# a server that dies ---------------------------------------------------------------------------------------------------


def test_a_read_killed_in_mid_call_is_done_again(tmp_path, log):
    """So is an idempotent write: with a new process, by the core's own retry."""
    with stdio(tmp_path) as server:
        tools = server.tools("look", "put", retry=QUICK)
        for proposed, right in ((call("look"), str.isdigit), (call("put", text="x"), "put x".__eq__)):
            (tmp_path / "kill").touch()
            run = ran(log, tools, proposed)
            assert run.result(SOON) == "done"
            (lost,) = bodies(run, ToolFailed)
            assert (lost.error.type, lost.error.retryable, lost.retrying) == ("ServerUnavailable", True, True)
            assert "was lost during the call" in lost.error.message
            assert "starting with no token" in lost.error.message
            (done,) = bodies(run, ToolSucceeded)
            assert right(done.result)
    assert ledger(tmp_path) == ["look", "look", "put x", "put x"]


def test_a_plain_write_killed_in_mid_call_is_asked_about(tmp_path, log):
    """Nobody knows what it did: it is not done again, and the next call of that tool asks a person."""
    with stdio(tmp_path) as server:
        tools = server.tools("note")
        (tmp_path / "kill").touch()
        run = ran(log, tools, call("note", text="one"), call("note", text="two"))
        (asked,) = paused(run)
        assert bodies(run, ToolFailed)[0].effect == "unknown"
        assert ledger(tmp_path) == ["note one"]
        assert asked.arguments == {"text": "two"}
        run.approve()
        assert run.result(SOON) == "done"
    assert ledger(tmp_path) == ["note one", "note two"]


def test_a_server_killed_between_calls_is_started_again(tmp_path, log):
    """The call never reached the dead one, so that even a plain write just runs, once."""
    with stdio(tmp_path) as server:
        first = pid_of(log, server)
        kill(first)
        until(lambda: not server._link.connection.alive)
        (told,) = results(log, server.tools("note"), call("note", text="one"))
        assert told == "noted one"
        assert pid_of(log, server) != first
    assert ledger(tmp_path) == ["look", "note one", "look"]


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


def until(what):
    deadline = time.monotonic() + SOON
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_call_that_takes_too_long_is_given_up(tmp_path, log):
    """The server is told, and serves the next call."""
    with stdio(tmp_path) as server:
        tools = server.tools("wait", "look", timeout=0.2, retry=ak.Retry(max_attempts=1))
        late, number = results(log, tools, call("wait"), call("look"))
        assert late["error"]["type"] == "TimeoutError"
        assert int(number)
        until(lambda: "cancelled" in ledger(tmp_path))


def test_a_run_is_cancelled_while_a_server_works(tmp_path, log):
    """At once, and the server stops too."""
    with stdio(tmp_path) as server:
        run = ran(log, server.tools("wait"), call("wait"))
        until(lambda: ledger(tmp_path))
        run.cancel()
        with pytest.raises(ak.RunCancelled):
            run.result(SOON)
        until(lambda: "cancelled" in ledger(tmp_path))


def test_a_stopped_server_keeps_nobody_waiting(tmp_path, log):
    """A process that answers no more holds up its own calls, and neither other runs nor `close`."""
    with stdio(tmp_path / "..") as other, stdio(tmp_path) as server:
        pid = pid_of(log, server)
        os.kill(pid, signal.SIGSTOP)
        waiting = ran(log, server.tools("wait", timeout=1, retry=ak.Retry(max_attempts=1)), call("wait"))
        assert pid_of(log, other)
        assert waiting.result(SOON) == "done"
        assert bodies(waiting, ToolFailed)[0].error.type == "TimeoutError"
    assert gone(pid)


def test_calls_at_once_share_one_server(shop, log):
    """Reads run beside each other: each of these returns when all three are there."""
    assert results(log, shop.tools("meet"), [call("meet"), call("meet"), call("meet")]) == ["met", "met", "met"]


# starting and ending --------------------------------------------------------------------------------------------------


def test_a_slow_server_is_named_with_what_it_said_last(tmp_path):
    """And it is ended."""
    server = stdio(tmp_path, "--sleep", "30", env={"API_TOKEN": "hunter2-hunter2"}, connect_timeout=0.5)
    with pytest.raises(
        ServerUnavailable, match=r"(?s)mcp_server.py.*gave no answer within 0.5 s.*starting with"
    ) as raised:
        server.tools()
    assert "hunter2" not in str(raised.value)
    until(lambda: not any(str(tmp_path) in " ".join(child.cmdline()) for child in children()))


def children():
    """Our processes that run, without those that end just now."""
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and child.cmdline():
                yield child
        except psutil.Error:
            continue


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


def test_a_chatty_server_neither_stops_nor_floods(shop, log, capfd):
    """Its standard error is read at once and goes nowhere."""
    (told,) = results(log, shop.tools("chatter"), call("chatter"))
    assert told == "said"
    assert capfd.readouterr().err == ""


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
    assert not gone_now(pid)
    assert results(log, tools, call("look"))[0] == str(pid)
    ak.Agent("clerk", ScriptedModel([]))  # the agent of that name, which had them, is forgotten
    del tools
    import gc

    gc.collect()
    assert gone(pid)


def gone_now(pid):
    return not psutil.pid_exists(pid)


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


@pytest.mark.parametrize("way", ["error", "kill"])
def test_no_server_outlives_its_process(tmp_path, way):
    """However that ends: killed, it closes the server's input with it."""
    last = {"error": "raise ValueError", "kill": "import os; os.kill(os.getpid(), 9)"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AT_EXIT + last[way], SERVER, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert gone(int(done.stdout))
    assert ("Traceback" in done.stderr) == (way == "error")


def test_the_package_is_asked_for_by_name(monkeypatch):
    """Without the extra, the message is what to type."""
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError, match=r"pip install 'jupyter-agentkit\[mcp\]'"):
        ak.MCP.http("http://127.0.0.1:1/mcp")


@pytest.mark.parametrize("options", [{"connect_timeout": 0}, {"max_result": 0}])
def test_an_option_that_cannot_be_is_refused(options):
    """When the server is named, not when it is used."""
    with pytest.raises(ConfigError, match=f"{next(iter(options))}=0; give"):
        ak.MCP.http("http://127.0.0.1:1/mcp", **options)


def test_secrets_are_in_no_repr():
    """Environment, headers, passwords and keys in an address, options whose name says so."""
    one = ak.MCP.stdio("serve", "--api-key", "hunter2", "--token=hunter2", "--port", "1", env={"A": "hunter2"})
    two = ak.MCP.http("https://me:hunter2@example.org/mcp?key=hunter2#hunter2", headers={"X": "hunter2"})
    assert repr(one) == "MCP.stdio('serve', '--api-key', '…', '--token=…', '--port', '1')"
    assert repr(two) == "MCP.http('https://example.org/mcp')"
    assert "hunter2" not in repr([vars(one), vars(two)])


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

    def python(code, *arguments):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run_id = python(BEGIN)
    assert ledger(tmp_path) == []
    assert python(RESUME, run_id) == "done"
    assert ledger(tmp_path) == ["note one"]


# over HTTP ------------------------------------------------------------------------------------------------------------


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


@pytest.fixture(params=[(), ("--legacy",)], ids=["sessionless", "sessions"])
def remote(request, tmp_path):
    """Both kinds of server: of 2026, and of 2025, which forgets its sessions when it dies."""
    server = Remote(tmp_path, *request.param)
    yield server
    server.kill()


def test_a_server_over_http_dies_and_comes_back(remote, log):
    """Reads are retried, a write that could not be sent did nothing, one that was cut short is asked about."""
    with ak.MCP.http(remote.url, headers={"Authorization": "Bearer hunter2hunter2"}) as server:
        tools = server.tools(
            "look", "note", "leak", retry=ak.Retry(initial=0.2, factor=1, max_attempts=100, jitter="none")
        )
        first, leak = results(log, tools, call("look"), call("leak"))
        assert (int(first), leak) == (remote.process.pid, "your token is [redacted:text]")
        remote.kill()
        (told,) = results(log, tools, call("note", text="one"))
        assert "nothing was done" in told["error"]["message"]
        run = ran(log, tools, call("look"), call("note", text="two"))
        until(lambda: bodies(run, ToolFailed))
        remote.start()
        assert run.result(SOON) == "done"
        assert [body.result for body in bodies(run, ToolSucceeded)] == [str(remote.process.pid), "noted two"]
        (remote.folder / "kill").touch()
        cut = ran(log, tools, call("note", text="three"), call("note", text="four"))
        until(lambda: remote.process.poll() is not None)
        remote.start()
        assert [asked.arguments for asked in paused(cut)] == [{"text": "four"}]
    assert [line for line in ledger(remote.folder) if "note" in line] == ["note two", "note three"]


def test_a_status_is_what_it_says(tmp_path, log):
    """503 is tried again, 429 and 401 did nothing; one call's failure ends no other."""
    remote = Remote(tmp_path)
    status = tmp_path / "status"
    try:
        with ak.MCP.http(remote.url) as server:
            tools = server.tools(
                "look", "note", "wait", retry=ak.Retry(initial=0.1, factor=1, max_attempts=100, jitter="none")
            )
            waiting = ran(log, tools, call("wait", seconds=1.0))
            until(lambda: ledger(tmp_path))
            for code, can_help in ((429, True), (401, False)):
                status.write_text(str(code))
                (told,) = results(log, tools, call("note", text="x"))
                assert (told["error"]["type"], told["error"]["retrying_can_help"]) == ("ToolError", can_help)
                assert f"answered {code}" in told["error"]["message"]
            status.write_text("503")
            threading.Timer(0.5, status.unlink).start()
            run = ran(log, tools, call("look"))
            assert run.result(SOON) == "done"
            assert "answered 503" in bodies(run, ToolFailed)[0].error.message
            assert waiting.result(SOON) == "done"
            assert len(bodies(waiting, ToolSucceeded)) == 1
    finally:
        remote.kill()


def test_an_address_without_a_server_is_named():
    """Nothing there, a wrong path, a key that is missing, no address at all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ServerUnavailable, match=r"http://127.0.0.1:\d+/mcp is not there: "):
            ak.MCP.http(f"http://127.0.0.1:{free.getsockname()[1]}/mcp").tools()
    with pytest.raises(ConfigError, match="no address"):
        ak.MCP.http("ftp://127.0.0.1/mcp").tools()


def test_a_refused_connection_says_what_to_look_at(tmp_path):
    """The status, and where it usually comes from."""
    remote = Remote(tmp_path)
    try:
        (tmp_path / "status").write_text("401")
        with pytest.raises(ServerUnavailable, match="answered 401; look at headers="):
            ak.MCP.http(remote.url).tools()
        (tmp_path / "status").unlink()
        with pytest.raises(ServerUnavailable, match="answered 404; look at the address"):
            ak.MCP.http(remote.url.replace("/mcp", "/other")).tools()
    finally:
        remote.kill()
