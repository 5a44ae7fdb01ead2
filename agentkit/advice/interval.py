"""How sure a share is that was counted on a few runs."""

from math import sqrt

Z = 1.959964  # the normal distribution's 97.5% point: intervals of 95%


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson's: it holds for small numbers, and for shares of 0 and 1).

    Args:
        count: how many did.
        of: how many there were, at least 1.

    Returns:
        The low and the high end, 0 to 1.

    Example:
        >>> tuple(round(end, 2) for end in wilson(6, 25))
        (0.11, 0.43)
    """
    share, z2 = count / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    reach = Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def share(count: int, of: int) -> str:
    """A share with what is known of it.

    Example:
        >>> share(6, 25)
        '6 of 25 (24%; 11 to 43% with 95% confidence)'
    """
    low, high = wilson(count, of)
    return f"{count:,} of {of:,} ({count / of:.0%}; {low * 100:.0f} to {high:.0%} with 95% confidence)"
