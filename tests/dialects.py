"""A model's answer in the two dialects that most providers speak: OpenAI's chat completions, Anthropic's messages."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_ids = itertools.count(1)


@dataclass(frozen=True)
class Reply:
    """What a model says, before it is put into a dialect.

    Args:
        text: the text.
        calls: tool calls: name, and the arguments as the model wrote them, which need not be JSON.
        finish: why it stopped, in OpenAI's words; None is what a broken stream never says.
        thinking: reasoning that is shown.
        input_tokens: of the whole prompt, cached ones included.
        output_tokens: reasoning included.
        cached: input tokens that were read from a cache.
        cache_write: input tokens that were written to one (Anthropic).
        reasoning: output tokens that were reasoning (OpenAI).
        counted: whether usage is reported at all.
    """

    text: str = "It is on its way."
    calls: tuple[tuple[str, str], ...] = ()
    finish: str | None = "stop"
    thinking: str = ""
    input_tokens: int = 100
    output_tokens: int = 20
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    counted: bool = True


def pieces(text: str) -> list[str]:
    """A text in the pieces that a stream has."""
    return re.findall(r"\S+\s*|\s+", text)


class OpenAI:
    """POST …/chat/completions."""

    name = "openai"
    path = "/chat/completions"

    def whole(self, reply: Reply, model: str) -> dict:
        """An answer that is not streamed."""
        message = {"role": "assistant", "content": reply.text or None}
        if reply.thinking:
            message["reasoning_content"] = reply.thinking
        if reply.calls:
            message["tool_calls"] = [self._call(index, *call) for index, call in enumerate(reply.calls)]
        choice = {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
        head = self._head(model, "chat.completion")
        return {**head, "choices": [choice], **({"usage": self._usage(reply)} if reply.counted else {})}

    def stream(self, reply: Reply, model: str, asked: dict) -> Iterator[bytes]:
        """The server-sent events of an answer."""
        head = self._head(model, "chat.completion.chunk")
        for delta in self._deltas(reply):
            yield _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if reply.finish is not None:
            yield _data({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]})
        if reply.counted and (asked.get("stream_options") or {}).get("include_usage"):
            yield _data({**head, "choices": [], "usage": self._usage(reply)})
        yield b"data: [DONE]\n\n"

    def error_event(self, message: str) -> bytes:
        """An error in the midst of a stream."""
        return _data({"error": {"message": message, "type": "server_error", "code": "server_error", "param": None}})

    def error(self, kind: str, message: str, code: str | None = None) -> dict:
        """The body of an error."""
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def _head(self, model: str, kind: str) -> dict:
        return {"id": f"chatcmpl-{next(_ids)}", "object": kind, "created": 1_790_000_000, "model": model}

    def _deltas(self, reply: Reply) -> Iterator[dict]:
        yield {"role": "assistant", "content": ""}
        for piece in pieces(reply.thinking):
            yield {"reasoning_content": piece}
        for piece in pieces(reply.text):
            yield {"content": piece}
        for index, (name, arguments) in enumerate(reply.calls):
            yield {"tool_calls": [self._call(index, name, "")]}
            for piece in pieces(arguments):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}

    def _call(self, index: int, name: str, arguments: str) -> dict:
        function = {"name": name, "arguments": arguments}
        return {"index": index, "id": f"call_{next(_ids)}", "type": "function", "function": function}

    def _usage(self, reply: Reply) -> dict:
        return {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
            "prompt_tokens_details": {"cached_tokens": reply.cached},
            "completion_tokens_details": {"reasoning_tokens": reply.reasoning},
        }


class Anthropic:
    """POST …/v1/messages."""

    name = "anthropic"
    path = "/messages"
    stops = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}

    def whole(self, reply: Reply, model: str) -> dict:
        """An answer that is not streamed."""
        blocks = [
            *([{"type": "thinking", "thinking": reply.thinking, "signature": "c2lnbmVk"}] if reply.thinking else []),
            *([{"type": "text", "text": reply.text}] if reply.text else []),
            *(
                {"type": "tool_use", "id": f"toolu_{next(_ids)}", "name": name, "input": json.loads(arguments)}
                for name, arguments in reply.calls
            ),
        ]
        head = self._head(reply, model, self._usage(reply))
        return {**head, "content": blocks, "stop_reason": self.stops.get(reply.finish)}

    def stream(self, reply: Reply, model: str, _asked: dict) -> Iterator[bytes]:
        """The server-sent events of an answer."""
        start = {**self._usage(reply), "output_tokens": 1}
        yield self._event("message_start", message=self._head(reply, model, start))
        yield self._event("ping")
        for index, (block, deltas) in enumerate(self._blocks(reply)):
            yield self._event("content_block_start", index=index, content_block=block)
            for delta in deltas:
                yield self._event("content_block_delta", index=index, delta=delta)
            yield self._event("content_block_stop", index=index)
        if reply.finish is not None:
            stop = {"stop_reason": self.stops[reply.finish], "stop_sequence": None}
            yield self._event("message_delta", delta=stop, usage={"output_tokens": reply.output_tokens})
        yield self._event("message_stop")

    def error_event(self, message: str) -> bytes:
        """An error in the midst of a stream."""
        return self._event("error", error={"type": "overloaded_error", "message": message})

    def error(self, kind: str, message: str, code: str | None = None) -> dict:
        """The body of an error."""
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{next(_ids)}"}

    def _head(self, reply: Reply, model: str, usage: dict) -> dict:
        head = {"id": f"msg_{next(_ids)}", "type": "message", "role": "assistant", "model": model, "content": []}
        return {**head, "stop_reason": None, "stop_sequence": None, "usage": usage}

    def _blocks(self, reply: Reply) -> Iterator[tuple[dict, list[dict]]]:
        if reply.thinking:
            thought = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(reply.thinking)]
            signed = {"type": "signature_delta", "signature": "c2lnbmVk"}
            yield {"type": "thinking", "thinking": "", "signature": ""}, [*thought, signed]
        if reply.text:
            said = [{"type": "text_delta", "text": piece} for piece in pieces(reply.text)]
            yield {"type": "text", "text": ""}, said
        for name, arguments in reply.calls:
            block = {"type": "tool_use", "id": f"toolu_{next(_ids)}", "name": name, "input": {}}
            yield block, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(arguments)]

    def _usage(self, reply: Reply) -> dict:
        return {
            "input_tokens": reply.input_tokens - reply.cached - reply.cache_write,
            "cache_read_input_tokens": reply.cached,
            "cache_creation_input_tokens": reply.cache_write,
            "output_tokens": reply.output_tokens,
        }

    def _event(self, kind: str, **body: object) -> bytes:
        return f"event: {kind}\n".encode() + _data({"type": kind, **body})


def _data(value: dict) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


DIALECTS = {dialect.path: dialect for dialect in (OpenAI(), Anthropic())}
