"""What a crash must not change of a run, and what it must not do to the world."""

from collections import Counter
from typing import Any

from scenario_tools import TOOLS, Ledger

from agentkit.events import Event, ModelRequested, ModelResponded, StepStarted, ToolStarted
from agentkit.fold.conversation import TOLD
from agentkit.runner.load import load_state
from agentkit.state import CallStep, State
from agentkit.store import Store


def what_matters(store: Store, run_id: str) -> dict[str, Any]:
    """A run and its children as a crash must leave them.

    Left out: times, ids, numbers of attempts, what was used, and questions that were asked only because of a crash.
    A plain write that raised an error after it had its effect is told as it was; see `same_but_for_doubt`.
    """
    state = load_state(store, run_id)
    if state.kind == "pipeline":
        return _pipeline(store, state)
    return {
        "status": state.status,
        "output": state.output,
        "error": state.error and [state.error.type, state.error.message],
        "messages": _messages(state),
        "calls": {step: _call(store, call) for step, call in state.calls.items()},
        "models": {step: [model.status, model.text, model.name] for step, model in state.models.items()},
        "notes": {(step, text) for step, text, _ in state.notes},
        "pending": state.pending,
        "open": [state.open_calls, state.undecided, state.looping, state.stopped_by],
    }


def _call(store: Store, call: CallStep) -> dict[str, Any]:
    return {
        "status": call.status,
        "raw": call.raw,
        "arguments": call.arguments,
        "why": [call.why, call.instead_of],
        "edited": call.edited,
        "outcome": call.outcome,
        "result": call.result,
        "error": call.error and [call.error.type, call.error.message, call.error.context],
        "effect": call.effect,
        "child": _child(store, call),
    }


def _pipeline(store: Store, state: State) -> dict[str, Any]:
    """A pipeline's: what its steps called and asked is a set, since a step that is tried again reads again."""
    steps = {path: call for path, call in state.calls.items() if call.within is None}
    inner = [call for call in state.calls.values() if call.within is not None]
    called = {str([call.within, call.name, call.raw]): _child(store, call) for call in inner if call.child_run_id}
    return {
        "status": state.status,
        "output": state.output,
        "error": state.error and [state.error.type, state.error.message],
        "messages": [],
        "calls": {path: _step(store, call) for path, call in steps.items()},
        "inner": {str([call.within, call.name, call.raw, call.outcome, call.result]) for call in inner},
        "called": called,
        "asks": {(ask.within, str(ask.result), ask.outcome) for ask in state.asks.values()},
        "fans": {name: [fan.total, fan.done, sorted(fan.failed)] for name, fan in state.fans.items()},
        "skipped": state.skipped,
        "judged": state.judged,
        "notes": {(step, text) for step, text, _ in state.notes},
        "pending": state.pending,
        "open": state.open_calls,
    }


def _step(store: Store, call: CallStep) -> dict[str, Any]:
    return {
        "status": call.status,
        "edited": call.edited,
        "outcome": call.outcome,
        "result": call.result,
        "error": call.error and [call.error.type, call.error.message],
        "effect": call.effect,
        "child": _child(store, call),
    }


def _child(store: Store, call: CallStep) -> Any:
    return what_matters(store, call.child_run_id) if call.child_run_id else None


def _messages(state: State) -> list[Any]:
    """The conversation; the result of a write that a person vouched for after a crash reads like the tool's own."""
    happened = {asked.step for asked in state.approvals.values() if asked.verdict == "happened"}
    vouched = {state.calls[step].call_id for step in happened if step}
    said = [message.model_dump(mode="json") for message in state.messages]
    for message in said:
        if message["role"] == "tool" and (message["call_id"] in vouched or _was_told_elsewhere(message)):
            message["content"] = _as_if_reported(message["content"])
    return [_without_child_ids(message) for message in said]


def _was_told_elsewhere(message: dict[str, Any]) -> bool:
    """Whether an agent that took over is handed a result that a person vouched for."""
    content = message["content"]
    return message["call_id"].startswith("made_") and isinstance(content, dict) and TOLD in str(content.get("note"))


def _as_if_reported(content: dict[str, Any]) -> Any:
    note = content["note"].replace(TOLD, "").strip()
    return {"result": content["result"], "note": note} if note else content["result"]


def _without_child_ids(message: dict[str, Any]) -> dict[str, Any]:
    """An error of a sub-agent names its run, which is another one where the crash came before it began."""
    content = message.get("content")
    if isinstance(content, dict) and isinstance(error := content.get("error"), dict):
        error.get("context", {}).pop("run_id", None)
    return message


def same_but_for_doubt(cut: dict[str, Any], whole: dict[str, Any]) -> None:
    """Assert that two runs are equal in what matters.

    A plain write that had its effect and then failed is known to have happened when a person vouches for it after a
    crash, and unknown otherwise: its outcome may differ, nothing else.
    """
    ids = _in_doubt(cut, whole)
    assert _plain(cut, ids) == _plain(whole, ids)
    assert cut["notes"] <= whole["notes"], "a note that rode along may be lost, none is made up"
    for step, call in cut["calls"].items():
        if call["child"] is not None:
            same_but_for_doubt(call["child"], whole["calls"][step]["child"])
    for call, child in cut.get("called", {}).items():
        same_but_for_doubt(child, whole["called"][call])


def _in_doubt(cut: dict[str, Any], whole: dict[str, Any]) -> set[str]:
    """The steps whose effect nobody knows in the whole run and somebody vouched for in the cut one."""
    calls = whole["calls"]
    return {
        step
        for step, call in cut["calls"].items()
        if step in calls and calls[step]["effect"] == "unknown" and call["outcome"] == "ok"
    }


def _plain(run: dict[str, Any], doubtful: set[str]) -> dict[str, Any]:
    calls = {
        step: {key: value for key, value in call.items() if key not in _OUTCOME or step not in doubtful}
        for step, call in run["calls"].items()
    }
    for call in calls.values():
        call.pop("child")
        call["error"] = call.get("error") and call["error"][:2]
    messages = [
        {**message, "content": None, "is_error": None} if doubtful and message["role"] == "tool" else message
        for message in run["messages"]
    ]
    return {**run, "calls": calls, "messages": messages, "notes": None, "called": set(run.get("called", ()))}


_OUTCOME = ("outcome", "result", "error", "effect")


def effects(ledger: Ledger) -> Counter[tuple[str, int]]:
    """What was done to the world: how often which write had its effect."""
    return Counter((entry["tool"], entry["n"]) for entry in ledger.find("effect"))


def assert_nothing_ran_twice(ledger: Ledger) -> None:
    """A step has its effect at most once, and all its attempts the same key; so has each call that a step makes."""
    done = Counter((entry["run"], entry["step"]) for entry in ledger.find("effect"))
    assert all(times == 1 for times in done.values()), f"ran twice: {done}"
    inside = [entry for entry in ledger.find("effect") if "/call/" in entry["step"]]
    again = Counter((entry["run"], entry["step"].partition("/")[0], entry["tool"], entry["n"]) for entry in inside)
    assert all(times == 1 for times in again.values()), f"a step that was entered again wrote again: {again}"
    keys: dict[tuple[str, str], set[str]] = {}
    for entry in ledger.find("called"):
        keys.setdefault((entry["run"], entry["step"]), set()).add(entry["key"])
    assert all(len(found) == 1 for found in keys.values()), f"several keys for one step: {keys}"
    once = Counter(entry["key"] for entry in ledger.find("effect") if TOOLS[entry["tool"]].idempotent)
    assert all(times == 1 for times in once.values()), f"the service did it twice for one key: {once}"


def assert_recorded_first(events: list[Event], world: Ledger) -> None:
    """Whatever a crash leaves: no write began and no model was asked before that was on disk."""
    started = {
        (event.run_id, event.step, event.attempt)
        for event in events
        if isinstance(event.body, ToolStarted | StepStarted)
    }
    for entry in world.find("called"):
        if TOOLS[entry["tool"]].writes:
            assert (entry["run"], entry["step"], entry["attempt"]) in started, f"not on disk before it ran: {entry}"
    requested = Counter(event.body.request_sha256 for event in events if isinstance(event.body, ModelRequested))
    asked = Counter(entry["sha256"] for entry in world.find("model"))
    assert asked <= requested, "a model was asked before the attempt was on disk"


def answered_prompts(events: list[Event]) -> set[str]:
    """The digests of the prompts whose answers are recorded."""
    asked: dict[tuple[str, str | None], str] = {}
    found: set[str] = set()
    for event in events:
        if isinstance(event.body, ModelRequested):
            asked[event.run_id, event.step] = event.body.request_sha256
        elif isinstance(event.body, ModelResponded):
            found.add(asked[event.run_id, event.step])
    return found
