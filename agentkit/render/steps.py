"""A pipeline's run as a tree: its steps in their order, and what each of them asked and called."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agentkit.definition import DEOPT
from agentkit.events import Deopted
from agentkit.render.words import Node, call_mark, join, message
from agentkit.state import Ask, CallStep, State
from agentkit.text import brief, one_line
from agentkit.wiring import turns

if TYPE_CHECKING:
    from agentkit.render.view import View

_SHOWN = 10
"""So many items of a fan-out are shown of each kind: those that failed, and those under way."""

_WHY = {
    "when": "its condition said no",
    "needs": "it needs {}, which was skipped",
    "rejected": "a person said no",
}


def steps(view: "View", state: State) -> Iterator[Node]:
    """One node a step, in the order in which they can run."""
    for name in state.config.get("steps", {}):
        if name in state.skipped:
            yield _skipped(view, state, name)
        elif name in state.fans:
            yield _fan(view, state, name)
        elif name in state.calls:
            yield step(view, state, state.calls[name])
        elif not state.ended and state.deopted is None:
            yield Node(f"· {name} · not yet", view.comments(state, name))
    if state.deopted is not None and state.deopted.agent is not None:
        yield _deopt(view, state, state.deopted)


def _deopt(view: "View", state: State, met: Deopted) -> Node:
    """What the pipeline met, and the agent that goes on."""
    call = state.calls.get(DEOPT)
    node = view.call(state, call) if call is not None else Node(f"· {DEOPT} · not yet")
    node.details.insert(0, f"{one_line(met.agent or '', 30)} takes over at {state.deopted_by}: {brief(met.message)}")
    return node


def step(view: "View", state: State, call: CallStep) -> Node:
    """One step or one item, and below it what it asked and called."""
    node = view.call(state, call)
    for path in state.inner.get(call.step, ()):
        if path in state.asks:
            node.below += _ask(view, state, state.asks[path])
        elif path in state.calls:
            node.below.append(view.call(state, state.calls[path]))
    return node


def _skipped(view: "View", state: State, name: str) -> Node:
    because, on = state.skipped[name]
    why = _WHY[because].format(one_line(on or "something", 40))
    return Node(f"» {name} · skipped", [why, *view.comments(state, name)])


def _fan(view: "View", state: State, name: str) -> Node:
    fan, call = state.fans[name], state.calls[name]
    failed = f"{len(fan.failed)} failed" if fan.failed else ""
    took = view.took(call.started, call.ended, live=call.ended is None)
    node = Node(join(f"{_fan_mark(view, state, name)} {name}", f"{fan.done} of {fan.total} items", failed, took))
    node.details = [f"✗ {message(call.error)}"] if call.error is not None else []
    node.details += view.comments(state, name)
    for indices, word in ((sorted(fan.failed), "failed"), (sorted(fan.open), "under way")):
        paths = [f"{name}[{index}]" for index in indices]
        begun = [path for path in paths if path in state.calls]
        node.below += [step(view, state, state.calls[path]) for path in begun[:_SHOWN]]
        if len(begun) > _SHOWN:
            node.below.append(Node(f"… {len(begun) - _SHOWN} more {word}; run.events() has them"))
    return node


def _fan_mark(view: "View", state: State, name: str) -> str:
    """How far the items are, as one character: where nobody executes the run, whether some were cut short."""
    if state.calls[name].status == "done":
        return call_mark(state.calls[name])
    if not view.rests or state.pending:
        return "▸"
    begun = [call for index in state.fans[name].open if (call := state.calls.get(f"{name}[{index}]")) is not None]
    return "!" if any(view.standing(call.status) == "interrupted" for call in begun) else "·"


def _ask(view: "View", state: State, ask: Ask) -> Iterator[Node]:
    """One node for each time the model was asked."""
    local = ask.step.partition("/")[2]
    asked = dict(turns(state, ask.step))
    for number, (path, model) in enumerate(asked.items(), 1):
        node = view.model_call(model, f"{local} {one_line(model.name, 40)}" if number == 1 else f"{local} again")
        if model.text:
            node.details.append(f"text: {brief(model.text)}")
        node.details += [f"refused by {one_line(who, 30)}: {brief(error.message)}" for who, error in model.refusals]
        if ask.error is not None and path == next(reversed(asked)):
            node.details.append(f"✗ {message(ask.error)}")
        node.details += view.comments(state, path)
        if number == len(asked):
            node.details += view.comments(state, ask.step)
        yield node
