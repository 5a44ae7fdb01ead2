"""What litellm knows of models and their prices, read from its files: without the seconds that importing it takes."""

import difflib
import functools
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentkit.errors import ModelNotFound
from agentkit.models.loading import Litellm, at_hand

Entry = Mapping[str, Any]  # litellm's JSON of one model

_FEWEST = 50  # fewer providers than this are a file that changed its form: then only litellm itself is asked


def check(name: str) -> None:
    """Refuse a name of which it is certain that litellm does not know it.

    A name without a provider that is in no list is left to `provider_of`, at the first call.

    Raises:
        ModelNotFound: with what it could have been.
    """
    prefix, slash, rest = name.partition("/")
    if not name.strip() or (slash and not rest.strip()):
        raise _not_found(name)
    litellm = at_hand()
    if litellm is not None:
        provider_of(litellm, name)
        return
    known = _providers()
    if slash and prefix not in known and name not in _shipped() and len(known) >= _FEWEST:
        raise _not_found(name)


def provider_of(litellm: Litellm, name: str) -> tuple[str, str]:
    """The provider of a model, and the model's name there.

    Args:
        litellm: the module.
        name: for example `openai/gpt-5-mini`.

    Raises:
        ModelNotFound: litellm does not know whom to ask.
    """
    try:
        model, provider, _key, _base = litellm.get_llm_provider(name)
    except litellm.BadRequestError as error:
        raise _not_found(name) from error
    return str(provider), str(model)


def price(name: str, input_tokens: int, output_tokens: int) -> float | None:
    """What that many tokens cost in USD at the list price; None where it is unknown."""
    entry = find(name)
    if entry is None or not is_priced(entry):
        return None
    return input_tokens * entry["input_cost_per_token"] + output_tokens * entry["output_cost_per_token"]


def find(name: str) -> Entry | None:
    """The entry that litellm has for a model; None where it has none."""
    known = _known()
    if name in known:
        return known[name]
    provider, _, bare = name.partition("/")
    entry = known.get(bare)
    is_theirs = entry is not None and str(entry.get("litellm_provider", "")).startswith(provider)
    return entry if is_theirs else None


def is_priced(entry: Entry) -> bool:
    """Whether an entry has a price: one without reads as 0 in litellm, and what nobody knows is not free."""
    prices = (entry.get("input_cost_per_token"), entry.get("output_cost_per_token"))
    return all(isinstance(price, int | float) for price in prices)


def _known() -> Mapping[str, Entry]:
    litellm = at_hand()
    return litellm.model_cost if litellm is not None else _shipped()


@functools.cache
def _shipped() -> Mapping[str, Entry]:
    """The list that came with litellm: 3 MB, 30 ms."""
    return _read("model_prices_and_context_window_backup.json")


@functools.cache
def _providers() -> frozenset[str]:
    listed = _folder() / "types" / "utils.py"
    source = listed.read_text(encoding="utf-8") if listed.exists() else ""
    enum = re.search(r"^class LlmProviders\(.*?(?=^\S)", source, re.MULTILINE | re.DOTALL)
    names = re.findall(r'^ +[A-Z0-9_]+ = "([^"]+)"', enum.group() if enum else "", re.MULTILINE)
    like_openai = _read("llms/openai_like/providers.json")
    return frozenset([*names, *like_openai]) if len(names) >= _FEWEST else frozenset()


def _read(name: str) -> Mapping[str, Any]:
    path = _folder() / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _folder() -> Path:
    spec = importlib.util.find_spec("litellm")
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places or ["."])))


def _not_found(name: str) -> ModelNotFound:
    provider, slash, model = name.partition("/")
    close = difflib.get_close_matches(name, _known(), n=3, cutoff=0.7)
    if slash and (other := difflib.get_close_matches(provider, _providers(), n=1)):
        close = [f"{other[0]}/{model}"]
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "for example 'openai/gpt-5-mini'"
    return ModelNotFound(f"litellm knows no model {name!r}: a name is 'provider/model', {hint}")
