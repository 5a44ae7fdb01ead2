"""What looks like a secret, taken out before it reaches the log.

The log is read by many and kept for long, and what is in it goes to models and traces. So every fact passes here
before it is appended; live code works with the fold of what was appended, and sees the markers too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json

from agentkit.errors import ConfigError

F = TypeVar("F", bound=BaseModel)

# Each alternative has one group, whose name is the marker's. What precedes a key is no letter of a longer word.
_SECRETS = re.compile(
    r"""
    (?<![A-Za-z0-9_-])(?:
        (?P<api_key> sk-(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{16,} | [sr]k_(?:live|test)_[A-Za-z0-9]{16,}
                   | AIza[A-Za-z0-9_-]{30,} | gsk_[A-Za-z0-9]{20,} | hf_[A-Za-z0-9]{30,} )
      | (?P<github_token> gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,} )
      | (?P<gitlab_token> glpat-[A-Za-z0-9_-]{20,} )
      | (?P<aws_key> A(?:KI|SI)A[A-Z0-9]{16}(?![A-Za-z0-9]) )
      | (?P<slack_token> xox[a-z]-[A-Za-z0-9-]{10,} )
      | (?P<jwt> eyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]* )
    )
    | (?P<private_key> -----BEGIN\ [A-Z0-9 ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----
        [\s\S]*? (?: -----END\ [A-Z0-9 ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?----- | \Z ) )
    | (?<=(?i:bearer)\ ) (?P<token> (?=[A-Za-z0-9._~+/=-]{0,512}[0-9])[A-Za-z0-9._~+/-]{16,}=* )
    | (?<=://) (?P<password> [^\s/@:"']{0,256}:(?!\[redacted:)[^\s/@"']{1,256} ) (?=@)
    | \A (?P<secret> \*{10} ) \Z
    """,
    re.VERBOSE,
)

# Whatever the pattern above matches holds one of these; finding none costs a tenth, about 2 µs for 500 characters. Each
# alternative begins with one plain character, and a rare one: `re` then skips to the next of those characters.
_HINT = (
    r"-(?:(?<=sk-)|(?<=glpat-)|(?<=xox[a-z]-))|_(?:(?<=k_)(?:live|test)_|(?<=gsk_|ghp_|gho_|ghu_|ghs_|ghr_)|(?<=hf_)"
    r"|(?<=github_)pat_)|A(?:Iza|KIA|SIA)|J(?<=eyJ)|K(?<=PRIVATE K)EY|B(?i:earer )|b(?i:earer )|://"
    rf"|{re.escape('*' * 10)}"
)
_HINT_IN_TEXT = re.compile(_HINT)
_HINT_IN_JSON = re.compile(_HINT.encode())

_SCALAR = r'(?:"(?:[^"\\]|\\.)*"|[\w.+-]+)'  # a JSON value that is not nested

# A picture's body: long base64 looks like a key somewhere sooner or later, and with a marker in it it is no picture.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")

_MARKER = re.compile(r"\[redacted:[\w-]+\]")

SECRET_NAME = re.compile(
    r"(?i)(?:^|[_-])(?:api[_-]?key|access[_-]?key|token|secret|password|credentials|authorization)(?:$|[_-])"
)
"""Finds, in a name, the word that says that what has it is a secret."""

# Fields that are ours, by which facts refer to each other: never changed, whatever a user's pattern matches.
_OURS = frozenset(
    {"id", "call_id", "name", "step", "idempotency_key", "digest", "request_sha256", "definition_sha256", "module"}
    | {"child_run_id", "parent_step", "process", "origin", "header", "config", "policy", "budget", "reasoning"}
)


class Redactor:
    """Replaces what looks like a secret by a marker such as `[redacted:api-key]`.

    Provider keys, GitHub, GitLab, AWS and Slack tokens, JWTs, private keys, bearer tokens, passwords in URLs and
    `pydantic.SecretStr` are known to all.

    Args:
        given: what else is secret: the name of a field (its value is replaced wherever a JSON object has it), or a
            compiled pattern of text.

    Raises:
        ConfigError: a name that no field could have; it is probably meant as a pattern. Or it is no list.

    Example:
        >>> Redactor(["ssn", re.compile(r"EMP-[0-9]+")]).value({"ssn": 123, "by": "EMP-7", "url": "ftp://me:pw@host"})
        {'ssn': '[redacted:ssn]', 'by': '[redacted:text]', 'url': 'ftp://[redacted:password]@host'}
    """

    def __init__(self, given: "Iterable[str | re.Pattern[str]]" = ()) -> None:
        self._names: frozenset[str] = frozenset()
        self._patterns: tuple[re.Pattern[str], ...] = ()
        if isinstance(given, str | re.Pattern) or not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"redact={given!r}; give a list of fields' names and patterns: redact=[{given!r}]")
        for item in given:
            if isinstance(item, re.Pattern):
                self._patterns += (item,)
            elif isinstance(item, str) and re.fullmatch(r"\w[\w-]*", item):  # pyright: ignore[reportUnnecessaryIsInstance]
                self._names |= {item}
            else:
                raise ConfigError(f"redact={item!r} is no field's name; to find text, give re.compile({str(item)!r})")
        self._field = re.compile(rf'"({"|".join(map(re.escape, sorted(self._names)))})"\s*:\s*{_SCALAR}')

    def __or__(self, other: "Redactor") -> "Redactor":
        """What either of them takes out."""
        return Redactor([*self._names, *other._names, *self._patterns, *other._patterns])

    @property
    def patterns_only(self) -> "Redactor":
        """The same without the fields' names: for schemas, which name fields and hold no values."""
        return Redactor(self._patterns)

    def fact(self, fact: F) -> F:
        """A fact without secrets: the same object where there are none."""
        try:
            data = to_json(fact, inf_nan_mode="constants")
        except (PydanticSerializationError, ValueError):
            return self._fact(fact)
        return self._fact(fact) if self.suspects(data) else fact

    def suspects(self, data: bytes) -> bool:
        """Whether it is worth looking closely at what has this JSON: almost all of it holds no hint of a secret."""
        if self._patterns or _HINT_IN_JSON.search(data) is not None:
            return True
        return bool(self._names) and any(name.encode() in data for name in self._names)

    def value(self, value: Any) -> Any:
        """A JSON value without secrets: the same object where there are none."""
        return self._walk(value)

    def text(self, text: str) -> str:
        """A text without secrets."""
        if _HINT_IN_TEXT.search(text):
            text = _SECRETS.sub(_marker, text)
        for pattern in self._patterns:
            text = pattern.sub("[redacted:text]", text)
        return self._fields_in(text) if any(name in text for name in self._names) else text

    def _fields_in(self, text: str) -> str:
        """A text that is JSON, or holds some, without the values of named fields: so models write their answers."""
        try:
            parsed = from_json(text)
        except ValueError:
            return self._field.sub(r'"\1":"[redacted:\1]"', text)
        walked = self._walk(parsed) if isinstance(parsed, dict | list) else parsed
        return text if walked is parsed else to_json(walked).decode()

    def _fact(self, fact: F) -> F:
        found = {name: self._walk(value) for name, value in fact.__dict__.items() if name not in _OURS}
        changed = {name: value for name, value in found.items() if value is not fact.__dict__[name]}
        return fact.model_copy(update=changed) if changed else fact

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            text = self.text(value)
            return text if text != value else value
        if isinstance(value, dict):
            return self._object(cast("dict[str, Any]", value))
        if isinstance(value, list | tuple):
            items = cast("list[Any]", value)
            walked = [self._walk(item) for item in items]
            return type(items)(walked) if any(a is not b for a, b in zip(walked, items, strict=True)) else items
        return self._fact(value) if isinstance(value, BaseModel) else value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        walked = {self.text(key): self._named(key, item) for key, item in value.items()}
        if value.get("type") == "media" and "data" not in self._names and _BASE64.fullmatch(str(value.get("data"))):
            walked["data"] = value["data"]
        same = walked.keys() == value.keys() and all(walked[key] is value[key] for key in value)
        return value if same else walked

    def _named(self, name: str, value: Any) -> Any:
        marker = f"[redacted:{name}]"
        secret = name in self._names and value is not None and value != marker
        return marker if secret else self._walk(value)


def _marker(match: "re.Match[str]") -> str:
    return f"[redacted:{(match.lastgroup or 'secret').replace('_', '-')}]"


def find_marker(value: Any) -> str | None:
    """The first marker in a JSON value: what was there is gone, so nothing that needs it can be done."""
    data = to_json(value, inf_nan_mode="constants")
    found = _MARKER.search(data.decode()) if b"[redacted:" in data else None
    return found.group() if found else None


def refuse_secret_settings(owner: str, settings: Mapping[str, Any], redactor: Redactor) -> None:
    """Settings go to the log; those that hold a secret are refused.

    Raises:
        ConfigError: naming it, and where it belongs.
    """
    named = next(_secret_names(settings), None)
    if named is not None or redactor.value(dict(settings)) != settings:
        what = f"{named!r}" if named is not None else "what looks like a secret"
        raise ConfigError(
            f"{owner}: settings hold {what}, and they go to the log; give the provider's key in its environment "
            "variable, for example OPENAI_API_KEY"
        )


def _secret_names(settings: Mapping[str, Any]) -> Iterator[str]:
    """The settings, and headers within them, whose name says that they are a secret."""
    for name, value in settings.items():
        if SECRET_NAME.search(str(name)):
            yield str(name)
        elif isinstance(value, Mapping):
            yield from _secret_names(cast("Mapping[str, Any]", value))
