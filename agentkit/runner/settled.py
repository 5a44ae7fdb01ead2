"""Who wants to know that a run came to rest: an exporter. Told when all is on disk and the run was given back."""

import contextlib
import weakref
from collections.abc import Callable
from typing import TypeAlias

from agentkit.events import RunStatus
from agentkit.state import State
from agentkit.store import Store

OnSettled: TypeAlias = Callable[[str, RunStatus], None]

_listeners: "weakref.WeakKeyDictionary[Store, list[OnSettled]]" = weakref.WeakKeyDictionary()


def listen(store: Store, call: OnSettled) -> Callable[[], None]:
    """Be told of every run of a log that ends or pauses here and was called by no other: its id and its status.

    Args:
        store: the log.
        call: called on the thread that drives every run, so it has to be quick; what it raises is dropped.

    Returns:
        What ends that.
    """
    calls = _listeners.setdefault(store, [])
    calls.append(call)

    def leave() -> None:
        with contextlib.suppress(ValueError):
            calls.remove(call)

    return leave


def tell(store: Store, state: State | None) -> None:
    """A run came to rest."""
    if state is None or state.parent_run_id is not None or state.status in {"running", "waiting"}:
        return
    for call in list(_listeners.get(store, ())):
        with contextlib.suppress(Exception):  # an exporter that is broken must not stop a run
            call(state.run_id, state.status)
