"""`local/…` models: one answer to one request, held to a grammar all the way.

A turn with tools is two questions, since small models cannot hold both at once: which call, or none (the first time
always one, afterwards as the model chooses; a call it has made before counts as none), and then the answer, from what
was said and what the tools gave alone. Calls are asked for without a reason: a small model's reason is invented after
the fact and costs more tokens than the call, so `decided` holds none.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from agentkit.definition import REPORTED
from agentkit.errors import ModelError, ModelNotFound
from agentkit.messages import (
    AssistantMessage,
    ModelRequest,
    ModelResponse,
    ToolCall,
    ToolMessage,
    ToolSchema,
    Usage,
)
from agentkit.models import weights
from agentkit.models.local import grammar, turns
from agentkit.models.local.engine import Engine, Generation, engine
from agentkit.models.local.runtime import check_installed
from agentkit.models.local.words import quotable

MAX_TOKENS = 768
"""What an answer may have where `max_tokens` is not set: a minute of the 0.5B on one thread."""

_SAMPLING = {
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "stop",
}
_OURS = {"seed", "max_tokens", "tool_choice"}
_BEGUN_CALL = re.compile(r'\{"tool":(?P<name>"(?:[^"\\]|\\.)*"),"args":(?P<arguments>.*)', re.DOTALL)


def open_model(name: str) -> "LocalModel":
    """A local model by name; its weights are loaded in the background.

    Args:
        name: `local/` and a name that `agentkit.models.weights` knows, or a path to a GGUF file, for example
            `local/smollm2` or `local/./models/mine.gguf`.

    Raises:
        ModelNotFound: no such model, its weights are not here, or nothing can run it.
    """
    check_installed(name)
    wanted = name.removeprefix("local/")
    if wanted.endswith(".gguf"):
        path = Path(wanted).expanduser()
        if not path.is_file():
            raise ModelNotFound(f"{name!r}: there is no file {path.absolute()}")
    else:
        path = weights.find(wanted)
    model = LocalModel(name, engine(path))
    model.warm()
    return model


class LocalModel:
    """A language model in this process.

    The same `seed` gives the same answer to the same request, in any process on the same kind of machine. Without a
    seed what an earlier request computed is used again, which is faster and can turn a near tie the other way.

    Settings: `seed`, `temperature` (0 by default: the likeliest word), `max_tokens` (768), `top_p`, `top_k`, `min_p`,
    `repeat_penalty`, `presence_penalty`, `frequency_penalty`, `stop`, and `tool_choice`: "required", "auto" or "none".

    Args:
        name: what the log shows.
        engine: the weights.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self._engine = engine

    def warm(self) -> None:
        """Load the weights in the background."""
        self._engine.warm()

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Nothing."""
        del input_tokens, output_tokens
        return 0.0

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """Answer once.

        Args:
            request: what to answer; images and files are refused.
            on_text: called with each piece of the answer as it comes.

        Raises:
            ModelError: the prompt is too long ("context_overflow"), a setting is unknown, the weights are damaged.
        """
        _check(request)
        spent = Usage(cost_usd=0.0)
        if request.tools and _tool_choice(request) != "none":
            chosen = await self._ask(request, _choice(request))
            spent += _usage(chosen)
            call = _read_call(chosen, request)
            if call is not None and not (_is_repeated(call, request) and _tool_choice(request) != "required"):
                finish = "length" if chosen.finish_reason == "length" else "tool_calls"
                return self._response(AssistantMessage(tool_calls=(call,)), finish, spent)
        answer = await self._ask(request, _answer(request), on_text)
        if request.output is not None and answer.finish_reason != "length" and not _is_json(answer.text):
            raise _unusable(answer)
        return self._response(AssistantMessage(text=answer.text), answer.finish_reason, spent + _usage(answer))

    async def _ask(
        self, request: ModelRequest, question: Mapping[str, Any], on_text: Callable[[str], None] | None = None
    ) -> Generation:
        return await self._engine.generate({**_sampling(request), **question}, on_text)

    def _response(self, message: AssistantMessage, finish: str, usage: Usage) -> ModelResponse:
        return ModelResponse(message=message, usage=usage, finish_reason=finish, model=self.name)


def _choice(request: ModelRequest) -> dict[str, Any]:
    tools = [_without_reasons(tool) for tool in request.tools]
    may_finish = _tool_choice(request) == "auto"
    rules = grammar.for_turn(tools, quotable(request.messages), may_finish=may_finish)
    return {"messages": turns.for_choice(request, tools), "grammar": rules}


def _answer(request: ModelRequest) -> dict[str, Any]:
    question: dict[str, Any] = {"messages": turns.for_answer(request)}
    if request.output is not None:
        question["grammar"] = grammar.for_answer(request.output.json_schema, quotable(request.messages))
    return question


def _tool_choice(request: ModelRequest) -> str:
    """What the settings say; else a tool is called first, and after that the model chooses."""
    begun = any(isinstance(message, AssistantMessage) for message in request.messages)
    return request.parameters.get("tool_choice") or ("auto" if begun else "required")


def _without_reasons(tool: ToolSchema) -> ToolSchema:
    """The tool without the arguments that ask why it is called."""
    own = {
        name: schema
        for name, schema in tool.parameters.get("properties", {}).items()
        if schema != {"type": "string", "description": REPORTED.get(name)}
    }
    required = [name for name in tool.parameters.get("required", ()) if name in own]
    return tool.model_copy(update={"parameters": {**tool.parameters, "properties": own, "required": required}})


def _sampling(request: ModelRequest) -> dict[str, Any]:
    """The settings in llama.cpp's words."""
    given = request.parameters
    chosen: dict[str, Any] = {"temperature": 0, **{name: given[name] for name in given if name in _SAMPLING}}
    chosen["max_tokens"] = given.get("max_tokens") or MAX_TOKENS
    if given.get("seed") is not None:
        # numbers differ in their last digits with how a prompt is cut into batches, and a cached one is cut elsewhere
        chosen |= {"seed": given["seed"], "cache_prompt": False}
    return chosen


def _check(request: ModelRequest) -> None:
    unknown = sorted(request.parameters.keys() - _SAMPLING - _OURS)
    if unknown:
        raise ModelError(
            f"a local model has no setting {unknown[0]!r}; it has {', '.join(sorted(_SAMPLING | _OURS))}",
            kind="bad_request",
        )
    if _tool_choice(request) not in {"required", "auto", "none"}:
        raise ModelError(
            f"tool_choice is 'required', 'auto' or 'none', not {_tool_choice(request)!r}", kind="bad_request"
        )


def _read_call(chosen: Generation, request: ModelRequest) -> ToolCall | None:
    """The call that was written, or None where the model has what it needs."""
    if chosen.text == grammar.FINAL:
        return None
    begun = _BEGUN_CALL.fullmatch(chosen.text)
    name = json.loads(begun["name"]) if begun else None
    if begun is None or name not in {tool.name for tool in request.tools}:
        raise _unusable(chosen)
    try:
        arguments: Any = json.loads(chosen.text)["args"]
    except ValueError:  # it ran out of room; the run tells the model what is wrong with it
        arguments = begun["arguments"]
    return ToolCall(id=f"call_{uuid4().hex}", name=name, arguments=arguments)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _unusable(chosen: Generation) -> ModelError:
    if chosen.finish_reason == "length":
        problem = "ran out of room before it had named a tool; raise max_tokens, or give it a shorter prompt"
    else:
        problem = "was not held to the schema: there is something in it that no grammar can say"  # it is not told what
    return ModelError(f"the local model's answer {problem}; it wrote {chosen.text[:200]!r}", kind="bad_request")


def _is_repeated(call: ToolCall, request: ModelRequest) -> bool:
    """Whether the call was made before, and brought something."""
    brought = {message.call_id for message in request.messages if isinstance(message, ToolMessage)}
    before = (one for m in request.messages if isinstance(m, AssistantMessage) for one in m.tool_calls)
    return any(one.id in brought and (one.name, one.arguments) == (call.name, call.arguments) for one in before)


def _usage(generation: Generation) -> Usage:
    return Usage(
        input_tokens=generation.input_tokens,
        output_tokens=generation.output_tokens,
        cached_tokens=generation.cached_tokens,
        cost_usd=0.0,
    )
