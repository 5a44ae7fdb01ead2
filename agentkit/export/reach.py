"""Whether a configured target can be reached, takes the key, and has our time: what `agentkit doctor` asks it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from agentkit.export.targets import Target

SKEW = 60.0
"""Seconds that two clocks may differ: beyond that, spans seem to come from the future, and some systems drop those."""

_TIMEOUT = 5.0


@dataclass(frozen=True)
class Reached:
    """What a target answered.

    Args:
        ok: whether runs can be sent.
        found: what it said.
        key_known: whether the answer tells that the key is accepted.
        skew: seconds that its clock is ahead of ours; None where it did not say its time.
    """

    ok: bool
    found: str
    key_known: bool = True
    skew: float | None = None


def reach(target: Target) -> Reached:
    """Ask a target, writing nothing there.

    Args:
        target: which.
    """
    import httpx

    method, url = _question(target)
    asked = datetime.now(UTC)
    try:
        with httpx.Client(timeout=_TIMEOUT) as client:
            headers = dict(target.headers) | ({"Content-Type": "application/x-protobuf"} if method == "POST" else {})
            answer = client.request(method, url, headers=headers, content=b"" if method == "POST" else None)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        text = re.sub(r"//[^/@\s]*@", "//", str(error)) or type(error).__name__
        return Reached(ok=False, found=f"cannot be reached: {text}", key_known=False)
    between = asked + (datetime.now(UTC) - asked) / 2
    skew = _skew(answer.headers, between)
    said = f"answers {answer.status_code}"
    if answer.status_code in {401, 403}:
        return Reached(ok=False, found=f"{said}: the key is not accepted", skew=skew)
    if answer.status_code >= 500 or answer.status_code == 404:
        return Reached(ok=False, found=f"{said} to {method} {urlsplit(url).path}", key_known=False, skew=skew)
    return Reached(ok=True, found=said, key_known=target.name != "helicone", skew=skew)


def _question(target: Target) -> tuple[str, str]:
    """A request that needs the key and changes nothing; of a collector an export of no spans."""
    base = target.url
    if target.name == "langfuse":
        return "GET", base.removesuffix("/otel/v1/traces") + "/projects"
    if target.name == "langsmith":
        return "GET", base.removesuffix("/otel/v1/traces") + "/sessions?limit=1"
    if target.name == "helicone":  # it has no such request: that it is there is all that can be known
        parts = urlsplit(base)
        return "HEAD", f"{parts.scheme}://{parts.netloc}/healthcheck"
    return "POST", base


def _skew(headers: Mapping[str, str], now: datetime) -> float | None:
    """How far a server's clock is ahead; its header has whole seconds."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    theirs = theirs if theirs.tzinfo is not None else theirs.replace(tzinfo=UTC)
    return (theirs - now).total_seconds()
