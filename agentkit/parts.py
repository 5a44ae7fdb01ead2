"""`media`: an image or a file as part of what an agent is asked."""

import base64
import mimetypes
import re
from pathlib import Path

from agentkit.errors import ConfigError
from agentkit.messages import MediaPart

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
)


def media(source: str | Path | bytes, media_type: str | None = None) -> MediaPart:
    """An image or a file for `agent.run(["What is this?", ak.media("photo.png")])`.

    What is read from a path or given as bytes goes into the log; of a web address only the address does, and the
    provider fetches it.

    Args:
        source: a path, an `https://` address, or the bytes themselves.
        media_type: such as "image/png"; by default what the name's ending, or how the bytes begin, says.

    Returns:
        A part of a message.

    Raises:
        ConfigError: there is no such file, it is empty, or its type is not known.

    Example:
        >>> media(b"%PDF-1.7").media_type
        'application/pdf'
    """
    if isinstance(source, bytes):
        return _body(source, media_type or _sniff(source), None)
    if isinstance(source, str) and re.match(r"(?i)[a-z][a-z0-9+.-]+://", source):
        return _address(source, media_type)
    path = Path(source).expanduser()
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a path with NUL in it is a ValueError
        raise ConfigError(
            f"media: {str(source)!r} cannot be read ({error}); it was looked for in {Path.cwd()}"
        ) from error
    return _body(data, media_type or mimetypes.guess_type(path.name)[0] or _sniff(data), path.name)


def _address(url: str, media_type: str | None) -> MediaPart:
    if not re.match(r"(?i)https?://", url):
        raise ConfigError(f"media: {url!r}: give an https:// address, a path, or bytes")
    place = re.split(r"[?#]", url)[0]
    found = media_type or mimetypes.guess_type(place)[0]
    if found is None:
        raise ConfigError(f'media: what type is {url!r}? Say it: media(…, "image/png")')
    return MediaPart(media_type=found, url=url, name=place.rpartition("/")[2] or None)


def _body(data: bytes, media_type: str | None, name: str | None) -> MediaPart:
    what = repr(name) if name is not None else f"these {len(data)} bytes"
    if not data:
        raise ConfigError(f"media: {what} is empty" if name is not None else "media: no bytes were given")
    if media_type is None:
        raise ConfigError(f'media: what type is {what}? Say it: media(…, "image/png")')
    return MediaPart(media_type=media_type, data=base64.b64encode(data).decode(), name=name)


def _sniff(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] in {b"WEBP", b"WAVE"}:
        return "image/webp" if data[8:12] == b"WEBP" else "audio/wav"
    return next((kind for start, kind in _BEGINNINGS if data.startswith(start)), None)
