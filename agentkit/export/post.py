"""One request over HTTP, and what became of it: compressed, on a kept connection; what a server does never raises."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agentkit.errors import ConfigError
from agentkit.export.replies import Reply, read_reply

if TYPE_CHECKING:
    import httpx

_FAST = 1
"""gzip's level: the payloads are JSON in protobuf, and the best level takes eight times as long for a tenth less."""


@dataclass(frozen=True)
class Packet:
    """One request to be made.

    Args:
        url: where to.
        body: what, before compression.
        content_type: of the body.
        headers: beside those of the target.
        spans: how many spans it holds.
        compressed: whether it may be: an API that is no OTLP may not understand it.
    """

    url: str
    body: bytes
    content_type: str = "application/x-protobuf"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    spans: int = 1
    compressed: bool = True


class Post:
    """Sends packets of one target.

    Args:
        headers: sent with each request.
        timeout: seconds for one request; can be shortened when the process is about to end.
    """

    def __init__(self, headers: Mapping[str, str], *, timeout: float) -> None:
        self.timeout = timeout
        self._headers = headers
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next packet opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def send(self, packet: Packet) -> Reply:
        """Send a packet and read the answer.

        Returns:
            What it means; a network error is an answer that says to try again.

        Raises:
            ConfigError: httpx is not installed, or the address is none.
        """
        import httpx

        headers, body = {**packet.headers, "Content-Type": packet.content_type}, packet.body
        if packet.compressed:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, _FAST, mtime=0)
        try:
            answer = self._open().post(packet.url, content=body, headers=headers, timeout=self.timeout)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ConfigError(f"{packet.url!r} is no address to export to: {error}") from error
        except (httpx.LocalProtocolError, UnicodeEncodeError):  # whose text shows the key
            raise ConfigError(f"the key or a header for {packet.url} holds what HTTP cannot send; look at it") from None
        except httpx.HTTPError as error:
            self.close()  # what is left of the connection is of no use
            return Reply("later", None, _described(error))
        return read_reply(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    def _open(self) -> "httpx.Client":
        import httpx

        if self._client is None:
            self._client = httpx.Client(headers=dict(self._headers), follow_redirects=False)
        return self._client


def _described(error: Exception) -> str:
    """What went wrong, with no key in it: an address may hold one."""
    text = re.sub(r"//[^/@\s]*@", "//", str(error)) or "no answer"
    return f"{type(error).__name__}: {text}"
