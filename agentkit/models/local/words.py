"""The words of a text as a grammar's quotation takes them: cut where a quotation may begin and end."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from agentkit.errors import ModelError
from agentkit.fold.run import REFUSED
from agentkit.messages import Message, ToolMessage, UserMessage

_CHUNK = re.compile(r"\w+|\s+|[^\w\s]")

BORDER = "\x01"
"""Stands between two texts, where no quotation may run on; JSON strings cannot hold it bare."""


def chunks(texts: Iterable[str]) -> list[str]:
    r"""Texts as the pieces of a JSON string that a quotation is made of.

    Args:
        texts: what may be quoted.

    Returns:
        Words, spaces and marks in order, each as JSON writes it, with a border between two texts.

    Example:
        >>> chunks(['MIT "as is"', "no\nwarranty"])
        ['MIT', ' ', '\\"', 'as', ' ', 'is', '\\"', '\x01', 'no', '\\n', 'warranty']
    """
    found: list[str] = []
    for text in texts:
        words = [json.dumps(word, ensure_ascii=False)[1:-1] for word in _CHUNK.findall(text)]
        if any(word[0] == "_" or word[0].isalnum() for word in words):
            found += [BORDER, *words] if found else words
    return found


def quotable(messages: Sequence[Message]) -> list[str]:
    """What a quotation may quote: every text in the tools' results or, without any, what the user said last.

    A refusal of the answer before is no text to quote, though it comes as the user's word.

    Args:
        messages: the conversation.
    """
    results = [m.content for m in messages if isinstance(m, ToolMessage) and not m.is_error]
    if results:
        return list(_texts(results))
    said = [text_of(m) for m in messages if isinstance(m, UserMessage)]
    return [text for text in said if not text.startswith(REFUSED)][-1:]


def text_of(message: UserMessage) -> str:
    """What the user said, as one text.

    Raises:
        ModelError: there is an image or a file in it.
    """
    if isinstance(message.content, str):
        return message.content
    if media := [part for part in message.content if part.type == "media"]:
        raise ModelError(f"a local model reads text only, and was given a {media[0].media_type}", kind="bad_request")
    return "\n\n".join(part.text for part in message.content if part.type == "text")


def _texts(value: Any) -> Iterator[str]:
    """The texts and numbers in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in cast("dict[str, Any]", value).values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in cast("list[Any]", value):
            yield from _texts(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)
