"""litellm's exceptions as `ModelError`: what the provider said, of which kind it is, and whether waiting can help."""

import email.utils
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from agentkit.errors import ModelError
from agentkit.messages import Usage
from agentkit.policy import LONGEST_WAIT
from agentkit.redact import Redactor

_BY_STATUS = {
    401: "auth",
    402: "quota",
    403: "auth",
    408: "timeout",
    429: "rate_limit",
    504: "timeout",
}
_LONGEST_WAITED_FOR = 3600.0  # seconds; whoever asks for more is no help to a run today, and a fallback may be
_RETRYABLE = frozenset({"rate_limit", "timeout", "server", "connection"})

# What providers write where the status alone says too little; codes first, then words of their messages.
_SAID = (
    ("auth", re.compile(r"(?i)missing [\w ]{0,30}(?:credentials|api key)|unable to locate credentials")),
    ("quota", re.compile(r"insufficient_quota|exceeded your current quota|credit balance is too low|billing_")),
    (
        "context_overflow",
        re.compile(r"context_length_exceeded|maximum context length|prompt is too long|context window|too many tokens"),
    ),
    (
        "content_filter",
        re.compile(r"content_filter|content[ _]policy|content_policy_violation|content filtering|ResponsibleAIPolicy"),
    ),
)
_UNREADABLE = re.compile(r"(?i)invalid response (?:from LLM endpoint|object)|validation errors? for Usage")
_NOISE = re.compile(r" ssl:<[^>]*>")
_SENTENCE = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)\b(?: Error)?\s*[:-]\s*)+")


def translate(error: BaseException, provider: str, missing_keys: list[str]) -> ModelError:
    """What litellm raised as a `ModelError`, to be raised from it.

    Args:
        error: the exception.
        provider: who was asked.
        missing_keys: environment variables that the provider needs and that are not set.
    """
    causes = list(_causes(error))
    response = _response(causes)
    if response is None and (said := _broke_off(causes)):
        return _made(f"{provider}: {said}", "connection", usage=Usage() if _was_never_sent(causes) else None)
    status = response.status_code if response is not None else _status(causes)
    message, code = _said(response, error)
    kind = _kind(status, f"{code} {message}", causes, is_guess=response is None)
    answered = f"{provider} answered {status}" if response is not None else provider
    wait = _retry_after(response)
    advice = _advice(kind, provider, missing_keys, wait)
    text = f"{answered}: {message.rstrip('.') if advice else message}{advice}"
    return _made(text, kind, retry_after=wait, status=status)


def clean(message: str) -> str:
    """A message without keys: what looks like one, and every value of the environment that is named like one."""
    for name, value in os.environ.items():
        if len(value) >= 8 and re.search(r"KEY|TOKEN|SECRET|PASSWORD", name):
            message = message.replace(value, f"[redacted:{name}]")
    return Redactor().text(message)


def _made(message: str, kind: str, *, retry_after: float | None = None, **more: Any) -> ModelError:
    retryable = kind in _RETRYABLE and not _is_too_long(retry_after)
    wait = None if retry_after is None else min(retry_after, LONGEST_WAIT)
    return ModelError(clean(message)[:1000], kind=kind, retryable=retryable, retry_after=wait, **more)


def _is_too_long(retry_after: float | None) -> bool:
    return retry_after is not None and retry_after > _LONGEST_WAITED_FOR


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it came of; litellm keeps some of it in an attribute."""
    seen: set[int] = set()
    open_: list[BaseException | None] = [error]
    while open_:
        cause = open_.pop(0)
        if cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            open_ += [cause.__cause__, cause.__context__, getattr(cause, "original_exception", None)]


def _response(causes: list[BaseException]) -> Any | None:
    """The provider's own HTTP answer; the ones that litellm's exceptions hold are made up."""
    import httpx

    return next((cause.response for cause in causes if isinstance(cause, httpx.HTTPStatusError)), None)


def _broke_off(causes: list[BaseException]) -> str | None:
    """How the connection, or the answer in it, ended too early; None where it did not."""
    import httpx

    for cause in causes:
        if isinstance(cause, httpx.TimeoutException):
            return None
        if isinstance(cause, httpx.TransportError | ConnectionError):
            if "payload is not completed" in str(cause):
                return "the connection broke off in the midst of the answer"
            return f"the connection failed ({_plain(cause)})"
        if isinstance(cause, json.JSONDecodeError) or _UNREADABLE.search(str(cause)[:300]):
            return f"the answer cannot be read: {_plain(cause)}"
        if isinstance(cause, StopAsyncIteration):
            return "the stream ended before the answer did"
    return None


def _was_never_sent(causes: list[BaseException]) -> bool:
    """Whether there was no connection: then nothing can have been charged."""
    import httpx

    return any(isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout) for cause in causes)


def _status(causes: list[BaseException]) -> int | None:
    """The status by litellm's word. It gives 500 to whatever it does not know: a bug of its own is not the server's."""
    for cause in causes[1:] or causes:
        status = getattr(cause, "status_code", None)
        if isinstance(status, int):
            return status
    status = getattr(causes[0], "status_code", None)
    is_guess = type(causes[0]).__name__ == "APIConnectionError"
    return status if isinstance(status, int) and not is_guess else None


def _said(response: Any | None, error: BaseException) -> tuple[str, str]:
    """The provider's message and code."""
    text = _text(response)
    try:
        body: Any = json.loads(text)
    except ValueError:
        body = None
    if isinstance(body, list) and body:
        body = cast("list[Any]", body)[0]
    found: Any = cast("dict[str, Any]", body).get("error") if isinstance(body, dict) else None
    if isinstance(found, dict):
        told = cast("dict[str, Any]", found)
        codes = " ".join(str(told[name]) for name in ("code", "type", "status") if told.get(name))
        return str(told.get("message") or codes), codes
    return text[:200].strip() or _plain(error), str(getattr(error, "code", None) or "")


def _text(response: Any | None) -> str:
    try:
        return "" if response is None else str(response.text)
    except Exception:  # noqa: BLE001  httpx raises where a stream's body was not read
        return ""


def _plain(error: BaseException) -> str:
    """What an exception says, without the names of classes and objects that litellm and aiohttp write around it."""
    first = re.split(r"\n| Original exception:| Traceback \(most recent", str(error).strip(), maxsplit=1)[0]
    return _NOISE.sub("", _SENTENCE.sub("", first))[:500] or type(error).__name__


def _kind(status: int | None, said: str, causes: list[BaseException], *, is_guess: bool) -> str:
    names = {type(cause).__name__ for cause in causes}
    if "ContextWindowExceededError" in names or status == 413:
        return "context_overflow"
    if "ContentPolicyViolationError" in names:
        return "content_filter"
    if is_guess or status is None or 400 <= status < 500:
        for kind, words in _SAID:
            if words.search(said):
                return kind
    if status is None:
        return "timeout" if {"Timeout", "APITimeoutError"} & names else "other"
    return _BY_STATUS.get(status) or ("server" if status >= 500 else "bad_request")


def _retry_after(response: Any | None) -> float | None:
    """Seconds until the provider wants to be asked again: milliseconds, seconds, or a date."""
    headers: Mapping[str, str] = response.headers if response is not None else {}
    if milliseconds := _number(headers.get("retry-after-ms", "")):
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        due = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    due = due if due.tzinfo is not None else due.replace(tzinfo=UTC)
    return max(0.0, (due - datetime.now(UTC)).total_seconds())


def _number(value: str) -> float | None:
    number = float(value) if re.fullmatch(r"\d+(\.\d+)?", value.strip()) else math.inf
    return number if math.isfinite(number) else None


def _advice(kind: str, provider: str, missing_keys: list[str], wait: float | None) -> str:
    if kind == "auth" and missing_keys:
        return f"; set {' and '.join(missing_keys)} in the environment"
    if kind == "quota":
        return f"; waiting does not help: look at the account's limits at {provider}"
    if kind == "context_overflow":
        return "; give the agent history_tokens=, or less to read"
    if wait is not None and kind in _RETRYABLE and _is_too_long(wait):
        return f"; it asks to wait {wait / 3600:,.4g} h, and more than one hour is not waited for"
    return ""
