"""The tools that scenarios use, and the ledger of what they really did.

What a call does is said by its arguments alone, so it does the same after a crash. Its effects go to a ledger outside
the log: the world, as it were, which a crash does not roll back.
"""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agentkit as ak

QUICK = ak.Retry(max_attempts=3, initial=0.0005, max=0.001)
TIMEOUT = 0.01


class Ledger:
    """What happened in the world: entries that are only ever added.

    Args:
        entries: what happened before.
        told: called with each new entry, in their order.
    """

    def __init__(
        self, entries: list[dict[str, Any]] | None = None, told: Callable[[dict[str, Any]], None] | None = None
    ):
        self._entries = list(entries or [])
        self._told = told
        self._lock = threading.Lock()

    def add(self, kind: str, **entry: Any) -> None:
        """Write down that something happened."""
        with self._lock:
            self._keep({"kind": kind, **entry})

    def add_once(self, kind: str, *, key: str, **entry: Any) -> None:
        """Write it down unless it has happened under this key: what an idempotent service does."""
        with self._lock:
            if not any(old["kind"] == kind and old["key"] == key for old in self._all() if "key" in old):
                self._keep({"kind": kind, "key": key, **entry})

    def find(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The entries of a kind with these fields."""
        with self._lock:
            found = [entry for entry in self._all() if entry["kind"] == kind]
        return [entry for entry in found if all(entry.get(key) == value for key, value in fields.items())]

    def _all(self) -> list[dict[str, Any]]:
        return self._entries

    def _keep(self, entry: dict[str, Any]) -> None:
        self._entries.append(entry)
        if self._told is not None:
            self._told(entry)


class FileLedger(Ledger):
    """A ledger that outlives its process: a line an entry, synced before the effect counts as done."""

    def __init__(self, path: Path) -> None:
        super().__init__([json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else [])
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def _keep(self, entry: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(entry).encode() + b"\n")
        os.fsync(self._file)
        super()._keep(entry)


def result_of(tool: str, n: int) -> dict[str, Any]:
    """What a call returns: it follows from its arguments, so a person can say it too."""
    return {"did": tool, "n": n, "list": [n, {"deep": f"é{n}"}]}


def perform(
    ctx: ak.Context, tool: str, n: int, how: str, *, effect: str | None = None, result: Any = None
) -> dict[str, Any]:
    """Do what `how` says. `effect`: "once" for a service that knows keys, "always" for one that does not."""
    ledger: Ledger = ctx.deps.ledger
    result = result_of(tool, n) if result is None else result
    seen = {"run": ctx.run_id, "step": ctx.step, "key": ctx.idempotency_key, "attempt": ctx.attempt}
    tried = len(ledger.find("called", key=ctx.idempotency_key))
    ledger.add("called", tool=tool, n=n, **seen)
    if how == "flaky" and tried < 1:
        raise ConnectionError("the line dropped once")
    if how == "dead":
        raise ConnectionError("the line is dead")
    if how == "refused":
        raise ak.ToolError(f"no {n} here", retryable=False, n=n)
    if how == "broken":
        raise ValueError(f"cannot do {n}")
    if how == "noted":
        ctx.note("about to act", n=n)
    if effect == "once":
        ledger.add_once("effect", tool=tool, n=n, result=result, **seen)
    elif effect == "always":
        ledger.add("effect", tool=tool, n=n, result=result, **seen)
    if how == "broken_after":
        raise ValueError(f"did {n}, and then broke")
    return result


@ak.tool(retry=QUICK)
def look(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Look at one of the numbered things in the world and return what is there.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    return perform(ctx, "look", n, how)


@ak.tool(retry=QUICK)
async def peek(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Look at one of the numbered things without a thread and return what is there.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    await asyncio.sleep(0)
    return perform(ctx, "peek", n, how)


@ak.tool(approve=True, retry=QUICK)
def look_closely(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Look at something private, which a person has to allow, and return it.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    return perform(ctx, "look_closely", n, how)


@ak.tool(writes=True, idempotent=True, retry=QUICK)
def put(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Put one of the numbered things in its place, once for one key, and return it.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    return perform(ctx, "put", n, how, effect="once")


@ak.tool(writes=True, idempotent=True, retry=QUICK, approve=lambda call: call.args["n"] % 2 == 0)
async def put_carefully(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Put one of the numbered things in its place, asking a person about even ones, and return it.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    return perform(ctx, "put_carefully", n, how, effect="once")


@ak.tool(writes=True)
def pay(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Pay for one of the numbered things, every time it is called, and return the receipt.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    return perform(ctx, "pay", n, how, effect="always")


@ak.tool(writes=True)
async def send(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Send one of the numbered things away, every time it is called, and return the receipt.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    result = perform(ctx, "send", n, how, effect="always")
    await asyncio.sleep(0)
    return result


@ak.tool(writes=True, approve=True)
def pay_asking(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Pay for something dear, which a person has to allow, and return the receipt.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    return perform(ctx, "pay_asking", n, how, effect="always")


def needs_asking(call: ak.Call) -> bool:
    """The rule of `pay_if_dear`; it breaks on some numbers, and then a person is asked."""
    n = call.args["n"]
    if n % 7 == 0:
        raise RuntimeError("the rule broke")
    return n % 3 == 0


@ak.tool(writes=True, approve=needs_asking)
def pay_if_dear(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Pay for something, asking a person about every third, and return the receipt.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    return perform(ctx, "pay_if_dear", n, how, effect="always")


@ak.tool(writes=True, timeout=TIMEOUT)
def pay_slowly(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Pay in a thread that comes back after the timeout when told so, and return the receipt.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    if how == "slow":
        threading.Event().wait(2 * TIMEOUT)
    return perform(ctx, "pay_slowly", n, how, effect="always")


@ak.tool(writes=True, timeout=TIMEOUT)
async def send_slowly(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Send something and hang afterwards when told so, until the timeout; else return the receipt.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    result = perform(ctx, "send_slowly", n, how, effect="always")
    if how == "slow":
        await asyncio.Event().wait()
    return result


@ak.tool(timeout=TIMEOUT, retry=ak.Retry(max_attempts=2, initial=0.0005, max=0.001))
async def peek_slowly(n: int, how: str, ctx: ak.Context) -> dict[str, Any]:
    """Look at something and hang until the timeout when told so; else return what is there.

    Args:
        n: the number of the thing.
        how: how the call is to go.
    """
    result = perform(ctx, "peek_slowly", n, how)
    if how == "slow":
        await asyncio.Event().wait()
    return result


TOOLS = {
    tool.name: tool
    for tool in (
        *(look, peek, look_closely, peek_slowly),
        *(put, put_carefully),
        *(pay, send, pay_asking, pay_if_dear, pay_slowly, send_slowly),
    )
}

GATED = {"look_closely", "pay_asking"}
"""The tools about which a person is always asked."""

HOWS = {
    "look": ("ok", "ok", "noted", "flaky", "dead", "refused", "broken"),
    "peek": ("ok", "ok", "flaky", "refused", "broken"),
    "look_closely": ("ok", "flaky"),
    "peek_slowly": ("ok", "slow"),
    "put": ("ok", "ok", "flaky", "dead", "refused", "broken", "broken_after"),
    "put_carefully": ("ok", "flaky", "noted"),
    "pay": ("ok", "ok", "noted", "dead", "refused", "broken", "broken_after"),
    "send": ("ok", "dead", "refused", "broken_after"),
    "pay_asking": ("ok", "ok", "refused", "broken"),
    "pay_if_dear": ("ok", "ok", "dead", "refused"),
    "pay_slowly": ("ok", "slow"),
    "send_slowly": ("ok", "slow"),
}
"""How a call of each tool can go."""
