"""A stand-in for the model that a promoted pipeline keeps: it says what a model would, if the prompt lets one say it.

It knows the cases, and answers for the one whose facts all stand in the prompt. Where a prompt does not show what the
answer hangs on, no model could give it: then it says so, and the run fails.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from agentkit.messages import AssistantMessage, ModelRequest, ModelResponse
from families.case import Case
from families.play import response

FREE = "It is as it should be."
"""What it writes where any text will do."""


class NotShown(Exception):
    """The prompt does not hold what the answer hangs on, or asks for something that no case knows."""


class StandIn:
    """A model for a pipeline.

    Args:
        seconds: how long it takes to answer.
    """

    name = "stand-in"

    def __init__(self, seconds: float = 0.0) -> None:
        self.cases: list[Case] = []  # those at hand: whoever runs them says which
        self._seconds = seconds

    async def respond(self, request: ModelRequest, *, on_text: Any = None) -> ModelResponse:
        """Answer for the case that the prompt shows."""
        del on_text
        if self._seconds:
            await asyncio.sleep(self._seconds)
        prompt = " ".join(str(message.content) for message in request.messages if message.role == "user")
        known = _known(self.cases, prompt)
        if request.output is None:
            text = FREE
        else:
            schema = request.output.json_schema
            text = json.dumps(_filled(schema, schema.get("$defs", {}), None, known))
        return response(request, AssistantMessage(text=text))

    def price(self, input_tokens: int, output_tokens: int) -> float:
        """What is reserved beforehand, USD."""
        del input_tokens, output_tokens
        return 0.0


def _known(cases: Iterable[Case], prompt: str) -> dict[str, Any]:
    """What a model can say of the case that a prompt is about: what it judges, and what it reads in the prompt."""
    meant = [case for case in cases if all(word in prompt for word in case.shown or _said(case.input))]
    if not meant:
        raise NotShown(f"no case at hand has all it needs in this prompt: {prompt[:500]}")
    read = {id(case): _read(case, prompt) for case in meant}
    case = max(meant, key=lambda one: len(read[id(one)]))  # two customers can say the same: it is about one of them
    return {**read[id(case)], **case.judged}


def _read(case: Case, prompt: str) -> dict[str, Any]:
    """What of a case's truth stands in a prompt."""
    truth = [write.arguments for write in case.writes]
    truth += [case.output] if isinstance(case.output, dict) else []
    return {name: value for one in truth for name, value in one.items() if str(value) in prompt}


def _said(value: Any) -> tuple[str, ...]:
    """The words and numbers of an input."""
    if isinstance(value, dict | list):
        return tuple(word for inner in (value.values() if isinstance(value, dict) else value) for word in _said(inner))
    return (str(value),)


def _filled(schema: dict[str, Any], defs: dict[str, Any], name: str | None, known: dict[str, Any]) -> Any:
    """A value of a JSON schema, of what is known."""
    if "$ref" in schema:
        return _filled(defs[schema["$ref"].rpartition("/")[2]], defs, name, known)
    if "enum" in schema or "const" in schema:
        return _choice(schema.get("enum", [schema.get("const")]), name, known)
    if schema.get("type") == "object":
        return {key: _filled(one, defs, key, known) for key, one in schema.get("properties", {}).items()}
    if name in known:
        return known[name]
    if schema.get("type") == "string":
        return FREE
    if schema.get("type") == "boolean" and name is None:
        return True  # whether a text asks for what the runs did: every case does
    if schema.get("type") == "array" and (lists := [value for value in known.values() if isinstance(value, list)]):
        return lists[0]
    raise NotShown(f"what {name or 'the answer'} is (a {schema.get('type', schema)}) is not in the prompt")


def _choice(among: list[Any], name: str | None, known: dict[str, Any]) -> Any:
    if name in known and known[name] in among:
        return known[name]
    for value in known.values():
        if value in among:
            return value
    raise NotShown(f"none of {among} is what the case wants; known is {sorted(known)}")
