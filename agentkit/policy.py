"""Policies: plain values that say how often, how much and how long. What they lead to is decided elsewhere."""

import math
import random
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from agentkit.errors import ConfigError
from agentkit.messages import Fact
from agentkit.problems import problems

LONGEST_WAIT = 31_536_000.0
"""Seconds, a year: what somebody asks for beyond it has no date that every computer can write."""


class Policy(Fact):
    """A policy as its user writes it: what is wrong with it is said in agentkit's words.

    Raises:
        ConfigError: an option is unknown, or its value is none; the message names each.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    if not TYPE_CHECKING:  # a type checker knows the fields

        def __init__(self, **given: Any) -> None:
            try:
                super().__init__(**given)
            except ValidationError as error:
                wrong = problems(error, given, list(type(self).model_fields))
                raise ConfigError(f"ak.{type(self).__name__}: {'; '.join(map(_in_words, wrong))}") from error

        __init__.__pydantic_base_init__ = True  # pydantic's own mark: what is read from a log does not pass here


def _in_words(problem: dict[str, Any]) -> str:
    return f"{problem['path']}={problem['input']!r}: {problem['problem']}"


class Retry(Policy):
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
        bound = min(self.max, self._grown(attempt))
        if self.jitter == "full":
            bound = (rng or random).uniform(0, bound)
        return min(max(bound, retry_after or 0.0), LONGEST_WAIT)

    def _grown(self, attempt: int) -> float:
        try:
            return self.initial * self.factor ** (attempt - 1)
        except OverflowError:  # after a thousand attempts or so: longer than any float
            return math.inf if self.initial else 0.0


NO_RETRY = Retry(max_attempts=1)


class Budget(Policy):
    """What a run, its child runs included, may use.

    Args:
        usd: US dollars; None is no limit. With a limit, a call whose price is unknown pauses the run.
        model_calls: attempts at model calls; None is no limit.

    Reaching it pauses the run and loses nothing: `run.resume(budget=ak.Budget(usd=1.0))` goes on.
    """

    usd: float | None = Field(default=None, gt=0)
    model_calls: int | None = Field(default=50, ge=1)
