"""What the workers of the tests execute: each step leaves a line in a file, so that what ran twice can be seen."""

import os
import signal
import time
from pathlib import Path

import agentkit as ak
from agentkit.testing import FunctionModel, call

KILLER = 666
"""The number at which a step takes its process down."""

chore = ak.Pipeline(
    "chore", input={"n": int, "marks": str, "seconds": (float, 0.0), "ask": (bool, False)}, approval_expires=None
)


def mark(marks: str, line: str) -> None:
    with Path(marks).open("a") as file:
        file.write(f"{line}\n")


@chore.step
def look(n: int, marks: str, seconds: float) -> int:
    if n == KILLER:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(seconds)
    mark(marks, f"look {n}")
    return n * 2


@chore.step
def think(look: int, marks: str, seconds: float) -> int:
    time.sleep(seconds)
    mark(marks, f"think {look}")
    return look + 1


@chore.step(writes=True, idempotent=True, approve=lambda call: call.args["ask"])
def pay(think: int, marks: str, ask: bool, ctx: ak.Context) -> str:
    mark(marks, f"pay {ctx.idempotency_key}")
    return f"paid {think}"


hasty = ak.Pipeline("hasty", input={"amount": int}, approval_expires=0.4)


@hasty.step(writes=True, approve=True, on_reject="skip")
def transfer(amount: int) -> int:
    return amount


branches = ak.Pipeline("branches", input={"marks": str, "seconds": float})


@branches.step(writes=True, approve=True)
def ask(marks: str) -> str:
    return "asked"


@branches.step
def first(marks: str, seconds: float) -> int:
    time.sleep(seconds)
    mark(marks, "first")
    return 1


@branches.step
def second(first: int, marks: str) -> int:
    mark(marks, "second")
    return 2


blunt = ak.Pipeline("blunt", input={"marks": str})


@blunt.step(writes=True)
def fire(marks: str) -> str:
    mark(marks, "fire")
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


@ak.tool(writes=True, approve=True)
def send(text: str) -> str:
    """Send a letter to somebody. Returns what was sent.

    Args:
        text: what the letter says, for example "Hello".
    """
    return f"sent {text}"


def _turns(*turns: object):
    def think(request: object) -> object:
        return turns[sum(message.role == "assistant" for message in request.messages)]

    return FunctionModel(think)


clerk = ak.Agent("clerk", _turns(call("send", text="Hello"), "It is sent."), "Write letters.", tools=[send])
chief = ak.Agent(
    "chief",
    _turns(call("clerk", task="Write to them."), "The clerk wrote."),
    "Have letters written.",
    tools=[clerk.as_tool("Writes one letter to somebody and sends it. Returns what it did.")],
)
