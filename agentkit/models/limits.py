"""How many calls a provider gets at once and in a minute: one queue a provider, for the whole process."""

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from agentkit.errors import ConfigError

DEFAULT_CONCURRENCY = 20
"""Calls to one provider at once: with answers of a few seconds a few hundred a minute, what a new account may ask."""

MINUTE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """What one provider is asked at most.

    Args:
        concurrency: calls at once.
        requests_per_minute: calls begun in any 60 seconds; None is no limit.
    """

    concurrency: int = DEFAULT_CONCURRENCY
    requests_per_minute: int | None = None


_limits: dict[str, Limit] = {}
_queues: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Queue]]" = weakref.WeakKeyDictionary()


def limit(provider: str, *, concurrency: int = DEFAULT_CONCURRENCY, requests_per_minute: int | None = None) -> None:
    """Set how much this process asks of a provider, from the next call on; what waits is served in order.

    A call that waits for its turn has not begun: the wait is no part of its duration, its timeout or its cost.

    Args:
        provider: the part of a model's name before the slash: "openai".
        concurrency: calls at once; 20 where nothing is set.
        requests_per_minute: calls begun in any 60 seconds; None is no limit.

    Raises:
        ConfigError: a number that is no limit.

    Example:
        >>> limit("openai", concurrency=8, requests_per_minute=500)
    """
    if not provider or "/" in provider:
        raise ConfigError(f"limit({provider!r}): name a provider, such as 'openai', and not a model")
    for name, number in (("concurrency", concurrency), ("requests_per_minute", requests_per_minute)):
        if number is not None and number < 1:
            raise ConfigError(f"limit({provider!r}): {name}={number}; give at least 1")
    _limits[provider] = Limit(concurrency, requests_per_minute)
    for loop, queues in list(_queues.items()):
        if provider in queues and not loop.is_closed():
            loop.call_soon_threadsafe(queues[provider].serve)


@contextlib.asynccontextmanager
async def turn(provider: str) -> AsyncGenerator[None]:
    """Wait until a call to the provider may begin, and count it until it ended."""
    queues = _queues.setdefault(asyncio.get_running_loop(), {})
    queue = queues.setdefault(provider, Queue(provider))
    await queue.enter()
    try:
        yield
    finally:
        queue.leave()


class Queue:
    """Who waits for a provider, first come, first served. Belongs to one event loop.

    Args:
        provider: whose limit counts.
        minute: the length of the window in seconds.
    """

    def __init__(self, provider: str, *, minute: float = MINUTE) -> None:
        self._provider = provider
        self._minute = minute
        self._running = 0
        self._begun: deque[float] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self) -> None:
        """Wait for a place; it is taken when this returns."""
        if not self._waiting and self._free_in() == 0:
            self._take()
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self.serve()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given the place in the same moment: pass it on
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to who waits longest."""
        self._running -= 1
        self.serve()

    def serve(self) -> None:
        """Let begin whoever may."""
        while self._waiting:
            if self._waiting[0].done():  # cancelled while it waited
                self._waiting.popleft()
            elif (wait := self._free_in()) == 0:
                self._take()
                self._waiting.popleft().set_result(None)
            else:
                self._come_back(wait)
                return

    def _take(self) -> None:
        self._running += 1
        self._begun.append(_now())

    def _free_in(self) -> float | None:
        """Seconds until a call may begin, as far as time alone decides: 0 is now, None when another one ends."""
        allowed = _limits.get(self._provider, Limit())
        while self._begun and self._begun[0] <= _now() - self._minute:
            self._begun.popleft()
        if self._running >= allowed.concurrency:
            return None
        rate = allowed.requests_per_minute
        if rate is None or len(self._begun) < rate:
            return 0
        return max(self._begun[len(self._begun) - rate] + self._minute - _now(), 0.001)

    def _come_back(self, wait: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wait is None else asyncio.get_running_loop().call_later(wait, self.serve)


def _now() -> float:
    return asyncio.get_running_loop().time()
