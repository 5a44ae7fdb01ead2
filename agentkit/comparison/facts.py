"""What a run did, step by step, as values that can be held against another run's.

Ids, times, tokens and money are no part of it: two runs that do the same have equal facts.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from agentkit.jsonvalue import canonical
from agentkit.messages import AssistantMessage, Message, ToolCall, Usage
from agentkit.render.paths import every_path
from agentkit.state import Ask, CallStep, ModelStep, State
from agentkit.wiring import turns

Facts: TypeAlias = dict[str, Any]  # what it is called → JSON; in the order in which one leads to the next


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one run.

    Args:
        path: where it is in the run, for example "tool/refund/2".
        kind: "model", "tool", "step" or "ask".
        name: the model, the tool or the pipeline's step.
        facts: what it was given and what it did.
        started: when its first attempt began.
        seconds: how long it took; None where it did not end.
        usage: what its model calls used.
        attempts: how often it was tried.
    """

    path: str
    kind: str
    name: str
    facts: Facts
    started: datetime | None
    seconds: float | None
    usage: Usage
    attempts: int


def beginning(state: State) -> Facts:
    """What a run began with: its input and its definition."""
    header = state.header
    return {
        "input": state.input,
        "name": state.name,
        "instructions": header.instructions,
        "models": state.config.get("models"),
        "parameters": header.parameters,
        "tools": {tool.offered.name: tool.offered.model_dump(mode="json") for tool in header.tools},
        "code": {tool.offered.name: tool.source_sha256[:8] for tool in header.tools},
        "output type": header.output.model_dump(mode="json") if header.output is not None else None,
        "steps": {name: step.get("needs") for name, step in state.config.get("steps", {}).items()},
    }


def end(state: State) -> Facts:
    """What became of a run."""
    error = {"type": state.error.type, "message": state.error.message} if state.error is not None else None
    return {"status": state.status, "output": state.output, "error": error}


def steps(state: State) -> dict[str, Step]:
    """Every step of a run that began, by its path, in the order in which they are shown."""
    prompts = dict(_prompts(state))
    found = (_step(state, path, prompts) for path in every_path(state))
    return {step.path: step for step in found if step is not None}


def _step(state: State, path: str, prompts: dict[str, str]) -> Step | None:
    if path in state.models:
        return _model(state, path, prompts.get(path))
    if path in state.asks:
        return _ask(state, state.asks[path])
    if path in state.calls:
        return _call(state, state.calls[path])
    if path in state.skipped:
        because, on = state.skipped[path]
        return Step(path, "step", path, {"skipped": on or because}, None, None, Usage(), 0)
    return None


def _model(state: State, path: str, prompt: str | None) -> Step:
    model = state.models[path]
    calls = [state.calls[step] for step in model.calls]
    facts: Facts = {
        "model": model.name,
        "prompt": prompt,
        "answer": model.text,
        "calls": [{"name": call.name, "arguments": call.raw} for call in calls],
        "refused": [{"by": check, "because": error.message} for check, error in model.refusals],
        "error": None if model.error is None else {"type": model.error.type, "message": model.error.message},
    }
    attempts = max(1, model.attempt)
    return Step(path, "model", model.name, facts, model.started, _seconds(model), model.usage, attempts)


def _ask(state: State, ask: Ask) -> Step:
    asked = [model for _, model in turns(state, ask.step)]
    usage = sum((model.usage for model in asked), Usage())
    error = None if ask.error is None else {"type": ask.error.type, "message": ask.error.message}
    facts: Facts = {"question": ask.request_sha256, "result": ask.result, "error": error}
    started, ended = (asked[0].started, asked[-1].ended) if asked else (None, None)
    seconds = (ended - started).total_seconds() if started is not None and ended is not None else None
    return Step(ask.step, "ask", ask.step.rpartition("/ask/")[0], facts, started, seconds, usage, len(asked))


def _call(state: State, call: CallStep) -> Step:
    said = [asked for asked in state.approvals.values() if asked.step == call.step and asked.verdict is not None]
    facts: Facts = {
        "inputs": call.input_sha256 or None,
        "arguments": call.arguments if call.arguments is not None else call.raw,
        "why": call.why,
        "person": [{"verdict": one.verdict, "edits": one.edits, "answer": one.value} for one in said],
        "outcome": call.outcome or call.status,
        "error": None if call.error is None else {"type": call.error.type, "message": call.error.message},
        "result": None if call.step in state.fans else call.result,  # a fan-out's are its items'
    }
    kind = "step" if call.is_step else "tool"
    return Step(call.step, kind, call.name, facts, call.started, _seconds(call), Usage(), max(1, call.attempt))


def _seconds(step: ModelStep | CallStep) -> float | None:
    if step.started is None or step.ended is None:
        return None
    return (step.ended - step.started).total_seconds()


def _prompts(state: State) -> Iterator[tuple[str, str]]:
    """The digest of what each model call of an agent was told, without the ids that every provider makes up anew."""
    answered = iter([step for step, model in state.models.items() if model.status == "done" and "/ask/" not in step])
    chain = ""
    for index, message in enumerate(state.messages):
        if isinstance(message, AssistantMessage) and index >= state.asked_at:
            yield next(answered, ""), chain
        chain = hashlib.sha256(f"{chain}{canonical(plain(message)).decode()}".encode()).hexdigest()


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON, without ids."""
    said = message.model_dump(mode="json", exclude={"call_id", "tool_calls", "reasoning"}, exclude_defaults=True)
    if isinstance(message, AssistantMessage):
        said["calls"] = [called(call) for call in message.tool_calls]
    return {"role": message.role, **said}


def called(call: ToolCall) -> dict[str, Any]:
    """A proposed call as JSON, without its id."""
    return {"name": call.name, "arguments": call.arguments, **call.reported}
