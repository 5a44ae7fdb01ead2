"""A request as the plain turns that a small model understands: who said what, tools and their results in words.

The chat templates' own tool dialects are not used: no two agree, they do not say which arguments are required, and a
grammar says what may be written anyway.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from agentkit.jsonvalue import canonical
from agentkit.messages import AssistantMessage, Message, ModelRequest, ToolCall, ToolMessage, ToolSchema, UserMessage
from agentkit.models.local.grammar import FINAL
from agentkit.models.local.outline import outline
from agentkit.models.local.words import text_of

Turn: TypeAlias = "dict[str, str]"


def for_choice(request: ModelRequest, tools: Sequence[ToolSchema]) -> list[Turn]:
    """The prompt that asks which tool to call, or whether the results are enough.

    Args:
        request: the request.
        tools: its tools as they are offered.
    """
    listed = "\n".join(_described(tool) for tool in tools)
    rules = (
        'Answer with one line of JSON: {"tool": its name, "args": its arguments} to call a tool, or '
        f"{FINAL} when the results say all that was asked."
    )
    system = "\n\n".join(part for part in (request.instructions, f"Your tools:\n{listed}", rules) if part)
    return [_turn("system", system), *_merged(_choice_turn(message) for message in request.messages)]


def for_answer(request: ModelRequest) -> list[Turn]:
    """The prompt that asks for the answer, from what was said and what the tools gave alone.

    Args:
        request: the request.
    """
    parts = [request.instructions]
    if request.output is not None:
        parts.append(f"Answer with one line of JSON of this form:\n{outline(request.output.json_schema)}")
    system = "\n\n".join(part for part in parts if part)
    turns = _merged(turn for message in request.messages for turn in _answer_turn(message, request.messages))
    return [*([_turn("system", system)] if system else []), *turns]


def as_call(name: str, arguments: Any) -> str:
    """A call as the model writes it, on one line."""
    return json.dumps({"tool": name, "args": arguments}, ensure_ascii=False, separators=(",", ":"))


def _described(tool: ToolSchema) -> str:
    return f"- {tool.name} {outline(tool.parameters)}: {tool.description}"


def _choice_turn(message: Message) -> Turn:
    if isinstance(message, UserMessage):
        return _turn("user", text_of(message))
    if isinstance(message, ToolMessage):
        return _turn("user", _result(message, message.name))
    calls = [as_call(call.name, call.arguments) for call in message.tool_calls]
    return _turn("assistant", "\n".join(calls) or message.text or "")


def _answer_turn(message: Message, messages: Sequence[Message]) -> list[Turn]:
    if isinstance(message, UserMessage):
        return [_turn("user", text_of(message))]
    if isinstance(message, ToolMessage):
        call = _call(messages, message.call_id)
        arguments = canonical(call.arguments).decode() if call is not None else ""
        return [_turn("user", _result(message, f"{message.name} {arguments}"))]
    return [] if message.tool_calls or not message.text else [_turn("assistant", message.text)]


def _result(message: ToolMessage, what: str) -> str:
    content = message.content if isinstance(message.content, str) else canonical(message.content).decode()
    return f"{'Error' if message.is_error else 'Result'} of {what}:\n{content}"


def _call(messages: Sequence[Message], call_id: str) -> ToolCall | None:
    calls = (call for message in messages if isinstance(message, AssistantMessage) for call in message.tool_calls)
    return next((call for call in calls if call.id == call_id), None)


def _merged(turns: Iterable[Turn]) -> list[Turn]:
    """User and assistant in alternation, as every template wants it."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1]["role"] == turn["role"]:
            merged[-1]["content"] += "\n\n" + turn["content"]
        else:
            merged.append(turn)
    return merged


def _turn(role: str, content: str) -> Turn:
    return {"role": role, "content": content}
