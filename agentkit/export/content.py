"""How much of what a run said leaves the log: all of it, all but secrets, or none; and how long a text may be."""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from pydantic_core import to_json

from agentkit.redact import Redactor

ContentMode: TypeAlias = Literal["full", "redacted", "none"]

WHOLE = 4_000_000
"""Characters of one value, of which a tracing system takes several megabytes in one request."""

IN_PROMPT = 32_000
"""Characters of one message within a prompt: it is whole where it was said first, and repeated in every later turn."""


@dataclass(frozen=True)
class Content:
    """What becomes of a run's content on its way out. Secrets go before anything is encoded or cut.

    Args:
        mode: "full" as the log has it (which never held what looked like a secret when it was written); "redacted"
            looks again, with the log's rules of today and the given ones; "none" leaves names, times, tokens, costs
            and kinds of errors.
        redactor: what counts as a secret.
        whole: characters that a value may have.
        in_prompt: characters that a message may have within a prompt.
    """

    mode: ContentMode = "redacted"
    redactor: Redactor = Redactor()  # noqa: RUF009  frozen in effect: it has no state of its own
    whole: int = WHOLE
    in_prompt: int = IN_PROMPT

    def value(self, value: Any) -> Any:
        """A JSON value as it may leave; None where nothing may."""
        if self.mode == "none" or value is None:
            return None
        return self._clean(value)[0]

    def text(self, value: Any, limit: int | None = None) -> str | None:
        """A JSON value as an attribute's text: a string as it is, anything else as compact JSON.

        Args:
            value: the value.
            limit: characters, where that is not `whole`.
        """
        if self.mode == "none" or value is None:
            return None
        clean, data = self._clean(value)
        text = clean if isinstance(clean, str) else (data or to_json(clean)).decode()
        return cut(text, self.whole if limit is None else limit)

    def within(self, value: Any) -> Any:
        """A JSON value as a part of a prompt: as it is, or as text where that has to be cut."""
        if self.mode == "none" or value is None:
            return None
        clean, data = self._clean(value)
        if isinstance(clean, str):
            return cut(clean, self.in_prompt)
        data = data or to_json(clean)
        return clean if len(data) <= self.in_prompt else cut(data.decode(), self.in_prompt)

    def _clean(self, value: Any) -> tuple[Any, bytes | None]:
        """A value without secrets, and its JSON where that was made. What holds no hint of one is not walked."""
        if isinstance(value, str):
            return (self.redactor.text(value) if self.mode == "redacted" else value), None
        data = to_json(value)
        if self.mode == "redacted" and self.redactor.suspects(data):
            return self.redactor.value(value), None
        return value, data

    def shorter(self, limit: int) -> "Content":
        """The same with texts of at most so many characters: for a server that refuses long ones."""
        return replace(self, whole=limit, in_prompt=min(limit, self.in_prompt))


def cut(text: str, limit: int) -> str:
    """A text's beginning and end, and how long it was, where it is longer than the limit.

    Example:
        >>> cut("abcdefghij" * 10, 20)
        'abcdefghij … [100 characters in all, cut for export] … abcdefghij'
    """
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … [{len(text)} characters in all, cut for export] … {text[len(text) - half :]}"
