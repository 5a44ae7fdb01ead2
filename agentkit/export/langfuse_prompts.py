"""Prompts that are kept in Langfuse, as instructions: a run records which version it was given."""

import json
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import quote

from agentkit.definition import KeptPrompt
from agentkit.errors import ConfigError, ServerUnavailable
from agentkit.events import PromptOrigin
from agentkit.export.langfuse_api import Access, access, ask, required_access
from agentkit.ids import digest

if TYPE_CHECKING:
    from langfuse.api.prompts import Prompt_Chat, Prompt_Text

    Fetched: TypeAlias = Prompt_Chat | Prompt_Text

FRESH = 60.0
"""Seconds for which a prompt that was read is not asked for again in this process; the SDK's own default."""

_read: dict[str, tuple[float, KeptPrompt]] = {}


def langfuse_prompt(
    name: str,
    *,
    label: str | None = None,
    version: int | None = None,
    variables: Mapping[str, str] | None = None,
    fallback: str | None = None,
) -> KeptPrompt:
    """A prompt that is kept in Langfuse, as an agent's or an ask's `instructions`.

    It is read when this is called. Where the server cannot be reached, the copy that was read last on this machine
    stands in, with a warning; where there is none, `fallback`. Which version it was is recorded with the run and, in
    Langfuse, linked with each of its model calls.

    Args:
        name: the prompt's name there.
        label: which of its versions: "production" by default, "latest", or a label of your own.
        version: the very version; not together with a label.
        variables: values for its `{{variables}}`.
        fallback: the text to go on with where the prompt was never read here and the server cannot be reached.

    Returns:
        The text; it is a `str` with `.origin`.

    Raises:
        ConfigError: no keys in the environment and no fallback, there is no such prompt, it is a conversation, or a
            variable has no value.
        ServerUnavailable: the server cannot be reached, and nothing stands in.

    Example:
        >>> agent = ak.Agent("support", "openai/gpt-5-mini", ak.langfuse_prompt("support"))  # doctest: +SKIP
    """
    if version is not None and label is not None:
        raise ConfigError(f"the prompt {name!r}: give version={version} or label={label!r}, not both")
    label = label or ("production" if version is None else None)
    if access() is None and fallback is not None:
        return _filled(KeptPrompt(fallback, PromptOrigin(registry="langfuse", name=name, label=label)), variables)
    return _filled(_template(required_access(), name, label, version, fallback), variables)


def _template(project: Access, name: str, label: str | None, version: int | None, fallback: str | None) -> KeptPrompt:
    key = digest([project.url, project.public_key, name, label, version])
    at, found = _read.get(key, (0.0, None))
    if found is not None and time.monotonic() - at < FRESH:
        return found
    try:
        kept = _fetch(project, name, label, version)
    except ServerUnavailable as error:
        return _stand_in(key, name, label, fallback, error)
    _read[key] = (time.monotonic(), kept)
    _keep(_place(key), kept)
    return kept


def _fetch(project: Access, name: str, label: str | None, version: int | None) -> KeptPrompt:
    which = f"version {version}" if version is not None else f"label {label!r}"
    quoted = quote(name, safe="")  # a prompt in a folder has a slash in its name
    prompt: Fetched = ask(
        project,
        f"Langfuse's prompt {name!r} ({which})",
        lambda client: client.prompts.get(quoted, label=label, version=version, request_options={"max_retries": 1}),
    )
    origin = PromptOrigin(registry="langfuse", name=prompt.name, version=prompt.version, label=label)
    return KeptPrompt(_text(prompt), origin)


def _text(prompt: "Fetched") -> str:
    """A prompt's text; a conversation is one where it is a system message alone."""
    if isinstance(prompt.prompt, str):
        return prompt.prompt
    messages = cast("list[Any]", prompt.prompt)
    roles = [getattr(message, "role", "placeholder") for message in messages]
    if roles != ["system"]:
        raise ConfigError(
            f"Langfuse's prompt {prompt.name!r} is a conversation ({', '.join(roles)}); instructions are one text: "
            "make it a text prompt, or a single system message"
        )
    return str(messages[0].content)


def _filled(template: KeptPrompt, variables: Mapping[str, str] | None) -> KeptPrompt:
    """The text with its variables' values, as the SDK fills them in."""
    if "{{" not in template:
        return template
    from langfuse.model import TemplateParser

    given = dict(variables or {})
    missing = [name for name in dict.fromkeys(TemplateParser.find_variable_names(template)) if name not in given]
    if missing:
        wanted = ", ".join(f"{name!r}: …" for name in missing)
        raise ConfigError(
            f"the prompt {template.origin.name!r} has variables without a value: langfuse_prompt(…, "
            f"variables={{{wanted}}})"
        )
    return KeptPrompt(TemplateParser.compile_template(template, given), template.origin)


# what stands in ------------------------------------------------------------------------------------------------------


def _stand_in(key: str, name: str, label: str | None, fallback: str | None, error: ServerUnavailable) -> KeptPrompt:
    copy = _copy(_place(key))
    if copy is not None:
        version, text = copy
        warnings.warn(f"{error}; version {version} stands in, as it was read last on this machine", stacklevel=4)
        return KeptPrompt(text, PromptOrigin(registry="langfuse", name=name, version=version, label=label))
    if fallback is None:
        raise ServerUnavailable(
            f"{error}; it was never read on this machine, so nothing can stand in: give langfuse_prompt({name!r}, "
            "fallback=…)"
        ) from error
    warnings.warn(f"{error}; the fallback stands in", stacklevel=4)
    return KeptPrompt(fallback, PromptOrigin(registry="langfuse", name=name, label=label))


def _place(key: str) -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentkit" / "prompts" / f"{key}.json"


def _keep(place: Path, prompt: KeptPrompt) -> None:
    """Keep a copy for when the server is away; a folder that cannot be written costs nothing but that."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = place.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps({"version": prompt.origin.version, "text": str(prompt)}), "utf-8")
        part.replace(place)
    except OSError:
        return


def _copy(place: Path) -> tuple[int, str] | None:
    try:
        kept = json.loads(place.read_text("utf-8"))
        return int(kept["version"]), str(kept["text"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
