"""How a run begins: empty, after another one, as a fork of it, or as the agent that takes over from a pipeline."""

from dataclasses import replace
from typing import Any

from agentkit.errors import LogCorrupt
from agentkit.events import Event, RunStarted
from agentkit.fold.conversation import EFFECT_UNKNOWN, content, result_content, say, set_header
from agentkit.fold.deopt import take_over
from agentkit.fold.forks import take_steps
from agentkit.messages import ToolMessage, UserMessage
from agentkit.policy import Budget
from agentkit.state import CallStep, State, UnknownEffect

NOT_RUN = "not run: the run ended before"
CUT_SHORT = "the run ended before this was finished"


def begin(base: State | None, event: Event, body: RunStarted) -> State:
    """The state of a run that just started: empty, or with what a fork or a follow-up takes from `base`."""
    if event.seq != 1:
        raise LogCorrupt(f"run_started of run {event.run_id} has seq {event.seq}, not 1")
    if (body.origin is None) != (base is None):
        raise LogCorrupt(
            f"run {event.run_id} begins with the events of run {body.origin.run_id if body.origin else '(none)'}, "
            "which have to be folded first"
        )
    fresh = State(
        run_id=event.run_id,
        seq=1,
        name=event.name or "",
        kind=body.kind,
        started_at=event.ts,
        module=body.module,
        definition_sha256=body.definition_sha256,
        config=body.config,
        input=body.input,
        parent_run_id=event.parent_run_id,
        parent_step=body.parent_step,
        origin=body.origin,
        tags=body.tags,
        session=body.session,
        user=body.user,
        submitted=body.submitted,
        queued=body.submitted,
        status="waiting" if body.submitted else "running",
        budget=Budget.model_validate(body.config.get("budget", {})),
    )
    set_header(fresh, body.header)
    if base is not None and body.origin is not None and body.origin.kind == "deopt":
        take_over(fresh, base)
        return fresh
    if base is not None:
        _take_conversation(fresh, base)
        later = body.origin.later_writes if body.origin is not None else ()
        fresh.parent_writes = (*base.parent_writes, *later)
    if body.kind == "pipeline":
        if base is not None:
            take_steps(fresh, base.copy(), body.origin.again if body.origin is not None else ())
        return fresh
    if base is not None and body.origin is not None and body.origin.kind == "fork":
        _take_steps(fresh, base.copy())
    else:
        if base is not None:
            _close_turn(fresh, base)
            fresh.unknown = _left_unknown(base)
        fresh.asked_at = len(fresh.messages)
        say(fresh, UserMessage(content=content(body.input)))
    return fresh


def _take_conversation(fresh: State, base: State) -> None:
    fresh.messages = list(base.messages)
    fresh.message_tokens = list(base.message_tokens)
    fresh.tokens, fresh.chain, fresh.trimmed_to = base.tokens, base.chain, base.trimmed_to
    fresh.asked_at = base.asked_at


def _close_turn(fresh: State, base: State) -> None:
    """A follow-up of a run that ended between calls and their results: no provider takes calls without results."""
    last = base.answer()
    if last is None or not last.tool_calls:
        return
    for call in (base.calls[step] for step in base.open_calls):
        said = result_content(call) if call.status == "done" else _unfinished(base, call)
        say(fresh, ToolMessage(call_id=call.call_id, name=call.name, content=said, is_error=call.outcome != "ok"))


def _unfinished(base: State, call: CallStep) -> dict[str, Any]:
    if call.attempt == 0:
        return {"error": {"type": "NotRun", "message": NOT_RUN}}
    said = {"type": "NotFinished", "message": CUT_SHORT}
    return {"error": {**said, "effect": EFFECT_UNKNOWN} if call.name in _writes(base) else said}


def _left_unknown(base: State) -> list[UnknownEffect]:
    """The writes of which nobody knew what they did when `base` ended. Its steps are named apart from the new run's."""
    writes = _writes(base)
    cut_short = [
        UnknownEffect(call.step, call.name, call.arguments, call.key, CUT_SHORT)
        for call in (base.calls[step] for step in base.open_calls)
        if call.status != "done" and call.attempt >= 1 and call.name in writes
    ]
    return [
        replace(effect, step=f"{base.run_id}/{effect.step}") if effect.step in base.calls else replace(effect)
        for effect in (*base.unknown, *cut_short)
    ]


def _writes(state: State) -> set[str]:
    return {tool.offered.name for tool in state.header.tools if tool.writes}


def _take_steps(fresh: State, base: State) -> None:
    """A fork goes on from its parent's steps; what a person said and was not used yet is asked for again."""
    fresh.models, fresh.calls, fresh.occurrences = base.models, base.calls, base.occurrences
    fresh.turn, fresh.open_calls, fresh.undecided = base.turn, base.open_calls, base.undecided
    fresh.checked, fresh.refused = base.checked, base.refused
    fresh.reasks, fresh.reask_error = base.reasks, base.reask_error
    fresh.unknown, fresh.repeats = base.unknown, base.repeats
    fresh.looping, fresh.loop_told = base.looping, base.loop_told
    fresh.approvals = {key: asked for key, asked in base.approvals.items() if asked.verdict is not None}
    for step in fresh.open_calls:
        call = fresh.calls[step]
        if call.status in {"asked", "cleared", "answered"}:
            _forget_answer(call)


def _forget_answer(call: CallStep) -> None:
    """A call that never ran is as the model proposed it; one that was started may have had its effect."""
    call.approval, call.cleared_digest = None, None
    if call.attempt >= 1:
        call.status, call.arguments = "interrupted", call.ran_with
    else:
        call.status, call.arguments, call.edited = "proposed", None, False
