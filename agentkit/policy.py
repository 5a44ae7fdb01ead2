"""Policies: plain values that say how often, how much and how long. What they lead to is decided elsewhere."""

import random
from typing import Literal

from pydantic import Field

from agentkit.messages import Fact

LONGEST_WAIT = 31_536_000.0
"""Seconds, a year: what somebody asks for beyond it has no date that every computer can write."""


class Retry(Fact):
    """Exponential backoff with jitter.

    Args:
        max_attempts: how often a step is tried in all, the first try included.
        initial: seconds before the second attempt.
        factor: how much longer each further wait is.
        max: the longest wait in seconds.
        jitter: "full" draws each wait between 0 and its bound, "none" waits the bound.

    Full jitter: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Example:
        >>> Retry(jitter="none").delay(3)
        2.0
    """

    max_attempts: int = Field(default=4, ge=1)
    initial: float = Field(default=0.5, ge=0)
    factor: float = Field(default=2.0, ge=1)
    max: float = Field(default=30.0, ge=0)
    jitter: Literal["full", "none"] = "full"

    def delay(self, attempt: int, *, retry_after: float | None = None, rng: random.Random | None = None) -> float:
        """Seconds to wait after a failed attempt.

        Args:
            attempt: the attempt that failed, from 1.
            retry_after: what the other side asked for, in seconds; the wait is never shorter, and at most a year.
            rng: where the jitter comes from; the default is the process's own.

        Returns:
            Seconds.
        """
        bound = min(self.max, self.initial * self.factor ** (attempt - 1))
        if self.jitter == "full":
            bound = (rng or random).uniform(0, bound)
        return min(max(bound, retry_after or 0.0), LONGEST_WAIT)


NO_RETRY = Retry(max_attempts=1)


class Budget(Fact):
    """What a run, its child runs included, may use.

    Args:
        usd: US dollars; None is no limit. With a limit, a call whose price is unknown pauses the run.
        model_calls: attempts at model calls; None is no limit.

    Reaching it pauses the run and loses nothing: `run.resume(budget=ak.Budget(usd=1.0))` goes on.
    """

    usd: float | None = Field(default=None, gt=0)
    model_calls: int | None = Field(default=50, ge=1)
