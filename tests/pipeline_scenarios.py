"""Pipelines made of a seed: what their steps do, how that goes, and what models and people answer follow from it.

A seed of `FIRST` or more is a pipeline's, a smaller one an agent's; what runs, cuts and kills scenarios takes either.
From `DEOPTS` on the last step of a pipeline meets what it was not made for, and an agent takes over.
"""

import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline_steps import KINDS, Work
from scenario_tools import QUICK, Ledger
from scenarios import Report, Scenario

import agentkit as ak
from agentkit.definition import PipelineDefinition
from agentkit.errors import ModelError
from agentkit.fold import request_sha256
from agentkit.messages import AssistantMessage, ModelRequest
from agentkit.testing import FunctionModel

FIRST = 1_000
DEOPTS = 2_000

FAN_HOWS = {"look": ("ok", "flaky", "broken", "noted"), "put": ("ok", "flaky", "refused"), "pay": ("ok", "refused")}
"""How the items of a fan-out that collects can go: one may fail for good."""


@dataclass
class Planned:
    """One step of a plan."""

    name: str
    work: Work
    after: str
    options: dict[str, Any] = field(default_factory=dict)
    needs_it: bool = False  # whether it does without the value before it


class PipelineScenario:
    """One pipeline and everything around it.

    Args:
        seed: what it is made of.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._agents = [Scenario(seed + more, limited=False) for more in (0, 500, 900)]
        self.ledger = Ledger()
        maker = _Maker(seed, [one.agent for one in self._agents])
        if seed >= DEOPTS:  # what one step comes to is the same in any number of them
            maker.linear, maker.most = True, 2
        self.steps = maker.steps()
        self.given = {**maker.given, "word": f"seed {seed}"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.pipeline = self._pipeline()

    @property
    def ledger(self) -> Ledger:
        """The world; a test gives each history its own."""
        return self._ledger

    @ledger.setter
    def ledger(self, ledger: Ledger) -> None:
        self._ledger = ledger
        for one in self._agents:
            one.ledger = ledger

    @property
    def definition(self) -> PipelineDefinition:
        """What runs."""
        return self.pipeline.definition

    def _pipeline(self) -> ak.Pipeline:
        models = [FunctionModel(lambda request, name=name: self._say(name, request), name=name) for name in ("a", "b")]
        inputs = {name: list[int] if isinstance(value, list) else type(value) for name, value in self.given.items()}
        over = {"deopt": self._agents[2].agent} if self.seed >= DEOPTS else {}
        name = f"pipeline_{self.seed}"
        pipeline = ak.Pipeline(name, input=inputs, model=models[0], fallback=models[1:], retry=QUICK, **over)
        for planned in self.steps:
            work, options = planned.work.made(planned.needs_it), planned.options
            pipeline.step(work, name=planned.name, **options)
        if over:
            pipeline.step(_meets, name="last", needs={"a": self.steps[-1].name})
        return pipeline

    def _say(self, model: str, request: ModelRequest) -> str:
        """A number's report; by the number, wrong at first, busy, or out of order for the first model."""
        sha256 = request_sha256(request)
        tried = len(self.ledger.find("model", sha256=sha256, model=model))
        self.ledger.add("model", sha256=sha256, model=model)
        said = str(request.messages[0].content)
        n = int("".join(filter(str.isdigit, said.rpartition("number")[2])) or 0)
        turn = sum(isinstance(message, AssistantMessage) for message in request.messages)
        if model == "a" and n % 5 == 0 and tried < 1:
            raise ModelError("try again", kind="rate_limit", retryable=True)
        if model == "a" and n % 7 == 0:
            raise ModelError("out of order", kind="server")
        if n % 3 == 0 and turn == 0:
            return "not JSON"
        return Report(turn=f"t{turn}", total=n).model_dump_json()


def scenario_of(seed: int) -> Scenario | PipelineScenario:
    """An agent's or a pipeline's."""
    return Scenario(seed) if seed < FIRST else PipelineScenario(seed)


def _meets(word: str, a: Any | None = None) -> str:
    """A step that was made for other words, and finds out by a guard or by what is not there."""
    ak.guard(int(word.rsplit(maxsplit=1)[-1]) % 3, "a word like this was never seen", word=word)
    return {"never": "this"}[word]


class _Maker:
    """Draws a pipeline from a seed. What fails its run comes in pipelines in which one step follows the other.

    In others it would be chance how far the steps beside it came.
    """

    def __init__(self, seed: int, agents: list[ak.Agent]) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.agents = agents
        self.linear = self.rng.random() < 0.4
        self.most = 5
        self.n = self.rng.randrange(1000)
        self.given: dict[str, Any] = {}

    def steps(self) -> list[Planned]:
        """Three to five steps, each after an input or an earlier step."""
        steps: list[Planned] = []
        makers: list[Callable[[str, str], Planned]] = [self._plain, self._fan, self._gated, self._calling, self._child]
        for at, make in enumerate(self.rng.choices(makers, weights=[2, 3, 2, 4, 2], k=self._count())):
            before = [step.name for step in steps]
            after = "word" if not before else before[-1] if self.linear else self.rng.choice(["word", *before])
            steps.append(make(f"s{at}", after))
            self._condition(steps[-1])
        return steps

    def _count(self) -> int:
        return min(self.rng.randint(3, 5), self.most)

    def _number(self, name: str) -> str:
        self.n += 1
        self.given[f"n_{name}"] = self.n
        return f"n_{name}"

    def _wired(self, name: str, work: Work, after: str, **options: Any) -> Planned:
        needs = {"n": self._number(name), "a": after}
        return Planned(name, work, after, {"needs": needs, **options}, needs_it=self.rng.random() < 0.3)

    def _condition(self, step: Planned) -> None:
        """A condition on an input: some say no."""
        if self.rng.random() < 0.2 and f"n_{step.name}" in self.given:
            step.options["when"] = eval(f"lambda n_{step.name}: n_{step.name} % 3 > 0")

    def _plain(self, name: str, after: str) -> Planned:
        rng = self.rng
        kind = rng.choice(["look", "put", "pay", "pay_slowly"])
        hows = ["ok", "slow"] if kind == "pay_slowly" else ["ok", "noted", *(["flaky"] if kind != "pay" else [])]
        if self.linear:
            hows += {"look": ["broken", "dead"], "put": ["refused", "dead"], "pay": ["refused", "dead"]}.get(kind, [])
        more = {"cache": True} if kind == "look" and rng.random() < 0.5 else {}
        return self._wired(
            name, Work(kind, rng.choice(hows), is_async=rng.random() < 0.3), after, **KINDS[kind], **more
        )

    def _fan(self, name: str, after: str) -> Planned:
        rng = self.rng
        kind = rng.choice(["look", "put", "pay", "calling"])
        source = f"list_{name}"
        numbers = [self.n + at for at in range(1, rng.randint(1, 5))]
        self.n += len(numbers)
        self.given[source] = numbers
        calls = kind == "calling"
        work = Work(kind, "ok", ops=self._ops(2)) if calls else Work(kind, "ok", hows=FAN_HOWS[kind])
        gate: dict[str, Any] = {}
        if rng.random() < 0.3:
            name, gate = f"gated_{name}", {"approve": lambda call: call.args["n"] % 3 == 0, "on_reject": "skip"}
        options = {"each": ("n", source), "concurrency": rng.randint(1, 3), "on_error": "collect"}
        return Planned(name, work, after, {"needs": {"a": after}, **options, **KINDS[kind], **gate})

    def _gated(self, name: str, after: str) -> Planned:
        rng = self.rng
        kind = rng.choice(["look", "put", "pay"])
        plans: list[Any] = ["skip", lambda reason: {"instead": reason}]
        approve: Any = rng.choice([True, lambda call: call.args["n"] % 2 == 0, _breaks_on_sevens])
        chosen = rng.choice([*plans, *(["fail"] if self.linear else [])])
        work = Work(kind, "ok", is_async=rng.random() < 0.3)
        return self._wired(f"gated_{name}", work, after, approve=approve, on_reject=chosen, **KINDS[kind])

    def _calling(self, name: str, after: str) -> Planned:
        rng = self.rng
        ops = self._ops(rng.randint(1, 4))
        retries = {"retry": ak.Retry(max_attempts=3, initial=0.0005, max=0.001)} if rng.random() < 0.4 else {}
        work = Work("calling", "fails_once" if retries else "ok", ops=ops, is_async=rng.random() < 0.5)
        return self._wired(name, work, after, **retries)

    def _ops(self, count: int) -> list[tuple[Any, int, str]]:
        """What a step asks and calls, in order; in some, one that writes without a key is among them."""
        rng, ops = self.rng, []
        for _ in range(count):
            self.n += 1
            what = rng.choice(["ask", "ask", "look", "peek", "put", "pay", "pay_asking", "put_carefully", "agent"])
            hows = {"look": ["ok", "flaky", "refused"], "put": ["ok", "flaky"], "pay": ["ok", "dead", "refused"]}
            tool: Any = self.agents[1].as_tool() if what == "agent" else what
            ops.append((tool, self.n, rng.choice(hows.get(what, ["ok"]))))
        return ops

    def _child(self, name: str, after: str) -> Planned:
        if self.rng.random() < 0.5:
            return Planned(name, Work("given", "ok", given=self.agents[0]), after, {"needs": {"task": after}})
        inner = ak.Pipeline(f"inner_{name}_{self.seed}", input={"n": int, "a": Any})
        inner.step(Work("look", "ok").made(True), name="first")
        inner.step(
            Work("pay", "ok").made(False),
            name="gated_second",
            needs={"a": "first"},
            approve=True,
            writes=True,
            on_reject="skip",
        )
        return self._wired(name, Work("given", "ok", given=inner), after)


def _breaks_on_sevens(call: ak.Call) -> bool:
    if call.args["n"] % 7 == 0:
        raise RuntimeError("the rule broke")
    return call.args["n"] % 3 == 0
