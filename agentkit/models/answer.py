"""What litellm brings, whole or in pieces, as a `ModelResponse`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import from_json

from agentkit.errors import ModelError
from agentkit.messages import AssistantMessage, ModelResponse, ToolCall, Usage
from agentkit.models.loading import Litellm
from agentkit.models.usage import read


@dataclass
class _Call:
    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class Answer:
    """An answer as it comes.

    Args:
        name: the model's name, provider included.
        provider: who was asked; its reasoning blocks are marked so.
        on_text: told of each piece of text.
    """

    name: str
    provider: str
    on_text: Callable[[str], None] | None = None
    text: str = ""
    thoughts: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    items: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    calls: list[_Call] = field(default_factory=list[_Call])
    usage: Any = None  # litellm's own type
    finish_reason: str | None = None
    model: str | None = None
    id: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing came that a model says."""
        return not (self.text or self.thoughts or self.blocks or self.items or self.calls)

    def add(self, chunk: Any) -> None:
        """Take a piece: one chunk of a stream, or a whole answer, whose parts have the same names.

        Raises:
            ModelError: what should be text is none.
        """
        self.id = self.id or str(getattr(chunk, "id", None) or "") or None
        self.model = str(getattr(chunk, "model", None) or "") or self.model
        self.usage = getattr(chunk, "usage", None) or self.usage
        for choice in chunk.choices[:1]:
            self.finish_reason = getattr(choice, "finish_reason", None) or self.finish_reason
            said = getattr(choice, "delta", None) or getattr(choice, "message", None)
            if said is not None:
                self._hear(said)

    def _hear(self, said: Any) -> None:
        if content := self._words("content", getattr(said, "content", None)):
            self.text += content
            if self.on_text is not None:
                self.on_text(content)
        self.thoughts += self._words("reasoning_content", getattr(said, "reasoning_content", None))
        for block in getattr(said, "thinking_blocks", None) or ():
            self._think(_plain(block))
        self.items += [_plain(item) for item in getattr(said, "reasoning_items", None) or ()]
        for position, call in enumerate(getattr(said, "tool_calls", None) or ()):
            self._call(position, call)

    def _think(self, piece: dict[str, Any]) -> None:
        """A block comes in pieces, and its signature last: a piece goes on with one that is not signed yet."""
        piece.pop("index", None)
        last = self.blocks[-1] if self.blocks else None
        if last is None or piece.get("type") != "thinking" or last.get("type") != "thinking" or last.get("signature"):
            self.blocks.append(piece)
            return
        last["thinking"] = (last.get("thinking") or "") + (piece.get("thinking") or "")
        if piece.get("signature"):
            last["signature"] = piece["signature"]

    def _call(self, position: int, piece: Any) -> None:
        index = getattr(piece, "index", None)
        id_ = str(getattr(piece, "id", None) or "")
        name = self._words("tool call's name", piece.function.name)
        call = self._open_call(position if index is None else index, id_, name)
        call.id = call.id or id_
        call.name = call.name or name
        call.arguments += self._words("tool call's arguments", piece.function.arguments)

    def _open_call(self, index: int, id_: str, name: str) -> _Call:
        """The call that a piece belongs to. Some servers number none, and some give each piece an id of its own."""
        last = next((call for call in reversed(self.calls) if call.index == index), None)
        if last is not None and not (name and id_ and last.id and id_ != last.id):
            return last
        self.calls.append(_Call(index))
        return self.calls[-1]

    def _words(self, what: str, said: Any) -> str:
        if said is None or isinstance(said, str):
            return said or ""
        raise ModelError(
            f"{self.provider}: the answer cannot be read: its {what} is a {type(said).__name__} and no text",
            kind="connection",
            retryable=True,
        )

    def response(self, litellm: Litellm, *, service_tier: str | None, counted: bool, json_only: bool) -> ModelResponse:
        """The whole answer.

        Args:
            litellm: the module.
            service_tier: as it was asked for; prices depend on it.
            counted: whether the provider reported the usage; else litellm counted it, and the cost is unknown.
            json_only: whether the model was told in words to answer in JSON, which some put between backticks.

        Raises:
            ModelError: the provider withheld the answer; it has the usage.
        """
        usage = Usage(cost_usd=None)
        if self.usage is not None:
            usage = read(litellm, self.usage, self.name, service_tier, said_something=not self.is_empty)
        if not counted:
            usage = usage.model_copy(update={"cost_usd": None})
        if self.finish_reason == "content_filter":
            raise ModelError(
                f"{self.provider} withheld the answer: its content filter stopped it",
                kind="content_filter",
                usage=usage,
            )
        text = _unfenced(self.text) if json_only else self.text
        bare = self.name.partition("/")[2]
        return ModelResponse(
            message=AssistantMessage(text=text or None, tool_calls=self._tool_calls(), reasoning=self._reasoning()),
            usage=usage,
            finish_reason=self.finish_reason,
            model=self.model if self.model not in {self.name, bare} else None,
            response_id=self.id,
        )

    def _tool_calls(self) -> tuple[ToolCall, ...]:
        calls = sorted(self.calls, key=lambda call: call.index)
        return tuple(ToolCall(id=call.id, name=call.name, arguments=_arguments(call.arguments)) for call in calls)

    def _reasoning(self) -> tuple[dict[str, Any], ...]:
        """The blocks, each with whose it is and the field to send it back in; where there are none, the bare text."""
        named = [("thinking_blocks", block) for block in self.blocks] + [
            ("reasoning_items", item) for item in self.items
        ]
        if not named and self.thoughts:
            named = [("reasoning_content", {"text": self.thoughts})]
        return tuple({"provider": self.provider, "field": name, **block} for name, block in named)


def _arguments(written: str) -> Any:
    """A call's arguments: an object where it is one, else what the model wrote."""
    if not written.strip():
        return {}
    try:
        value = from_json(written)
    except ValueError:
        return written
    return cast("dict[str, Any]", value) if isinstance(value, dict) else written


def _unfenced(text: str) -> str:
    """JSON that stands between ``` lines, without them."""
    lines = text.strip().splitlines()
    fenced = len(lines) >= 2 and lines[0] in {"```", "```json"} and lines[-1] == "```"
    return "\n".join(lines[1:-1]) if fenced else text


def _plain(block: Any) -> dict[str, Any]:
    """A provider's block as JSON: some come as dicts, some as pydantic objects."""
    if isinstance(block, dict):
        return dict(cast("dict[str, Any]", block))
    return block.model_dump(mode="json", exclude_none=True)
