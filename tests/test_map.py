"""Mapping a pipeline over items: lazily, a few at a time, in order, and once, whatever ended the process."""

import asyncio
import gc
import itertools
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from mapped import slow
from nbclient import NotebookClient
from pydantic import BaseModel
from small_agents import lookup

import agentkit as ak
from agentkit.batch import Counts
from agentkit.errors import LogUnwritable
from agentkit.runner.driver import Driver
from agentkit.stores.embedded import EmbeddedStore
from agentkit.testing import FunctionModel, ScriptedModel, call

SOON = 30


@pytest.fixture
def log():
    return ak.open_log("memory:")


@pytest.fixture(params=["memory:", "folder"])
def any_log(request, tmp_path):
    log = ak.open_log("memory:" if request.param == "memory:" else tmp_path / "log")
    yield log
    log.close()


def pipeline_of(step, **options):
    made = ak.Pipeline("each", input={"n": int})
    made.step(step, **options)
    return made


def recorded(log):
    """How many runs the log has, by status."""
    return dict(log.sql("SELECT status, count(*) FROM runs GROUP BY status").rows)


def test_results_are_in_the_order_of_the_items(any_log):
    """Whichever run ends first."""

    def late(n: int) -> int:
        time.sleep(0.02 * (5 - n))
        return n * 10

    batch = pipeline_of(late).map(range(5), log=any_log)
    assert batch.result(SOON) == [0, 10, 20, 30, 40]
    assert batch.counts == Counts(done=5, failed=0, paused=0, running=0, left=0)
    assert batch.results == [0, 10, 20, 30, 40]


def test_an_item_is_a_mapping_of_inputs_or_the_value_of_the_only_one(log):
    """Models too; where there are several inputs, a bare value is refused."""

    class Ticket(BaseModel):
        text: str

    one = ak.Pipeline("one", input={"ticket": Ticket})

    @one.step
    def length(ticket: Ticket) -> int:
        return len(ticket.text)

    items = [Ticket(text="a"), {"text": "bb"}, {"ticket": {"text": "ccc"}}]
    assert one.map(items, log=log).result(SOON) == [1, 2, 3]
    two = ak.Pipeline("two", input={"a": int, "b": (int, 5)})

    @two.step
    def total(a: int, b: int) -> int:
        return a + b

    batch = two.map([{"a": 1}, {"a": 1, "b": 2}, 7, {"c": 1}], log=log)
    first, second, *wrong = batch.result(SOON)
    assert (first, second) == (6, 3)
    assert "an item is a mapping of its inputs" in wrong[0].message
    assert wrong[1].type == "ConfigError"


def test_items_are_read_as_runs_begin(log):
    """A generator without an end is no more than a few items ahead of the runs."""
    read, gate = [], threading.Semaphore(0)

    def gated(n: int) -> int:
        gate.acquire()
        return n

    batch = pipeline_of(gated).map((read.append(n) or n for n in itertools.count()), concurrency=3, log=log)
    until(lambda: batch.counts.running == 3)
    assert len(read) <= 4
    assert batch.counts.left is None
    for _ in range(10):
        gate.release()
    until(lambda: batch.counts.done == 10)
    assert len(read) <= 14
    threading.Timer(0.2, lambda: [gate.release() for _ in range(10)]).start()
    batch.pause()
    batch.wait(SOON)
    with pytest.raises(ak.RunPaused, match="call map again with the same items"):
        batch.result(SOON)


def test_so_many_runs_execute_at_one_time(log):
    """`concurrency` is reached and never passed."""
    running, most, lock = [0], [0], threading.Lock()

    def counted(n: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.03)
        with lock:
            running[0] -= 1
        return n

    pipeline_of(counted).map(range(20), concurrency=4, log=log).result(SOON)
    assert most == [4]


def test_what_is_done_is_not_done_again(any_log):
    """A second call begins only the rest; a failed item is kept with its error; equal items are each done once."""
    ran = []

    def inverse(n: int) -> float:
        ran.append(n)
        return 1 / n

    each = pipeline_of(inverse)
    first = each.map([1, 2, 0, 2], log=any_log)
    first.wait(SOON)
    second = each.map([1, 2, 0, 2, 2, 4], log=any_log)
    outputs = second.result(SOON)
    assert outputs[:2] + outputs[3:] == [1.0, 0.5, 0.5, 0.5, 0.25]
    assert isinstance(outputs[2], ak.Failed)
    assert (outputs[2].step, outputs[2].type) == ("item 2", "ZeroDivisionError")
    assert Counter(ran) == {1: 1, 2: 3, 0: 1, 4: 1}
    assert recorded(any_log) == {"succeeded": 5, "failed": 1}
    assert [row.run.run_id for row in second.failed] == [row.run_id for row in first.failed]


def test_everything_is_done_again_where_that_is_said_or_the_code_changed(log):
    """`again=True`; and a step with another source is another batch."""
    each = pipeline_of(lambda_named("step", lambda n: n))
    each.map([1, 2], log=log).wait(SOON)
    each.map([1, 2], log=log, again=True).wait(SOON)
    assert recorded(log) == {"succeeded": 4}

    def other(n: int) -> int:
        return -n

    each.step(other, name="step")
    assert each.map([1, 2], log=log).result(SOON) == [-1, -2]
    assert recorded(log) == {"succeeded": 6}


def test_a_changed_condition_is_changed_code(log):
    """Whether a step runs is a part of what a pipeline does: what was mapped before it changed is done again."""
    each = pipeline_of(lambda_named("step", lambda n: n), when=lambda n: n > 1)
    assert each.map([1, 2], log=log).result(SOON) == [None, 2]
    each.step(lambda_named("step", lambda n: n), when=lambda n: n > 0)
    assert each.map([1, 2], log=log).result(SOON) == [1, 2]


def lambda_named(name, function):
    def step(n: int) -> int:
        return function(n)

    step.__name__ = name
    return step


def test_a_failed_item_is_tried_again_alone(any_log):
    """The newest run of an item counts, in this batch and for the next call."""
    broken = {3, 5}

    def fragile(n: int) -> int:
        if n in broken:
            raise ValueError(f"no {n}")
        return n

    each = pipeline_of(fragile)
    batch = each.map(range(7), log=any_log)
    batch.wait(SOON)
    assert [(row.index, row.error) for row in batch.failed] == [
        (3, "ValueError: fragile: no 3"),
        (5, "ValueError: fragile: no 5"),
    ]
    broken.discard(3)
    batch.retry(3)
    assert batch.result(SOON)[3] == 3
    assert [row.index for row in batch.failed] == [5]
    with pytest.raises(ak.ConfigError, match="item 2 is succeeded"):
        batch.retry(2)
    broken.clear()
    assert batch.retry().result(SOON) == list(range(7))
    assert recorded(any_log) == {"succeeded": 7, "failed": 2}
    assert each.map(range(7), log=any_log).result(SOON) == list(range(7))


def test_what_failed_in_an_earlier_call_is_tried_again_at_once(any_log):
    """Whoever maps the same again and retries need not wait until the items are read."""

    def fragile(n: int, ctx: ak.Context) -> int:
        if n in ctx.deps:
            raise ValueError(f"no {n}")
        return n

    each = pipeline_of(fragile)
    each.map(range(7), deps={3, 5}, log=any_log).wait(SOON)
    assert each.map(range(7), deps={3}, log=any_log).retry(5).result(SOON)[5] == 5
    assert each.map(range(7), deps=(), log=any_log).retry().result(SOON) == list(range(7))


def test_a_batch_that_is_to_fail_begins_nothing_after_the_first_failure(log):
    """`result()` names the item; a later call keeps the failure, and goes on once it is mended."""
    mended = []

    def fragile(n: int) -> int:
        if n == 2 and not mended:
            raise ValueError("no")
        return n

    each = pipeline_of(fragile)
    batch = each.map(range(50), concurrency=1, on_error="fail", log=log)
    with pytest.raises(ak.RunFailed, match="item 2: ValueError: fragile: no") as failed:
        batch.result(SOON)
    assert failed.value.run_id == batch.failed[0].run_id
    assert batch.counts[:4] == (2, 1, 0, 0)
    with pytest.raises(ak.RunFailed, match="item 2"):
        each.map(range(50), on_error="fail", log=log).result(SOON)
    mended.append(True)
    batch.retry().wait(SOON)
    assert each.map(range(50), on_error="fail", log=log).result(SOON) == list(range(50))


def test_an_item_of_the_wrong_type_fails_alone(log):
    """It has no run, so there is nothing to try again; it is told where it is."""
    batch = pipeline_of(lambda_named("step", lambda n: n)).map([1, "two", 3], log=log)
    outputs = batch.result(SOON)
    assert (outputs[0], outputs[1].step, outputs[2]) == (1, "item 1", 3)
    assert batch.failed[0].run is None
    with pytest.raises(ak.ConfigError, match=r"item 1 was never begun .* correct it"):
        batch.retry(1)


def test_what_reading_the_items_raises_is_raised_and_loses_nothing(log):
    """What was begun before is done, and found by the next call."""

    def broken():
        yield 1
        yield 2
        raise OSError("the file is gone")

    each = pipeline_of(lambda_named("step", lambda n: n))
    with pytest.raises(OSError, match="the file is gone"):
        each.map(broken(), log=log).result(SOON)
    assert each.map([1, 2, 3], log=log).result(SOON) == [1, 2, 3]
    assert recorded(log) == {"succeeded": 3}


def test_items_that_wait_for_a_person_hold_up_nobody(any_log):
    """They give their place free; answered, they go on; another call finds them waiting, or answered."""
    each = pipeline_of(lambda_named("pay", lambda n: n), approve=lambda call: call.args["n"] % 2 == 0)
    batch = each.map(range(6), concurrency=1, log=any_log)
    with pytest.raises(ak.RunPaused) as paused:
        batch.result(SOON)
    assert len(paused.value.pending) == 3
    assert batch.counts == Counts(done=3, failed=0, paused=3, running=0, left=0)
    batch.run(0).approve()
    until(lambda: batch.counts.paused == 2)
    later = each.map(range(6), log=any_log)
    later.wait(SOON)
    assert (later.counts.paused, len(later.pending)) == (2, 2)
    for run in later.waiting:
        run.approve()
    assert later.result(SOON) == list(range(6))
    assert batch.result(SOON) == list(range(6))
    assert recorded(any_log) == {"succeeded": 6}


def test_a_batch_that_was_paused_goes_on_with_the_next_call(any_log):
    """What is in flight stops after its step, and goes on with the next; nothing runs twice."""
    ran = []
    two = ak.Pipeline("two", input={"n": int})

    @two.step
    def first(n: int) -> int:
        ran.append(("first", n))
        time.sleep(0.1)
        return n

    @two.step
    def second(first: int) -> int:
        ran.append(("second", first))
        return first

    batch = two.map(range(8), concurrency=2, log=any_log)
    until(lambda: len(ran) >= 3)
    batch.pause()
    batch.wait(SOON)
    assert batch.counts.done < 8
    assert batch.counts.running == 0
    assert two.map(range(8), log=any_log).result(SOON) == list(range(8))
    assert all(times == 1 for times in Counter(ran).values())
    assert recorded(any_log) == {"succeeded": 8}


def test_a_batch_is_cancelled(log):
    """What executes and what waits ends; nothing more begins."""
    gate = threading.Event()

    def gated(n: int) -> int:
        gate.wait(SOON)
        return n

    batch = pipeline_of(gated).map(range(50), concurrency=2, log=log)
    until(lambda: batch.counts.running == 2)
    batch.cancel("enough")
    threading.Timer(0.3, gate.set).start()
    with pytest.raises(ak.RunCancelled):
        batch.result(SOON)
    assert recorded(log) == {"cancelled": 2}
    assert batch.failed[0].error == "cancelled: enough"


def test_two_who_map_the_same_do_nothing_twice(any_log):
    """A cell executed again while it is at work: the second finds what the first began, and waits for it."""
    ran = []

    def work(n: int) -> int:
        ran.append(n)
        time.sleep(0.02)
        return n

    each = pipeline_of(work)
    batches = [each.map(range(20), concurrency=4, log=any_log) for _ in range(2)]
    assert [batch.result(SOON) for batch in batches] == [list(range(20))] * 2
    assert sorted(ran) == list(range(20))


def test_a_batch_is_awaited(log):
    """In async code, without a thread of the caller's being held up."""

    async def main():
        return await pipeline_of(lambda_named("step", lambda n: n)).map(range(3), log=log)

    assert asyncio.run(main()) == [0, 1, 2]


def test_an_agent_is_mapped_over_inputs(log):
    """The same machinery, outputs and costs."""
    model = FunctionModel(
        lambda request: str(request.messages[0].content).upper(), usage=ak.Usage(input_tokens=5, cost_usd=0.25)
    )
    agent = ak.Agent("loud", model)
    batch = agent.map(["a", "b"], log=log, tags=["t"])
    assert batch.result(SOON) == ["A", "B"]
    assert (batch.cost, batch.usage.input_tokens, batch.usage.model_calls) == (0.5, 10, 2)
    again = agent.map(["a", "b", "c"], log=log)
    assert again.result(SOON) == ["A", "B", "C"]
    assert (again.cost, again.usage.input_tokens, again.usage.model_calls) == (0.75, 15, 3)
    assert log.runs().dicts()[-1]["tags"] == '["t"]'


@pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # a small tool will do here
def test_costs_that_were_added_up_are_shown_as_prices(log):
    """Three times a tenth of a cent is no 0.00030000000000000003, in a row and on a screen."""
    model = ScriptedModel([call("lookup", what="a"), call("lookup", what="b"), "ok"], price_usd=0.0001)
    batch = ak.Agent("adds", model, tools=[lookup]).map(["a"], log=log).wait(SOON)
    (row,) = batch.begun
    assert row.cost == batch.rows[0][-1] == 0.0003
    assert ">$0.0003<" in batch._repr_mimebundle_()["text/html"]


def test_what_children_used_is_counted_here_and_by_the_next_call(log):
    """An agent that is a step runs in a run of its own."""
    agent = ak.Agent("namer", FunctionModel(lambda _request: "Ada", usage=ak.Usage(input_tokens=5, cost_usd=0.25)))
    outer = ak.Pipeline("outer", input={"topic": str})
    outer.step(agent)
    assert outer.map(["x", "y"], log=log).wait(SOON).cost == 0.5
    batch = outer.map(["x", "y"], log=log).wait(SOON)
    assert (batch.cost, batch.usage.input_tokens, batch.rows[0][-1]) == (0.5, 10, 0.25)


def test_secrets_are_no_part_of_a_key(log):
    """Items that differ in a secret only are told apart by their order: no digest of a secret is in the log."""
    each = ak.Pipeline("each", input={"pin": str, "n": int}, redact=["pin"])

    @each.step
    def twice(n: int) -> int:
        return 2 * n

    items = [{"pin": "1111", "n": 1}, {"pin": "2222", "n": 1}]
    keys = []
    for pins in (items, [{**item, "pin": "9"} for item in items]):
        assert each.map(pins, log=log).result(SOON) == [2, 2]
        keys.append({run.state.config["map"]["item"] for run in map(log.run, [row[0] for row in log.runs()])})
    assert keys[0] == keys[1]
    assert len(keys[0]) == 2


def test_large_items_are_found_again(tmp_path):
    """Their input is in a file beside the log, where no query looks."""
    log = ak.open_log(tmp_path / "log")
    each = ak.Pipeline("each", input={"text": str})

    @each.step
    def size(text: str) -> int:
        return len(text)

    @each.step
    def back(text: str) -> str:
        return text

    items = ["x" * 400_000, "y" * 300_000]
    for _ in range(2):
        outputs = each.map(items, log=log).result(SOON)
        assert [one["back"] for one in outputs] == items
    assert recorded(log) == {"succeeded": 2}
    log.close()


def test_finished_runs_are_let_go(log):
    """Neither drivers nor states of finished runs are kept: memory does not grow with the items."""
    alive = weakref.WeakSet()
    original = Driver.__init__

    def counted(self, *arguments, **options):
        original(self, *arguments, **options)
        alive.add(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Driver, "__init__", counted)
        batch = pipeline_of(lambda_named("step", lambda n: n)).map(range(200), log=log)
        batch.wait(SOON)
    gc.collect()
    assert len(alive) <= 8
    assert batch.counts.done == 200


def test_options_are_checked_before_anything_starts(log):
    """Each says what to give instead."""
    each = pipeline_of(lambda_named("step", lambda n: n))
    with pytest.raises(ak.ConfigError, match="concurrency=0"):
        each.map([1], concurrency=0, log=log)
    with pytest.raises(ak.ConfigError, match="on_error is 'collect' or 'fail'"):
        each.map([1], on_error="ignore", log=log)
    with pytest.raises(ak.ConfigError, match="give a list of texts"):
        each.map([1], tags="one", log=log)
    assert recorded(log) == {}


@pytest.mark.parametrize("items", ["abc", {"n": 1}, 5])
def test_one_item_is_not_taken_for_many(log, items):
    """A text would be mapped letter by letter."""
    with pytest.raises(ak.ConfigError, match="map takes"):
        pipeline_of(lambda_named("step", lambda n: n)).map(items, log=log)


def test_a_log_that_breaks_stops_the_batch(tmp_path, monkeypatch):
    """Nothing more begins, `result()` says why; once it is mended the next call goes on."""
    log = ak.open_log(tmp_path / "log")
    append, full = EmbeddedStore.append, [False]

    def appending(self, claim, events, *, durable=True):
        if full[0]:
            raise LogUnwritable("the disk is full")
        return append(self, claim, events, durable=durable)

    def filling(n: int) -> int:
        full[0] = full[0] or n == 5
        return n

    monkeypatch.setattr(EmbeddedStore, "append", appending)
    each = pipeline_of(filling)
    batch = each.map(range(100), concurrency=2, log=log)
    with pytest.raises(LogUnwritable, match="the disk is full"):
        batch.result(SOON)
    assert batch.counts.done < 10
    monkeypatch.setattr(EmbeddedStore, "append", append)
    assert each.map(range(100), log=log).result(SOON) == list(range(100))
    log.close()


def test_a_batch_is_text_a_table_and_html_that_is_escaped(log):
    """Everywhere what failed is said; nothing of an item acts on a page or a terminal."""

    def fragile(n: int) -> str:
        if n == 1:
            raise ValueError("<b>\x1b[31m")
        return "<i>"

    batch = pipeline_of(fragile).map(range(3), log=log).wait(SOON)
    assert repr(batch).splitlines()[1] == "  ✗ item 1: ValueError: fragile: <b>\\x1b[31m"
    assert batch.rows.columns == ("index", "run_id", "status", "output", "error", "seconds", "cost")
    assert [row[2:4] for row in batch.rows] == [("succeeded", "'<i>'"), ("failed", None), ("succeeded", "'<i>'")]
    html = batch._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;" in html
    assert not {"<b>\x1b", "<i>", "\x1b"} & set(html)
    assert "<i>" not in html
    assert 'max="3" value="3"' in html


def test_in_a_notebook_a_batch_shows_how_far_it_is(tmp_path):
    """One place in the cell, updated until all is done; nothing is printed."""
    cell = f"""
import time, agentkit as ak
each = ak.Pipeline("each", input={{"n": int}})
@each.step
def twice(n: int) -> int:
    time.sleep(0.2)
    return 2 * n
batch = each.map(range(6), concurrency=2, log={str(tmp_path / "log")!r})
batch
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell), nbformat.v4.new_code_cell(WAIT)])
    NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    shown = [output for output in notebook.cells[0].outputs if output.output_type == "display_data"]
    assert len(shown) == 1
    assert "6 of 6 done" in shown[0]["data"]["text/html"]
    assert [output["text"] for output in notebook.cells[1].outputs if "text" in output] == ["[0, 2, 4, 6, 8, 10]\n"]


WAIT = "import time\nfound = batch.result()\ntime.sleep(1.5)\nprint(found)"


def test_a_killed_process_leaves_a_batch_that_the_next_one_finishes(tmp_path):
    """SIGKILL in the middle: what was done is not done again, what was in flight goes on, the rest is begun."""
    place, ran = tmp_path / "log", tmp_path / "log.ran"
    process = started(place)
    until(lambda: ran.exists() and len(ran.read_text().split()) >= 10)
    process.kill()
    process.communicate(timeout=60)
    log = ak.open_log(place)
    before = recorded(log)
    assert before["succeeded"] >= 5
    batch = slow.map(range(30), deps=str(ran), log=log)
    assert batch.result(SOON) == [n * n for n in range(30)]
    times = Counter(ran.read_text().split())
    assert recorded(log) == {"succeeded": 30}
    assert sum(times.values()) <= 30 + 4  # those in flight ran again: a read may
    log.close()


def test_ctrl_c_leaves_a_batch_that_a_second_call_finishes(tmp_path):
    """It stops after what is in flight and says how to go on; nothing runs twice."""
    place, ran = tmp_path / "log", tmp_path / "log.ran"
    process = started(place)
    until(lambda: ran.exists() and len(ran.read_text().split()) >= 10)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "call map again with the same items to go on" in err
    log = ak.open_log(place)
    assert recorded(log).get("running", 0) == 0
    log.close()
    done = started(place)
    out, err = done.communicate(timeout=60)
    assert out == f"{[n * n for n in range(30)]}\n", err
    assert Counter(ran.read_text().split()) == {str(n): 1 for n in range(30)}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_items_survive_ctrl_c_and_a_kill(tmp_path):
    """Stopped twice, each time another way, they are all done in the end; only what was cut short ran twice."""
    place, ran = tmp_path / "log", tmp_path / "log.ran"
    for stop in (signal.SIGINT, signal.SIGKILL):
        before = len(ran.read_text().split()) if ran.exists() else 0
        process = started(place, items=10_000, seconds=0)
        until(lambda before=before: ran.exists() and len(ran.read_text().split()) >= before + 1000)
        process.send_signal(stop)
        process.communicate(timeout=60)
        assert process.returncode != 0
    out, err = started(place, items=10_000, seconds=0).communicate(timeout=300)
    assert out == f"{[n * n for n in range(10_000)]}\n", err
    times = Counter(ran.read_text().split())
    assert len(times) == 10_000
    assert sum(times.values()) <= 10_000 + 4


def started(place, items=30, seconds=0.1):
    script = Path(__file__).parent / "mapped.py"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(script), str(place), str(items), "4", str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(holds):
    """Wait for something that other threads or processes bring about."""
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
