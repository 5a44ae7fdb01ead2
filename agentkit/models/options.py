"""An agent's settings as the adapter takes them: a few are its own, all others go to the provider through litellm."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from agentkit.errors import ModelError

TIMEOUT = 600.0
"""Seconds for one attempt as a whole: models that think long answer within minutes."""

IDLE_TIMEOUT = 120.0
"""Seconds between two pieces of an answer after which its stream counts as stalled."""

_OURS = frozenset({"timeout", "idle_timeout", "stream", "json_schema", "tool_choice"})
_MADE_HERE = frozenset(
    {"model", "messages", "tools", "functions", "function_call", "response_format", "stream_options", "n"}
    | {"max_retries", "num_retries", "fallbacks"}
)


@dataclass(frozen=True, slots=True)
class Options:
    """What `Agent(settings=…)` says about one attempt.

    Args:
        timeout: seconds for the attempt as a whole; waiting for a place in the provider's queue does not count.
        idle_timeout: seconds between two pieces of the answer; the first one has until `timeout`.
        stream: whether the answer is asked for in pieces. Without, litellm works much less for a long answer, and a
            stall is only found by `timeout`.
        json_schema: whether a structured answer is asked for by the provider's own means; None is where it has them.
        tool_choice: "auto", "none", "required" or a tool's name; a choice that forces a call holds until one was made.
        rest: what goes to litellm as it is: temperature, max_tokens, api_base, seed, reasoning_effort, …
    """

    timeout: float = TIMEOUT
    idle_timeout: float = IDLE_TIMEOUT
    stream: bool = True
    json_schema: bool | None = None
    tool_choice: Any = None  # a provider's own form is passed on
    rest: Mapping[str, Any] = field(default_factory=dict[str, Any])


def options(settings: Mapping[str, Any]) -> Options:
    """Take an agent's settings apart.

    Raises:
        ModelError: a setting that cannot be one, not retryable.
    """
    if wrong := sorted(_MADE_HERE & settings.keys()):
        raise ModelError(f"settings hold {wrong[0]!r}, which agentkit makes itself: leave it out", kind="bad_request")
    ours = {name: value for name, value in settings.items() if name in _OURS}
    for name in ("api_base", "base_url"):
        if name in settings and not settings[name]:  # litellm would ask the provider itself, with the user's key
            raise ModelError(f"settings: {name} is empty; give an address, or leave it out", kind="bad_request")
    for name in ("timeout", "idle_timeout"):
        if name in ours and not _is_seconds(ours[name]):
            raise ModelError(f"settings: {name}={ours[name]!r}; give a number of seconds", kind="bad_request")
    for name in ("stream", "json_schema"):
        if name in ours and not isinstance(ours[name], bool):
            raise ModelError(f"settings: {name}={ours[name]!r}; give True or False", kind="bad_request")
    return Options(**ours, rest={name: value for name, value in settings.items() if name not in _OURS})


def _is_seconds(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(cast("float", value)) and cast("float", value) > 0
