"""A server that is reached over HTTP: its address, its headers, and which status it answered with."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from agentkit.errors import AgentKitError, ConfigError

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams

_LARGEST_EVENT = 64 * 1024 * 1024  # bytes of one answer: the package's own limit, 1 MiB, calls a large one a lost one
_CONNECT_SECONDS = 30.0  # to connect and to send, as the mcp package has it


class Answer:
    """What became of the last HTTP request that was made for one call.

    `status` is None before there is an answer; `lost` says why there was none, `sent` whether it may have arrived.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.lost = ""
        self.sent = True


ANSWER: ContextVar[Answer | None] = ContextVar("ANSWER", default=None)
"""Set by whoever makes a call: the mcp package has one text for every status, and one end for every call at once."""


@dataclass(frozen=True, slots=True, repr=False)
class StreamableHttp:
    """Where a server is.

    Args:
        url: its address.
        headers: sent with each request.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def shown(self) -> str:
        """The address without user, password, query and fragment: any of them may be a secret."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    @property
    def call(self) -> str:
        """How a user writes it."""
        return f"MCP.http({self.shown!r})"

    def __repr__(self) -> str:
        return self.call

    @property
    def identity(self) -> list[str]:
        """What an approval is bound to."""
        return ["http", self.shown]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown: every header's, its last word alone too ("Bearer …")."""
        values = self.headers.values()
        return (*values, *(value.rpartition(" ")[2] for value in values))

    def wire(self) -> "HttpWire":
        """A new session, once its streams are opened."""
        return HttpWire(self)


class HttpWire:
    """One session.

    Args:
        server: where it is.
    """

    def __init__(self, server: StreamableHttp) -> None:
        self._server = server

    @asynccontextmanager
    async def streams(self, on_end: Callable[[], None]) -> "AsyncGenerator[TransportStreams]":
        """Open the session; end it when left.

        Args:
            on_end: never called: that a server is gone shows when it is asked something.
        """
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        del on_end
        timeout = httpx2.Timeout(_CONNECT_SECONDS, read=None)  # a tool has its own limit, a connection too
        async with (
            _client_class()(headers=dict(self._server.headers), timeout=timeout) as client,
            streamable_http_client(self._server.url, http_client=client, max_sse_event_size=_LARGEST_EVENT) as streams,
        ):
            yield streams

    def refusal(self, error: Exception) -> AgentKitError | None:
        """What is wrong with the address itself, which trying again cannot mend."""
        import httpx2

        if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
            return ConfigError(f"{self._server.shown}: no address or headers that HTTP takes ({error})")
        return None

    async def last_words(self) -> str:
        """Nothing: what a server over HTTP writes elsewhere is not seen here."""
        return ""


@cache
def _client_class() -> "type[httpx2.AsyncClient]":
    import httpx2

    class Client(httpx2.AsyncClient):
        """A client that notes what became of each request.

        A request that fails is a status to the session, not an error: an error would end every other call with it.
        """

        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            answer = ANSWER.get() or Answer()
            try:
                response = await super().send(request, **options)
            except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
                answer.lost = str(error) or type(error).__name__
                answer.sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
                return httpx2.Response(503, request=request)
            answer.status, answer.lost = response.status_code, ""
            return response

    return Client
