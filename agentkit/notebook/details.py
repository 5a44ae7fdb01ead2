"""What a row holds when it is opened: what went in and came out, why, what failed, what a person was asked and said."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from agentkit.arguments import arguments, in_words
from agentkit.events import ErrorInfo
from agentkit.jsonvalue import canonical
from agentkit.messages import AssistantMessage, Message, ToolMessage
from agentkit.notebook.rows import seconds
from agentkit.origins import origins
from agentkit.runner.prompt import Prompt
from agentkit.state import Approval, CallStep, ModelStep, State


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a row's details.

    Args:
        title: what it is.
        form: how `value` is to be shown: as JSON, as text, as an error with its context, or as a prompt's messages.
        value: JSON.
    """

    title: str
    form: Literal["json", "text", "error", "messages"]
    value: Any  # JSON


def details(state: State, step: str) -> list[Section]:
    """The details of one row.

    Args:
        state: the run.
        step: the row's path in it; "" is the run itself, `question/{id}` a question about the run.
    """
    if not step:
        return list(_run(state))
    if step.startswith("question/"):
        asked = state.approvals.get(step.removeprefix("question/"))
        return list(_approval(asked)) if asked is not None else []
    if step in state.models:
        return list(_model(state, step, state.models[step]))
    if step in state.asks:
        return list(_ask(state, step))
    if step in state.calls:
        return list(_call(state, state.calls[step]))
    return []


def _run(state: State) -> Iterator[Section]:
    yield Section("input", "json", state.input)
    if state.origin is not None:
        words = {"fork": "forked from", "after": "goes on after", "deopt": "takes over from"}[state.origin.kind]
        yield Section(words, "text", f"run {state.origin.run_id} at event {state.origin.seq}")
    labels = {"tags": list(state.tags) or None, "session": state.session, "user": state.user}
    if any(labels.values()):
        yield Section("labels", "json", {name: value for name, value in labels.items() if value})
    if state.status == "succeeded":
        yield Section("output", "json", state.output)
    if state.deopted is not None:
        met = state.deopted.model_dump(mode="json", exclude_defaults=True, exclude={"calls"})
        yield Section(f"deopted at {state.deopted_by}", "json", met)
    yield from _errors((state.error,) if state.error is not None else ())
    if state.status == "cancelled":
        who, why = state.stopped_by or "somebody", state.stopped_why or "no reason given"
        yield Section("cancelled", "text", f"by {who}: {why}")
    if state.grade is not None:
        yield Section(f"graded {state.grade}", "text", state.grade_why or "")
    yield from _notes(state, None)


def _model(state: State, step: str, model: ModelStep) -> Iterator[Section]:
    if model.text:
        yield Section("answer", "text", model.text)
    for check, error in model.refusals:
        yield Section(f"refused by {check}", "error", _error(error))
    yield from _errors(model.errors)
    if model.due is not None and model.status == "waiting":
        yield Section("next attempt", "text", f"due at {model.due:%H:%M:%S} UTC")
    if model.usage.cached_tokens or model.usage.reasoning_tokens:
        kept = {"cached_tokens": model.usage.cached_tokens, "reasoning_tokens": model.usage.reasoning_tokens}
        yield Section("of the tokens", "json", {name: count for name, count in kept.items() if count})
    yield from _notes(state, step)


def given(prompt: Prompt) -> Iterator[Section]:
    """What a model call was given, as its messages, with the tools that were offered beside those it chose."""
    if not prompt.exact:
        yield Section("not exactly", "text", prompt.difference)
    request = prompt.request
    instructions = [{"role": "instructions", "text": request.instructions}] if request.instructions else []
    yield Section("prompt", "messages", [*instructions, *map(_message, request.messages)])
    if request.tools:
        offered = {tool.name: tool.model_dump(mode="json", exclude={"name"}) for tool in request.tools}
        yield Section("offered", "json", offered)


def came_from(state: State, step: str) -> Iterator[Section]:
    """Where a call's arguments came from, for who opens one row: it looks through everything before."""
    call = state.calls.get(step)
    found = origins(state, step) if call is not None and not call.is_step else {}  # a step's wiring says so
    if found:
        yield Section(
            "the arguments came from", "text", "\n".join(f"{path}: {origin}" for path, origin in found.items())
        )


def in_python(run_id: str, state: State, step: str) -> Section:
    """How a notebook or a script goes on from a row."""
    run = f"ak.open_log().run({run_id!r})"
    if step in state.models:
        return Section("in Python", "text", f"{run}.prompt({step!r})")
    if step in state.calls:
        what = f"{run}[{step!r}]" if state.calls[step].is_step else f"{run}.state.calls[{step!r}]"
        return Section("in Python", "text", what)
    return Section("in Python", "text", run)


def _message(message: Message) -> dict[str, Any]:
    if isinstance(message, AssistantMessage):
        calls = [{"name": call.name, "arguments": call.arguments} for call in message.tool_calls]
        called = ", ".join(call.name for call in message.tool_calls)
        return {"role": "assistant", "text": message.text or f"calls {called}", "parts": calls}
    role = f"tool {message.name}" if isinstance(message, ToolMessage) else message.role
    if isinstance(message.content, str):
        return {"role": role, "text": message.content}
    whole = message.model_dump(mode="json")["content"]
    return {"role": role, "text": canonical(whole).decode()}


def _ask(state: State, step: str) -> Iterator[Section]:
    ask = state.asks[step]
    if ask.conversation is not None and ask.conversation.messages:
        yield Section("prompt", "json", ask.conversation.messages[0].model_dump(mode="json", exclude_defaults=True))
    if ask.outcome == "ok":
        yield Section("answer", "json", ask.result)
    yield from _errors((ask.error,) if ask.error is not None else ())


def _call(state: State, call: CallStep) -> Iterator[Section]:
    if call.why:
        yield Section("why", "text", call.why)
    if call.instead_of:
        yield Section("instead of", "text", call.instead_of)
    given = call.arguments if call.arguments is not None else call.raw
    if given is not None:
        yield Section("arguments", "json", given)
    for asked in state.approvals.values():
        if asked.step == call.step:
            yield from _approval(asked)
    yield from _errors(call.errors)
    yield from _outcome(state, call)
    yield from _notes(state, call.step)


def _outcome(state: State, call: CallStep) -> Iterator[Section]:
    if call.due is not None and call.status == "waiting":
        yield Section("next attempt", "text", f"due at {call.due:%H:%M:%S} UTC")
    if call.effect == "unknown":
        yield Section("effect unknown", "text", "it may have happened; a person is asked before this runs again")
    if call.outcome == "ok" and call.step not in state.fans:
        yield Section("result", "json", call.result)
    if call.told_by:
        yield Section("told by", "text", call.told_by)
    if call.cached_from:
        yield Section("from the cache", "text", f"run {call.cached_from}")
    if call.key:
        yield Section("idempotency key", "text", call.key)


def _approval(asked: Approval) -> Iterator[Section]:
    if asked.verdict is None:
        since = f"pending since {asked.requested_at:%Y-%m-%d %H:%M} UTC"
        yield Section("waits for a person", "text", f"{asked.prompt}\n{since}")
        yield from _takes(asked)
    else:
        when = f"{asked.answered_at:%Y-%m-%d %H:%M:%S} UTC" if asked.answered_at is not None else ""
        said = {"verdict": asked.verdict, "by": asked.who, "at": when, "comment": asked.comment, "edits": asked.edits}
        yield Section("approval", "json", {name: value for name, value in said.items() if value})
    if asked.because not in {None, "policy"}:
        yield Section("asked because", "text", asked.because or "")
    if asked.shows:
        yield Section("what to know", "json", asked.shows)


def _takes(asked: Approval) -> Iterator[Section]:
    """What the tool says of itself and takes: who edits the arguments by a command has no form that knows it."""
    if about := _about(asked):
        yield Section("what the tool says of itself", "text", about)
    if asked.offered is None or not (fields := arguments(asked.offered.parameters)):
        return
    takes = {name: in_words(field, asked.offered.parameters) for name, field in fields.items()}
    means = {name: f" · {said}" if (said := field.get("description")) else "" for name, field in fields.items()}
    yield Section("what it takes", "text", "\n".join(f"{name}: {takes[name]}{means[name]}" for name in fields))


def _errors(errors: tuple[ErrorInfo, ...]) -> Iterator[Section]:
    for number, error in enumerate(errors[-10:], 1):
        yield Section("error" if len(errors) == 1 else f"error {number}", "error", _error(error))


def _error(error: ErrorInfo) -> dict[str, Any]:
    return error.model_dump(mode="json", exclude_defaults=True)


def _notes(state: State, step: str | None) -> Iterator[Section]:
    for where, text, data in state.notes:
        if where == step:
            yield Section("note", "json", {"text": text, "data": data} if data is not None else text)


def card(state: State, asked: Approval) -> dict[str, Any]:
    """One question with everything that a person should see before answering, JSON."""
    call = state.calls.get(asked.step or "")
    return {
        "id": asked.id,
        "run_id": asked.run_id,
        "run": state.name,
        "kind": asked.kind,
        "name": asked.name,
        "step": asked.step,
        "prompt": asked.prompt,
        "arguments": asked.arguments,
        "why": asked.why,
        "instead_of": call.instead_of if call is not None else None,
        "because": asked.because,
        "shows": asked.shows,
        "schema": _schema(asked),
        "about": _about(asked),
        "origins": {path: str(origin) for path, origin in origins(state, asked.step or "").items()},
        "options": list(asked.options),
        "since": seconds(asked.requested_at),
        "expires": seconds(asked.expires),
    }


def _about(asked: Approval) -> str:
    """What the tool's docstring says beyond its first line, which the question has."""
    return asked.offered.description.strip().partition("\n")[2].strip() if asked.offered is not None else ""


def _schema(asked: Approval) -> dict[str, Any]:
    """The JSON schemas of the arguments that may be edited, by their names; those of the budget for more of it."""
    if asked.kind == "budget":
        return {"usd": {"type": "number", "minimum": 0}, "model_calls": {"type": "integer", "minimum": 1}}
    return arguments(asked.offered.parameters) if asked.offered is not None else {}
