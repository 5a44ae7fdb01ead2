"""A thread that sends what ends to one target, and what it could not send as soon as the target is back."""

import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

from agentkit.errors import AgentKitError
from agentkit.events import RunStatus
from agentkit.export.backlog import backlog
from agentkit.export.delivery import CHUNK, Delivery, Outcome
from agentkit.export.targets import Target
from agentkit.runner.engine import engine
from agentkit.store import Exported, Store

PAUSED_LONG = 300.0
"""Seconds after which a run that waits for a person is shown as far as it is."""

_MOST = 10_000
"""Ids that are kept in memory; what is beyond them is found in the log."""

_FIRST_WAIT, _LONGEST_WAIT = 15.0, 300.0
"""Seconds until a target that is down is tried again, the first time and at most; a run that ends tries it at once."""


_STRETCH, _REST = 0.001, 0.0002
"""Seconds that it computes in one go while a run executes, and then leaves the interpreter to that."""


class _Pace:
    """Leaves the interpreter to the runs: another thread would otherwise wait 5 ms for it, at each of its steps."""

    def __init__(self) -> None:
        self._began = 0.0

    def __call__(self) -> None:
        now = time.perf_counter()
        if now - self._began > _STRETCH:
            if engine().executing:
                time.sleep(_REST)
                now = time.perf_counter()
            self._began = now


class Courier:
    """Sends the runs of one log to one target, in a thread that begins with the first of them.

    Args:
        store: the log.
        target: where to.
        warn: tells a person something, once.
        paused_long: seconds after which a paused run is sent as it is.

    Raises:
        LogUnwritable: it cannot be recorded that exporting begins.
    """

    def __init__(
        self, store: Store, target: Target, warn: Callable[[str], None], *, paused_long: float = PAUSED_LONG
    ) -> None:
        self.store = store
        self.target = target
        self._warn = warn
        self._paused_long = paused_long
        self._begin()
        if None not in store.exports.read(target.key):
            store.exports.write([Exported(target=target.key, status="began", recorded_at=datetime.now(UTC))])

    def _begin(self) -> None:
        """As it is before its first run; once more in a forked child, which has none of its parent's threads."""
        self._pid = os.getpid()
        self._wake = threading.Condition()
        self._due: OrderedDict[str, float] = OrderedDict()  # run → when it is to be sent, on the monotonic clock
        self._behind = True  # the log may hold what was not sent; so it is looked through once
        self._asked = False  # somebody waits for that
        self._failures = 0
        self._not_before = 0.0  # a target that is down is tried again then, or with the next run
        self._held = 0.0  # and not before then, because it said so
        self._idle = True
        self._closing: float | None = None  # until when it may go on
        self._stop = threading.Event()
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None
        self._delivery: Delivery | None = None

    def settled(self, run_id: str, status: RunStatus) -> None:
        """A run ended or paused: remember it, and return at once."""
        if self._pid != os.getpid():
            self._begin()
        if status == "paused" and not self.target.takes_unfinished:
            return
        with self._wake:
            if self._closing is not None:
                return
            wait = self._paused_long if status == "paused" else 0.0
            self._due.pop(run_id, None)
            self._due[run_id] = time.monotonic() + wait
            if len(self._due) > _MOST:
                self._due.popitem(last=False)
                self._behind = True
            if not wait:
                self._idle = False
            self._start()

    def flush(self, timeout: float) -> bool:
        """Wait until all that ended was sent, or could not be; what an earlier process left is sent as well.

        Args:
            timeout: seconds.

        Returns:
            Whether everything was sent.
        """
        with self._wake:
            self._asked, self._idle, self._held = True, False, 0.0
            self._start()
            done = self._wake.wait_for(lambda: self._idle, timeout)
            return done and self._failures == 0 and not self._behind

    def close(self, timeout: float) -> None:
        """Send what is still to be sent, for so many seconds at most, and end the thread; the log keeps the rest."""
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            return
        with self._wake:
            self._closing = time.monotonic() + timeout
            self._wake.notify_all()
        thread.join(timeout)
        self._stop.set()
        if thread.is_alive():
            self._tell("down", f"{self.target.key} did not take everything within {timeout:.1f} s. {self._later()}")

    def _start(self) -> None:
        if self._thread is None:
            name = f"agentkit export {self.target.name}"
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()
        self._wake.notify_all()

    # in its own thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._wake:
                while (ready := self._take()) is None:
                    self._idle = True
                    self._wake.notify_all()
                    if self._closing is not None:
                        return
                    self._wake.wait(self._wait_for())
                left = None if self._closing is None else self._closing - time.monotonic()
            self._try(ready, left)

    def _take(self) -> list[str] | None:
        """The runs that are due; an empty list where it is time to look for others. None: there is nothing to do."""
        now = time.monotonic()
        if now < self._held or (self._closing is not None and (self._failures or now >= self._closing)):
            return None
        ready = [run_id for run_id, due in self._due.items() if due <= now][:CHUNK]
        if not ready and not self._asked and not (self._failures and self._not_before <= now):
            return None
        if self._closing is not None and not ready:
            return None
        for run_id in ready:
            del self._due[run_id]
        self._asked = False
        return ready

    def _wait_for(self) -> float | None:
        """Seconds until there is something to do; None while nothing is foreseen."""
        times = [min(self._due.values())] if self._due else []
        if self._failures:
            times.append(self._not_before)
        return max(0.0, max(min(times), self._held) - time.monotonic()) if times else None

    def _try(self, ready: list[str], left: float | None) -> None:
        """Send what is due, and what is behind; whatever goes wrong is said once, and tried again later."""
        try:
            outcome = self._send(ready, left)
        except AgentKitError as error:
            self._failed(str(error), None)
        except Exception as error:  # noqa: BLE001  a fault of ours must not end exporting for good
            self._failed(f"{type(error).__name__}: {error}", None)
        else:
            for problem in outcome.problems:
                self._tell(problem, f"{self.target.key}: {problem}")
            outcome.problems.clear()
            if outcome.down is not None:
                self._failed(str(outcome.down), outcome.down.wait)
            else:
                self._failures = 0
                self._told.discard("down")

    def _send(self, ready: list[str], left: float | None) -> Outcome:
        if self._delivery is None:
            self._delivery = Delivery(self.store, self.target, pauses=(), stop=self._stop, pace=_Pace())
        delivery = self._delivery
        delivery.post.timeout = self.target.timeout if left is None else max(0.2, min(left, self.target.timeout))
        outcome = delivery.send(ready)
        if self._behind and outcome.down is None and left is None:
            self._behind = False
            outcome = delivery.send(backlog(self.store, self.target, since=self._since()))
        return outcome

    def _since(self) -> datetime | None:
        """From when on runs are exported to this target: those before are sent when somebody asks for them."""
        line = self.store.exports.read(self.target.key).get(None)
        return line.recorded_at if line is not None else None

    def _failed(self, why: str, wait: float | None) -> None:
        self._behind = True
        self._failures += 1
        pause = min(_FIRST_WAIT * 2 ** (self._failures - 1), _LONGEST_WAIT)
        self._not_before = time.monotonic() + pause
        self._held = time.monotonic() + wait if wait is not None else 0.0
        self._tell(
            "down",
            f"cannot export to {self.target.key}: {why}. {self._later()}",
        )

    def _later(self) -> str:
        return (
            "Runs go on as ever; what is not sent stays in the log, and is sent with a later run or by "
            f"`agentkit export {self.target.name}`"
        )

    def _tell(self, what: str, text: str) -> None:
        """Say each thing once: a run that ends every second must not say it every second."""
        if what not in self._told:
            self._told.add(what)
            self._warn(text)


def say(text: str) -> None:
    """Say something where a person sees it, in a notebook too: on standard error, where the log's path is said."""
    print(f"agentkit: {text}", file=sys.stderr)  # noqa: T201  a library's thread has no other place that is seen
