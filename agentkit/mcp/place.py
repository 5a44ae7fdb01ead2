"""Where a server is and how a session reaches it: what the two transports have in common."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from agentkit.errors import AgentKitError
from agentkit.redact import Redactor

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams


class Wire(Protocol):
    """How one session reaches its server."""

    def streams(self, on_end: Callable[[], None]) -> "AbstractAsyncContextManager[TransportStreams]":
        """The messages in both directions, as long as it is entered."""
        ...

    def refusal(self, error: Exception) -> AgentKitError | None:
        """What is wrong with the command or the address, where it is that."""
        ...

    async def last_words(self) -> str:
        """What the server said beside its messages, for an error's message: without secrets."""
        ...


class Place(Protocol):
    """Where a server is, or how it is started."""

    @property
    def shown(self) -> str:
        """For messages: holds no secret."""
        ...

    @property
    def call(self) -> str:
        """How a user writes it, without secrets."""
        ...

    @property
    def identity(self) -> list[str]:
        """What an approval is bound to."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown."""
        ...

    def wire(self) -> Wire:
        """A new way to it."""
        ...


def redactor(place: Place) -> Redactor:
    """What takes out the secrets that a server was given, should it say them."""
    secrets = sorted({value for value in place.secrets if len(value) >= 6}, key=len, reverse=True)  # "1" is no secret
    return Redactor([re.compile("|".join(map(re.escape, secrets)))] if secrets else [])
