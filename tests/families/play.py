"""Scripted agents: a plan that solves a case, played by a model with as much noise as wanted.

A plan is a generator: it yields what it uses (one call, or a list of calls that do not need each other), gets the
results, and returns the output. With noise the same plan is played as a real model might: what is independent in
another order or in one turn, a read that failed once more, a wrong id first, a read that nobody needed, the same read
twice, other words.
"""

import asyncio
import json
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, TypeAdapter

from agentkit.messages import AssistantMessage, ModelRequest, ModelResponse, ToolCall, ToolMessage, Usage
from agentkit.testing import FunctionModel
from agentkit.tools import Tool

_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_WHY = (
    "It is needed next.",
    "This tells what is to be done.",
    "The request asks for it.",
    "To be sure.",
    "First this.",
)
USD_INPUT, USD_OUTPUT = 0.25e-6, 2e-6  # a token, about what small hosted models cost in 2026
CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True)
class Use:
    """One call of a tool as a plan wants it."""

    tool: Tool[..., Any]
    arguments: dict[str, Any]


Turns: TypeAlias = "Generator[Use | list[Use], Any, Any]"
Plan: TypeAlias = "Callable[[Any, Dice], Turns]"


def use(tool: Tool[..., Any], **arguments: Any) -> Use:
    """A call for a plan; values become JSON."""
    return Use(tool, _JSON.dump_python(arguments, mode="json"))


class Dice:
    """What a scripted agent leaves to chance: the same throws for the same seed and input, whenever it is asked."""

    def __init__(self, noise: float, seed: int, said: str) -> None:
        self.noise = noise
        self.random = random.Random(f"{seed} {said}")
        self.used: list[str] = []  # reads that were played, so that none is played a third time
        self.made: dict[str, Any] = {}  # the results of what a pipeline did before it handed over

    def now(self) -> bool:
        """Whether something unneeded happens here."""
        return self.random.random() < self.noise

    def wording(self, phrases: Sequence[str]) -> str:
        """One of several ways to say it; the first without noise."""
        return self.random.choice(phrases) if self.noise else phrases[0]


def play(
    plan: Plan,
    *,
    idle: Callable[[Any], list[Use]] = lambda _given: [],
    noise: float = 0.0,
    seed: int = 0,
    seconds: float = 0.0,
) -> FunctionModel:
    """A model that follows a plan.

    Args:
        plan: a function of the run's input and the dice; a generator of what it uses.
        idle: reads that a model could make of an input although nobody needs them.
        noise: how likely each unneeded thing is at each place, 0 to 1.
        seed: which of them happen.
        seconds: how long it takes to answer.
    """

    async def respond(request: ModelRequest) -> ModelResponse:
        if seconds:
            await asyncio.sleep(seconds)
        return _answer(request, plan, idle, noise, seed)

    return FunctionModel(respond, name="scripted")


def _answer(
    request: ModelRequest, plan: Plan, idle: Callable[[Any], list[Use]], noise: float, seed: int
) -> ModelResponse:
    said = str(request.messages[0].content)
    given = json.loads(said) if said.startswith("{") else said
    dice = Dice(noise, seed, said)
    dice.made = _handed_over(request)
    turns = _noisy(plan(given, dice), idle(given), dice)
    try:
        uses = turns.send(None)
        for results in _told(request):
            uses = turns.send(results)
    except StopIteration as end:
        return response(request, AssistantMessage(text=_as_text(end.value)))
    first = sum(message.role == "tool" for message in request.messages)
    calls = [
        ToolCall(id=f"call_{first + at}", name=one.tool.name, arguments={**one.arguments, "why": dice.wording(_WHY)})
        for at, one in enumerate(uses)
    ]
    return response(request, AssistantMessage(tool_calls=tuple(calls)))


def _told(request: ModelRequest) -> list[list[ToolMessage]]:
    """The results of each turn so far, in the order of its calls."""
    results = {message.call_id: message for message in request.messages if message.role == "tool"}
    turns = [message.tool_calls for message in request.messages if message.role == "assistant"]
    return [[results[call.id] for call in calls] for calls in turns if not _is_made(calls[0].id)]


def _is_made(call_id: str) -> bool:
    """Whether a call is shown as made already: a pipeline made it, and handed over to this agent."""
    return call_id.startswith("made_")


def _handed_over(request: ModelRequest) -> dict[str, Any]:
    """What a pipeline's calls gave, by call; a model would not make them again."""
    calls = {call.id: call for one in request.messages if one.role == "assistant" for call in one.tool_calls}
    return {
        _call(calls[message.call_id].name, calls[message.call_id].arguments): _result(message.content)
        for message in request.messages
        if message.role == "tool" and _is_made(message.call_id) and not message.is_error
    }


def _call(name: str, arguments: dict[str, Any]) -> str:
    return f"{name} {json.dumps(arguments, sort_keys=True)}"


def _noisy(turns: Turns, idle: list[Use], dice: Dice) -> Generator[list[Use], list[ToolMessage], Any]:
    """A plan's turns as a model might play them: each what is called at once; a read that failed is tried again."""
    sent: Any = None
    while True:
        try:
            wanted = turns.send(sent)
        except StopIteration as end:
            return end.value
        batch = wanted if isinstance(wanted, list) else [wanted]
        found = yield from _play_batch(batch, idle, dice)
        sent = found if isinstance(wanted, list) else found[0]


def _play_batch(batch: list[Use], idle: list[Use], dice: Dice) -> Generator[list[Use], list[ToolMessage], list[Any]]:
    names = [_call(one.tool.name, one.arguments) for one in batch]
    found = {index: dice.made[name] for index, name in enumerate(names) if name in dice.made}
    order = [index for index in range(len(batch)) if index not in found]
    for unneeded in _unneeded([batch[index] for index in order], idle, dice):
        yield [unneeded]
    if not any(one.tool.writes for one in batch) and dice.now():
        dice.random.shuffle(order)
    for turn in _grouped(order, dice):
        yield from _until_read(batch, turn, found, dice)
    return [found[index] for index in range(len(batch))]


def _until_read(
    batch: list[Use], turn: list[int], found: dict[int, Any], dice: Dice
) -> Generator[list[Use], list[ToolMessage], None]:
    while turn:
        told = yield [batch[index] for index in turn]
        found.update({index: _result(message.content) for index, message in zip(turn, told, strict=True)})
        turn = [index for index, message in zip(turn, told, strict=True) if message.is_error and "busy" in str(message)]
    dice.used += [str(one) for one in batch]


def _grouped(order: list[int], dice: Dice) -> list[list[int]]:
    """One after the other; with noise, all in one turn."""
    return [order] if order and dice.now() else [[index] for index in order]


def _unneeded(batch: list[Use], idle: list[Use], dice: Dice) -> list[Use]:
    """What is played before a batch and changes nothing."""
    reads = [one for one in batch if not one.tool.writes]
    chosen: list[Use] = []
    if idle and dice.now():
        chosen.append(dice.random.choice(idle))
    if reads and dice.now():
        chosen.append(dice.random.choice(reads))  # the same once more: the batch reads it again
    if reads and dice.now():
        chosen += _mistaken(dice.random.choice(reads), dice)
    fresh = [one for one in chosen if str(one) not in dice.used]
    dice.used += [str(one) for one in fresh]
    return fresh


def _mistaken(one: Use, dice: Dice) -> list[Use]:
    """The same read with a mistyped id: it fails, or finds what nobody asked for."""
    ids = [name for name, value in one.arguments.items() if isinstance(value, str) and value[-1:].isdigit()]
    if not ids:
        return []
    name = dice.random.choice(ids)
    return [Use(one.tool, {**one.arguments, name: one.arguments[name][:-1]})]


def _result(content: Any) -> Any:
    """A result; what a person changed is told around it."""
    return content["result"] if isinstance(content, dict) and set(content) == {"result", "note"} else content


def _as_text(output: Any) -> str:
    return output.model_dump_json() if isinstance(output, BaseModel) else str(output)


def response(request: ModelRequest, message: AssistantMessage) -> ModelResponse:
    """An answer with what it would have cost."""
    read = sum(len(str(one)) for one in (request.instructions, request.tools, *request.messages)) // CHARACTERS_A_TOKEN
    written = len(str(message)) // CHARACTERS_A_TOKEN
    usage = Usage(input_tokens=read, output_tokens=written, cost_usd=read * USD_INPUT + written * USD_OUTPUT)
    finish = "tool_calls" if message.tool_calls else "stop"
    return ModelResponse(message=message, usage=usage, finish_reason=finish, model="scripted")
