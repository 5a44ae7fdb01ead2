"""One switch that forbids real models: a test suite that turns it on cannot spend money."""

import ipaddress
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

from agentkit import registry
from agentkit.definition import QueuedModel
from agentkit.errors import AgentKitError
from agentkit.messages import ModelRequest, ModelResponse

LOOPBACK = "loopback/"

_DIALECTS = ("openai/", "anthropic/")


class RealModelForbidden(AgentKitError):
    """A test asked for a model by name while real models are forbidden."""


def forbid_real_models(*, allow: Iterable[str] = ()) -> None:
    """Refuse every model that is asked for by name from now on; `Model` objects go on working.

    Call it once in `conftest.py`.

    A server on this machine that speaks a provider's dialect is asked by a name that begins with `loopback/`:
    `Agent("a", "loopback/openai/gpt-5-mini", settings={"api_base": "http://127.0.0.1:8000"})` is `openai/gpt-5-mini`
    in everything, but for refusing every other address.

    Args:
        allow: prefixes of names that go on working, for example `local/`, whose models cost nothing.
    """
    kept = {prefix: registry.MODELS[prefix] for prefix in allow if prefix in registry.MODELS}
    registry.MODELS.clear()
    registry.MODELS.update(
        {
            "": "agentkit.testing.real_models:refuse",
            LOOPBACK: "agentkit.testing.real_models:open_loopback",
            **kept,
        }
    )


def refuse(name: str) -> None:
    """Stand in for every adapter.

    Raises:
        RealModelForbidden: always.
    """
    raise RealModelForbidden(
        f"real models are forbidden in these tests, and {name!r} is one; use ScriptedModel or FunctionModel"
    )


def open_loopback(name: str) -> "LoopbackModel":
    """The real adapter of a model, kept to this machine.

    Args:
        name: `loopback/` and the model's name.

    Raises:
        RealModelForbidden: the provider is one of those that may ask elsewhere than at `api_base`.
    """
    if not name.removeprefix(LOOPBACK).startswith(_DIALECTS):
        raise RealModelForbidden(
            f"{name!r}: a loopback/ model is one of openai/ or anthropic/, asked at api_base alone"
        )
    return LoopbackModel(registry.load("agentkit.models.litellm:open_model")(name.removeprefix(LOOPBACK)))


class LoopbackModel:
    """A model that is only asked where `settings["api_base"]` is an address of this machine.

    Args:
        model: the model behind.
    """

    def __init__(self, model: QueuedModel) -> None:
        self._model = model
        self.name = model.name

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The model's own turn."""
        return self._model.turn()

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """Answer once.

        Raises:
            RealModelForbidden: the request would leave this machine.
        """
        where = [request.parameters[name] for name in ("api_base", "base_url") if name in request.parameters]
        if not where or not all(map(_is_here, where)):
            raise RealModelForbidden(
                f"{self.name!r} would be asked at {where[-1] if where else 'its provider'}; loopback/ models need "
                'settings={"api_base": "http://127.0.0.1:…"}'
            )
        return await self._model.respond(request, on_text=on_text)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """The model's own price."""
        return self._model.price(input_tokens, output_tokens)


def _is_here(address: Any) -> bool:
    host = urlsplit(address).hostname if isinstance(address, str) else None
    try:
        return host == "localhost" or (host is not None and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False
