"""Ten model decisions in a row, by a scripted model that fails as often as it is told to.

`headline.py ARM SILENT RUNS FIRST` runs a pipeline that often in this process, with the seeds from FIRST on, and prints
what came of it as JSON. The pipeline, its runner and its log are agentkit's; the model is a random generator.
"""

import json
import math
import random
import resource
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Literal

from pydantic import BaseModel

import agentkit as ak
from agentkit.errors import ModelError
from agentkit.messages import AssistantMessage, ModelRequest, ModelResponse, Usage

DECISIONS = 10
DETECTABLE = 0.05  # of a model's answers: that a decision fails so often is the figure in question
AT_ONCE = 25  # runs at one time; their log is let go with them, so that memory does not grow with the runs

ARMS: dict[str, dict[str, Any]] = {
    "naive": {"max_reasks": 0, "retry": ak.Retry(max_attempts=1)},
    # agentkit's own limits; the wait is short because nobody's service has to recover
    "retried": {"max_reasks": 3, "retry": ak.Retry(max_attempts=4, initial=0.01)},
}


class Decision(BaseModel):
    """What the model is asked for."""

    choice: Literal["left", "right"]
    quote: str


class Scripted:
    """A model that errs at random: in a way that can be seen, or with a choice that is wrong and looks right.

    Args:
        seed: a run's; the run is the same each time.
        silent: the share of its other answers that are wrong and look right.
    """

    name = "scripted"

    def __init__(self, seed: int, silent: float) -> None:
        self._random = random.Random(f"run {seed}")
        self._silent = silent
        self.truth = ["left" if random.Random(f"{seed}/{number}").random() < 0.5 else "right" for number in turns()]
        self.calls = 0
        self.decisions: set[int] = set()

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """Answer the decision that the prompt numbers, rightly or not."""
        del on_text
        self.calls += 1
        question = str(request.messages[0].content)
        number = int(question.split()[1])
        self.decisions.add(number)
        right = self.truth[number - 1]
        if self._random.random() < DETECTABLE:
            text = self._fail(right)
        else:
            wrong = self._random.random() < self._silent
            text = json.dumps({"choice": other(right) if wrong else right, "quote": question[:12]})
        usage = Usage(input_tokens=len(question) // 4, output_tokens=len(text) // 4, cost_usd=0.0)
        return ModelResponse(message=AssistantMessage(text=text), usage=usage, finish_reason="stop", model=self.name)

    def _fail(self, right: str) -> str:
        """In one of three ways: an error, an answer that is no JSON, or one that the check refuses."""
        way = self._random.randrange(3)
        if way == 0:
            raise ModelError("the service is overloaded", kind="server", retryable=True)
        return "I would go left" if way == 1 else json.dumps({"choice": right, "quote": "as everybody knows"})

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Nothing."""
        del input_tokens, output_tokens
        return 0.0


def turns() -> range:
    """The decisions' numbers."""
    return range(1, DECISIONS + 1)


def other(choice: str) -> str:
    """The wrong choice."""
    return "right" if choice == "left" else "left"


def pipeline(arm: str) -> ak.Pipeline:
    """Ten steps, each of which needs the one before it and asks the model once."""
    made = ak.Pipeline(f"ten decisions, {arm}", input={"ticket": str, "start": (list[str], [])}, **ARMS[arm])
    for number in turns():
        before = f"decision_{number - 1}" if number > 1 else "start"
        made.step(_decide(number), name=f"decision_{number}", needs={"path": before})
    return made


def _decide(number: int) -> Callable[..., list[str]]:
    def decide(ticket: str, path: list[str], ctx: ak.Context) -> list[str]:
        question = f"Decision {number} of {DECISIONS} for {ticket}, after {', '.join(path) or 'none'}: left or right?"

        def quoted(decision: Decision) -> bool:
            return decision.quote in question

        decided = ctx.ask(question, output=Decision, checks=[quoted], model=ctx.deps)
        return [*path, decided.choice]

    return decide


def play(arm: str, silent: float, runs: int, first: int = 0) -> dict[str, Any]:
    """Run the pipeline; count the runs that ended, those whose ten decisions were right, and what it took.

    Args:
        arm: a key of `ARMS`.
        silent: see `Scripted`.
        runs: how many, each with a seed of its own.
        first: the first seed.
    """
    made = pipeline(arm)
    ended = right = calls = decisions = 0
    cpu = time.process_time()
    for start in range(first, first + runs, AT_ONCE):
        models = [Scripted(seed, silent) for seed in range(start, min(start + AT_ONCE, first + runs))]
        with closing(ak.open_log("memory:")) as log:
            begun = [made.run(ticket=f"ticket {start}", deps=model, log=log) for model in models]
            for run, model in zip(begun, models, strict=True):
                path = path_of(run)
                ended += path is not None
                right += path == model.truth
                calls += model.calls
                decisions += len(model.decisions)
    return {
        "arm": arm,
        "silent": silent,
        "runs": runs,
        "ended": ended,
        "right": right,
        "calls": calls,
        "decisions": decisions,
        "cpu": time.process_time() - cpu,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def path_of(run: ak.Run) -> list[str] | None:
    """The ten choices; None where the run failed."""
    try:
        return run.result(timeout=120)
    except ak.RunFailed:
        return None


def arithmetic(arm: str, silent: float) -> float:
    """The share of runs that should end right: each decision must be had, and then not be silently wrong."""
    error, refused = DETECTABLE / 3, DETECTABLE * 2 / 3  # as `Scripted._fail` draws them
    attempts, asked = ARMS[arm]["retry"].max_attempts, ARMS[arm]["max_reasks"] + 1
    answered = 1 - error**attempts
    again = answered * refused / (1 - error)  # answered, and refused
    had = sum(again**turn for turn in range(asked)) * (answered - again)
    return (had * (1 - silent)) ** DECISIONS


def interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's interval for a share, 95%: it holds at the ends too, where nearly all runs are hits."""
    z = 1.959964
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


if __name__ == "__main__":
    named, share_, many, begin = sys.argv[1:]
    print(json.dumps(play(named, float(share_), int(many), int(begin))))
