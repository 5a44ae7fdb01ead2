"""The conversation: what is said to the model, and the running digest of it."""

import contextlib
import hashlib
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from agentkit.events import ErrorInfo, Header, header_sha256
from agentkit.jsonvalue import canonical
from agentkit.messages import MediaPart, Message, ModelRequest, Part, is_media
from agentkit.state import CallStep, State

_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])

TOLD = "A person gave this result; the tool itself did not report it."
"""What the model is told of a result that is a person's word."""

EFFECT_UNKNOWN = "unknown: it may have happened; a person will be asked before this tool runs again"


def say(state: State, message: Message) -> None:
    """Add a message to the conversation; it will be in every later prompt."""
    data = _as_said(message)
    tokens = _tokens(message, data)
    state.messages.append(message)
    state.message_tokens.append(tokens)
    state.tokens += tokens
    state.chain = _link(state.chain, message.role, data)


def _as_said(message: Message) -> str:
    """A message as it is counted and digested."""
    return message.model_dump_json(exclude_defaults=True)


_MEDIA_TOKENS = 1600
"""About what a picture costs a prompt at most with the providers of 2026; the length of its base64 says nothing."""


def _tokens(message: Message, data: str) -> int:
    """About how many tokens a message is: a quarter of its characters, and what pictures and files in it take."""
    parts = message.content if message.role == "user" and isinstance(message.content, tuple) else ()
    media = [part for part in parts if isinstance(part, MediaPart)]
    written = sum(len(part.data or "") for part in media)
    return (len(data) - written) // 4 + 1 + sum(_media_tokens(part) for part in media)


def _media_tokens(part: MediaPart) -> int:
    size = len(part.data or "") * 3 // 4
    if part.media_type.startswith("text/"):
        return size // 4
    if part.media_type == "application/pdf":  # about 50 kB a page, which is text and a picture to a model
        return max(1, size // 50_000) * 2 * _MEDIA_TOKENS
    return _MEDIA_TOKENS


def _link(chain: str, role: str, data: str) -> str:
    return hashlib.sha256(f"{chain}{role}{data}".encode()).hexdigest()


def rechain(state: State) -> None:
    """Digest and count the messages of the next prompt anew."""
    state.chain = ""
    for message in state.prompt_messages:
        state.chain = _link(state.chain, message.role, _as_said(message))
    state.tokens = state.tokens_from(state.trimmed_to)


def content(value: Any) -> str | tuple[Part, ...]:
    """A run's input as what the user said: text, parts, or any JSON as text."""
    if isinstance(value, str):
        return value
    parts = [value] if is_media(value) else cast("list[Any]", value) if isinstance(value, list) else []
    if any(map(is_media, parts)):  # a list of texts alone is the user's own JSON
        parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    if parts and all(isinstance(part, dict) and "type" in part for part in parts):
        with contextlib.suppress(ValidationError):  # JSON of the user's own that looks a little like parts
            return _PARTS.validate_python(parts)
    return canonical(value).decode()


def set_header(state: State, header: Header) -> None:
    """Take what every prompt begins with."""
    state.header, state.header_sha256 = header, header.sha256


def request_sha256(request: ModelRequest) -> str:
    """The digest of a prompt, computed from the prompt alone: what `State.request_sha256` keeps at hand.

    Args:
        request: what a model was asked.

    Returns:
        64 hex digits.
    """
    chain = ""
    for message in request.messages:
        chain = _link(chain, message.role, _as_said(message))
    header = header_sha256(request.instructions, request.tools, request.output, request.parameters)
    return hashlib.sha256(f"{header}{chain}".encode()).hexdigest()


def result_content(call: CallStep) -> Any:
    """What the model is told of a settled call: the result, or an error it can act on, and what a person changed."""
    changed = (
        f"A person changed the arguments to {canonical(call.arguments).decode()} before this ran."
        if call.edited
        else ""
    )
    if call.outcome == "ok":
        if not call.edited and call.told_by is None:
            return call.result
        told = TOLD if call.told_by is not None else ""
        return {"result": call.result, "note": f"{changed} {told}".strip()}
    error = call.error or ErrorInfo(type="Error", message="")
    said: dict[str, Any] = {"type": error.type, "message": error.message, "retrying_can_help": error.retryable}
    if call.edited:
        said["note"] = changed
    if error.context:
        said["context"] = error.context
    if call.effect == "unknown":
        said["effect"] = EFFECT_UNKNOWN
    return {"rejected" if call.outcome == "rejected" else "error": said}
