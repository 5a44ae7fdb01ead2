"""Policies: which waits lie between the attempts, which attempts are made, and what is no policy."""

import random
from typing import Any

import pytest

import agentkit as ak
from agentkit.errors import ConfigError
from agentkit.policy import Budget, Retry
from agentkit.testing import ScriptedModel, call

BOUNDS = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
"""Seconds: how long the default's waits are at most, after the first attempt, the second, …"""


class Extreme(random.Random):
    """Draws one end of every range, or what lies between."""

    def __init__(self, share: float) -> None:
        super().__init__(0)
        self.share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self.share


def test_the_default_is_four_attempts_with_full_jitter() -> None:
    """What nobody said is what the documentation says."""
    assert Retry() == Retry(max_attempts=4, initial=0.5, factor=2.0, max=30.0, jitter="full")


def test_waits_grow_by_the_factor_and_never_beyond_the_longest() -> None:
    """Without jitter each wait is its bound: half a second, doubled, 30 seconds at most."""
    assert [Retry(jitter="none").delay(attempt) for attempt in range(1, 9)] == BOUNDS


@pytest.mark.parametrize(("share", "of_bound"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_full_jitter_draws_between_nothing_and_the_bound(share: float, of_bound: float) -> None:
    """The whole range from 0 to the bound is drawn from, and nothing else."""
    drawn = [Retry().delay(attempt, rng=Extreme(share)) for attempt in range(1, 9)]
    assert drawn == [bound * of_bound for bound in BOUNDS]


def test_full_jitter_differs_from_wait_to_wait() -> None:
    """Two that failed together do not come back together."""
    assert len({Retry().delay(4, rng=random.Random(seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize(("asked", "waited"), [(None, 4.0), (1.0, 4.0), (90.0, 90.0), (1e12, 31_536_000.0)])
def test_what_the_other_side_asks_for_is_waited_for(asked: float | None, waited: float) -> None:
    """Retry-After is honoured beyond `max`, up to a year; a shorter one shortens nothing."""
    assert Retry(jitter="none").delay(4, retry_after=asked) == waited


@pytest.mark.parametrize(("initial", "longest"), [(1e-5, 1e-5), (0.5, 30.0), (0.0, 0.0)])
def test_no_attempt_is_too_late_for_its_wait(initial: float, longest: float) -> None:
    """A wait that no float holds is the longest one."""
    retry = Retry(max_attempts=5000, initial=initial, max=30.0 if initial == 0.5 else 1e-5, jitter="none")
    assert retry.delay(4999) == longest


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_so_many_attempts_are_made(attempts: int, log: ak.Log) -> None:
    """`max_attempts` counts the first one; after the last the model is told."""
    made: list[int] = []

    @ak.tool(retry=Retry(max_attempts=attempts, initial=0))
    def look(ctx: ak.Context) -> dict[str, str]:
        """Look at what is there, as often as it takes. Returns what was found."""
        made.append(ctx.attempt)
        raise TimeoutError("slow")

    agent = ak.Agent("looks", ScriptedModel([call("look"), "nothing"]), tools=[look])
    assert agent.run("look", log=log).result(20) == "nothing"
    assert made == list(range(1, attempts + 1))


@pytest.mark.parametrize(
    ("policy", "given", "said"),
    [
        (Retry, {"max_attemps": 3}, "ak.Retry: max_attemps=3: unknown argument; did you mean 'max_attempts'?"),
        (Retry, {"tries": 3}, "ak.Retry: tries=3: unknown argument; there is max_attempts, initial, factor, max"),
        (Retry, {"max_attempts": 0}, "ak.Retry: max_attempts=0: Input should be greater than or equal to 1"),
        (Retry, {"initial": float("inf")}, "ak.Retry: initial='inf': Input should be a finite number"),
        (Budget, {"dollars": 1}, "ak.Budget: dollars=1: unknown argument; there is usd, model_calls"),
        (Budget, {"usd": -1, "model_calls": "x"}, "usd=-1: .*greater than 0; model_calls='x': "),
    ],
)
def test_a_wrong_option_is_named(policy: Any, given: dict[str, Any], said: str) -> None:
    """Which option, what was given, and what is meant or there is; nothing of the library below."""
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")) as raised:
        policy(**given)
    assert "pydantic" not in str(raised.value)
