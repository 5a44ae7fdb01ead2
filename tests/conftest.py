"""What every test has: a log, no paid model, no skips in CI, and no fail point left armed by another test."""

import os
import signal
import sys

import lab
import postgres_server
import pytest

import agentkit as ak
from agentkit import failpoints
from agentkit.testing import forbid_real_models

forbid_real_models(allow=["local/"])

collect_ignore = ["servers"]  # a project of its own: `cd tests/servers && uv run pytest`

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a script's `pytest &`: what the tests start would ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    """What the fixture `log` is: `--log-store=postgresql` runs whatever uses it on a team's log."""
    parser.addoption("--log-store", choices=["memory", "postgresql"], default="memory", help="where the tests' log is")


@pytest.fixture
def log(request):
    """A log in memory, unless the command says otherwise."""
    in_memory = request.config.getoption("--log-store") == "memory"
    place = "memory:" if in_memory else postgres_server.fresh_database(request.getfixturevalue("postgres"))
    log = ak.open_log(place)
    yield log
    log.close()


@pytest.fixture
def embedded_log(tmp_path):
    """The default log, in a folder of its own."""
    log = ak.open_log(tmp_path / ".agentkit")
    yield log
    log.close()


@pytest.fixture
def cell(tmp_path, monkeypatch):
    """A real IPython, as a notebook has: executes cells, and gives what the last line of each does; raises likewise."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell puts its own there
    InteractiveShell.clear_instance()
    settings = Config(HistoryManager={"enabled": False})
    shell = InteractiveShell.instance(config=settings, ipython_dir=str(tmp_path))

    def execute(source):
        done = shell.run_cell(source, store_history=True)
        done.raise_error()
        return done.result

    yield execute
    InteractiveShell.clear_instance()


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL; `postgres_server.fresh_database(postgres)` is the URL of an empty database in it."""
    if missing := postgres_server.missing():
        pytest.skip(missing)
    with postgres_server.running() as server:
        yield server


@pytest.fixture(autouse=True)
def no_fail_point_stays_armed():
    """A point left armed would stop or kill a test that knows nothing of it: the test that left it fails."""
    yield
    armed, failpoints._handler = failpoints._handler, None
    assert armed is None, f"the test left fail points armed: {armed}"


def pytest_xdist_auto_num_workers(config):
    """Two processes for the whole suite: half the time, and what measures time still gets a processor.

    None where files or tests are named: they begin at once, print, and can be debugged.
    """
    return 0 if config.args_source is pytest.Config.ArgsSource.ARGS else 2


def pytest_collection_modifyitems(config, items):
    """Minutes-long tests run where they are asked for: `-m slow`, or `.ci/run full`.

    Tests in a browser share one: they run in one process, by `-m browser -n0` or where their file is named. Those of a
    live service run where its key is in the environment; asked for by `-m live`, the others say which variable it is.
    """
    asked = config.option.markexpr
    out = {"slow", "browser"} if hasattr(config, "workerinput") and not lab.missing() else {"slow"}
    left = [item for item in items if not asked and out.intersection(item.keywords)]
    left += [item for item in items if "live" not in asked and item not in left and live_without(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def live_without(item):
    """The variable whose key a test of a live service lacks; None for any other test."""
    marker = item.get_closest_marker("live")
    return marker.args[0] if marker is not None and not os.environ.get(marker.args[0]) else None


def pytest_runtest_setup(item):
    """A test of a live service that was asked for says what it lacks."""
    if variable := live_without(item):
        pytest.skip(f"{variable} is not in the environment: see tests/test_export_live.py")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failed one: what it needs is installed there, all but a key of somebody's account."""
    report = yield
    return report if item.get_closest_marker("live") else _not_skipped(report, item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Likewise a module that skips itself."""
    return _not_skipped((yield), collector.nodeid)


def _not_skipped(report, what):
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        where, line, reason = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{what} was skipped in CI ({where}:{line}): {reason}"
    return report
