"""What an answer to a request means: taken, taken in part, too large, not now, never. Reading only, no sending."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias, cast

from pydantic_core import from_json

Meaning: TypeAlias = Literal["taken", "partial", "too_large", "later", "closed", "refused"]

LONGEST_WAIT = 300.0
"""Seconds that a server's Retry-After is followed; one that says more is asked again earlier."""


@dataclass(frozen=True)
class Reply:
    """What became of one request.

    Args:
        meaning: "taken"; "partial": some spans were rejected; "too_large": send less at once; "later": try again;
            "closed": nothing can be sent with this key, at this address; "refused": this will never be taken.
        http_status: the answer's status; None where there was none.
        message: what the server or the network said.
        rejected: spans that were not taken.
        wait: seconds that the server asks to wait.
        body: the whole answer of one that took it.
    """

    meaning: Meaning
    http_status: int | None = None
    message: str | None = None
    rejected: int = 0
    wait: float | None = None
    body: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.http_status, self.message) if part is not None) or self.meaning


def read_reply(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime | None = None) -> Reply:
    """Read an answer.

    Args:
        status: the HTTP status.
        headers: the answer's, names in lower case.
        body: the answer's.
        now: the time, for a Retry-After that is a date.
    """
    if 200 <= status < 300:
        rejected, message = _partial(headers.get("content-type", ""), body)
        return Reply("partial" if rejected else "taken", status, message or None, rejected, body=body)
    said = _said(body)
    if status == 413:
        return Reply("too_large", status, said)
    if status in {408, 425, 429} or status >= 500:
        return Reply("later", status, said, wait=retry_after(headers.get("retry-after"), now or datetime.now(UTC)))
    if status in {401, 403, 404, 405, 407} or status < 400:
        return Reply("closed", status, said)
    return Reply("refused", status, said)


def _partial(kind: str, body: bytes) -> tuple[int, str]:
    """How many spans a 200 rejects after all. JSON or protobuf; what else it holds (Langfuse's own JSON) is fine."""
    if "json" in kind:
        try:
            found: Any = from_json(body)
        except ValueError:
            return 0, ""
        partial: Any = cast("dict[str, Any]", found).get("partialSuccess") if isinstance(found, dict) else None
        if not isinstance(partial, dict):
            return 0, ""
        told = cast("dict[str, Any]", partial)
        return int(told.get("rejectedSpans") or 0), str(told.get("errorMessage") or "")
    return _partial_of_protobuf(body) if "protobuf" in kind and body else (0, "")


def _partial_of_protobuf(body: bytes) -> tuple[int, str]:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        found = ExportTraceServiceResponse.FromString(body)
    except DecodeError:
        return 0, ""
    return found.partial_success.rejected_spans, found.partial_success.error_message


def _said(body: bytes) -> str | None:
    text = " ".join(body[:2000].decode(errors="replace").split())
    return text[:300] or None


def retry_after(text: str | None, now: datetime) -> float | None:
    """The seconds that a Retry-After asks for; None where it says nothing that can be followed.

    Args:
        text: the header: seconds, or a date.
        now: the time.

    Example:
        >>> retry_after("2", datetime.now(UTC)), retry_after("soon", datetime.now(UTC))
        (2.0, None)
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None  # noqa: PLR0124  NaN is no time
