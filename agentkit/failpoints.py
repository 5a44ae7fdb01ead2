"""Named places where a test can stop, kill or fail the process; next to nothing is spent when they are off.

The durable steps of the runner and the stores call `hit(name)`. `agentkit.testing` arms them; see `gofail` and
FreeBSD's fail(9) for the idea.
"""

from collections.abc import Callable

_handler: Callable[[str], None] | None = None


def hit(name: str) -> None:
    """Say that a fail point is reached; whoever armed the points may raise, block or kill here."""
    if _handler is not None:
        _handler(name)


def arm(handler: Callable[[str], None] | None) -> None:
    """Call `handler(name)` at every fail point from now on; None turns them off."""
    global _handler  # noqa: PLW0603  a module-level switch is what makes the points free when off
    _handler = handler
