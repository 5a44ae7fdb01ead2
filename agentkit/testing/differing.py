"""What differs between a prompt and those of a recording, in words."""

from collections.abc import Iterable, Sequence
from itertools import takewhile, zip_longest
from typing import Any

from pydantic import BaseModel

from agentkit.jsonvalue import canonical
from agentkit.messages import ModelRequest
from agentkit.text import one_line

_SHOWN = 200  # characters of each side, from shortly before the first that differs
_BEFORE = 20
_NOTHING = ("", "")


def first_difference(request: ModelRequest, recorded: Iterable[ModelRequest]) -> str | None:
    """Where a prompt leaves the recorded one that it shares most with.

    Args:
        request: the prompt.
        recorded: those it might have been.

    Returns:
        The part, and what stands there on either side; None where nothing was recorded, or nothing differs.
    """
    asked = _parts(request)
    pairs = [list(zip_longest(asked, _parts(one), fillvalue=_NOTHING)) for one in recorded]
    if not pairs:
        return None
    nearest = max(pairs, key=_shared)
    return next((_in_words(said, was) for said, was in nearest if said != was), None)


def _parts(request: ModelRequest) -> list[tuple[str, str]]:
    """A prompt's parts in the order in which a difference explains those after it, each as JSON."""
    head = [
        ("the instructions", _json(request.instructions)),
        ("the tools", _json(request.tools)),
        ("the output's schema", _json(request.output)),
        ("the settings", _json(request.parameters)),
    ]
    said = [f"{message.role}: {_json(message)}" for message in request.messages]
    return head + [(f"message {n}", text) for n, text in enumerate(said, 1)]


def _json(part: Any) -> str:
    if isinstance(part, tuple | list):
        return f"[{','.join(map(_json, part))}]"  # pyright: ignore[reportUnknownArgumentType]
    plain = part.model_dump(mode="json", exclude_defaults=True) if isinstance(part, BaseModel) else part
    return canonical(plain).decode()


def _shared(pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]]) -> tuple[int, int]:
    """How much two prompts share: so many parts from the first on, then so many in all."""
    same = [said == was for said, was in pairs]
    return sum(takewhile(bool, same)), sum(same)


def _in_words(asked: tuple[str, str], recorded: tuple[str, str]) -> str:
    name, said, was = asked[0] or recorded[0], asked[1], recorded[1]
    at = next((n for n, (one, other) in enumerate(zip(said, was, strict=False)) if one != other), len(said))
    start = max(0, at - _BEFORE)
    return f"{name}: recorded was {_piece(was, start)}, and asked is {_piece(said, start)}"


def _piece(text: str, start: int) -> str:
    return one_line(f"{'…' if start else ''}{text[start:]}", _SHOWN) if text else "nothing"
