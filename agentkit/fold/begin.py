"""How a run begins: empty, after another one, or as a fork of it."""

from agentkit.errors import LogCorrupt
from agentkit.events import Event, RunStarted
from agentkit.fold.conversation import content, rechain, say, set_header
from agentkit.messages import UserMessage
from agentkit.policy import Budget
from agentkit.state import State


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
        budget=Budget.model_validate(body.config.get("budget", {})),
    )
    set_header(fresh, body.header)
    if base is not None:
        _take_conversation(fresh, base)
    if base is not None and body.origin is not None and body.origin.kind == "fork":
        _take_steps(fresh, base.copy())
        fresh.parent_writes = body.origin.later_writes
    else:
        fresh.asked_at = len(fresh.messages)
        say(fresh, UserMessage(content=content(body.input)))
    return fresh


def _take_conversation(fresh: State, base: State) -> None:
    fresh.messages = list(base.messages)
    fresh.message_tokens = list(base.message_tokens)
    fresh.tokens, fresh.chain, fresh.trimmed_to = base.tokens, base.chain, base.trimmed_to
    fresh.asked_at = base.asked_at
    last = base.answer()
    is_fork = fresh.origin is not None and fresh.origin.kind == "fork"
    if last is not None and last.tool_calls and not is_fork:  # no provider takes calls that have no results
        fresh.messages.pop()
        fresh.message_tokens.pop()
        rechain(fresh)


def _take_steps(fresh: State, base: State) -> None:
    """A fork goes on from its parent's steps; approvals that were not used yet are asked for again."""
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
            call.status, call.approval, call.cleared_digest, call.edited = "proposed", None, None, False
