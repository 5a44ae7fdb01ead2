"""The calls of a run: an agent's are proposed by its model, a pipeline's begin with their first event."""

from agentkit.events import Event
from agentkit.fold.handlers import step_of
from agentkit.state import CallStep, State


def call_of(state: State, event: Event) -> CallStep:
    """The call that an event is about; in a pipeline's run its first event is how it comes to be."""
    step = step_of(event)
    call = state.calls.get(step)
    return _begin(state, step, event) if call is None else call


def _begin(state: State, step: str, event: Event) -> CallStep:
    name = event.name or ""
    within = step.partition("/")[0] if "/" in step else None
    call = CallStep(step=step, name=name, call_id=step, is_step=within is None, within=within)
    if within is not None:
        call.generation = state.calls[within].failures
        state.inner.setdefault(within, []).append(step)
    elif (index := index_of(step)) is not None:
        fan = state.fans[name]
        for opened in range(fan.begun, index + 1):  # of two that began together, either may be the first to be recorded
            fan.open[opened] = None
        fan.begun = max(fan.begun, index + 1)
        group = state.calls[name]
        group.started = group.started or event.ts  # of a fork's, which began in another run
    state.calls[step] = call
    state.open_calls.append(step)
    return call


def index_of(step: str) -> int | None:
    """Which item of a fan-out a step is; None where it is none.

    Example:
        >>> index_of("classify[17]"), index_of("classify")
        (17, None)
    """
    return int(step[step.rindex("[") + 1 : -1]) if step.endswith("]") else None


def settle(state: State, call: CallStep, event: Event) -> None:
    """A call of a pipeline's run ended."""
    call.status, call.ended = "done", event.ts
    state.open_calls.remove(call.step)
    index = index_of(call.step) if call.is_step else None
    if index is not None:
        fan = state.fans[call.name]
        fan.open.pop(index, None)
        fan.done += 1
        if call.outcome != "ok":
            fan.failed.append(index)
