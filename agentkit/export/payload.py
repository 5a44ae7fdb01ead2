"""A run as the requests that carry it to a target, and smaller ones where a server refuses their size."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentkit.export import helicone
from agentkit.export.nodes import Node
from agentkit.export.post import Packet
from agentkit.export.profiles import PROFILES
from agentkit.export.recorded import Recorded
from agentkit.export.spans import need_opentelemetry, spans_of
from agentkit.export.targets import Target
from agentkit.export.tree import tree

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_SHORTER = (100_000, 10_000, 500)
"""Characters a text is cut to, one after the other, where a server refuses a single span as too large."""


@dataclass(frozen=True)
class Payload:
    """A run, ready to be sent.

    Args:
        recorded: the run.
        packets: the requests, in the order in which they are sent: a parent's span before what is within it.
    """

    recorded: Recorded
    packets: tuple[Packet, ...]

    @property
    def run_id(self) -> str:
        """The run."""
        return self.recorded.run_id

    @property
    def spans(self) -> int:
        """How many spans it has."""
        return sum(packet.spans for packet in self.packets)

    @property
    def size(self) -> int:
        """Bytes, before compression."""
        return sum(len(packet.body) for packet in self.packets)

    @property
    def sha256(self) -> str:
        """The digest of all that is sent."""
        found = hashlib.sha256()
        for packet in self.packets:
            found.update(packet.body)
        return found.hexdigest()


def payload(recorded: Recorded, target: Target, pace: Callable[[], None] = lambda: None) -> Payload:
    """A run as the requests that carry it.

    Args:
        recorded: the run.
        target: where to.
        pace: called after every event and every span: who has to leave the processor to others does so there.

    Raises:
        ConfigError: the extra `otel` is not installed.
        LogCorrupt: the run's events do not follow each other.
    """
    nodes = tree(recorded, prompts=target.content.mode != "none", pace=pace)
    if target.name == "helicone":
        return Payload(recorded, tuple(helicone.packets(_paced(nodes, pace), target)))
    need_opentelemetry()
    spans = spans_of(_paced(nodes, pace), PROFILES[target.name], target.content, target.service)
    return Payload(recorded, tuple(_packets(spans, target)))


def _paced(nodes: Iterable[Node], pace: Callable[[], None]) -> Iterator[Node]:
    for node in nodes:
        yield node
        pace()


def _packets(spans: "Sequence[ReadableSpan]", target: Target) -> Iterator[Packet]:
    """The spans in as few requests as their size allows."""
    body = _encoded(spans)
    if len(body) <= target.max_bytes or len(spans) == 1:
        yield Packet(target.url, body, spans=len(spans))
        return
    for part in halves(spans):
        yield from _packets(part, target)


def halves(spans: "Sequence[ReadableSpan]") -> "tuple[Sequence[ReadableSpan], Sequence[ReadableSpan]]":
    """The first half and the second, parents before what is within them."""
    middle = (len(spans) + 1) // 2
    return spans[:middle], spans[middle:]


def _encoded(spans: "Iterable[ReadableSpan]") -> bytes:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    return encode_spans(list(spans)).SerializeToString()


def together(payloads: Sequence[Payload]) -> Packet:
    """Several small runs in one request: encoded requests that follow each other are one request of all their spans."""
    body = b"".join(packet.body for one in payloads for packet in one.packets)
    return Packet(payloads[0].packets[0].url, body, spans=sum(one.spans for one in payloads))


def smaller(recorded: Recorded, target: Target, refused: int) -> Payload | None:
    """A run once more, for a server that refused a request of it as too large.

    Args:
        recorded: the run.
        target: where to.
        refused: bytes of the request that was refused.

    Returns:
        Smaller requests; where a single span is too large, one with its texts cut; None where that is done already.
    """
    bound = replace(target, max_bytes=max(1, refused // 2))
    if target.name != "helicone":
        again = payload(recorded, bound)
        if max(len(packet.body) for packet in again.packets) < refused:
            return again
    for limit in _SHORTER:
        cut = replace(bound, content=target.content.shorter(limit))
        again = payload(recorded, cut)
        if max(len(packet.body) for packet in again.packets) < refused:
            return again
    return None
