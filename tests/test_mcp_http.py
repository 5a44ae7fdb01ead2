"""MCP servers over HTTP: lost, restarted, refused."""

import socket
import threading

import pytest
from mcp_shop import PATIENT, Remote, ledger, ran, results, until
from small_agents import SOON, bodies, paused

import agentkit as ak
from agentkit.errors import ConfigError, ServerUnavailable
from agentkit.events import ToolFailed, ToolSucceeded
from agentkit.testing import call


@pytest.fixture(params=[(), ("--legacy",)], ids=["sessionless", "sessions"])
def remote(request, tmp_path):
    """Both kinds of server: of 2026, and of 2025, which forgets its sessions when it dies."""
    server = Remote(tmp_path, *request.param)
    yield server
    server.kill()


def test_a_server_over_http_dies_and_comes_back(remote, log):
    """Reads are retried, a write that could not be sent did nothing, one that was cut short is asked about."""
    with ak.MCP.http(remote.url, headers={"Authorization": "Bearer hunter2hunter2"}) as server:
        tools = server.tools("look", "note", "leak", retry=PATIENT)
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


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A server that no test kills."""
    server = Remote(tmp_path_factory.mktemp("kept"))
    yield server
    server.kill()


def test_a_status_is_what_it_says(kept, log):
    """503 is tried again, 429 and 401 did nothing; one call's failure ends no other."""
    status = kept.folder / "status"
    with ak.MCP.http(kept.url) as server:
        tools = server.tools("look", "note", "wait", retry=PATIENT)
        waiting = ran(log, tools, call("wait", seconds=1.0))
        until(lambda: ledger(kept.folder))
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


def test_an_address_without_a_server_is_named():
    """Nothing there, a wrong path, a key that is missing, no address at all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ServerUnavailable, match=r"http://127.0.0.1:\d+/mcp is not there: "):
            ak.MCP.http(f"http://127.0.0.1:{free.getsockname()[1]}/mcp").tools()
    with pytest.raises(ConfigError, match="no address"):
        ak.MCP.http("ftp://127.0.0.1/mcp").tools()


def test_a_refused_connection_says_what_to_look_at(kept):
    """The status, and where it usually comes from."""
    (kept.folder / "status").write_text("401")
    with pytest.raises(ServerUnavailable, match="answered 401; look at headers="):
        ak.MCP.http(kept.url).tools()
    (kept.folder / "status").unlink()
    with pytest.raises(ServerUnavailable, match="answered 404; look at the address"):
        ak.MCP.http(kept.url.replace("/mcp", "/other")).tools()
