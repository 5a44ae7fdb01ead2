"""Taking runs from the queue, executing them, and giving them back."""

import contextlib
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from agentkit.agent import Agent
from agentkit.definition import Definition
from agentkit.errors import AgentKitError, ConfigError, LogError, ResumeError, RunClaimed, RunNotFound
from agentkit.events import RunResumed
from agentkit.log import Log, open_log
from agentkit.pipeline import Pipeline
from agentkit.runner.closing import leave_alone
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.load import is_answered, load_many, load_state, open_questions
from agentkit.runner.start import resume
from agentkit.state import Approval, State
from agentkit.store import Store, Taken
from agentkit.worker.owed import Owed

Tell: TypeAlias = Callable[[str], None]

_REST = 300.0
"""Seconds after which a run that waits for a person is looked at all the same, about: a word may have got lost."""
_ELSEWHERE = 10.0
"""Seconds after which a run that another process executes is looked at again: should that one die, it is ours."""
_UNUSABLE = 60.0, 300.0
"""Seconds until a run is tried again that cannot go on here, the first time and at most: another worker may fit."""
_UNREACHABLE = 5.0, 60.0
"""The same for a run whose events could not be read or written."""
_SUSPECT = 2
"""After so many workers died with a run in hand it executes alone: should it be its fault, it takes no other along."""
_LOST = 4
"""After so many it is left alone, until somebody resumes it; but for one that got on before the last of them died."""
_GOT_ON = {"model_responded", "tool_succeeded", "step_succeeded", "run_paused"}
_REMEMBERED = 10_000
"""So many runs a worker remembers that it had trouble with."""
_MISSING = 600.0
"""Seconds for which a run may be in the queue without an event: whoever submits it is about to record the first."""


@dataclass(frozen=True, slots=True)
class _Job:
    taken: Taken
    driver: Driver
    seq: int  # of the run's last event when it was taken
    began: float  # time.monotonic()


class Worker:
    """Executes submitted runs of some agents and pipelines; `work` does it, `stop` ends it.

    Args:
        owners: the agents and pipelines whose runs it takes.
        log: where they are submitted, or its URL; `ak.open_log()` when left out.
        slots: how many runs execute at one time.
        deps: reaches tools and steps as `ctx.deps`.
        tell: told what happens, a line each.
        poll: seconds between two looks into the queue while there is nothing to do.

    Raises:
        ConfigError: there is nothing to execute, or not one definition a name.
        LogError: the log cannot be used.
    """

    def __init__(
        self,
        *owners: Agent | Pipeline,
        log: "Log | str | None" = None,
        slots: int = 8,
        deps: Any = None,
        tell: Tell | None = None,
        poll: float = 0.5,
    ) -> None:
        self._owners = {owner.name: owner for owner in owners}
        if not owners or len(self._owners) < len(owners):
            names = ", ".join(owner.name for owner in owners) or "none"
            raise ConfigError(f"a worker takes the runs of one or several agents and pipelines, each once; not {names}")
        if slots < 1:
            raise ConfigError(f"slots={slots}: a worker executes one run at least")
        self.log = log if isinstance(log, Log) else open_log(log)
        self._queue = self.log.store.queue
        self._slots = slots
        self._deps = deps
        self._tell: Tell = tell or (lambda _line: None)
        self._poll = poll
        self._executing: dict[str, _Job] = {}
        self._settled: queue.SimpleQueue[str] = queue.SimpleQueue()  # run ids; "" wakes the worker
        self._owed = Owed()
        self._missing: dict[str, float] = {}  # since when a run has no event, by time.monotonic()
        self._failures: Counter[str] = Counter()  # how often a run could not go on here
        self._in_hand: dict[str, Taken] = {}  # until the queue is to be told what becomes of it
        self._careful = False  # nothing is begun beside a suspect, or until there is a place for one
        self._suspects_since: float | None = None  # when the first one was met that has had no place yet
        self._until_idle = False
        self._stopping = threading.Event()
        self._away = False

    def stop(self) -> None:
        """Take no more runs; those in hand stop after what is in flight, and are left to other workers.

        From any thread, and from a signal handler.
        """
        self._stopping.set()
        self._settled.put("")

    def work(self, *, until_idle: bool = False) -> None:
        """Execute runs until `stop`; an interrupt stops it likewise, a second one leaves at once.

        Args:
            until_idle: end too when nothing is ready and nothing executes.
        """
        self._until_idle = until_idle
        try:
            self._serve()
            self._drain()
        except KeyboardInterrupt:
            if not self._stopping.is_set():
                self.stop()
                self._drain()
            raise
        finally:
            self._stopping.clear()

    def _serve(self) -> None:
        look = 0.0  # when the queue is looked into next
        while not self._stopping.is_set():
            problem = self._owed.pay()
            if (free := self._free()) and time.monotonic() >= look:
                taken, failed = self._take(free)
                self._say_whether_away(failed or problem)
                if self._until_idle and not taken and failed is None and not self._executing:
                    return
                if taken < free:
                    look = time.monotonic() + self._poll
            self._wait(max(0.0, look - time.monotonic()) if self._free() else self._poll)

    def _drain(self) -> None:
        """Leave what executes to other workers, after what is in flight."""
        if self._executing:
            self._tell("stopping after what is in flight")
        while self._executing:
            self._hand_over()
            self._wait(self._poll)
            self._owed.pay()
        for taken in list(self._in_hand.values()):  # of an interrupt just after it was taken
            self._put_back(taken, 0.0, forgive=False)
        end = time.monotonic() + _UNREACHABLE[0]
        while self._owed.pay() is not None and time.monotonic() < end:
            time.sleep(min(self._poll, 0.1))

    # taking ----------------------------------------------------------------------------------------------------------

    def _free(self) -> int:
        """How many runs may be taken."""
        if self._executing and (self._careful or any(job.taken.lost >= _SUSPECT for job in self._executing.values())):
            return 0
        return 1 if self._careful else self._slots - len(self._executing)

    def _take(self, free: int) -> tuple[int, Exception | None]:
        """Take what is ready; how many runs that were, and what went wrong."""
        try:
            taken = self._queue.take(self._owners, free)
        except Exception as error:  # noqa: BLE001  whatever a store raises: the worker goes on when it can
            return 0, error
        self._in_hand.update((one.run_id, one) for one in taken)
        chosen = self._chosen(taken)
        self._owed.pay()  # before a suspect takes this process down
        for one, state in self._with_states(chosen):
            self._begin(one, state)
        return len(taken), None

    def _with_states(self, taken: list[Taken]) -> list[tuple[Taken, State | None]]:
        """The runs with what is recorded of them, where that can be read for all of them at once."""
        states: dict[str, State] = {}
        with contextlib.suppress(Exception):  # each is read alone then, and its error is its own
            states = load_many(self.log.store, [one.run_id for one in taken])
        return [(one, states.get(one.run_id)) for one in taken]

    def _chosen(self, taken: list[Taken]) -> list[Taken]:
        """What is begun of what was taken; the rest is put back.

        A suspect executes alone: where nothing else does, else when it comes again. Where it does so for long, nothing
        new is begun beside what executes until there is a place for it.
        """
        suspects = [one for one in taken if one.lost >= _SUSPECT]
        if not suspects:
            self._careful, self._suspects_since = False, None
            return taken
        others = [one for one in taken if one.lost < _SUSPECT]
        self._suspects_since = self._suspects_since or time.monotonic()
        if not self._executing:
            chosen, left, after = suspects[:1], [*suspects[1:], *others], 0.0
            self._suspects_since = None
        else:
            chosen, left, after = others, suspects, 0.0 if self._until_idle else _ELSEWHERE
        self._careful = self._until_idle or (time.monotonic() - (self._suspects_since or time.monotonic())) > _REST
        for one in left:
            self._put_back(one, after, forgive=False)
        return chosen

    def _begin(self, taken: Taken, state: State | None) -> None:
        try:
            self._go_on(taken, state or load_state(self.log.store, taken.run_id))
        except RunNotFound:
            waited = time.monotonic() - self._missing.setdefault(taken.run_id, time.monotonic())
            if waited < _MISSING:
                self._put_back(taken, min(_UNREACHABLE[0], max(self._poll, waited)), forgive=False)
            else:
                self._forget(taken)
        except Exception as error:  # noqa: BLE001  whatever a definition or a store raises: the other runs go on
            self._cannot(taken, error)

    def _go_on(self, taken: Taken, state: State) -> None:
        store = self.log.store
        self._missing.pop(taken.run_id, None)
        if state.ended:  # elsewhere
            self._forget(taken)
        elif state.is_kept:  # who resumes it may not have got to the first event yet
            held = store.holder(taken.run_id) is not None
            self._lay_down(taken, _ELSEWHERE if held else _rest(), lambda: _has_news(store, state))
        elif state.status == "paused" and state.paused_why != "handover" and not is_answered(store, state):
            self._lay_down(taken, _until_due(open_questions(store, state)), lambda: _has_news(store, state))
        elif taken.lost >= _LOST and not _got_on(store, state):
            leave_alone(store, taken.run_id)
            self._put_back(taken, _rest())
            self._tell(
                f"{_name(taken)} is left alone: {taken.lost} workers died with it; agentkit resume {taken.run_id} "
                "goes on with it where you see what happens"
            )
        else:
            definition = self._owners[taken.name].definition
            _check_place(definition, state)
            driver = resume(store, taken.run_id, definition, deps=self._deps, state=state, for_worker=True)
            self._executing[taken.run_id] = _Job(taken, driver, state.seq, time.monotonic())
            self._in_hand.pop(taken.run_id, None)

            def let_go() -> None:  # before it could be answered: from here on, whoever comes first goes on with it
                driver.let_go()
                self._settled.put(driver.run_id)

            engine().call(lambda: driver.when_settled(let_go))

    # giving back -----------------------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        """Until a run came to rest, somebody stops the worker, or it is time to look into the queue."""
        with contextlib.suppress(queue.Empty):
            run_id = self._settled.get(timeout=seconds)
            while True:
                if (job := self._executing.pop(run_id, None)) is not None:
                    try:
                        self._settle(job)
                    except Exception as error:  # noqa: BLE001  one run's trouble ends no worker
                        self._cannot(job.taken, error)
                run_id = self._settled.get_nowait()

    def _settle(self, job: _Job) -> None:
        driver, taken = job.driver, job.taken
        state = driver.live_state if driver.has_state else None
        if driver.error is not None or state is None:
            self._cannot(taken, driver.error)
            return
        self._failures.pop(taken.run_id, None)
        if state.ended:
            self._forget(taken)
            self._tell(_ended(job, state))
        elif state.paused_why == "handover" and self._stopping.is_set():
            self._owed.add(taken.run_id, lambda: _unwatch(driver))
            self._put_back(taken, 0.0)
            self._tell(f"{_name(taken)} is left to another worker")
        elif state.status == "paused":
            waits_for = driver.pending()
            self._owed.add(taken.run_id, lambda: _unwatch(driver))
            if state.seq == job.seq:  # what came brought nothing: an answer that is there is no news
                self._put_back(taken, _until_due(waits_for))
            else:
                self._lay_down(taken, _until_due(waits_for), lambda: _has_news(self.log.store, state))
                asks = "; ".join(str(asked) for asked in waits_for) or "somebody to resume it"
                self._tell(f"{_name(taken)} waits for {asks}")
        else:
            self._put_back(taken, _ELSEWHERE)

    def _lay_down(self, taken: Taken, after: float, has_news: Callable[[], bool]) -> None:
        """Let go of a run that waits, and look once more: what came while it was taken woke nobody."""
        self._put_back(taken, after)
        self._owed.add(taken.run_id, lambda: has_news() and self._queue.wake(taken.run_id))

    def _cannot(self, taken: Taken, error: BaseException | None) -> None:
        """Let go of a run that cannot go on in this process at this moment."""
        if isinstance(error, RunClaimed):
            self._put_back(taken, _ELSEWHERE)
            return
        first, longest = _UNREACHABLE if isinstance(error, LogError | OSError) else _UNUSABLE
        after = min(longest, first * 2 ** min(self._failures[taken.run_id], 20))
        if len(self._failures) >= _REMEMBERED:  # of runs that others went on with
            self._failures.clear()
        self._failures[taken.run_id] += 1
        self._put_back(taken, after, forgive=False)
        what = error if isinstance(error, AgentKitError) else f"{type(error).__name__}: {error}"
        self._tell(f"{_name(taken)} cannot go on here, and is tried again in {after:.0f} s: {what}")

    def _hand_over(self) -> None:
        """Have what executes stop after what is in flight; at each look again, since some may be about to begin."""
        for job in list(self._executing.values()):
            engine().call(lambda driver=job.driver: driver.pause(handing_over=True))

    def _put_back(self, taken: Taken, after: float, *, forgive: bool = True) -> None:
        self._in_hand.pop(taken.run_id, None)
        self._owed.add(taken.run_id, lambda: self._queue.put_back(taken.run_id, after=after, forgive=forgive))

    def _forget(self, taken: Taken) -> None:
        self._in_hand.pop(taken.run_id, None)
        self._missing.pop(taken.run_id, None)
        self._failures.pop(taken.run_id, None)
        self._owed.add(taken.run_id, lambda: self._queue.remove(taken.run_id))

    def _say_whether_away(self, problem: Exception | None) -> None:
        if problem is not None and not self._away:
            self._tell(f"the log cannot be used at this moment: {problem}")
        elif problem is None and self._away:
            self._tell("the log is back")
        self._away = problem is not None


def _check_place(definition: Definition, state: State) -> None:
    """Refuse a run of something else that only has the same name.

    Raises:
        ResumeError: saying where the run's own definition is.
    """
    own = state.module is None or (definition.module is not None and _tail(definition.module) == _tail(state.module))
    if not own and definition.sha256 != state.definition_sha256:
        raise ResumeError(
            f"run {state.run_id} belongs to {state.module}, and {definition.name!r} here is another one "
            f"({definition.module}): start a worker with that one, or give one of them another name"
        )


def _tail(place: str) -> str:
    """`shop:support` of `app.shop:support`: a file may be imported by more than one name."""
    module, _, name = place.rpartition(":")
    return f"{module.rpartition('.')[2]}:{name}"


def _rest() -> float:
    return _REST * random.uniform(0.7, 1.3)  # noqa: S311  only so that not all are looked at in one moment


def _until_due(asked: Iterable[Approval]) -> float:
    """Seconds until the first question expires, or until it is time to look all the same."""
    left = [(one.expires - datetime.now(UTC)).total_seconds() for one in asked if one.expires is not None]
    return min([_rest(), *(seconds for seconds in left if seconds > 0)])


def _got_on(store: Store, state: State) -> bool:
    """Whether the last activation, in which a worker died, brought anything: then it is hardly the run's fault."""
    events = store.read(state.run_id)
    last = max((place for place, event in enumerate(events) if isinstance(event.body, RunResumed)), default=0)
    return any(event.type in _GOT_ON for event in events[last:])


def _name(taken: Taken) -> str:
    return f"{taken.name} {taken.run_id}"


def _ended(job: _Job, state: State) -> str:
    took = f"{time.monotonic() - job.began:.1f} s"
    error = f": {state.error.type}: {state.error.message}" if state.status == "failed" and state.error else ""
    return f"{_name(job.taken)} {state.status} after {took}{error}"


def _family(driver: Driver) -> list[Driver]:
    return [driver, *(one for child in driver.children.values() for one in _family(child))]


def _unwatch(driver: Driver) -> None:
    for one in _family(driver):
        one.store.unwatch(one.run_id)


def _has_news(store: Store, state: State) -> bool:
    """Whether something happened to a run that waits, or to one that it called, since it was looked at."""
    with contextlib.suppress(AgentKitError):  # it is looked at again in some minutes anyway
        return bool(store.read(state.run_id, after=state.seq)) or (not state.is_kept and is_answered(store, state))
    return False
