"""A request as litellm takes it: messages, tools and the form of the answer in the words of chat completions."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from agentkit.jsonvalue import canonical
from agentkit.messages import (
    AssistantMessage,
    MediaPart,
    Message,
    ModelRequest,
    OutputSchema,
    ToolCall,
    ToolMessage,
    ToolSchema,
    UserMessage,
)
from agentkit.models.catalogue import find
from agentkit.models.files import as_content
from agentkit.models.loading import Litellm
from agentkit.models.options import Options

Wire: TypeAlias = dict[str, Any]  # JSON as chat completions define it

_SCHEMA_AND_TOOLS = frozenset({"openai", "azure"})
"""Providers that take a schema of the answer together with tools; elsewhere the two exclude each other, or litellm
makes the schema a tool that the model is forced to call."""


def arguments(litellm: Litellm, name: str, provider: str, request: ModelRequest, chosen: Options) -> Wire:
    """What `litellm.acompletion` is called with.

    Args:
        litellm: the module.
        name: the model's name, provider included.
        provider: the provider that litellm will ask.
        request: what to answer.
        chosen: the agent's settings.
    """
    by_schema = request.output is not None and _takes_schema(litellm, name, provider, request, chosen)
    asked: Wire = {
        **chosen.rest,
        "model": name,
        "messages": messages(request, provider, told_schema=not by_schema),
        "stream": chosen.stream,
        "timeout": chosen.timeout,
        "max_retries": 0,  # one attempt is one HTTP request: trying again is the runner's
        "num_retries": 0,
    }
    if chosen.stream:
        asked["stream_options"] = {"include_usage": True}
    if request.tools:
        asked["tools"] = [_tool(tool) for tool in request.tools]
        if (choice := _tool_choice(request, chosen.tool_choice)) is not None:
            asked["tool_choice"] = choice
    if by_schema and request.output is not None:
        asked["response_format"] = response_format(request.output)
    return asked


def messages(request: ModelRequest, provider: str, *, told_schema: bool) -> list[Wire]:
    """The prompt.

    Args:
        request: what to answer.
        provider: whose reasoning blocks are sent back; another's mean nothing to it.
        told_schema: whether the instructions have to say which form the answer has.
    """
    instructions = request.instructions
    if told_schema and request.output is not None:
        schema = canonical(request.output.json_schema).decode()
        instructions = (
            f"{instructions}\n\nYour final answer is JSON by this schema, and nothing else:\n{schema}".strip()
        )
    first: list[Wire] = [{"role": "system", "content": instructions}] if instructions else []
    return [*first, *(_message(message, provider) for message in request.messages)]


def _message(message: Message, provider: str) -> Wire:
    match message:
        case UserMessage():
            return {"role": "user", "content": _content(message)}
        case ToolMessage():
            said = message.content if isinstance(message.content, str) else canonical(message.content).decode()
            return {"role": "tool", "tool_call_id": message.call_id, "name": message.name, "content": said}
        case AssistantMessage():
            return _answer(message, provider)


def _content(message: UserMessage) -> str | list[Wire]:
    if isinstance(message.content, str):
        return message.content
    parts = message.content
    return [as_content(part) if isinstance(part, MediaPart) else {"type": "text", "text": part.text} for part in parts]


def _answer(message: AssistantMessage, provider: str) -> Wire:
    said: Wire = {"role": "assistant", "content": message.text}
    if message.tool_calls:
        said["tool_calls"] = [_call(call) for call in message.tool_calls]
    for block in cast("Sequence[Wire]", message.reasoning):
        if block.get("provider") == provider:  # after a fallback, another model's blocks are in the conversation
            said.update(_sent_back(said, block))
    return said


def _sent_back(said: Wire, block: Wire) -> Wire:
    """A reasoning block in the field that it came in."""
    own = {key: value for key, value in block.items() if key not in {"provider", "field"}}
    name = block["field"]
    return {name: own["text"]} if name == "reasoning_content" else {name: [*said.get(name, []), own]}


def _call(call: ToolCall) -> Wire:
    """A call as the model wrote it, its reasons included; what was no JSON in an object: no provider takes it."""
    written: Any = call.arguments
    if isinstance(written, Mapping):
        written = {**cast("Mapping[str, Any]", written), **call.reported}
    else:
        written = {"invalid_json": written}
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": canonical(written).decode()},
    }


def _tool(tool: ToolSchema) -> Wire:
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": told}


def _tool_choice(request: ModelRequest, choice: Any) -> Any:
    """The choice for this call: one that forces a call would otherwise force one for ever."""
    if choice is None or choice in ("auto", "none"):
        return choice
    if isinstance(request.messages[-1], ToolMessage):
        return "auto"
    named = isinstance(choice, str) and choice != "required"
    return {"type": "function", "function": {"name": choice}} if named else choice


def _takes_schema(litellm: Litellm, name: str, provider: str, request: ModelRequest, chosen: Options) -> bool:
    assert request.output is not None
    if chosen.json_schema is not None:
        return chosen.json_schema
    if request.output.json_schema.get("type") != "object":
        return False  # providers take a schema of an object only
    entry = find(name) or {}
    if entry.get("supports_native_structured_output"):
        return True
    supported = bool(litellm.supports_response_schema(model=name))
    return supported and (not request.tools or provider in _SCHEMA_AND_TOOLS)


def response_format(output: OutputSchema) -> Wire:
    """The form of the answer: strict where the schema allows it, which OpenAI's does only for closed objects."""
    schema = copy.deepcopy(output.json_schema)
    strict = all(_close(part) for part in _objects(schema))
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", output.name).strip("_")[:64] or "output"
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": schema if strict else output.json_schema, "strict": strict},
    }


def _close(schema: Wire) -> bool:
    """Allow an object no further properties; False where it has optional or free ones, which strict mode refuses."""
    properties = schema.get("properties", {})
    if not properties or schema.get("additionalProperties", False) is not False:
        return False
    schema["additionalProperties"] = False
    return set(schema.get("required", ())) == set(properties)


def _objects(schema: Any) -> Iterator[Wire]:
    """Every schema of an object within a schema."""
    if isinstance(schema, list):
        for item in cast("list[Any]", schema):
            yield from _objects(item)
    elif isinstance(schema, dict):
        shape = cast("Wire", schema)
        if shape.get("type") == "object":
            yield shape
        for item in shape.values():
            yield from _objects(item)
