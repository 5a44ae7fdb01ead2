"""What a server's tool returned, as the JSON that the log holds and the model reads."""

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from agentkit.jsonvalue import JsonValue, clean
from agentkit.redact import Redactor

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock


def as_value(result: "CallToolResult", limit: int | None, redactor: Redactor) -> JsonValue:
    """A result as JSON: what it gives as structure, else its text; of anything else only what it is.

    Args:
        result: what the server answered.
        limit: characters of JSON; what is longer is cut, and says so. None is no limit.
        redactor: takes out the secrets that the server was given, before anything is cut.

    Returns:
        The structured content where there is some, else the text; with images, sounds and files beside it, a list of
        everything, each of these described by its media type and size in bytes.
    """
    parts = [_part(block) for block in result.content]
    described = [part for part in parts if not isinstance(part, str)]
    if result.structured_content is not None:
        value = {"result": result.structured_content, "content": described} if described else result.structured_content
    else:
        value = parts if described else text_of(result)
    return _cut(redactor.value(clean(value)), limit)


def text_of(result: "CallToolResult") -> str | None:
    """The text of a result; None where it has none."""
    texts = [part for part in map(_part, result.content) if isinstance(part, str)]
    return "\n".join(texts) if texts else None


def _part(block: "ContentBlock") -> Any:
    """Text as it is, anything else as a fact about it."""
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return {"type": block.type, "media_type": block.mime_type, "bytes": _size(block.data)}
        case "resource_link":
            fact = {"name": block.name, "description": block.description, "bytes": block.size}
            return _resource(block.type, block.uri, block.mime_type, **fact)
        case "resource":
            given = block.resource
            text, blob = getattr(given, "text", None), getattr(given, "blob", None)
            size = None if blob is None else _size(blob)
            return _resource(block.type, given.uri, given.mime_type, text=text, bytes=size)


def _resource(type_: str, uri: Any, media_type: str | None, **fact: Any) -> dict[str, Any]:
    whole = {"type": type_, "uri": str(uri), "media_type": media_type, **fact}
    return {name: value for name, value in whole.items() if value is not None}


def _size(base64: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(base64) * 3 // 4 - base64[-2:].count("=")


def _cut(value: Any, limit: int | None) -> Any:
    if limit is None:
        return value
    text = value if isinstance(value, str) else to_json(value, inf_nan_mode="constants").decode()
    if len(text) <= limit:
        return value
    return {"beginning": text[:limit], "note": f"cut after {limit} of {len(text)} characters; ask for less at a time"}
