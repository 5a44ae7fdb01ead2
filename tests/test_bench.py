"""The benchmarks' arithmetic: a wrong ratio looks like any other figure."""

import importlib.util
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench"


@pytest.fixture(scope="module")
def measure():
    """The harness, which needs nothing but the standard library; the benchmarks are no package."""
    spec = importlib.util.spec_from_file_location("bench_measure", BENCH / "measure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_slow_repetition_cancels_out_of_a_ratio(measure):
    """Ratios are formed within a repetition: a machine ten times slower for a while changes none of them."""
    ratio = measure.ratios([2.0, 20.0, 2.0], [1.0, 10.0, 1.0])
    assert (ratio.median, ratio.low, ratio.high) == (2, 2, 2)


def test_a_cost_stands_beside_those_of_its_own_repetition(measure):
    """Each over the base's in the same repetition, and a dash for a base that did not run."""
    results = {
        "raw": [{"wall_ms": 1, "cpu_ms": 1}, {"wall_ms": 10, "cpu_ms": 1}],
        "peer": [{"wall_ms": 3, "cpu_ms": 5}, {"wall_ms": 30, "cpu_ms": 5}],
    }
    assert measure.cost_rows(results, lambda result, kind: result[kind])[1] == [
        "peer",
        "16.5 (3-30)",
        "3",
        "-",
        "5 (5-5)",
        "5",
        "-",
    ]


def test_contestants_take_turns_and_swap_neighbours(measure):
    """A B C, C B A, A B C: everybody is measured once a repetition."""
    order = []
    results = measure.interleave(["a", "b", "c"], 3, lambda name: order.append(name) or len(order))
    assert "".join(order) == "abccbaabc"
    assert results == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_a_slope_compares_the_same_number_of_whole_turns(measure):
    """Turn n costs marks[n] - marks[n-1]; here turn n costs n."""
    marks = [sum(range(turn + 1)) for turn in range(200)]
    early, late = measure.slope(marks, range(15, 26), range(190, 200))
    assert early == pytest.approx(20)
    assert late == pytest.approx(194.5)


def test_syncs_are_counted_once_also_where_threads_interleave(measure):
    """A write counts where it asks for durability itself; a call that was interrupted in the trace counts once."""
    calls = """
71 fdatasync(8)                       = 0
71 fsync(9 <unfinished ...>
72 pwritev2(8, [{iov_base=""..., iov_len=448}], 1, -1, RWF_DSYNC) = 448
71 <... fsync resumed>)               = 0
72 pwritev2(8, [{iov_base=""..., iov_len=448}], 1, -1, 0) = 448
72 +++ exited with 0 +++
"""
    assert measure.parse_syncs(calls) == 3


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (0.01234, "0.0123"), (1.5, "1.5"), (45973.5, "45,974")])
def test_three_digits_are_shown(measure, value, shown):
    """More would claim what was not measured."""
    assert measure.digits(value) == shown


def test_no_registry_but_the_public_one_is_locked():
    """The benchmarks' lock works on any machine."""
    lock = (BENCH / "uv.lock").read_text()
    hosts = {address.split("/")[2] for address in lock.split('"') if address.startswith("https://")}
    assert hosts == {"pypi.org", "files.pythonhosted.org"}
