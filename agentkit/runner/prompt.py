"""Rebuilding a model call's prompt from the log: it was never stored, and its digest was."""

from dataclasses import dataclass

from agentkit.errors import ConfigError
from agentkit.events import Event, ModelRequested, RunStarted
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
        step: the call's path, for example "model/3"; its last attempt counts.

    Raises:
        ConfigError: no such model call; the message lists which there are.
    """
    requests = _requests(store, run_id)
    asked = [event for event in requests if event.step == step]
    if not asked:
        known = ", ".join(dict.fromkeys(event.step or "" for event in requests)) or "none"
        raise ConfigError(f"run {run_id} has no model call {step!r}; it has: {known}")
    body = asked[-1].body
    assert isinstance(body, ModelRequested), "filtered above"
    state = _conversation(load_state(store, asked[-1].run_id, until=asked[-1].seq - 1), step)
    request, rebuilt = state.request(), state.request_sha256()
    if rebuilt == body.request_sha256:
        return Prompt(request, exact=True)
    difference = (
        f"recorded {body.request_sha256[:12]} over {body.messages} messages, rebuilt {rebuilt[:12]} over "
        f"{len(request.messages)}: this agentkit builds prompts differently, or the log was changed"
    )
    return Prompt(request, exact=False, difference=difference)


def _conversation(state: State, step: str) -> State:
    """Whose prompt it is: the run's, or that of the ask that a pipeline's step made."""
    ask = state.asks.get(step.rpartition("/model/")[0])
    return ask.conversation if ask is not None and ask.conversation is not None else state


def _requests(store: Store, run_id: str, until: int | None = None) -> list[Event]:
    """A run's model calls; those that a fork shares with its parent are the parent's events."""
    events = store.read(run_id, until=until)
    own = [event for event in events if isinstance(event.body, ModelRequested)]
    origin = events[0].body.origin if events and isinstance(events[0].body, RunStarted) else None
    if origin is None or origin.kind != "fork":
        return own
    return [*_requests(store, origin.run_id, origin.seq), *own]
