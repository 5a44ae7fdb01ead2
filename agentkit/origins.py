"""Where the arguments of a call came from, found by comparing values in the run's own log.

Pure, and a guess where two places held the same value: the first of them in time is named, since later ones repeat it.
What coincides too easily (true, null, "", a number of one digit) is found only under its own name, or as a word of a
text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from agentkit.state import CallStep, State

Kind: TypeAlias = Literal["input", "instructions", "result", "asked", "answer", "person", "default", "model", "code"]

_NODES = 5000
"""Values of one result or input that are compared; a table of a million cells is no reason to wait."""
_LEAVES = 100
"""Inner values of one call's arguments that are looked for."""


@dataclass(frozen=True, slots=True)
class ValueOrigin:
    """Where one value came from.

    Args:
        kind: the run's input; its agent's instructions; the result of an earlier step; what a model said when a step
            asked it; a person's answer to a question; a person who edited the call; the tool's default; or none of
            these: the model's own, or made by the code of the step that makes the call.
        step: the earlier step's path, for a result or an answer; the step's whose code it is; "" else.
        path: where in it: "total", "items[0].sku"; "" where it is the whole.
        within: whether it is a part of a longer text there.
        who: the person who edited it.
    """

    kind: Kind
    step: str = ""
    path: str = ""
    within: bool = False
    who: str | None = None

    def __str__(self) -> str:
        at = f" at {self.path}" if self.path else ""
        words = {
            "input": f"the run's input{at}",
            "instructions": "the agent's instructions",
            "result": f"the result of {self.step}{at}",
            "asked": f"a model's answer to {self.step}{at}",
            "answer": f"a person's answer to {self.step}",
            "person": f"edited by {self.who or 'a person'}",
            "default": "the tool's default",
            "model": "the model's own",
            "code": f"the code of {self.step}",
        }
        is_text = self.within and self.kind in {"result", "asked", "answer"}
        return f"{words[self.kind]}{', in its text' if is_text else ''}"


def origins(state: State, step: str) -> dict[str, ValueOrigin]:
    """Where each argument of a call came from.

    Args:
        state: the run.
        step: the call's path.

    Returns:
        By the path of the argument: its name; where an argument is a list or an object that is nowhere as a whole, the
        paths of the values in it. Empty where the step is no call or has no arguments yet.
    """
    call = state.calls.get(step)
    given = call and (call.arguments if call.arguments is not None else call.raw)
    if call is None or not isinstance(given, dict):
        return {}
    edits, who = _edits(state, call)
    wrote: Any = call.raw if call.turn else None
    raw = cast("dict[str, Any]", wrote) if isinstance(wrote, dict) else None
    found: dict[str, ValueOrigin] = {}
    for name, value in cast("dict[str, Any]", given).items():
        if name in edits:
            found[name] = ValueOrigin("person", who=who)
        elif raw is not None and name not in raw:
            found[name] = ValueOrigin("default")
        else:
            _trace(state, call, name, value, found)
    return found


def origin_of(state: State, value: Any, *, name: str = "", before: str | None = None) -> ValueOrigin | None:
    """Where a value came from; None where nothing in the run held it.

    Args:
        state: the run.
        value: JSON.
        name: what it is called, for values that coincide too easily.
        before: the path of the call that it went into: only what that could know is looked at.
    """
    call = state.calls.get(before) if before is not None else None
    return _find(state, call, name, value)


def _edits(state: State, call: CallStep) -> tuple[dict[str, Any], str | None]:
    asked = state.approvals.get(call.approval or "")
    return (asked.edits or {}, asked.who) if asked is not None else ({}, None)


def _trace(state: State, call: CallStep, path: str, value: Any, found: dict[str, ValueOrigin]) -> None:
    name = re.split(r"[.\[]", path)[-1] if not path.endswith("]") else path.rpartition("[")[0].rpartition(".")[2]
    origin = _find(state, call, name, value)
    if origin is not None or not isinstance(value, dict | list) or not value or len(found) >= _LEAVES:
        found[path] = origin or _own(state, call, path, value)
        return
    for key, inner in _children(path, cast("dict[str, Any]", value)):
        _trace(state, call, key, inner, found)


def _own(state: State, call: CallStep, path: str, value: Any) -> ValueOrigin:
    """Where a value came from that nothing before the call held."""
    if call.within is None:
        return ValueOrigin("model")
    asked = state.approvals.get(call.approval or "")  # which has the tool
    offered = asked.offered.parameters.get("properties", {}).get(path) if asked is not None and asked.offered else None
    is_default = isinstance(offered, dict) and "default" in offered and _same(value, offered["default"])
    return ValueOrigin("default") if is_default else ValueOrigin("code", call.within)


def _find(state: State, call: CallStep | None, name: str, value: Any) -> ValueOrigin | None:
    if isinstance(value, dict | list) and not value:
        return None
    for kind, step, source in _sources(state, call):
        for path, other in _nodes(source):
            if _same(value, other) and (not _is_common(value) or _last(path) == name):
                return ValueOrigin(kind, step, path)
            if isinstance(other, str) and _is_in(value, other):
                return ValueOrigin(kind, step, path, within=True)
    return None


def _sources(state: State, call: CallStep | None) -> Iterator[tuple[Kind, str, Any]]:
    """What the call could know, the first first."""
    yield "input", "", state.input
    if state.header.instructions:
        yield "instructions", "", state.header.instructions
    for other in state.calls.values():
        if other.outcome != "ok" or (call is not None and not _is_before(other, call)):
            continue
        asked = state.approvals.get(other.approval or "")
        is_answer = asked is not None and asked.kind == "question"
        yield ("answer" if is_answer else "result"), other.step, other.result
    if call is not None and call.within is not None:
        for path in state.inner.get(call.within, ()):
            if path == call.step:
                break
            if path in state.asks and state.asks[path].outcome == "ok":
                yield "asked", path, state.asks[path].result


def _is_before(other: CallStep, call: CallStep) -> bool:
    """Whether a call's result was there when the other was made: not of one of the same turn, nor of what it called."""
    if call.step in {other.step, other.within} or (call.turn and other.turn == call.turn):
        return False
    return call.started is None or other.ended is None or other.ended <= call.started


def _nodes(value: Any) -> Iterator[tuple[str, Any]]:
    """A value and those in it, each with its path."""
    stack, left = [("", value)], _NODES
    while stack and left:
        path, node = stack.pop()
        left -= 1
        yield path, node
        if isinstance(node, dict | list):
            stack += reversed(list(_children(path, cast("dict[str, Any]", node))))


def _children(path: str, value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{path}.{key}" if path else key, inner) for key, inner in value.items())
    else:
        yield from ((f"{path}[{index}]", inner) for index, inner in enumerate(value[:_NODES]))


def _last(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]


def _same(value: Any, other: Any) -> bool:
    """Equal as JSON is: 80 is 80.0, and true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def _is_common(value: Any) -> bool:
    """Whether a value is found everywhere by chance."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return abs(value) < 10 and value == int(value)
    return isinstance(value, str) and len(value) < 3


def _is_in(value: Any, text: str) -> bool:
    """Whether a text holds a value as a word or words of its own."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return False
    if isinstance(value, str):
        if len(value.strip()) < 2 or value not in text:
            return False
        written = re.escape(value)
    elif value == int(value):
        written = rf"{int(value)}(?:\.0+)?"
    else:
        written = rf"{re.escape(str(value))}0*"
    return re.search(rf"(?<![\w.-]){written}(?![\w-]|\.\d)", text) is not None
