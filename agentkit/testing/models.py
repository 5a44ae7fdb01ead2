"""Models for tests and for looking back: scripted, computed, recorded."""

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeAlias, cast

from pydantic import BaseModel

from agentkit.errors import AgentKitError, ConfigError
from agentkit.events import Event, ModelRequested, ModelResponded
from agentkit.fold import request_sha256
from agentkit.jsonvalue import canonical
from agentkit.messages import AssistantMessage, ModelRequest, ModelResponse, ToolCall, Usage
from agentkit.runner.prompt import prompt_before
from agentkit.testing.differing import first_difference

_ids = itertools.count(1)


class UnexpectedTurn(AgentKitError):
    """A scripted model was asked more often than its script says; the message shows what it was asked."""


class UnconsumedTurns(AgentKitError):
    """A run ended, and the script was not finished; the message lists what was left."""


class RequestDiffers(AgentKitError):
    """A recorded model was asked something that is not in its recording; the message says what differs."""


def call(tool: str, /, **arguments: Any) -> ToolCall:
    """A tool call for a script.

    Args:
        tool: the tool's name.
        arguments: as the model would write them, `why` included where wanted.

    Example:
        >>> call("find_order", order_id="A-1").name
        'find_order'
    """
    return ToolCall(id=f"call_{next(_ids)}", name=tool, arguments=arguments)


Turn: TypeAlias = "str | BaseModel | ToolCall | list[ToolCall] | ModelResponse | Exception"


class ScriptedModel:
    """Answers one turn after the other from a script, and fails on anything else.

    Args:
        turns: for each model call a text, a pydantic object (as the JSON of a structured answer), a `call(…)`, a list
            of them, a whole `ModelResponse`, or an exception to raise.
        name: what the log shows.
        usage: what every answer is said to have used.
        price_usd: what a call is said to cost beforehand; None is unknown.

    Example:
        >>> model = ScriptedModel([call("find_order", order_id="A-1"), "It is on its way."])
        >>> model.left
        2
    """

    def __init__(
        self,
        turns: Iterable[Turn],
        *,
        name: str = "scripted",
        usage: Usage | None = None,
        price_usd: float | None = 0.0,
    ) -> None:
        self._turns = list(turns)
        self._next = 0
        self._usage = usage or Usage(input_tokens=10, output_tokens=5, cost_usd=price_usd)
        self._price = price_usd
        self.name = name
        self.requests: list[ModelRequest] = []

    @property
    def left(self) -> int:
        """How many turns were not asked for yet."""
        return len(self._turns) - self._next

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """Give the next turn.

        Raises:
            UnexpectedTurn: the script is over.
        """
        self.requests.append(request)
        if not self.left:
            last = request.messages[-1].model_dump(mode="json") if request.messages else {}
            raise UnexpectedTurn(
                f"the script of {self.name!r} has {len(self._turns)} turns and was asked for another one, after: "
                f"{canonical(last).decode()[:500]}"
            )
        turn = self._turns[self._next]
        self._next += 1
        if isinstance(turn, Exception):
            raise turn
        response = as_response(turn, self._usage, self.name)
        if on_text is not None and response.message.text:
            for word in response.message.text.split(" "):
                on_text(word + " ")
        return response

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """The price that was given, whatever the tokens."""
        del input_tokens, output_tokens
        return self._price

    def assert_consumed(self) -> None:
        """Fail when the script was not finished.

        Raises:
            UnconsumedTurns: listing what was left.
        """
        if self.left:
            rest = "\n".join(f"  {turn!r}" for turn in self._turns[self._next :])
            raise UnconsumedTurns(
                f"{self.left} of {len(self._turns)} turns of {self.name!r} were not asked for:\n{rest}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_rest: object) -> None:
        if kind is None:
            self.assert_consumed()


class FunctionModel:
    """Answers what a function of the request returns: for loops that depend on what happened.

    Args:
        function: takes the request and returns a turn, as in a script; may be async.
        name: what the log shows.
        usage: what every answer is said to have used, where the function returns no whole response.
        price_usd: what a call is said to cost beforehand; None is unknown.
    """

    def __init__(
        self,
        function: Callable[[ModelRequest], Any],
        *,
        name: str = "function",
        usage: Usage | None = None,
        price_usd: float | None = 0.0,
    ) -> None:
        self._function = function
        self._usage = usage or Usage(input_tokens=10, output_tokens=5, cost_usd=price_usd)
        self._price = price_usd
        self.name = name

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """Give what the function returns."""
        turn = self._function(request)
        if inspect.isawaitable(turn):
            turn = await turn
        response = as_response(turn, self._usage, self.name)
        if on_text is not None and response.message.text:
            on_text(response.message.text)
        return response

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """The price that was given, whatever the tokens."""
        del input_tokens, output_tokens
        return self._price


class RecordedModel:
    """Answers from a recorded run: the same request, by its digest, gets the same answer. Calls nothing.

    Args:
        events: the run's events, for example `run.events()`, those of its child runs too where they are wanted.
        name: what the log shows.
    """

    def __init__(self, events: Iterable[Event], *, name: str = "recorded") -> None:
        self._answers: dict[str, list[ModelResponse]] = {}
        self._events = list(events)
        self.name = name
        asked: dict[tuple[str, str], ModelRequested] = {}
        for event in self._events:
            step = (event.run_id, event.step or "")
            if isinstance(event.body, ModelRequested):
                asked[step] = event.body
            elif isinstance(event.body, ModelResponded):
                self._answers.setdefault(asked[step].request_sha256, []).append(_recorded(event, event.body))

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """Give the recorded answer.

        Raises:
            RequestDiffers: no recorded request has that digest.
        """
        digest = request_sha256(request)
        answers = self._answers.get(digest)
        if not answers:
            raise RequestDiffers(self._difference(request, digest))
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if on_text is not None and answer.message.text:
            on_text(answer.message.text)
        return answer

    def _difference(self, request: ModelRequest, digest: str) -> str:
        requests = [event for event in self._events if isinstance(event.body, ModelRequested)]
        if not requests:
            return f"the recording {self.name!r} holds no model call: give it the events of a run that asked a model"
        rebuilt = [prompt_before(self._events, event) for event in requests]
        alike = [one for one in rebuilt if one is not None and len(one.messages) == len(request.messages)]
        lengths = sorted({event.body.messages for event in requests if isinstance(event.body, ModelRequested)})
        if len(request.messages) not in lengths:
            what = f"the recording holds prompts of {lengths} messages, not of {len(request.messages)}"
        else:
            what = f"no recorded prompt has the digest {digest[:12]}"
        last = canonical(request.messages[-1].model_dump(mode="json", exclude_defaults=True)).decode()[:500]
        where = first_difference(request, alike or [one for one in rebuilt if one is not None])
        return f"{what}; {where or f'instructions, tools, settings or a message differ; the last message is {last}'}"

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Looking back is free."""
        del input_tokens, output_tokens
        return 0.0


def as_response(turn: Any, usage: Usage, name: str) -> ModelResponse:
    """A turn of a script as a whole response.

    Raises:
        ConfigError: it is nothing a model could say.
    """
    if isinstance(turn, ModelResponse):
        return turn
    if isinstance(turn, BaseModel) and not isinstance(turn, ToolCall):
        turn = turn.model_dump_json()
    if isinstance(turn, ToolCall):
        turn = [turn]
    if isinstance(turn, str):
        message = AssistantMessage(text=turn)
    elif isinstance(turn, list) and turn and all(isinstance(item, ToolCall) for item in turn):  # pyright: ignore[reportUnknownVariableType]
        message = AssistantMessage(tool_calls=tuple(turn))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(turn, Mapping):
        message = AssistantMessage(text=canonical(dict(turn)).decode())  # pyright: ignore[reportUnknownArgumentType]
    else:
        raise ConfigError(f"{turn!r} is no turn of a model: give text, call(…), a list of calls, or a ModelResponse")
    finish = "tool_calls" if message.tool_calls else "stop"
    return ModelResponse(message=message, usage=usage, finish_reason=finish, model=name)


def _recorded(event: Event, body: ModelResponded) -> ModelResponse:
    """A recorded answer as the model gave it: the reasons it wrote among the arguments are there again."""
    return ModelResponse(
        message=AssistantMessage(
            text=body.text, tool_calls=tuple(_as_written(item) for item in body.tool_calls), reasoning=body.reasoning
        ),
        usage=Usage(
            input_tokens=event.input_tokens or 0,
            output_tokens=event.output_tokens or 0,
            cached_tokens=body.cached_tokens,
            cache_write_tokens=body.cache_write_tokens,
            reasoning_tokens=body.reasoning_tokens,
            cost_usd=0.0,
        ),
        finish_reason=body.finish_reason,
        response_id=body.response_id,
    )


def _as_written(item: ToolCall) -> ToolCall:
    arguments: Any = item.arguments
    if not isinstance(arguments, dict):
        return item
    written = {**cast("dict[str, Any]", arguments), **item.reported}
    return ToolCall(id=item.id, name=item.name, arguments=written)
