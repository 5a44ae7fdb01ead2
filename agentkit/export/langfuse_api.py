"""Langfuse's own API, by its SDK: for prompts, datasets and links. Runs are sent by the exporter, not by the SDK.

Only the SDK's typed HTTP client is used. Its `Langfuse()` installs a tracer provider for the whole process, starts
threads, and hands a second client of the same key the first one's server; none of that is needed here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from agentkit.errors import ConfigError, ServerUnavailable

if TYPE_CHECKING:
    from langfuse.api import LangfuseAPI

T = TypeVar("T")

CLOUD = "https://cloud.langfuse.com"
"""Langfuse's own server in Europe: where its SDK goes when nothing else is said."""

TIMEOUT = 5
"""Seconds one request may take; the SDK's own default."""


@dataclass(frozen=True)
class Access:
    """A Langfuse project: its server and its keys.

    Args:
        url: the server, without a slash at its end.
        public_key: begins with `pk-lf-`; it names the project.
        secret_key: begins with `sk-lf-`.
    """

    url: str
    public_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Access({self.url!r}, {self.public_key!r})"


def access() -> Access | None:
    """The project that the environment names, as the SDK reads it; None where a key is missing."""
    public, secret = os.environ.get("LANGFUSE_PUBLIC_KEY"), os.environ.get("LANGFUSE_SECRET_KEY")
    url = os.environ.get("LANGFUSE_BASE_URL") or os.environ.get("LANGFUSE_HOST") or CLOUD
    return Access(url.rstrip("/"), public, secret) if public and secret else None


def required_access() -> Access:
    """The project that the environment names.

    Raises:
        ConfigError: a key is missing; it names the variables.
    """
    found = access()
    if found is None:
        names = ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY")
        missing = " and ".join(name for name in names if not os.environ.get(name))
        raise ConfigError(
            f"Langfuse needs {missing} in the environment (a project's Settings > API Keys shows them), and "
            f"LANGFUSE_BASE_URL where the server is not {CLOUD}"
        )
    return found


def ask(project: Access, what: str, question: "Callable[[LangfuseAPI], T]") -> T:
    """Ask the server, and say in our words what it refused.

    Args:
        project: whom.
        what: what is asked for, for the error: "the prompt 'support'".
        question: puts it to the client.

    Raises:
        ConfigError: there is no such thing there, the keys are not accepted, or the SDK is not installed.
        ServerUnavailable: the server cannot be reached, or is not well.
    """
    try:
        import httpx
        from langfuse.api import LangfuseAPI
        from langfuse.api.core import ApiError
    except ImportError as error:
        raise ConfigError(
            f"{what}: Langfuse's SDK is not installed: pip install 'jupyter-agentkit[langfuse]'"
        ) from error
    try:
        with httpx.Client(timeout=TIMEOUT) as http:
            client = LangfuseAPI(
                base_url=project.url, username=project.public_key, password=project.secret_key, httpx_client=http
            )
            return question(client)
    except ApiError as error:
        raise _refused(project, what, error.status_code or 0, error.body) from error
    except (httpx.HTTPError, OSError) as error:
        raise ServerUnavailable(f"{what}: {project.url} cannot be reached ({error or type(error).__name__})") from error


def _refused(project: Access, what: str, status: int, body: object) -> ConfigError | ServerUnavailable:
    if status in {401, 403}:
        return ConfigError(
            f"{what}: {project.url} does not accept the key {project.public_key} (HTTP {status}); see that "
            "LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_BASE_URL are of one project"
        )
    if status == 404:
        return ConfigError(f"{what}: there is none in the project of {project.public_key} at {project.url}")
    if 400 <= status < 500 and status not in {408, 429}:
        return ConfigError(f"{what}: {project.url} refused the request (HTTP {status}): {str(body)[:300]}")
    return ServerUnavailable(f"{what}: {project.url} is not well (HTTP {status})")
