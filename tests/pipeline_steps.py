"""What the steps of pipeline scenarios do: read and write the world, ask models, call tools that may ask a person."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

from scenario_tools import QUICK, TIMEOUT, TOOLS, perform
from scenarios import Report

import agentkit as ak
from agentkit.errors import StepError

KINDS: dict[str, dict[str, Any]] = {
    "look": {"retry": QUICK, "retry_on": (ConnectionError,)},
    "calling": {},
    "put": {"writes": True, "idempotent": True, "retry": QUICK, "retry_on": (ConnectionError,)},
    "pay": {"writes": True},
    "pay_slowly": {"writes": True, "timeout": TIMEOUT},
}
"""The options of a step by what it does."""

_EFFECTS = {"put": "once", "pay": "always", "pay_slowly": "always"}


@dataclass
class Work:
    """What a step does. `hows`: of an item, by its number; `ops`: what it asks and calls; `given`: it is that."""

    kind: str
    how: str
    hows: tuple[str, ...] = ()
    ops: list[tuple[Any, int, str]] | None = None
    is_async: bool = False
    given: Any = None

    def made(self, needs_it: bool) -> Any:
        """The function, agent or pipeline; `needs_it`: it cannot do without the value before it."""
        if self.given is not None:
            return self.given
        if self.kind == "calling":
            return _awaits(self, needs_it) if self.is_async else _calls(self, needs_it)
        return _acts_async(self, needs_it) if self.is_async else _acts(self, needs_it)

    @property
    def fails_before(self) -> int | None:
        """The call before which it fails once: the first that asks a model, since asking that again is right then."""
        if self.how != "fails_once":
            return None
        asking = [at for at, (what, _, _) in enumerate(self.ops or []) if what not in TOOLS]
        return asking[0] if asking else len(self.ops or []) - 1

    def act(self, ctx: Any, n: int, a: Any) -> dict[str, Any]:
        """Read or write one thing."""
        how = self.hows[n % len(self.hows)] if self.hows else self.how
        if how == "slow":
            threading.Event().wait(2 * TIMEOUT)
        result = {"did": self.kind, "n": n, "of": a}
        return perform(ctx, self.kind, n, how, effect=_EFFECTS.get(self.kind), result=result)


def _acts(work: Work, needs_it: bool) -> Any:
    def step(n: int, a: Any, ctx: ak.Context) -> Any:
        return work.act(ctx, n, a)

    def optional(n: int, ctx: ak.Context, a: Any | None = None) -> Any:
        return work.act(ctx, n, a)

    return step if needs_it else optional


def _acts_async(work: Work, needs_it: bool) -> Any:
    async def step(n: int, a: Any, ctx: ak.AsyncContext) -> Any:
        await asyncio.sleep(0)
        return work.act(ctx, n, a)

    async def optional(n: int, ctx: ak.AsyncContext, a: Any | None = None) -> Any:
        return work.act(ctx, n, a)

    return step if needs_it else optional


def _calls(work: Work, needs_it: bool) -> Any:
    def step(n: int, ctx: ak.Context, a: Any | None = None) -> Any:
        found = []
        for at, (what, m, how) in enumerate(work.ops or []):
            if at == work.fails_before:
                _fail_once(ctx)
            try:
                found.append(_one(ctx, what, m * 10 + n % 10 if what != "pay_asking" else m, how, n))
            except StepError as error:
                found.append([type(error).__name__, str(error)])
        return {"n": n, "of": a, "found": found}

    return step


def _one(ctx: ak.Context, what: Any, m: int, how: str, n: int) -> Any:
    if what == "ask":
        return ctx.ask(_prompt(ctx, m, n), output=Report)
    if isinstance(what, str):
        return ctx.call(TOOLS[what], n=m, how=how)
    return ctx.call(what, task=f"task {m} of {ctx.step}")


def _awaits(work: Work, needs_it: bool) -> Any:
    """The same, two at a time."""

    async def one(ctx: ak.AsyncContext, what: Any, m: int, how: str, n: int) -> Any:
        try:
            if what == "ask":
                return await ctx.ask(_prompt(ctx, m, n), output=Report)
            if isinstance(what, str):
                return await ctx.call(TOOLS[what], n=m, how=how)
            return await ctx.call(what, task=f"task {m} of {ctx.step}")
        except StepError as error:
            return [type(error).__name__, str(error)]

    async def step(n: int, ctx: ak.AsyncContext, a: Any | None = None) -> Any:
        ops, found = work.ops or [], []
        for at in range(0, len(ops), 2):
            if work.fails_before in {at, at + 1}:
                _fail_once(ctx)
            pair = [one(ctx, what, m, how, n) for what, m, how in ops[at : at + 2]]
            found += await asyncio.gather(*pair)
        return {"n": n, "of": a, "found": found}

    return step


def _prompt(ctx: Any, m: int, n: int) -> str:
    return f"{ctx.step}: report on item {n}, number {m}"


def _fail_once(ctx: Any) -> None:
    """Fail where that never happened before in the world."""
    if not ctx.deps.ledger.find("failed", key=ctx.idempotency_key):
        ctx.deps.ledger.add("failed", key=ctx.idempotency_key)
        raise ValueError("once")
