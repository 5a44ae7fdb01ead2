"""Forks: a new run that begins with another's events, up to a seq, or but for the steps that it does again."""

from collections.abc import Mapping
from typing import Any, cast

from agentkit import wiring
from agentkit.definition import DEOPT, Definition, InvalidArguments, PipelineDefinition
from agentkit.definition.predicting import refuse_runs
from agentkit.errors import ForkError
from agentkit.events import Event, Origin, ParentWrite, ToolFailed, ToolStarted, ToolSucceeded
from agentkit.ids import new_id
from agentkit.jsonvalue import as_json
from agentkit.runner import observe
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.family import run_started
from agentkit.runner.load import check_definition, load_state
from agentkit.state import CallStep, State
from agentkit.store import Store


def fork(
    store: Store,
    run_id: str,
    at: Any,
    definition: Definition,
    *,
    given: Mapping[str, Any] | None = None,
    deps: Any = None,
) -> Driver:
    """Begin a new run that shares another's events.

    Args:
        store: the log.
        run_id: the parent.
        at: the last shared seq; of a pipeline, a step or an item ("classify[17]") from which on it is done again, or
            None for what changed since or failed.
        definition: the agent or pipeline that goes on; it may differ from the parent's.
        given: inputs of a pipeline that are other ones.
        deps: for `ctx.deps`.

    Raises:
        ForkError: something is in flight there, or the parent has ended by then.
        RunNotFound: no such run.
    """
    refuse_runs()
    if isinstance(definition, PipelineDefinition):
        base, origin, input_ = _of_a_pipeline(store, run_id, at, definition, given or {})
    else:
        if given:
            raise ForkError("only a pipeline is forked with other inputs; give an agent's run another message: after=")
        base, origin = _of_an_agent(store, run_id, at, definition)
        input_ = base.input
    started = run_started(
        definition,
        input_,
        origin=origin,
        tags=base.tags,
        session=base.session,
        user=base.user,
        process=store.process,
        traceparent=observe.traceparent(),
    )
    driver = Driver(store, new_id(), definition, deps=deps)
    claim = store.claim(driver.run_id, new=True)
    engine().spawn(driver.start(driver.begin(claim, started, base)))
    return driver


# an agent's ----------------------------------------------------------------------------------------------------------


def _of_an_agent(store: Store, run_id: str, at: Any, definition: Definition) -> tuple[State, Origin]:
    base = _until(store, run_id, at)
    if base.ended:
        raise ForkError(f"run {run_id} has ended at seq {at}; fork it earlier, or start a new run with after=")
    if flying := _flying(base):
        raise ForkError(
            f"at seq {at} of run {run_id} {', '.join(flying)} is in flight; "
            f"fork it at {_nearest(store, run_id, at)}, the nearest seq before that"
        )
    check_definition(definition, base)
    later = _writes_after(base, store.read(run_id, after=at))
    return base, Origin(kind="fork", run_id=run_id, seq=at, later_writes=later)


def _until(store: Store, run_id: str, at: Any) -> State:
    """The run as it was at a seq."""
    if type(at) is not int:
        raise ForkError(f"a run is forked at the seq of an event, a number, not at {at!r}; run.events() lists them")
    if at < 1:
        raise ForkError(f"a fork shares its parent's first event at least; run {run_id} cannot be forked at {at}")
    base = load_state(store, run_id, until=at)
    if base.seq != at:
        raise ForkError(f"run {run_id} has {base.seq} events, so it cannot be forked at {at}")
    return base


def _nearest(store: Store, run_id: str, at: int) -> int:
    """The last seq before `at` where a fork can begin."""
    return next(seq for seq in range(at - 1, 0, -1) if not _flying(load_state(store, run_id, until=seq)))


def _flying(base: State) -> list[str]:
    """What a fork cannot begin in the middle of; at seq 1 nothing runs: what is interrupted there, the parent left."""
    if base.seq == 1:
        return []
    return base.in_flight or [step for step in base.open_calls if base.calls[step].status == "interrupted"]


def _writes_after(base: State, events: list[Event]) -> tuple[ParentWrite, ...]:
    """The writes that the parent began after the fork's point, each with what became of it."""
    writes = {tool.offered.name for tool in base.header.tools if tool.writes}
    begun: dict[str, ParentWrite] = {}
    for event in events:
        step, body = event.step or "", event.body
        if isinstance(body, ToolStarted) and event.name in writes:
            begun[step] = ParentWrite(step=step, name=event.name or "", arguments=body.arguments)
        elif step in begun and isinstance(body, ToolSucceeded):
            begun[step] = begun[step].model_copy(update={"outcome": {"result": body.result}})
        elif step in begun and isinstance(body, ToolFailed):
            outcome = {"error": body.error.message, "effect": body.effect}
            begun[step] = begun[step].model_copy(update={"outcome": outcome})
    return tuple(begun.values())


# a pipeline's --------------------------------------------------------------------------------------------------------


def _of_a_pipeline(
    store: Store, run_id: str, at: Any, definition: PipelineDefinition, given: Mapping[str, Any]
) -> tuple[State, Origin, Any]:
    """What is shared, which steps are done again, and with what input."""
    whole = load_state(store, run_id)
    base = _until(store, run_id, at) if isinstance(at, int) else whole
    if definition.name != base.name:
        raise ForkError(f"run {run_id} is one of {base.name!r}, not of {definition.name!r}")
    holder = store.holder(run_id)
    if not whole.ended and whole.status != "paused" and holder is not None and holder.activity == "executing":
        raise ForkError(f"run {run_id} is executing ({holder}); fork it when it has ended, or pause it")
    input_ = _changed_input(definition, base, given)
    changed = {name for name, value in input_.items() if value != cast("dict[str, Any]", base.input).get(name)}
    roots = _chosen(definition, base, at) | _unfinished(definition, base)
    if at is None:
        roots |= _redefined(definition, base) | definition.below(changed)
        if not roots:
            raise ForkError(
                f"nothing of run {run_id} failed, and no step or input changed since: say from which step on it is to "
                f"be done again, at=… ({', '.join(definition.steps)})"
            )
    roots |= definition.below(changed)
    again = roots | definition.below({root.partition("[")[0] for root in roots})
    later = (*_writes_again(definition, whole, again), *_writes_of_agent(store, definition, whole))
    origin = Origin(
        kind="fork",
        run_id=run_id,
        seq=base.seq,
        later_writes=later,
        again=tuple(sorted(again)),
        changed=tuple(sorted(changed)),
    )
    return base, origin, input_


def _changed_input(definition: PipelineDefinition, base: State, given: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        name: value for name, value in cast("dict[str, Any]", base.input).items() if name in definition.inputs.names
    }
    said = {**known, **{name: as_json(value, name) for name, value in given.items()}}
    try:
        return definition.inputs.to_json(definition.inputs.validate(said))
    except InvalidArguments as error:
        problem = "; ".join(f"{each.get('path') or 'input'}: {each.get('problem')}" for each in error.errors)
        takes = ", ".join(definition.inputs.names) or "none"
        raise ForkError(f"{definition.name}: {problem} (inputs: {takes}); give input={{…}}") from error


def _chosen(definition: PipelineDefinition, base: State, at: Any) -> set[str]:
    """The step or the item that the user named."""
    if at is None or isinstance(at, int):
        return set()
    step = str(at).partition("[")[0]
    if step not in definition.steps or (at != step and at not in base.calls):
        fan = base.fans.get(step)
        items = f"; {step} has items [0] to [{fan.total - 1}]" if fan is not None and fan.total else ""
        raise ForkError(f"{definition.name} has no step {at!r}: {', '.join(definition.steps)}{items}")
    return {str(at)}


def _unfinished(definition: PipelineDefinition, base: State) -> set[str]:
    """What had not ended, or had failed: of a fan-out only the items that did."""
    found: set[str] = set()
    for path, call in base.calls.items():
        if "/" in path or path.partition("[")[0] not in definition.steps:
            continue
        fan = base.fans.get(path)
        if fan is not None:
            if call.status == "done" and call.outcome != "ok":
                found |= {f"{path}[{index}]" for index in fan.failed}
        elif call.status != "done" or (call.outcome != "ok" and not path.endswith("]")):
            found.add(path)
    return found


def _redefined(definition: PipelineDefinition, base: State) -> set[str]:
    """The steps whose source, schema or wiring is not what it was."""
    before = {fact.offered.name: fact for fact in base.header.tools}
    now = {fact.offered.name: fact for fact in definition.header.tools}
    graph = cast("dict[str, Any]", base.config.get("steps", {}))
    drawn = cast("dict[str, Any]", definition.config["steps"])
    return {
        name
        for name in definition.steps
        if name in before and (now[name] != before[name] or drawn[name] != graph.get(name))
    }


def _writes_again(definition: PipelineDefinition, whole: State, again: set[str]) -> tuple[ParentWrite, ...]:
    """The writes that the parent began and the fork does again, each with what became of it."""
    writes = {tool.offered.name for tool in whole.header.tools if tool.writes}
    found: list[ParentWrite] = []
    for path, call in whole.calls.items():
        step = path.partition("/")[0]
        dropped = step in again or step.partition("[")[0] in again
        if dropped and call.attempt >= 1 and (call.writes or (call.is_step and call.name in writes)):
            found.append(
                ParentWrite(
                    step=path, name=call.name, arguments=_arguments(definition, whole, call), outcome=_outcome(call)
                )
            )
    return tuple(found)


def _writes_of_agent(store: Store, definition: PipelineDefinition, whole: State) -> tuple[ParentWrite, ...]:
    """What the agent that took over wrote, by the names that the pipeline has for it: its tools', and its steps'."""
    call = whole.calls.get(DEOPT)
    if call is None or call.child_run_id is None or not store.read(call.child_run_id, until=1):
        return ()
    agent = load_state(store, call.child_run_id)
    writes = {tool.offered.name for tool in agent.header.tools if tool.writes}
    steps: dict[str, list[str]] = {}
    for name, step in definition.steps.items():
        steps.setdefault(step.tool.schema.name, []).append(name)
    return tuple(
        ParentWrite(step=f"{DEOPT}/{made.step}", name=name, arguments=made.arguments, outcome=_outcome(made))
        for made in agent.calls.values()
        if made.name in writes and made.attempt >= 1
        for name in dict.fromkeys([made.name, *steps.get(made.name, ())])
    )


def _arguments(definition: PipelineDefinition, whole: State, call: CallStep) -> Any:
    if call.arguments is not None or not call.is_step:
        return call.arguments if call.arguments is not None else call.raw
    try:
        return wiring.arguments(definition, whole, call.step)
    except (KeyError, IndexError):  # the graph is another one now
        return None


def _outcome(call: CallStep) -> Any:
    if call.outcome == "ok":
        return {"result": call.result}
    return {"error": call.error.message, "effect": call.effect} if call.error is not None else None
