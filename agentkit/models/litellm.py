"""Any model that litellm knows: one HTTP request an attempt, streamed, with everything else left to the runner."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, cast

from agentkit.errors import AgentKitError, ModelError
from agentkit.messages import ModelRequest, ModelResponse
from agentkit.models import catalogue, limits, wire
from agentkit.models.answer import Answer
from agentkit.models.errors import translate
from agentkit.models.loading import Litellm, loaded, warm
from agentkit.models.options import Options, options

_ONE_KEY = {"openai", "anthropic", "gemini", "mistral", "deepseek", "xai", "groq", "openrouter"}
"""Providers that are asked with one key from one variable; others have roles, files and hosts of their own."""


class LitellmModel:
    """A model by its litellm name; `Agent(model="openai/gpt-5-mini")` makes one.

    Args:
        name: for example `openai/gpt-5-mini`, `anthropic/claude-sonnet-4-5`, `ollama/llama3`.
        settings: for this model alone, over the agent's: another `api_base`, for example. They are not recorded.

    Example:
        >>> LitellmModel("openai/my-model", settings={"api_base": "http://localhost:8000/v1"}).name
        'openai/my-model'
    """

    def __init__(self, name: str, *, settings: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self._settings = dict(settings or {})
        self._found: tuple[str, str] | None = None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait until the provider may be asked (see `ak.limit`), and hold the place."""
        place: AbstractAsyncContextManager[None] = nullcontext()
        with contextlib.suppress(AgentKitError):  # an unknown name is told by `respond`, where it is recorded
            place = limits.turn(self._provider(await loaded()))
        async with place:
            yield

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """Answer once, in one HTTP request.

        Args:
            request: what to answer; its parameters are the agent's settings (see `Options`).
            on_text: called with each piece of text as it comes.

        Raises:
            ModelError: the provider's error, with its kind, status and Retry-After.
            ModelNotFound: litellm does not know whom to ask.
        """
        litellm = await loaded()
        provider = self._provider(litellm)
        given = {**request.parameters, **self._settings}
        chosen = options(given)
        self._check_key(litellm, provider, given)
        try:
            return await self._ask(litellm, provider, request, chosen, on_text)
        except ModelError:
            raise
        except Exception as error:
            raise translate(error, provider, self._missing_keys(litellm)) from error

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """The list price in USD; None where litellm's list has none."""
        return catalogue.price(self.name, input_tokens, output_tokens)

    async def _ask(
        self,
        litellm: Litellm,
        provider: str,
        request: ModelRequest,
        chosen: Options,
        on_text: Callable[[str], None] | None,
    ) -> ModelResponse:
        asked = wire.arguments(litellm, self.name, provider, request, chosen)
        answer = Answer(self.name, provider, on_text)
        counted = await _receive(litellm, asked, chosen, answer)
        return answer.response(
            litellm,
            service_tier=asked.get("service_tier"),
            counted=counted,
            json_only=request.output is not None and "response_format" not in asked,
        )

    def _provider(self, litellm: Litellm) -> str:
        if self._found is None:
            self._found = catalogue.provider_of(litellm, self.name)
        return self._found[0]

    def _check_key(self, litellm: Litellm, provider: str, given: Mapping[str, Any]) -> None:
        """Refuse to ask where no key is set: litellm finds that out late on some of its ways, after connecting."""
        places = (f"{provider.upper()}_API_BASE", f"{provider.upper()}_BASE_URL")
        elsewhere = any(name in given for name in ("api_base", "base_url")) or any(map(os.environ.get, places))
        if provider in _ONE_KEY and not elsewhere and (missing := self._missing_keys(litellm)):
            raise ModelError(f"{provider}: no key; set {' and '.join(missing)} in the environment", kind="auth")

    def _missing_keys(self, litellm: Litellm) -> list[str]:
        with contextlib.suppress(Exception):  # it is advice only
            return cast("list[str]", litellm.validate_environment(self.name)["missing_keys"])
        return []


async def _receive(litellm: Litellm, asked: wire.Wire, chosen: Options, answer: Answer) -> bool:
    """Ask, and hear the answer to its end. Returns whether the provider itself counted the tokens.

    Raises:
        ModelError: it took too long, stalled, or ended before it was whole.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + chosen.timeout
    stream: Any = None
    try:
        async with asyncio.timeout_at(end) as patience:
            stream = await litellm.acompletion(**asked)
            if not chosen.stream:
                answer.add(stream)
                return answer.usage is not None
            async for chunk in stream:
                answer.add(chunk)
                patience.reschedule(min(end, clock() + chosen.idle_timeout))
    except TimeoutError as error:
        raise _too_slow(answer, chosen, stalled=clock() < end) from error
    finally:
        if chosen.stream and stream is not None:
            with contextlib.suppress(Exception):  # what was sent is read or given up; closing is politeness
                await stream.aclose()
    if answer.is_empty and getattr(stream, "received_finish_reason", "") is None:  # litellm makes one up
        raise ModelError(
            f"{answer.provider}: the answer cannot be read: nothing in it is an event of a stream",
            kind="connection",
            retryable=True,
        )
    return any(getattr(chunk, "usage", None) is not None for chunk in getattr(stream, "chunks", ()))


def _too_slow(answer: Answer, chosen: Options, *, stalled: bool) -> ModelError:
    if stalled:
        problem = f"the stream stalled: nothing came for {chosen.idle_timeout:g} s (settings: idle_timeout)"
    else:
        problem = f"no whole answer within {chosen.timeout:g} s (settings: timeout)"
    return ModelError(f"{answer.provider}: {problem}", kind="timeout", retryable=True)


def open_model(name: str) -> LitellmModel:
    """A model by name; litellm is imported in the background from now on.

    Raises:
        ModelNotFound: it is certain already that litellm does not know the name; else the first call says so.
    """
    catalogue.check(name)
    warm()
    return LitellmModel(name)
