"""A run in a real kernel, without a browser: waiting for a person, and the stop button."""

import time

import kernels
import pytest

CELLS = """
import asyncio, time, warnings
import agentkit as ak
from agentkit.testing import ScriptedModel, call

warnings.simplefilter("ignore")

@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    "Pay an amount to somebody. Returns the receipt."
    return {"paid": amount}

@ak.tool
def rest(seconds: float) -> str:
    "Rest. Returns when it is over."
    time.sleep(seconds)
    return "rested"

def payer():
    return ak.Agent("payer", ScriptedModel([call("pay", amount=5.0), "all done"]), tools=[pay])

def sleeper():
    model = ScriptedModel([call("rest", seconds=2.0), call("pay", amount=5.0), "all done"])
    return ak.Agent("sleeper", model, tools=[rest, pay])
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    with kernels.kernel(folder, AGENTKIT_LOG=str(folder / ".agentkit")) as kernel:
        kernel.run(CELLS)
        yield kernel


def until(kernel, condition):
    """Look again and again, in cells."""
    end = time.monotonic() + 30
    while "True" not in (said := kernel.run(f"print({condition})")):
        assert time.monotonic() < end, said
        time.sleep(0.1)


def test_a_cell_that_waits_asks_by_its_input_box_where_no_click_arrives(kernel):
    """Nobody shows the card here: the box asks the same, and a wrong edit is asked again."""
    kernel.answers += ["e", '{"amount": "much"}', "e", '{"amount": 4}']
    said = kernel.run("run = payer().run('go')\nprint(run.wait(60))", person=True)
    assert "asked here" in said
    assert "are not valid" in said
    assert said.rstrip().endswith("all done")
    (asked,) = eval(kernel.run("print([(a.edits, a.verdict) for a in run.state.approvals.values()])").strip())
    assert asked == ({"amount": 4}, "edit")
    assert "notebook" in kernel.run("print([e.body.through for e in run.events() if e.type == 'approval_answered'])")


def test_without_a_person_waiting_says_who_can_answer_and_does_not_hang(kernel):
    """`jupyter execute`, nbconvert and papermill allow no input: the run stays paused."""
    said = kernel.run("run = payer().run('go')\nrun.wait()")
    assert "RunPaused" in said
    assert "agentkit pending" in said
    assert "paused" in kernel.run("print(run.status)")


@pytest.mark.parametrize("how", ["run.result()", "run.wait()", "await run", "await asyncio.gather(run)"])
def test_the_stop_button_pauses_the_run_that_a_cell_waits_for(kernel, how):
    """What is in flight is finished and recorded; the next cell goes on with it."""
    cell = kernel.start(f"run = sleeper().run('go')\n{how}")
    time.sleep(1)
    began = time.monotonic()
    kernel.interrupt()
    said = kernel.end(cell)
    assert time.monotonic() - began < 1.5, said
    assert "KeyboardInterrupt" in said or "CancelledError" in said
    until(kernel, "run.status == 'paused'")
    assert "ok" in kernel.run("print(run.state.calls['tool/rest/1'].outcome)")
    assert "[]" in kernel.run("print(run.pending)")
    assert "RunPaused" in kernel.run("run.resume()\nrun.result()")
    assert "all done" in kernel.run("run.approve()\nprint(run.result())")


def test_a_wait_that_the_cell_itself_gives_up_pauses_nothing(kernel):
    """`asyncio.wait_for` cancels what waits for the run, not the run."""
    said = kernel.run(
        "run = sleeper().run('go')\n"
        "try:\n    await asyncio.wait_for(run, 0.5)\nexcept TimeoutError:\n    print('later')"
    )
    assert "later" in said
    until(kernel, "bool(run.pending)")
    assert "'pay'" in kernel.run("print([asked.name for asked in run.pending])")


def test_the_stop_button_leaves_what_a_person_is_asked_as_it_is(kernel):
    """The input box goes; the question stays, and is answered by another cell."""
    kernel.asked.clear()
    cell = kernel.start("run = payer().run('go')\nrun.wait()", person=True)
    kernel.asks()
    kernel.interrupt()
    assert "KeyboardInterrupt" in kernel.end(cell)
    assert "paused" in kernel.run("print(run.status)")
    assert "all done" in kernel.run("run.approve()\nprint(run.result())")
