"""Where spans go: an address, a key, a profile; found in the environment variables that people have set already."""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, cast, get_args
from urllib.parse import unquote, urlsplit

from agentkit.errors import ConfigError
from agentkit.export.content import Content, ContentMode
from agentkit.export.spans import Service
from agentkit.redact import Redactor

TargetName: TypeAlias = Literal["langfuse", "langsmith", "helicone", "otlp"]

MAX_BYTES = 3_000_000
"""Of one request, before compression: half of the smallest limit that is known, Langfuse Cloud's 4.5 MB and more."""


@dataclass(frozen=True)
class Target:
    """One project in one system.

    Args:
        name: which kind of system it is; the profile has the same name.
        url: where spans are posted; of Helicone, the base of its paths.
        headers: sent with each request; they hold the key.
        project: what distinguishes it from others at the same address.
        service: what the spans say of who sends them.
        content: what may leave.
        sample: the share of runs that is exported, from 0 to 1; a run as a whole is in it or not, by its id.
        max_bytes: of one request, before compression.
        timeout: seconds for one request.
    """

    name: TargetName
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  # they hold the key
    project: str = ""
    service: Service = field(default_factory=Service)
    content: Content = field(default_factory=Content)
    sample: float = 1.0
    max_bytes: int = MAX_BYTES
    timeout: float = 10.0

    @property
    def key(self) -> str:
        """What the ledger calls it: system, host and project."""
        return f"{self.name}@{self.host}" + (f"/{self.project}" if self.project else "")

    @property
    def host(self) -> str:
        """The host, and the port where it is given."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def takes_unfinished(self) -> bool:
        """Whether a run that has not ended can be sent and completed later: LangSmith and Helicone take one once."""
        return self.name in {"langfuse", "otlp"}

    def samples(self, run_id: str) -> bool:
        """Whether a run is among those that are exported: the same answer in every process."""
        share = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big") / 2**64
        return share < self.sample


def target(
    name: str,
    *,
    content: ContentMode | None = None,
    sample: float | None = None,
    redact: "Iterable[str | re.Pattern[str]]" = (),
) -> Target:
    """A target as the environment configures it.

    Args:
        name: "langfuse", "langsmith", "helicone" or "otlp".
        content: what may leave: "full", "redacted" or "none"; `$AGENTKIT_EXPORT_CONTENT` where it is left out, else
            "redacted".
        sample: the share of runs that is exported; `$AGENTKIT_EXPORT_SAMPLE` where it is left out, else all.
        redact: what is secret beside what looks so: a field's name, or a compiled pattern.

    Raises:
        ConfigError: no such target, a variable is missing, or an option is none.

    Example:
        >>> import os
        >>> os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://localhost:4318"
        >>> target("otlp", sample=0.1).url
        'http://localhost:4318/v1/traces'
    """
    if name not in get_args(TargetName):
        raise ConfigError(f"nothing exports to {name!r}; there are: {', '.join(get_args(TargetName))}")
    found = _FROM_ENVIRONMENT[cast("TargetName", name)]()
    return replace(found, content=Content(_mode(content), Redactor(redact)), sample=_share(sample))


def configured() -> list[str]:
    """The targets that the environment has keys or an address for, and those that `$AGENTKIT_EXPORT` names."""
    keyed = [name for name, variables in _KEYS.items() if any(os.environ.get(variable) for variable in variables)]
    named = [name.strip() for name in os.environ.get("AGENTKIT_EXPORT", "").split(",")]
    return list(dict.fromkeys([*keyed, *filter(None, named)]))


_KEYS: Mapping[TargetName, tuple[str, ...]] = {
    "langfuse": ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"),
    "langsmith": ("LANGSMITH_API_KEY",),
    "helicone": ("HELICONE_API_KEY",),
    "otlp": ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
}


def _mode(given: str | None) -> ContentMode:
    mode = given or os.environ.get("AGENTKIT_EXPORT_CONTENT") or "redacted"
    if mode not in get_args(ContentMode):
        raise ConfigError(f"content is one of {', '.join(get_args(ContentMode))}, not {mode!r}")
    return cast("ContentMode", mode)


def _share(given: float | None) -> float:
    text = given if given is not None else os.environ.get("AGENTKIT_EXPORT_SAMPLE") or 1.0
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"sample is a share of the runs from 0 to 1, not {text!r}")
    return share


def _need(variable: str, what: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(f"exporting to {what} needs ${variable}; it is not set")
    return value


def _service() -> Service:
    named = dict(_pairs(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    return Service(
        name=os.environ.get("OTEL_SERVICE_NAME") or named.get("service.name") or "agentkit",
        version=named.get("service.version"),
        environment=named.get("deployment.environment.name") or named.get("deployment.environment"),
    )


def _langfuse() -> Target:
    public, secret = _need("LANGFUSE_PUBLIC_KEY", "Langfuse"), _need("LANGFUSE_SECRET_KEY", "Langfuse")
    host = os.environ.get("LANGFUSE_BASE_URL") or os.environ.get("LANGFUSE_HOST") or "https://cloud.langfuse.com"
    service = _service()
    environment = os.environ.get("LANGFUSE_TRACING_ENVIRONMENT") or service.environment
    return Target(
        "langfuse",
        f"{host.rstrip('/')}/api/public/otel/v1/traces",
        {
            "Authorization": f"Basic {base64.b64encode(f'{public}:{secret}'.encode()).decode()}",
            "x-langfuse-ingestion-version": "4",  # without it, servers that write twice keep spans back for minutes
        },
        project=public[:14],  # as much of the public key as tells projects apart
        service=replace(service, environment=environment),
    )


def _langsmith() -> Target:
    key = _need("LANGSMITH_API_KEY", "LangSmith")
    base = os.environ.get("LANGSMITH_ENDPOINT") or "https://api.smith.langchain.com"
    project = os.environ.get("LANGSMITH_PROJECT") or "default"
    return Target(
        "langsmith",
        f"{base.rstrip('/')}/otel/v1/traces",
        {"x-api-key": key, "Langsmith-Project": project},
        project=project,
        service=_service(),
    )


def _helicone() -> Target:
    key = _need("HELICONE_API_KEY", "Helicone")
    base = os.environ.get("HELICONE_BASE_URL") or os.environ.get("HELICONE_API_BASE") or _HELICONE
    base = base.rstrip("/")
    is_own = not (urlsplit(base).hostname or "").endswith("helicone.ai")
    if is_own and not base.endswith("/v1/trace"):  # a server of one's own has the same paths below this one
        base += "/v1/trace"
    return Target("helicone", base, {"Authorization": f"Bearer {key}"}, service=_service())


_HELICONE = "https://api.worker.helicone.ai"


def _otlp() -> Target:
    url = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if not url:
        base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
        url = f"{base.rstrip('/')}/v1/traces"
    given = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS") or ""
    return Target("otlp", url, dict(_pairs(given)), service=_service())


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    """What OpenTelemetry's variables hold: `key=value` pairs, with commas between them, percent-encoded."""
    for pair in text.split(","):
        name, found, value = pair.partition("=")
        if found and name.strip():
            yield unquote(name.strip()), unquote(value.strip())


_FROM_ENVIRONMENT: Mapping[TargetName, Callable[[], Target]] = {
    "langfuse": _langfuse,
    "langsmith": _langsmith,
    "helicone": _helicone,
    "otlp": _otlp,
}
