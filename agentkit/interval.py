"""How sure a share is that was counted a few times."""

from math import sqrt

_Z = 1.959963984540054  # the normal distribution's 97.5% point: intervals of 95%


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927): it holds for small numbers, and for shares of 0 and 1.

    Args:
        count: how often it was so.
        of: out of how many; of none nothing is known.

    Returns:
        Its low and its high end, from 0 to 1.

    Example:
        >>> tuple(round(end, 2) for end in wilson(6, 25))
        (0.11, 0.43)
    """
    if not of:
        return 0.0, 1.0
    share, square = count / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)
