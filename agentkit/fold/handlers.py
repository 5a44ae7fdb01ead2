"""The table of what each event does to a state; the modules beside this one fill it."""

from collections.abc import Callable
from typing import Any, TypeAlias

from agentkit.errors import LogCorrupt
from agentkit.events import Body, Event
from agentkit.state import State

Handler: TypeAlias = "Callable[[State, Event, Any], None]"

HANDLERS: dict[str, Handler] = {}


def on(body: type[Body]) -> Callable[[Handler], Handler]:
    """Decorate the function that says what events with this body do to a state."""

    def register(handler: Handler) -> Handler:
        HANDLERS[body.TYPE] = handler
        return handler

    return register


def step_of(event: Event) -> str:
    """The step that an event is about."""
    if event.step is None:
        raise LogCorrupt(f"event {event.seq} of run {event.run_id} ({event.type}) names no step")
    return event.step
