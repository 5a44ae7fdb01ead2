"""Rebuilding a model call's prompt from the log: it was never stored, and its digest was."""

from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.errors import ConfigError
from agentkit.events import Event, ModelRequested, RunStarted
from agentkit.fold import fold
from agentkit.messages import ModelRequest
from agentkit.runner.load import load_state
from agentkit.state import State
from agentkit.store import Store


@dataclass(frozen=True)
class Prompt:
    """A model call's prompt, rebuilt from the log. `exact`: its digest is the recorded one; else see `difference`."""

    request: ModelRequest
    exact: bool
    difference: str | None = None


def rebuild_prompt(store: Store, run_id: str, step: str) -> Prompt:
    """What a model call was given: the fold of the events before it.

    Args:
        store: the log.
        run_id: the run.
        step: the call's path, for example "model/3", or "facts/ask/1/model/2" of an ask in a pipeline's step; its last
            attempt counts, and of an ask ("facts/ask/1") its last call.

    Raises:
        ConfigError: no such model call; the message lists which there are.
    """
    requests = _requests(store, run_id)
    asked = [event for event in requests if step in {event.step, _ask_of(event)}]
    if not asked:
        known = ", ".join(dict.fromkeys(event.step or "" for event in requests)) or "none"
        raise ConfigError(f"run {run_id} has no model call {step!r}; it has: {known}")
    body = asked[-1].body
    assert isinstance(body, ModelRequested), "filtered above"
    state = _conversation(load_state(store, asked[-1].run_id, until=asked[-1].seq - 1), asked[-1])
    request, rebuilt = state.request(), state.request_sha256()
    if rebuilt == body.request_sha256:
        return Prompt(request, exact=True)
    difference = (
        f"recorded {body.request_sha256[:12]} over {body.messages} messages, rebuilt {rebuilt[:12]} over "
        f"{len(request.messages)}: this agentkit builds prompts differently, or the log was changed"
    )
    return Prompt(request, exact=False, difference=difference)


def prompt_before(events: Sequence[Event], asked: Event) -> ModelRequest | None:
    """A model call's prompt, rebuilt from events at hand.

    Args:
        events: those of its run among them.
        asked: the call's `model_requested`.

    Returns:
        The prompt; None where it begins with another run's, or is not the recorded one.
    """
    own = [event for event in events if event.run_id == asked.run_id and event.seq < asked.seq]
    began = own[0].body if own else None
    if not isinstance(began, RunStarted) or began.origin is not None:
        return None
    state = _conversation(fold(own), asked)
    recorded = isinstance(asked.body, ModelRequested) and state.request_sha256() == asked.body.request_sha256
    return state.request() if recorded else None


def _ask_of(event: Event) -> str | None:
    """The path of the ask that a model call belongs to; None for an agent's own."""
    return (event.step or "").rpartition("/model/")[0] or None


def _conversation(state: State, event: Event) -> State:
    """Whose prompt it is: that of the run, or of an ask in it."""
    ask = state.asks.get(_ask_of(event) or "")
    return state if ask is None or ask.conversation is None else ask.conversation


def _requests(store: Store, run_id: str, until: int | None = None) -> list[Event]:
    """A run's model calls; those that a fork shares with its parent are the parent's events."""
    events = store.read(run_id, until=until)
    own = [event for event in events if isinstance(event.body, ModelRequested)]
    origin = events[0].body.origin if events and isinstance(events[0].body, RunStarted) else None
    if origin is None or origin.kind != "fork":
        return own
    return [*_requests(store, origin.run_id, origin.seq), *own]
