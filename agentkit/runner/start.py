"""Starting, resuming and forking runs."""

from collections.abc import Iterable
from typing import Any

from agentkit import registry
from agentkit.definition import Definition
from agentkit.errors import ConfigError, ForkError, ResumeError
from agentkit.events import Event, Origin, ParentWrite, ToolFailed, ToolStarted, ToolSucceeded
from agentkit.ids import new_id
from agentkit.jsonvalue import as_json
from agentkit.policy import Budget
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.family import run_started
from agentkit.runner.load import check_definition, load_state
from agentkit.runner.watch import watch
from agentkit.state import State
from agentkit.store import Store


def start(
    store: Store,
    definition: Definition,
    given: Any,
    *,
    deps: Any = None,
    after: str | None = None,
    tags: Iterable[str] = (),
    session: str | None = None,
    user: str | None = None,
    item: dict[str, Any] | None = None,
) -> Driver:
    """Begin a run; it executes in the background.

    Args:
        store: the log.
        definition: the agent.
        given: the input: text, message parts, or any JSON value.
        deps: for `ctx.deps`; never in the log.
        after: the id of an ended run whose conversation goes on.
        tags: recorded with the run.
        session: recorded with the run.
        user: recorded with the run.
        item: of a batch: `item`, the key by which it is found, and `index`.

    Raises:
        LogError: the log cannot be used; nothing was started.
        EncodingError: the input is not JSON, or a label holds text that the log cannot.
        ConfigError: the run to go on after has not ended, or a label is no text.
    """
    given_labels = labels(tags, session, user)
    base, origin = None, None
    if after is not None:
        base = load_state(store, after)
        if not base.ended:
            raise ConfigError(f"run {after} has not ended ({base.status}); a follow-up needs its last answer")
        origin = Origin(kind="after", run_id=after, seq=base.seq)
    started = run_started(
        definition,
        as_json(given, "input"),
        origin=origin,
        process=store.process,
        item=item,
        **given_labels,
    )
    driver = Driver(store, new_id(), definition, deps=deps)
    claim = store.claim(driver.run_id, new=True)
    engine().spawn(driver.start(driver.begin(claim, started, base)))
    return driver


def labels(tags: Any, session: Any, user: Any) -> dict[str, Any]:
    """What a run is found by, as `run_started` records it.

    Raises:
        ConfigError: one of them is no text.
        EncodingError: one holds text that the log cannot.
    """
    given = (tags,) if isinstance(tags, str) else tuple(tags)
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in given):
        raise ConfigError(f"tags={tags!r}: give a list of texts")
    if wrong := [label for label in (session, user) if not isinstance(label, str | None)]:
        raise ConfigError(f"session and user are texts, not {wrong[0]!r}")
    found = {"tags": given, "session": session, "user": user}
    for name, label in found.items():
        as_json(label, name)
    return found


def resume(
    store: Store, run_id: str, definition: Definition, *, deps: Any = None, budget: Budget | None = None
) -> Driver:
    """Go on with a run in this process, in the background.

    Raises:
        RunNotFound: no such run.
        ResumeError: the definition contradicts what is recorded.
    """
    check_definition(definition, load_state(store, run_id))
    driver = Driver(store, run_id, definition, deps=deps)
    driver.before = engine().call(lambda: watch.take_over(driver))
    engine().spawn(driver.resume(budget))
    return driver


def fork(store: Store, run_id: str, at: Any, definition: Definition, *, deps: Any = None) -> Driver:
    """Begin a new run that shares another's events up to `at`.

    Args:
        store: the log.
        run_id: the parent.
        at: the last shared seq.
        definition: the agent that goes on; it may differ from the parent's.
        deps: for `ctx.deps`.

    Raises:
        ForkError: something is in flight there, or the parent has ended by then.
        RunNotFound: no such run.
    """
    if type(at) is not int:
        raise ForkError(f"a run is forked at the seq of an event, a number, not at {at!r}; run.events() lists them")
    if at < 1:
        raise ForkError(f"a fork shares its parent's first event at least; run {run_id} cannot be forked at {at}")
    base = load_state(store, run_id, until=at)
    if base.seq != at:
        raise ForkError(f"run {run_id} has {base.seq} events, so it cannot be forked at {at}")
    if base.ended:
        raise ForkError(f"run {run_id} has ended at seq {at}; fork it earlier, or start a new run with after=")
    if flying := _flying(base):
        raise ForkError(
            f"at seq {at} of run {run_id} {', '.join(flying)} is in flight; "
            f"fork it at {_nearest(store, run_id, at)}, the nearest seq before that"
        )
    check_definition(definition, base)
    later = _writes_after(base, store.read(run_id, after=at))
    started = run_started(
        definition,
        base.input,
        origin=Origin(kind="fork", run_id=run_id, seq=at, later_writes=later),
        tags=base.tags,
        session=base.session,
        user=base.user,
        process=store.process,
    )
    driver = Driver(store, new_id(), definition, deps=deps)
    claim = store.claim(driver.run_id, new=True)
    engine().spawn(driver.start(driver.begin(claim, started, base)))
    return driver


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


def find_definition(state: State) -> Definition:
    """The agent of a run: among those defined in this process, else where `run_started` says it is.

    Raises:
        ResumeError: it is nowhere; the message says what to run.
    """
    owner: Any = registry.defined(state.name)
    if owner is None and state.module is not None:
        try:
            owner = registry.load(state.module)
        except ConfigError as error:
            raise ResumeError(
                f"run {state.run_id} belongs to {state.name!r}, defined in {state.module}, which does not load here: "
                f"{error}. Start Python where that module can be imported, then ak.resume({state.run_id!r})"
            ) from error
    if owner is None:
        raise ResumeError(
            f"run {state.run_id} belongs to {state.name!r}, which is not defined in this process. "
            f"Run the cell or module that defines Agent({state.name!r}, …), then ak.resume({state.run_id!r})"
        )
    return owner.definition
