"""Exporting by itself: each run when it ends, in the background; a dead target costs a run nothing but one line."""

import os
import subprocess
import sys
import time

import pytest
from capture_server import HANG, RESET, Answer, CaptureServer
from exporting import all_spans, an_agent, ledger, runs_in, to
from fault_server import nobody

import agentkit as ak
from agentkit.errors import ConfigError, RunPaused
from agentkit.export import Target, to_spans
from agentkit.export.background import Exporter
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # a small tool will do here

SOON = 20


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay somebody some money. Returns what was paid.

    Args:
        amount: how much, in USD.
    """
    return {"paid": amount}


def payer():
    """An agent that a person has to answer."""
    return ak.Agent("payer", ScriptedModel([call("pay", amount=3.0), "Paid."]), "Pay what is asked.", tools=[pay])


@pytest.fixture
def exporting(log):
    """Attaches an exporter to the log, with targets and options as given; closed in the end."""
    made = []

    def attach(*targets, **options):
        log.exporter = Exporter(log.store, targets, **options)
        made.append(log.exporter)
        return log.exporter

    yield attach
    for exporter in made:
        exporter.close(1)


def test_a_run_is_exported_when_it_ends(log, exporting):
    """Nobody has to ask for it."""
    with CaptureServer() as server:
        where = to(server)
        exporting(where)
        (run,) = runs_in(log, 1)
        server.wait_for(1)
        assert log.exporter.flush(SOON)
        assert set(server.spans()) == all_spans([run])
        assert ledger(log, where) == {run.run_id: ("sent", 200, 1)}


def test_a_sub_agents_run_goes_with_the_one_that_called_it(log, exporting):
    """In one request, which a server that drops spans without a parent needs."""
    child = ak.Agent("helper", ScriptedModel(["Be kind."]), "Be kind to everybody who asks.")
    agent = ak.Agent("boss", ScriptedModel([call("helper", task="help"), "Done."]), "Help.", tools=[child])
    with CaptureServer() as server:
        exporting(to(server, "langsmith"))
        run = agent.run("hello", log=log)
        run.result(SOON)
        assert log.exporter.flush(SOON)
        assert len(server.requests) == 1
        assert len(server.requests[0].spans) == len(to_spans(run)) == 9


@pytest.mark.parametrize(
    "trouble", [Answer(500), Answer(401), Answer(429, headers={"Retry-After": "60"}), HANG, RESET, None],
    ids=["500", "401", "429", "hang", "reset", "refused"],
)  # fmt: skip
def test_a_target_in_trouble_costs_a_run_nothing_but_one_line(log, exporting, capsys, trouble):
    """The runs succeed, one line says so, and when the target is back the next run brings the rest with it."""
    with CaptureServer(usual=trouble or Answer()) as server:
        where = to(server, timeout=0.3)
        dead = Target("otlp", f"{nobody()}/v1/traces") if trouble is None else where
        exporting(dead)
        runs = runs_in(log, 3)
        assert not log.exporter.flush(SOON)
        assert [run.status for run in runs] == ["succeeded"] * 3
        said = capsys.readouterr().err
        assert said.count("cannot export to") == 1
        assert "sent with a later run or by `agentkit export otlp`" in said
        if trouble is None:
            return
        server.usual = Answer()
        runs += runs_in(log, 1)
        assert log.exporter.flush(SOON)
        assert set(server.spans()) == all_spans(runs)
        assert {line[0] for line in ledger(log, where).values()} == {"sent"}


def test_what_an_earlier_process_could_not_send_goes_with_the_next_run(log, exporting, capsys):
    """From the time on at which exporting there began; older runs wait for `agentkit export`."""
    old = runs_in(log, 1)
    with CaptureServer(usual=Answer(503)) as server:
        where = to(server)
        exporting(where)
        lost = runs_in(log, 2)
        log.exporter.flush(SOON)
        log.exporter.close(1)
        server.usual = Answer()
        exporting(where)
        runs = lost + runs_in(log, 1)
        assert log.exporter.flush(SOON)
        assert set(server.spans()) == all_spans(runs)
        assert not set(server.spans()) & all_spans(old)


def test_a_run_that_has_been_paused_long_is_shown_as_far_as_it_is(log, exporting):
    """Where a run can be completed later: with the same ids and times, so that the system merges them."""
    with CaptureServer() as server:
        where = to(server)
        exporting(where, paused_long=0.2)
        run = payer().run("pay", log=log)
        with pytest.raises(RunPaused):
            run.result(SOON)
        server.wait_for(1)
        (asked,) = [span for span in server.requests[0].spans if span.name == "approval pay"]
        assert {a.key: a.value.string_value for a in asked.attributes}["agentkit.approval.verdict"] == "pending"
        run.approve()
        run.result(SOON)
        assert log.exporter.flush(SOON)
        assert set(server.spans()) == all_spans([run])
        assert all(count == 2 for span, count in server.spans().items() if span[1] == _root_of(server))
        assert ledger(log, where) == {run.run_id: ("sent", 200, 2)}


def _root_of(server):
    return next(span.span_id.hex() for span in server.requests[0].spans if not span.parent_span_id)


def test_a_paused_run_that_ends_soon_is_sent_once(log, exporting):
    """And where a run cannot be completed later, a paused one is not sent at all."""
    with CaptureServer() as server:
        exporting(to(server, "langsmith"), to(server), paused_long=0.4)
        run = payer().run("pay", log=log)
        with pytest.raises(RunPaused):
            run.result(SOON)
        run.approve()
        run.result(SOON)
        assert log.exporter.flush(SOON)
        time.sleep(0.5)
        assert len(server.requests) == 2


def test_a_cancelled_run_is_exported(log, exporting):
    """One that nobody executes, too."""
    with CaptureServer() as server:
        exporting(to(server))
        run = payer().run("pay", log=log)
        with pytest.raises(RunPaused):
            run.result(SOON)
        run.cancel("enough")
        server.wait_for(1)
        assert log.exporter.flush(SOON)
        assert set(server.spans()) == all_spans([run])


def test_many_runs_that_wait_are_a_bounded_number_of_ids(log, exporting, monkeypatch):
    """What is beyond it is found in the log."""
    monkeypatch.setattr("agentkit.export.courier._MOST", 3)
    with CaptureServer([HANG]) as server:
        where = to(server, timeout=1.0)
        exporting(where)
        runs = runs_in(log, 12)
        (courier,) = log.exporter.couriers
        assert len(courier._due) <= 3
        log.exporter.flush(SOON)
        assert log.exporter.flush(SOON)
        assert set(server.spans()) == all_spans(runs)


def test_a_wrong_option_is_said_where_it_was_given(tmp_path, monkeypatch, capsys):
    """Named in the program it raises; in the environment of a service it is said, and the service goes on."""
    monkeypatch.delenv("LANGFUSE_PUBLIC_KEY", raising=False)
    with pytest.raises(ConfigError, match="needs \\$LANGFUSE_PUBLIC_KEY"):
        ak.open_log(tmp_path / "a", export="langfuse")
    with pytest.raises(ConfigError, match="there are: langfuse"):
        ak.open_log(tmp_path / "a", export=["nowhere"])
    monkeypatch.setenv("AGENTKIT_EXPORT", "langfuse")
    log = ak.open_log(tmp_path / "b")
    assert log.exporter is None
    assert "needs $LANGFUSE_PUBLIC_KEY; it is not set; nothing is exported there" in capsys.readouterr().err
    log.close()


def test_the_environment_turns_it_on_and_closing_the_log_sends_the_rest(tmp_path, monkeypatch):
    """`AGENTKIT_EXPORT=otlp` and OpenTelemetry's own variables are all that is needed."""
    with CaptureServer() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("AGENTKIT_EXPORT", "otlp")
        log = ak.open_log(tmp_path / "log")
        run = an_agent().run("hello", log=log)
        run.result(SOON)
        wanted = all_spans([run])
        log.close()
        assert set(server.spans()) == wanted


SCRIPT = """
import agentkit as ak
from agentkit.testing import ScriptedModel
log = ak.open_log("log", export=["otlp"])
run = ak.Agent("support", ScriptedModel(["Done."]), "Help with orders.").run("hello", log=log)
print(run.result(20))
"""


def script(folder, server_url, code=SCRIPT, *, flush="60"):
    """A short program, whose end waits so many seconds at most."""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": server_url, "AGENTKIT_EXPORT_FLUSH": flush}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=150,
        check=False,
    )  # fmt: skip


def test_a_program_that_ends_at_once_still_sends_its_run(tmp_path):
    """Its end waits for that, a short while."""
    with CaptureServer() as server:
        done = script(tmp_path, server.url)
        assert (done.returncode, done.stdout, done.stderr) == (0, "Done.\n", "")
        assert len(server.requests) == 1


def test_a_program_that_ends_does_not_wait_for_a_target_that_hangs(tmp_path):
    """It says so, and the next one sends both runs."""
    with CaptureServer(usual=HANG) as server:
        done = script(tmp_path, server.url, flush="2")
        assert (done.returncode, done.stdout) == (0, "Done.\n")
        assert "did not take everything within 2.0 s. Runs go on as ever" in done.stderr
        server.usual = Answer()
        script(tmp_path, server.url)
        log = ak.open_log(tmp_path / "log")
        ended = [log.run(row[0]) for row in log.sql("SELECT CAST(run_id AS VARCHAR) FROM runs")]
        assert len(ended) == 2
        log.close()
        done = command(tmp_path, server.url, "export", "otlp", "--log", "log")
        assert done.returncode == 0
        assert set(server.spans()) == all_spans(ended)


FORKED = """
import os, sys
import agentkit as ak
from agentkit.testing import ScriptedModel
log = ak.open_log("log", export=["otlp"])
agent = ak.Agent("support", ScriptedModel(["Done."] * 3), "Help with orders.")
agent.run("before", log=log).result(20)
log.exporter.flush(20)
child = os.fork()
agent.run("after", log=log).result(20)
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_exports_its_own_runs(tmp_path):
    """It has none of its parent's threads, and begins its own."""
    with CaptureServer() as server:
        done = script(tmp_path, server.url, FORKED)
        assert done.returncode == 0
        assert "agentkit:" not in done.stderr
        assert set(server.spans().values()) == {1}
        assert len(server.spans()) == 9


def test_a_person_in_a_notebook_is_told(tmp_path):
    """In the output of a cell, not in a kernel's log."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    code = SCRIPT.replace('"otlp"]', 'Target("otlp", "http://127.0.0.1:9/v1/traces")]').replace("print(", "(")
    cells = [f"from agentkit.export import Target\n{code}", "log.exporter.flush(20)"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(out.get("text", "") for cell in book.cells for out in cell.outputs if out.get("name") == "stderr")
    assert said.count("cannot export to otlp@127.0.0.1:9") == 1


# the command line ----------------------------------------------------------------------------------------------------


def command(folder, server_url, *arguments, **more):
    """Run `agentkit` there."""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": server_url, "COLUMNS": "200", **more}
    return subprocess.run(
        [sys.executable, "-m", "agentkit", *arguments], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=150, check=False,
    )  # fmt: skip


@pytest.fixture
def recorded(tmp_path):
    """A log with three ended runs, in `tmp_path / "log"`."""
    log = ak.open_log(tmp_path / "log")
    runs_in(log, 3)
    log.close()
    return tmp_path


def test_the_command_sends_what_is_recorded_once(recorded):
    """Counts on standard output; a second time there is nothing to send; --again sends all of it once more."""
    with CaptureServer() as server:
        done = command(recorded, server.url, "export", "otlp", "--log", "log")
        assert (done.returncode, done.stderr) == (0, "")
        assert "3 runs sent, 9 spans" in done.stdout
        assert "0 runs sent" in command(recorded, server.url, "export", "otlp", "--log", "log").stdout
        assert len(server.requests) == 1
        done = command(recorded, server.url, "export", "otlp", "--log", "log", "--again", "--since", "1h", "--json")
        assert '"sent": 3' in done.stdout
        assert set(server.spans().values()) == {2}
        done = command(recorded, server.url, "export", "otlp", "--log", "log", "--again", "--since", "2100-01-01")
        assert "0 runs sent" in done.stdout


def test_the_commands_exit_code_says_what_came_of_it(recorded):
    """5: down, the same command sends the rest; 1: refused; 2: wrong command."""
    with CaptureServer(usual=Answer(401, body=b"bad key")) as server:
        done = command(recorded, server.url, "export", "otlp", "--log", "log")
        assert done.returncode == 5
        assert "401 bad key; 3 runs are left: run the same command again" in done.stderr
        server.usual = Answer(400, body=b"bad spans")
        done = command(recorded, server.url, "export", "otlp", "--log", "log")
        assert done.returncode == 1
        assert "3 refused" in done.stdout
    done = command(recorded, server.url, "export", "langfuse", "--log", "log", LANGFUSE_PUBLIC_KEY="")
    assert (done.returncode, done.stderr) == (
        2,
        "agentkit: exporting to Langfuse needs $LANGFUSE_PUBLIC_KEY; it is not set\n",
    )
    done = command(recorded, server.url, "export", "otlp", "--log", "log", "--since", "yesterday")
    assert done.returncode == 2


def test_the_command_follows_a_log(recorded):
    """What ends while it runs is sent; Ctrl-C ends it, with the counts."""
    with CaptureServer() as server:
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
        running = subprocess.Popen(
            [sys.executable, "-m", "agentkit", "export", "otlp", "--follow", "--log", "log"], cwd=recorded,
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            server.wait_for(1, 60)
            log = ak.open_log(recorded / "log")
            (run,) = runs_in(log, 1)
            wanted = all_spans([run])
            log.close()
            server.wait_for(2, 60)
            assert wanted <= set(server.spans())
        finally:
            running.send_signal(2)
            said, _ = running.communicate(timeout=60)
        assert running.returncode == 0
        assert "4 runs sent" in said


# what it does not cost -----------------------------------------------------------------------------------------------


def test_importing_agentkit_loads_none_of_it():
    """Neither OpenTelemetry nor httpx, nor our own exporter."""
    code = "import agentkit, sys; print([m for m in ('opentelemetry', 'httpx', 'agentkit.export') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_extra_is_named(monkeypatch, tmp_path):
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"pip install 'jupyter-agentkit\[otel\]'"):
        ak.open_log(tmp_path / "log", export="otlp")
