"""A model's prompt and answer in the two shapes that tracing systems read: the conventions' parts, and OpenAI's."""

from collections.abc import Iterable
from typing import Any, cast

from agentkit.events import ModelResponded
from agentkit.export.content import Content, cut
from agentkit.export.nodes import Prompt
from agentkit.messages import AssistantMessage, MediaPart, Message, ModelRequest, TextPart, ToolCall, ToolMessage

Json = dict[str, Any]


def parts_of_prompt(prompt: Prompt, content: Content) -> list[Json]:
    """`gen_ai.input.messages`: the conversation as roles and parts."""
    said = [_as_parts(message, content) for message in prompt.request.messages]
    left_out = {"role": "system", "parts": [{"type": "text", "content": _said_of(prompt)}]}
    return [said[0], left_out, *said[1:]] if prompt.left_out else said


def _said_of(prompt: Prompt) -> str:
    return f"[{prompt.left_out} messages are left out of this export; they are in the spans before this one]"


def parts_of_answer(body: ModelResponded, content: Content) -> list[Json]:
    """`gen_ai.output.messages`: one answer with its finish reason."""
    return [{"role": "assistant", "parts": _said(body.text, body.tool_calls, content), "finish_reason": _finish(body)}]


def openai_prompt(prompt: Prompt, content: Content) -> list[Json]:
    """The prompt as messages of OpenAI's shape, the instructions first."""
    request = prompt.request
    system = [{"role": "system", "content": _text(request.instructions, content)}] if request.instructions else []
    said = [_as_openai(message, content) for message in request.messages]
    if prompt.left_out:
        said.insert(1, {"role": "system", "content": _said_of(prompt)})
    return [*system, *said]


def openai_answer(body: ModelResponded, content: Content) -> Json:
    """The answer as one message of OpenAI's shape."""
    return _openai_assistant(body.text, body.tool_calls, content)


def openai_tools(request: ModelRequest) -> list[Json]:
    """The tools that were offered, as functions."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in request.tools
    ]


def _finish(body: ModelResponded) -> str:
    return body.finish_reason or ("tool_calls" if body.tool_calls else "stop")


def _text(text: str, content: Content) -> str:
    return cut(cast("str", content.value(text)), content.in_prompt)


def _as_parts(message: Message, content: Content) -> Json:
    if isinstance(message, AssistantMessage):
        return {"role": "assistant", "parts": _said(message.text, message.tool_calls, content)}
    if isinstance(message, ToolMessage):
        response = content.within(message.content)
        return {"role": "tool", "parts": [{"type": "tool_call_response", "id": message.call_id, "response": response}]}
    return {"role": "user", "parts": list(_user_parts(message.content, content))}


def _user_parts(said: Any, content: Content) -> Iterable[Json]:
    if isinstance(said, str):
        yield {"type": "text", "content": _text(said, content)}
        return
    for part in cast("tuple[TextPart | MediaPart, ...]", said):
        if isinstance(part, TextPart):
            yield {"type": "text", "content": _text(part.text, content)}
        elif part.url is not None:
            yield {"type": "uri", "mime_type": part.media_type, "uri": content.value(part.url)}
        else:
            yield {"type": "text", "content": _left_out(part)}


def _left_out(part: MediaPart) -> str:
    """A picture's bytes stay in the log: what is said is that there was one."""
    return f"[{part.name or 'a file'}, {part.media_type}, {len(part.data or '') * 3 // 4} bytes, in the log]"


def _said(text: str | None, calls: Iterable[ToolCall], content: Content) -> list[Json]:
    parts: list[Json] = [{"type": "text", "content": _text(text, content)}] if text else []
    for call in calls:
        arguments = content.within(call.arguments)
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments})
    return parts


def _as_openai(message: Message, content: Content) -> Json:
    if isinstance(message, AssistantMessage):
        return _openai_assistant(message.text, message.tool_calls, content)
    if isinstance(message, ToolMessage):
        said = content.text(message.content, content.in_prompt) or ""
        return {"role": "tool", "tool_call_id": message.call_id, "content": said}
    if isinstance(message.content, str):
        return {"role": "user", "content": _text(message.content, content)}
    return {"role": "user", "content": [_openai_part(part, content) for part in message.content]}


def _openai_part(part: TextPart | MediaPart, content: Content) -> Json:
    if isinstance(part, TextPart):
        return {"type": "text", "text": _text(part.text, content)}
    if part.url is not None and part.media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": content.value(part.url)}}
    return {"type": "text", "text": _left_out(part)}


def _openai_assistant(text: str | None, calls: tuple[ToolCall, ...], content: Content) -> Json:
    said: Json = {"role": "assistant", "content": _text(text, content) if text else None}
    if calls:
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": content.text(call.arguments, content.in_prompt) or ""},
            }
            for call in calls
        ]
    return said
