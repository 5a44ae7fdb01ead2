"""What stands for an item of a fan-out that failed."""

from typing import Literal

from agentkit.messages import Fact


class Failed(Fact):
    """An item that failed, in the list that a step with `on_error="collect"` gives.

    Args:
        step: the item's path, for example "classify[17]".
        type: the error's type.
        message: what it says.
        failed: always true; it tells the item apart from others' results.
    """

    step: str
    type: str
    message: str
    failed: Literal[True] = True
