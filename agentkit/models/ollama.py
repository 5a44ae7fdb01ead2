"""An Ollama on this machine: whether it answers, and with which model."""

import http.client
import ipaddress
import json
import os
from typing import Any, cast
from urllib.parse import urlsplit

_SECONDS = 0.5  # it is on this machine
_PORT = 11434


def newest_model() -> str | None:
    """The model that was pulled last and can chat, or None where no Ollama answers on loopback.

    `$OLLAMA_HOST` is looked at as Ollama does, and left alone where it names another machine: nobody said that an
    agent may talk to that.
    """
    place = _place()
    if place is None:
        return None
    connection = http.client.HTTPConnection(*place, timeout=_SECONDS)
    try:
        connection.request("GET", "/api/tags")
        answer = connection.getresponse()
        listed: Any = json.loads(answer.read()) if answer.status == http.client.OK else {}
        models = [model for model in listed.get("models", []) if _chats(model)]
        newest = max(models, key=lambda model: str(model.get("modified_at", "")), default=None)
        return str(newest["name"]) if newest else None
    except (OSError, http.client.HTTPException, ValueError, AttributeError, KeyError):  # something else listens there
        return None
    finally:
        connection.close()


def _place() -> tuple[str, int] | None:
    """Host and port, where they are on this machine."""
    said = os.environ.get("OLLAMA_HOST") or f"127.0.0.1:{_PORT}"
    try:
        parts = urlsplit(said if "//" in said else f"//{said}")
        host, port = parts.hostname or "127.0.0.1", parts.port or _PORT
        here = (
            host == "localhost" or ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
        )
    except ValueError:
        return None
    return ("127.0.0.1" if here and host != "::1" else host, port) if here else None


def _chats(model: Any) -> bool:
    """Whether it is a language model: embeddings are of the BERT families."""
    details = cast("dict[str, Any]", model.get("details") or {})
    return "bert" not in str(details.get("family", "")).lower()
