"""Pipelines and an agent that workers can import; `submitted.py LOG ITEMS` submits items and ends, `… wait` waits."""

import sys
import threading
import time
from pathlib import Path

import agentkit as ak
from agentkit.testing import FunctionModel

twice = ak.Pipeline("twice", input={"n": int})


@twice.step
def doubled(n: int) -> int:
    """Work that takes no time."""
    return 2 * n


checked = ak.Pipeline("checked", input={"n": int})


@checked.step(approve=lambda call: call.args["n"] % 2 == 0)
def passed(n: int) -> int:
    """A person is asked about even numbers."""
    return n


gated = ak.Pipeline("gated", input={"n": int})


@gated.step
def begun(n: int, ctx: ak.Context) -> int:
    """Tell who holds the gate, and wait until it is open; what is named as broken fails."""
    ctx.deps["begun"].append(n)
    assert ctx.deps["gate"].wait(30)
    if n in ctx.deps["broken"]:
        raise ValueError(f"no {n}")
    return n


@gated.step
def ended(begun: int) -> int:
    """One more step, at which a run can be stopped."""
    return begun


marking = ak.Pipeline("marking", input={"n": int, "place": str})


@marking.step
def marked(n: int, place: str) -> int:
    """Leave a mark that it ran, and take a moment."""
    with Path(place).open("a") as marks:
        marks.write(f"{n}\n")
    time.sleep(0.1)
    return n * n


sizes = ak.Pipeline("sizes", input={"text": str})


@sizes.step
def size(text: str) -> int:
    """The length of a text."""
    return len(text)


loud = ak.Agent("loud", FunctionModel(lambda request: str(request.messages[0].content).upper()))


if __name__ == "__main__":
    import submitted  # as a worker has it: what a script defines, nobody else can import

    batch = submitted.twice.map(range(int(sys.argv[2])), submit=True, log=sys.argv[1])
    if "wait" in sys.argv:
        batch.wait_begun()
        threading.Timer(0.3, print, ["waits"], {"flush": True}).start()
        batch.result(60)
