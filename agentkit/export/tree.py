"""A run's events as a tree of nodes: the pure middle between the log and every tracing system.

One node an attempt: what a crash made run again is a second node. Decisions and approvals are nodes of their own, an
approval's length being how long the person took. A child run's nodes hang below the call that started it.
"""

from collections.abc import Callable

from agentkit.export.handlers import handle
from agentkit.export.nodes import Node
from agentkit.export.recorded import Recorded
from agentkit.export.walk import Walk


def tree(recorded: Recorded, *, prompts: bool = True, pace: Callable[[], None] = lambda: None) -> list[Node]:
    """The nodes of a run and of all that it called; a parent comes before what is within it.

    Args:
        recorded: the run.
        prompts: whether model calls' prompts are rebuilt, which takes the fold of all events.
        pace: called after every event: who has to leave the processor to others does so there.

    Raises:
        LogCorrupt: the events do not follow each other.
    """
    return _nodes(recorded, None, None, prompts, pace)


def _nodes(
    recorded: Recorded, caller: Node | None, root_name: str | None, prompts: bool, pace: Callable[[], None]
) -> list[Node]:
    within = Walk(recorded, caller, root_name, prompts=prompts)
    for event in recorded.events:
        within.take(event)
        handle(within, event)
        within.took(event)
        pace()
    within.finish()
    found = list(within.nodes)
    for node in within.nodes:
        child = recorded.children.get(within.calls.get(node, ""))
        if child is not None:
            found += _nodes(child, node, within.root_name, prompts, pace)
    return found
