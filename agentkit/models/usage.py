"""The tokens and the cost of an answer, as far as they can be believed: what is unknown is unknown, and never free."""

import contextlib
from typing import Any

from agentkit.messages import Usage
from agentkit.models.catalogue import find, is_priced
from agentkit.models.loading import Litellm

_MOST_TOKENS = 10**12  # a million times what any model reads


def read(litellm: Litellm, usage: Any, name: str, service_tier: str | None, *, said_something: bool) -> Usage:
    """What litellm brings as usage; it writes 0 where the provider wrote nothing.

    Args:
        litellm: the module.
        usage: litellm's own type.
        name: the model's name, provider included.
        service_tier: as it was asked for; prices depend on it.
        said_something: whether the answer has anything in it, which takes tokens.
    """
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    input_tokens, output_tokens = prompt or 0, completion or 0
    before, after = getattr(usage, "prompt_tokens_details", None), getattr(usage, "completion_tokens_details", None)
    cached = min(_count(before, "cached_tokens") or 0, input_tokens)
    written = min(_count(before, "cache_creation_tokens") or 0, input_tokens - cached)
    if before is not None:  # the price is that of the tokens that are told
        _clip(before, cached_tokens=cached, cache_creation_tokens=written)
    is_known = input_tokens and completion is not None and (output_tokens or not said_something)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=min(_count(after, "reasoning_tokens") or 0, output_tokens),
        cost_usd=_cost(litellm, usage, name, service_tier) if is_known else None,
    )


def _count(counts: Any, name: str) -> int | None:
    """A number of tokens; None for what cannot be one."""
    value = getattr(counts, name, None)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if is_count else None


def _clip(counts: Any, **clipped: int) -> None:
    for name, value in clipped.items():
        if (getattr(counts, name, None) or 0) != value:
            setattr(counts, name, value)


def _cost(litellm: Litellm, usage: Any, name: str, service_tier: str | None) -> float | None:
    """By litellm's list, which has prices of its own for cached tokens and long prompts; None where it has none."""
    entry = find(name)
    if entry is None or not is_priced(entry):
        return None
    with contextlib.suppress(Exception):  # a price that cannot be told is unknown; it must not lose the answer
        parts = litellm.cost_per_token(model=name, usage_object=usage, service_tier=service_tier)
        return float(sum(parts))
    return None
