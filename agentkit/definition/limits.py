"""The numbers, policies and lists of a definition: what is none is refused when it is made, not in mid-run."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from agentkit.errors import ConfigError
from agentkit.policy import Budget, Retry


def check_limits(definition: Any) -> None:  # an agent's or a pipeline's, which are above this module
    """Refuse what is no limit.

    Args:
        definition: with the limits that an agent and a pipeline have alike, and `history_tokens` where it is an agent.

    Raises:
        ConfigError: naming the option, what was given, and what to give.
    """
    owner = definition.name
    check_budget(definition.budget, owner)
    if not isinstance(definition.retry, Retry):
        raise ConfigError(f"{owner}: retry={definition.retry!r}; give a policy, for example ak.Retry(max_attempts=3)")
    check_count(owner, "max_reasks", definition.max_reasks, "how often in a row a model is asked again", least=0)
    tokens = getattr(definition, "history_tokens", None)
    if tokens is not None:
        check_count(owner, "history_tokens", tokens, "a number of tokens, or None for no limit")
    check_seconds(owner, "approval_expires", definition.approval_expires, "None for never")


def check_budget(budget: Any, owner: str | None = None) -> None:
    """Refuse what is no budget; None is one that was left out.

    Raises:
        ConfigError: with the budget that was probably meant.
    """
    if budget is None or isinstance(budget, Budget):
        return
    amount = budget if type(budget) in {int, float} and budget > 0 and math.isfinite(budget) else 0.1
    prefix = f"{owner}: " if owner else ""
    raise ConfigError(f"{prefix}budget={budget!r}; say of what: ak.Budget(usd={amount}), or ak.Budget(model_calls=20)")


def check_count(owner: str, option: str, given: Any, what: str, *, least: int = 1) -> None:
    """Refuse what is no whole number, or is below the least there can be.

    Raises:
        ConfigError: naming the option.
    """
    if type(given) is not int or given < least:
        raise ConfigError(f"{owner}: {option}={given!r}; give {what}, a whole number, {least} or more")


def check_seconds(owner: str, option: str, given: Any, none: str) -> None:
    """Refuse what is no time above 0.

    Args:
        owner: whose option it is.
        option: its name.
        given: seconds; None is always right.
        none: what None is, for the message.

    Raises:
        ConfigError: naming the option.
    """
    if given is not None and not (type(given) in {int, float} and 0 < given < math.inf):
        raise ConfigError(f"{owner}: {option}={given!r}; give seconds above 0, or {none}")


def check_lists(owner: str, settings: Any, **lists: Any) -> None:
    """Refuse what is no list, a text above all, whose letters would be taken one by one; and settings without names.

    Raises:
        ConfigError: naming the option.
    """
    for option, given in lists.items():
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigError(f"{owner}: {option}={given!r}; give a list: {option}=[…]")
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f"{owner}: settings={settings!r}; give them by name, for example {{'temperature': 0}}")
