"""The arithmetic that agentkit exists for: a real pipeline, a scripted model, fewer runs than in its benchmark."""

import importlib.util
from pathlib import Path

import pytest

import agentkit as ak

RUNS = 300


@pytest.fixture(scope="module")
def headline():
    """The benchmark's pipeline and model; the benchmarks are no package."""
    spec = importlib.util.spec_from_file_location("headline", Path(__file__).parent / "bench" / "headline.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("arm", "silent", "expected"),
    [("naive", 0.0, 0.95**10), ("retried", 0.0, 1.0), ("retried", 0.01, 0.99**10), ("retried", 0.1, 0.9**10)],
)
def test_ten_decisions_end_right_as_often_as_arithmetic_says(headline, arm, silent, expected):
    """5% of failures a decision leave 60% of the runs; retries and checks mend them, and no silent error."""
    assert headline.arithmetic(arm, silent) == pytest.approx(expected, abs=1e-4)
    played = headline.play(arm, silent, RUNS)
    low, high = headline.interval(played["right"], played["runs"])
    assert low <= expected <= high
    assert high - low < 0.12
    if arm == "retried":
        assert played["ended"] == RUNS
        assert 1.03 < played["calls"] / played["decisions"] < 1.08  # 1 / 0.95 = 1.053


def test_without_silent_errors_a_run_that_ends_is_right(headline):
    """What validation lets through is right, where every failure can be seen; the others fail with what was wrong."""
    played = headline.play("naive", 0.0, 40, first=10_000)
    assert 0 < played["right"] == played["ended"] < 40


def test_the_models_count_of_its_calls_is_the_logs(headline, log):
    """What a decision cost is what `run.usage` and SQL say: every attempt."""
    model = headline.Scripted(8, 0.0)
    run = headline.pipeline("retried").run(ticket="t", deps=model, log=log)
    assert run.result(timeout=60) == model.truth
    assert model.calls > headline.DECISIONS
    assert run.usage.model_calls == model.calls == len(log.sql("SELECT * FROM model_calls"))


@pytest.mark.parametrize(("hits", "low", "high"), [(0, 0.0, 0.037), (50, 0.404, 0.596), (100, 0.963, 1.0)])
def test_the_interval_is_wilsons(headline, hits, low, high):
    """The textbook's values, of 100."""
    assert headline.interval(hits, 100) == pytest.approx((low, high), abs=5e-4)


def test_a_naive_run_says_which_decision_failed_and_why(headline, log):
    """The error names the step, and what the model did wrong."""
    run = headline.pipeline("naive").run(ticket="t", deps=_stubborn(headline), log=log)
    with pytest.raises(ak.RunFailed, match="decision_1: the model was refused 1 times in a row"):
        run.result(timeout=60)


def _stubborn(headline):
    model = headline.Scripted(0, 0.0)
    model._random.random = lambda: 0.0
    model._random.randrange = lambda _ways: 1
    return model
