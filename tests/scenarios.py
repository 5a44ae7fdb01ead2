"""Agents made of a seed: what the model says, what the tools do and what a person answers follow from it.

A model here is a function of the prompt: it finds its place in its plan from the last thing it said, so it goes on
correctly in whatever process it is asked next.
"""

import random
import re
import warnings
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from scenario_tools import GATED, HOWS, QUICK, TOOLS, Ledger

import agentkit as ak
from agentkit.definition import AgentDefinition
from agentkit.errors import ModelError
from agentkit.fold import request_sha256
from agentkit.messages import AssistantMessage, ModelRequest, ToolCall
from agentkit.runner.run import Run
from agentkit.state import Approval
from agentkit.testing import FunctionModel

Trouble = Literal["busy", "down"]


class Report(BaseModel):
    """A structured answer; `turn` says at which turn it was given."""

    turn: str
    total: int


def total_is_not_negative(report: Report) -> None:
    """A check on structured answers."""
    if report.total < 0:
        raise ValueError("the total is negative")


def has_results(report: Report, results: list[dict[str, Any]]) -> None:
    """A check that looks at the tools' results too."""
    if report.total > 1000 + len(results):
        raise ValueError("nobody counted that much")


@dataclass
class Plan:
    """What one agent's model says, turn by turn, and how the agent is set up."""

    name: str
    turns: list[list[tuple[str, Any]] | str]
    tools: list[str]
    trouble: dict[int, Trouble] = field(default_factory=dict)
    structured: bool = False
    budget: ak.Budget | None = None
    history_tokens: int | None = None
    decisions: bool = True
    children: list["Plan"] = field(default_factory=list)


class Scenario:
    """One agent and everything around it.

    Args:
        seed: what it is made of.
        limited: whether it may have a small budget. In a pipeline that fails the agent's step, and the attempt that a
            crash cut short counts: how far the agent came is then no longer what it was.

    `ledger` is the world; a test gives each history its own.
    """

    def __init__(self, seed: int, *, limited: bool = True) -> None:
        self.seed = seed
        self.plan = _Maker(seed).plan("root", depth=0)
        if not limited:
            self.plan.budget = None
        self.ledger = Ledger()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the linter has opinions about these tools
            self.agent = self._agent(self.plan)
        self.given = f"seed {seed}"

    @property
    def definition(self) -> AgentDefinition:
        """What runs."""
        return self.agent.definition

    def _agent(self, plan: Plan) -> ak.Agent:
        children = [self._agent(child) for child in plan.children]
        price = 0.01 if plan.budget is not None and plan.budget.usd is not None else 0.0
        models = [
            FunctionModel(lambda request, name=name: self._say(plan, name, request), name=name, price_usd=price)
            for name in ("first", "second")
        ]
        return ak.Agent(
            f"{plan.name}_{self.seed}",
            models[0],
            f"Follow the plan of {plan.name}.",
            fallback=models[1:],
            tools=[*(TOOLS.get(name, ak.ask_person) for name in plan.tools), *children],
            output=Report if plan.structured else str,
            checks=[total_is_not_negative, has_results] if plan.structured else [],
            budget=plan.budget,
            retry=QUICK,
            history_tokens=plan.history_tokens,
            decisions="on" if plan.decisions else "off",
        )

    def _say(self, plan: Plan, model: str, request: ModelRequest) -> Any:
        turn = next_turn(request)
        sha256 = request_sha256(request)
        tried = len(self.ledger.find("model", sha256=sha256, model=model))
        self.ledger.add("model", sha256=sha256, model=model)
        trouble = plan.trouble.get(turn) if model == "first" else None
        if trouble == "busy" and tried < 1:
            raise ModelError("try again", kind="rate_limit", retryable=True)
        if trouble == "down":
            raise ModelError("out of order", kind="server")
        said = plan.turns[turn]
        if isinstance(said, str):
            return said
        why = {"why": f"turn {turn} says so"} if plan.decisions else {}
        return [
            ToolCall(id=f"t{turn}_{at}", name=name, arguments=_written(given, why, request))
            for at, (name, given) in enumerate(said)
        ]


def _written(given: Any, why: dict[str, str], request: ModelRequest) -> Any:
    """Arguments as the model writes them; a task says whose it is, so that no two runs have the same prompt."""
    if not isinstance(given, dict):
        return given
    task = {"task": f"{given['task']} of {request.messages[0].content}"} if "task" in given else {}
    return {**given, **task, **why}


def next_turn(request: ModelRequest) -> int:
    """Where the plan stands: after the last thing the model said."""
    said = [message for message in request.messages if isinstance(message, AssistantMessage)]
    if not said:
        return 0
    mark = said[-1].tool_calls[0].id if said[-1].tool_calls else said[-1].text or ""
    if mark.startswith("made_"):  # by the pipeline that the agent takes over from
        return 0
    found = re.search(r"t(\d+)", mark)
    assert found is not None, f"no turn in {mark!r}"
    return int(found[1]) + 1


class _Maker:
    """Draws plans from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.n = self.rng.randrange(1000)
        self.seed = seed

    def plan(self, name: str, *, depth: int) -> Plan:
        rng = self.rng
        tools = rng.sample(sorted(TOOLS), 2)
        if rng.random() < 0.1:
            tools.append("ask_person")
        chance = (0.25, 0.15, 0.0)[depth]
        children = [self.plan(f"{name}_{i}", depth=depth + 1) for i in range(2) if rng.random() < chance]
        plan = Plan(name, [], tools, structured=rng.random() < 0.3, children=children, decisions=rng.random() < 0.7)
        for _ in range(rng.randint(1, 2 - min(depth, 1))):
            plan.turns.append(self._turn(plan))
        self._misbehave(plan)
        self._finish(plan)
        plan.trouble = {turn: rng.choice(["busy", "down"]) for turn in range(len(plan.turns)) if rng.random() < 0.1}
        if depth == 0:
            self._limit(plan)
        return plan

    def _turn(self, plan: Plan) -> list[tuple[str, Any]]:
        names = [*plan.tools, *(f"{child.name}_{self.seed}" for child in plan.children)]
        return [self._call(self.rng.choice(names)) for _ in range(self.rng.choice([1, 1, 1, 2, 2, 3]))]

    def _call(self, name: str) -> tuple[str, Any]:
        self.n += 1
        if name == "ask_person":
            return name, {"question": f"what of {self.n}?"}
        if name not in TOOLS:
            return name, {"task": f"task {self.n}"}
        return name, {"n": self.n, "how": self.rng.choice(HOWS[name])}

    def _misbehave(self, plan: Plan) -> None:
        """Calls that do not fit, unknown tools, and the same call again and again."""
        rng, at = self.rng, self.rng.randrange(len(plan.turns) + 1)
        chance = rng.random()
        good = self._call(plan.tools[0])
        if chance < 0.1:
            plan.turns.insert(at, [good, (plan.tools[1], {"n": "many"})])
        elif chance < 0.2:
            plan.turns.insert(at, [("no_such_tool", {"n": 1}), good])
        elif chance < 0.25:
            plan.turns.insert(at, [(plan.tools[1], '{"n": 1, "how')])
        elif chance < 0.32 and "look" in plan.tools:
            plan.turns[at:at] = [[("look", {"n": self.n, "how": "ok"})] for _ in range(rng.choice([3, 4, 5]))]
        elif chance < 0.35:
            plan.turns[at:at] = [[("no_such_tool", {})] for _ in range(4)]
        elif chance < 0.5 and (again := [call for turn in plan.turns for call in turn if call[0] in TOOLS]):
            plan.turns.append([rng.choice(again)])  # the same arguments once more

    def _finish(self, plan: Plan) -> None:
        last = len(plan.turns)
        if not plan.structured:
            plan.turns.append(f"t{last} done")
            return
        wrong = self.rng.choice([[], [], ["not JSON"], ['{"turn": "%s", "total": -1}', "{}"]])
        for at, text in enumerate([*wrong, '{"turn": "%s", "total": 7}'], last):
            plan.turns.append(text.replace("%s", f"t{at}") if "%s" in text else f"{text} t{at}")

    def _limit(self, plan: Plan) -> None:
        chance = self.rng.random()
        if chance < 0.15:
            plan.budget = ak.Budget(model_calls=self.rng.randint(1, 4))
        elif chance < 0.3:
            plan.budget = ak.Budget(usd=self.rng.choice([0.015, 0.025, 0.035]))
        if self.rng.random() < 0.15:
            plan.history_tokens = self.rng.choice([300, 400, 500])


def answer(run: Run, asked: Approval, ledger: Ledger) -> None:
    """Answer one question as the person of every scenario does: by what it says, and by what really happened."""
    if asked.kind == "budget":
        shown = asked.shows
        run.approve(asked.id, edit={"model_calls": shown["used_calls"] + 2, "usd": (shown["used_usd"] or 0.0) + 0.03})
    elif asked.kind in {"loop", "deopt"}:
        run.approve(asked.id)
    elif asked.kind == "question":
        run.answer(asked.id, f"so it is: {asked.prompt}")
    elif asked.kind == "in_doubt":
        _tell_truth(run, asked, ledger)
    else:
        _judge(run, asked)


def _tell_truth(run: Run, asked: Approval, ledger: Ledger) -> None:
    happened = ledger.find("effect", run=asked.run_id, step=asked.step)
    if happened:
        run.resolve(asked.id, "happened", result=happened[-1]["result"])
    else:
        run.resolve(asked.id, "did not")


def judgement(name: str, arguments: Any) -> str:
    """What a person thinks of a call: approve, edit, reject or answer, by its content alone."""
    if "n" not in arguments:  # a sub-agent: it is asked about only for what the one before it did
        return "approve"
    n = arguments["n"]
    by_rule = (
        name in GATED
        or name.startswith("gated")
        or (name == "put_carefully" and n % 2 == 0)
        or (name == "pay_if_dear" and n % 21 in _DEAR)
    )
    if not by_rule or n >= 10_000:  # it is asked about only for what happened before, or was edited already
        return "approve"
    drawn = zlib.crc32(f"{name} {n}".encode()) % 10
    return "approve" if drawn < 6 else ("edit", "edit", "reject", "answer")[drawn - 6]


_DEAR = {n for n in range(21) if n % 3 == 0 or n % 7 == 0}


def _judge(run: Run, asked: Approval) -> None:
    what = judgement(asked.name or "", asked.arguments)
    if what == "approve":
        run.approve(asked.id, comment="fine")
    elif what == "edit":
        run.approve(asked.id, edit={"n": asked.arguments["n"] + 10_000})
    elif what == "reject":
        run.reject(asked.id, reason=f"not {asked.arguments['n']}")
    else:
        run.answer(asked.id, {"told": asked.arguments["n"]})


def finish(run: Run, ledger: Ledger, *, rounds: int = 60) -> None:
    """Let a run go on to its end, the person answering whatever it asks."""
    for _ in range(rounds):
        try:
            run.result(timeout=20)
        except ak.RunPaused as paused:
            for asked in paused.pending:
                answer(run, asked, ledger)
        except (ak.RunFailed, ak.RunCancelled):
            return
        else:
            return
    raise AssertionError(f"run {run.run_id} asks and asks: {run.pending}")
