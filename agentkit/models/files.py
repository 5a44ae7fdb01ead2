"""Images and files of a prompt as chat completions take them."""

import base64
import binascii
from typing import Any

from agentkit.errors import ModelError
from agentkit.messages import MediaPart

_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def as_content(part: MediaPart) -> dict[str, Any]:
    """One part of a message's content; litellm puts it into the provider's own form.

    Raises:
        ModelError: the part holds nothing that can be sent, not retryable.
    """
    where = part.url or f"data:{part.media_type};base64,{part.data}"
    kind = part.media_type.partition("/")[0]
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": where, "format": part.media_type}}
    if kind == "text" and part.data is not None:
        return {"type": "text", "text": _as_text(part)}
    if part.media_type in _AUDIO and part.data is not None:
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": _AUDIO[part.media_type]}}
    place = {"file_id": part.url} if part.url else {"file_data": where}
    return {"type": "file", "file": {**place, "format": part.media_type, "filename": part.name or "file"}}


def _as_text(part: MediaPart) -> str:
    try:
        text = base64.b64decode(part.data or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ModelError(
            f"{part.name or 'a file'} is sent as {part.media_type}, and is no UTF-8 text ({error})", kind="bad_request"
        ) from error
    return f'<file name="{part.name}">\n{text}\n</file>' if part.name else text
