"""Starting and resuming runs."""

from collections.abc import Iterable
from typing import Any, cast

from agentkit import registry
from agentkit.definition import Definition, PipelineDefinition
from agentkit.definition.predicting import refuse_runs
from agentkit.errors import ConfigError, EncodingError, ResumeError
from agentkit.events import Origin, RunResumed, RunStarted
from agentkit.ids import new_id
from agentkit.jsonvalue import as_json
from agentkit.policy import Budget
from agentkit.redact import Redactor
from agentkit.runner import observe
from agentkit.runner.claiming import claim_run
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.family import run_started
from agentkit.runner.load import check_definition, load_state
from agentkit.runner.recorder import Recorder, tell_nobody
from agentkit.runner.watch import watch
from agentkit.state import State
from agentkit.store import Claim, Store


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
        ConfigError: the run to go on after has not ended, or a label is no text; or it would start where writes are
            only predicted.
    """
    refuse_runs()
    started, base = _first_event(store, definition, given, after, item=item, **labels(tags, session, user))
    driver = Driver(store, new_id(), definition, deps=deps)
    claim = store.claim(driver.run_id, new=True)
    engine().spawn(driver.start(driver.begin(claim, started, base)))
    return driver


def submit(
    store: Store,
    definition: Definition,
    given: Any,
    *,
    after: str | None = None,
    tags: Iterable[str] = (),
    session: str | None = None,
    user: str | None = None,
    item: dict[str, Any] | None = None,
) -> str:
    """Record a run that a worker is to execute; the arguments are those of `start`.

    It is in the queue before its first event is on disk: of a process that dies between the two nothing is left but a
    place in the queue, which the worker who comes to it removes.

    Returns:
        The run's id.

    Raises:
        ConfigError: no worker can import the definition. And what `start` raises.
    """
    refuse_runs()
    refuse_notebooks(definition.name, definition.module)
    more = labels(tags, session, user)
    started, base = _first_event(store, definition, given, after, submitted=True, item=item, **more)
    run_id = new_id()
    store.queue.put(run_id, definition.name)
    try:
        claim = store.claim(run_id, new=True)
        _leave(store, claim, base, started, definition.name, definition.redactor)
    except EncodingError:  # of any other error nobody knows whether the event is on disk
        store.queue.remove(run_id)
        raise
    return run_id


def hand_over(store: Store, state: State, driver: Driver | None, budget: Budget | None) -> Driver | None:
    """Leave a run that nobody executes to the workers.

    Args:
        store: the log.
        state: the run's.
        driver: what watches it here, if anything does.
        budget: what the run is to have, which only who resumes it here can give.

    Returns:
        The driver, where it goes on here after all: it was answered just now.

    Raises:
        ConfigError: no worker can import its definition; or there is a budget.
        RunClaimed: somebody executes it.
        LogError: the log cannot be used.
    """
    refuse_notebooks(state.name, state.module)
    if budget is not None:
        raise ConfigError("submit=True leaves the run to workers as it is; resume it here to give it another budget")
    if driver is not None and not engine().call(driver.let_go):
        return driver
    store.unwatch(state.run_id)
    claim = claim_run(store, state.run_id)
    try:
        state = load_state(store, state.run_id)
        if not store.queue.wake(state.run_id):
            store.queue.put(state.run_id, state.name)
    except BaseException:
        store.release(claim)
        raise
    _leave(store, claim, state, RunResumed(submitted=True), state.name, Redactor())
    store.queue.wake(state.run_id)  # a worker that came in between put it to sleep again
    return None


def _leave(
    store: Store, claim: Claim, state: State | None, body: RunStarted | RunResumed, name: str, redactor: Redactor
) -> None:
    """Record that a run waits for a worker, and give it back."""
    try:
        recorder = Recorder(store, claim, state, tell_nobody, redactor)
        recorder.record(body, name=name, status="waiting")
        recorder.settle()
    finally:
        store.release(claim)


def refuse_notebooks(name: str, module: str | None) -> None:
    """Refuse to leave to workers what none of them can import.

    Args:
        name: the agent's or pipeline's.
        module: where it is, `module:name`; None where nobody can import it from.

    Raises:
        ConfigError: saying so, and what to do.
    """
    if module is None:
        raise ConfigError(
            f"{name!r} is defined in a notebook, a script or a function, and no worker can import it from there: move "
            "it to a module (of a pipeline, ak.promote(it).write('pipelines/name.py') makes one)"
        )


def _first_event(
    store: Store, definition: Definition, given: Any, after: str | None, **more: Any
) -> tuple[RunStarted, State | None]:
    """How a run begins, and the state of the run whose conversation it goes on with."""
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
        traceparent=observe.traceparent(),
        **more,
    )
    return started, base


def labels(tags: Any, session: Any, user: Any) -> dict[str, Any]:
    """What a run is found by, as `run_started` records it.

    Raises:
        ConfigError: one of them is no text.
        EncodingError: one holds text that the log cannot.
    """
    given = tuple(cast("Iterable[Any]", tags)) if isinstance(tags, Iterable) and not isinstance(tags, str) else (None,)
    if not all(isinstance(tag, str) for tag in given):
        raise ConfigError(f"tags={tags!r}: give a list of texts")
    if wrong := [label for label in (session, user) if not isinstance(label, str | None)]:
        raise ConfigError(f"session and user are texts, not {wrong[0]!r}")
    found = {"tags": given, "session": session, "user": user}
    for name, label in found.items():
        as_json(label, name)
    return found


def resume(
    store: Store,
    run_id: str,
    definition: Definition,
    *,
    deps: Any = None,
    budget: Budget | None = None,
    state: State | None = None,
    for_worker: bool = False,
) -> Driver:
    """Go on with a run in this process, in the background.

    Args:
        store: the log.
        run_id: the run.
        definition: the agent or the pipeline.
        deps: for `ctx.deps`; never in the log.
        budget: a new one.
        state: the run's as it was just read, to be kept; None reads it.
        for_worker: no person asked for it, so what a person paused stays so.

    Raises:
        RunNotFound: no such run.
        ResumeError: the definition contradicts what is recorded.
    """
    refuse_runs()
    state = state or load_state(store, run_id)
    check_definition(definition, state)
    driver = Driver(store, run_id, definition, deps=deps)
    driver.take_state(state)
    driver.for_worker = for_worker
    driver.before = engine().call(lambda: watch.take_over(driver))
    engine().spawn(driver.resume(budget))
    return driver


def newest_definition(state: State, known: Definition | None) -> Definition:
    """What goes on with a fork of a run: its agent or pipeline, as a cell that was executed again made it.

    Args:
        state: the run.
        known: the definition by which it was started here, or found.

    Raises:
        ResumeError: it is nowhere.
    """
    owner: Any = registry.defined(state.name)
    if isinstance(known, PipelineDefinition) and owner is not None:
        return owner.definition
    return known or find_definition(state)


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
