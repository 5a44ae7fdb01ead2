"""A worker: executes the runs that were submitted to a log, a few at a time, until it is stopped.

What is to be done next is in the log's queue, and what happened in the runs' events; a worker keeps nothing of its own.
So any number of them share the work, on as many machines as reach the log, and where one is killed another goes on:
from the last event, as every resume does. A run that waits for a person holds no place.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from agentkit.agent import Agent
from agentkit.errors import AgentKitError, ConfigError, LogBusy, LogError, LogUnwritable, RunClaimed, RunNotFound
from agentkit.log import Log, open_log
from agentkit.pipeline import Pipeline
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.load import load_state
from agentkit.runner.start import resume
from agentkit.state import State
from agentkit.store import Taken

Tell: TypeAlias = Callable[[str], None]

_ELSEWHERE = 10.0
"""Seconds after which a run that another process executes is looked at again: should that one die, it is ours."""
_UNUSABLE = 60.0
"""Seconds until a run is tried again that cannot go on here: its definition is another one, or its events are wrong."""
_UNREACHABLE = 5.0
"""Seconds until a run is tried again whose events could not be written."""
_LOST = 3
"""So many workers may die with a run in hand; then it is the run's fault, and it waits until somebody wakes it."""
_YOUNG = 60.0
"""Seconds for which a run may be in the queue without an event: whoever submits it is about to record the first."""


@dataclass(frozen=True, slots=True)
class _Job:
    taken: Taken
    driver: Driver
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
        self._owed: list[Callable[[], object]] = []  # what the queue is yet to be told
        self._stopping = threading.Event()
        self._unreachable = False

    def stop(self) -> None:
        """Take no more runs; those in hand stop after what is in flight, and are left to other workers.

        From any thread, and from a signal handler.
        """
        self._stopping.set()
        self._settled.put("")

    def work(self, *, until_idle: bool = False) -> None:
        """Execute runs until `stop`.

        Args:
            until_idle: end too when nothing is ready and nothing executes.
        """
        look = 0.0  # when the queue is looked into next
        while True:
            self._pay()
            stopping = self._stopping.is_set()
            free = self._slots - len(self._executing)
            if not stopping and free and time.monotonic() >= look:
                taken = self._take(free)
                if len(taken) < free:
                    look = time.monotonic() + self._poll
                if until_idle and not taken and not (self._executing or self._owed or self._unreachable):
                    return
            if stopping:
                self._hand_over()
                if not self._executing:
                    self._pay()
                    return
            self._wait(max(0.0, look - time.monotonic()) if self._slots > len(self._executing) else self._poll)

    # taking ----------------------------------------------------------------------------------------------------------

    def _take(self, free: int) -> list[Taken]:
        try:
            taken = self._queue.take(self._owners, free)
        except LogError as error:
            self._cannot_reach(error)
            return []
        if self._unreachable:
            self._unreachable = False
            self._tell("the log is back")
        for one in taken:
            self._begin(one)
        return taken

    def _begin(self, taken: Taken) -> None:
        if taken.lost >= _LOST:
            self._put_back(taken, None)
            self._tell(
                f"{_name(taken)} is left alone: {taken.lost} workers died with it; agentkit resume {taken.run_id} "
                "goes on with it where you see what happens"
            )
            return
        try:
            state = load_state(self.log.store, taken.run_id)
            if state.ended:  # elsewhere
                self._owe(lambda: self._queue.remove(taken.run_id))
                return
            if state.paused_why == "asked":  # a person's word: only one of them lets it go on
                self._put_back(taken, None)
                return
            definition = self._owners[taken.name].definition
            driver = resume(self.log.store, taken.run_id, definition, deps=self._deps, state=state)
        except RunNotFound:
            if (datetime.now(UTC) - taken.submitted_at).total_seconds() < _YOUNG:
                self._put_back(taken, self._poll)
            else:
                self._owe(lambda: self._queue.remove(taken.run_id))
        except AgentKitError as error:
            self._cannot(taken, error)
        else:
            self._executing[taken.run_id] = _Job(taken, driver, time.monotonic())

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
                if run_id in self._executing:
                    self._settle(self._executing[run_id])
                run_id = self._settled.get_nowait()

    def _settle(self, job: _Job) -> None:
        driver, taken = job.driver, job.taken
        del self._executing[taken.run_id]
        state = driver.live_state if driver.has_state else None
        if driver.error is not None or state is None:
            self._cannot(taken, driver.error)
        elif state.ended:
            self._owe(lambda: self._queue.remove(taken.run_id))
            self._tell(_ended(job, state))
        elif state.queued:
            self._put_back(taken, 0.0)
            self._tell(f"{_name(taken)} is left to another worker")
        elif state.status == "paused":
            self._lay_down(job)
        else:
            self._put_back(taken, _ELSEWHERE)

    def _lay_down(self, job: _Job) -> None:
        """Let go of a run that waits for a person, and look once more: an answer may have come before this was said."""
        driver, taken = job.driver, job.taken
        waits_for = driver.pending()
        due = [asked.expires for asked in waits_for if asked.expires is not None]
        after = max(0.0, (min(due) - datetime.now(UTC)).total_seconds()) if due else None
        self._owe(lambda: _unwatch(driver))
        self._put_back(taken, after)
        self._owe(lambda: _is_answered(driver) and self._queue.wake(taken.run_id))
        asks = "; ".join(str(asked) for asked in waits_for) or "somebody to resume it"
        self._tell(f"{_name(taken)} waits for {asks}")

    def _cannot(self, taken: Taken, error: BaseException | None) -> None:
        """Let go of a run that cannot go on in this process at this moment."""
        if isinstance(error, RunClaimed):
            self._put_back(taken, _ELSEWHERE)
            return
        after = _UNREACHABLE if isinstance(error, LogError) else _UNUSABLE
        self._put_back(taken, after)
        self._tell(f"{_name(taken)} cannot go on here, and is tried again in {after:.0f} s: {error}")

    def _hand_over(self) -> None:
        """Have what executes stop after what is in flight; at each look again, since some may be about to begin."""
        for job in list(self._executing.values()):
            engine().call(lambda driver=job.driver: driver.pause(handing_over=True))

    def _put_back(self, taken: Taken, after: float | None) -> None:
        self._owe(lambda: self._queue.put_back(taken.run_id, after=after))

    def _owe(self, say: Callable[[], object]) -> None:
        """Tell the queue something, now or when it can be reached: what a living worker has nobody else takes."""
        self._owed.append(say)
        self._pay()

    def _pay(self) -> None:
        try:
            while self._owed:
                self._owed[0]()
                del self._owed[0]
        except (LogUnwritable, LogBusy) as error:
            self._cannot_reach(error)
        except LogError as error:
            del self._owed[0]
            self._tell(f"the log: {error}")

    def _cannot_reach(self, error: LogError) -> None:
        if not self._unreachable:
            self._unreachable = True
            self._tell(f"the log cannot be used at this moment: {error}")


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


def _is_answered(driver: Driver) -> bool:
    """Whether a run that waits, or one that it called, has an answer that nobody recorded yet."""
    for one in _family(driver):
        if one.has_state and not one.live_state.ended:
            answers = one.store.answers(one.run_id)
            if "cancel" in answers or any(key in answers for key in one.live_state.pending):
                return True
    return False
