"""A process that is killed at any point of an export: all is sent in the end, and only the one window is sent twice."""

import shutil

import pytest
from capture_server import CaptureServer
from exporting import all_spans, runs_in
from killable_export import Server

import agentkit as ak
from agentkit.export import delivery
from agentkit.stores.embedded import ledger
from agentkit.testing import FailPoints

POINTS = (*delivery.FAIL_POINTS, *ledger.FAIL_POINTS)
WINDOW = {"export.answered", "ledger.locked"}
"""Between the target's answer and the line that remembers it."""


@pytest.fixture(scope="module")
def processes():
    """What forks the processes that are killed."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A log with four ended runs; its folder, and the spans that have to arrive."""
    folder = tmp_path_factory.mktemp("recorded")
    log = ak.open_log(folder / "log")
    wanted = all_spans(runs_in(log, 4))
    log.close()
    return folder, wanted


@pytest.mark.parametrize(
    ("point", "nth"), [*((point, 1) for point in POINTS), ("export.answered", 3), ("ledger.written", 3)]
)
def test_a_killed_export_is_finished_by_the_next(processes, recorded, tmp_path, point, nth):
    """Each span arrives; those of one run twice where it died in the window, with the same ids and times."""
    folder, wanted = recorded
    shutil.copytree(folder / "log", tmp_path / "log")
    with CaptureServer() as server:
        whole = processes.order("deliver", tmp_path, server.url, at=point, nth=nth)
        assert not whole
        assert processes.order("deliver", tmp_path, server.url)
        found = server.spans()
    assert set(found) == wanted
    twice = {trace for (trace, _, _), count in found.items() if count == 2}
    assert max(found.values()) <= 2
    assert len(twice) <= (1 if point in WINDOW else 0)


@pytest.mark.parametrize("point", ["run.ended", "run.released", *POINTS])
def test_a_run_whose_process_is_killed_is_sent_with_the_next_run(processes, tmp_path, point):
    """From its last event on it is on disk; whoever runs the next agent sends it too."""
    with CaptureServer() as server:
        began = point in ledger.FAIL_POINTS  # the first time is when it is recorded that exporting begins
        assert not processes.order("run", tmp_path, server.url, at=point, nth=1 + began)
        assert processes.order("run", tmp_path, server.url)
        log = ak.open_log(tmp_path / "log")
        runs = [log.run(row[0]) for row in log.sql("SELECT CAST(run_id AS VARCHAR) FROM runs ORDER BY run_id")]
        assert [run.status for run in runs] == ["succeeded"] * 2
        assert set(server.spans()) == all_spans(runs)
        log.close()


def test_the_points_are_all_reached(recorded, tmp_path):
    """None of them is out of reach of the tests above."""
    shutil.copytree(recorded[0] / "log", tmp_path / "log")
    log = ak.open_log(tmp_path / "log")
    with CaptureServer() as server, FailPoints() as points:
        where = delivery.Target("otlp", f"{server.url}/v1/traces")
        delivery.Delivery(log.store, where).send(row[0] for row in log.sql("SELECT CAST(run_id AS VARCHAR) FROM runs"))
    assert set(POINTS) <= set(points.reached)
    log.close()


def test_two_processes_that_export_at_once_send_each_run_once(processes, recorded, tmp_path):
    """They take turns, and each looks at what the other has sent."""
    from concurrent.futures import ThreadPoolExecutor

    folder, wanted = recorded
    shutil.copytree(folder / "log", tmp_path / "log")
    others = [Server(), Server()]
    with CaptureServer() as server, ThreadPoolExecutor(2) as pool:
        done = [pool.submit(other.order, "deliver", tmp_path, server.url) for other in others]
        assert all(one.result(60) for one in done)
        assert server.spans() == dict.fromkeys(wanted, 1)
    for other in others:
        other.close()
