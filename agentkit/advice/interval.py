"""How sure a share is that was counted on a few runs."""

from agentkit.interval import wilson


def share(count: int, of: int) -> str:
    """A share with what is known of it.

    Example:
        >>> share(6, 25)
        '6 of 25 (24%; 11 to 43% with 95% confidence)'
    """
    low, high = wilson(count, of)
    return f"{count:,} of {of:,} ({count / of:.0%}; {low * 100:.0f} to {high:.0%} with 95% confidence)"
