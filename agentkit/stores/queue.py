"""The queue of a log that is in memory."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from agentkit.store import Taken
from agentkit.stores.names import checked_run_id

_ALWAYS = -1.0  # of `time.monotonic`: it is later than that from the start
_NEVER = float("inf")


@dataclass(slots=True)
class _Waiting:
    """A run of the queue: from when on it is ready, and whether somebody has it."""

    run: Taken
    ready_at: float = _ALWAYS
    taken: bool = False


class MemoryQueue:
    """Runs in the order in which they were submitted; the process that takes them is the only one there is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, _Waiting] = {}

    def put(self, run_id: str, name: str) -> None:
        """A run is ready from now on; see `Queue.put`."""
        run = Taken(checked_run_id(run_id), name, datetime.now(UTC))
        with self._lock:
            self._runs.setdefault(run_id, _Waiting(run))

    def take(self, names: Collection[str], limit: int) -> list[Taken]:
        """Take runs that are ready; see `Queue.take`."""
        taken: list[Taken] = []
        with self._lock:
            now = time.monotonic()
            for waiting in self._runs.values():
                if len(taken) >= limit:
                    break
                if not waiting.taken and waiting.ready_at <= now and waiting.run.name in names:
                    waiting.taken = True
                    taken.append(waiting.run)
        return taken

    def put_back(self, run_id: str, *, after: float | None, forgive: bool = True) -> None:  # noqa: ARG002  none can die
        """Let go of a run that was taken; see `Queue.put_back`."""
        with self._lock:
            waiting = self._runs.get(checked_run_id(run_id))
            if waiting is not None and waiting.taken:
                waiting.taken = False
                waiting.ready_at = _NEVER if after is None else time.monotonic() + after

    def wake(self, run_id: str) -> bool:
        """Have a run that is asleep ready at once; see `Queue.wake`."""
        with self._lock:
            waiting = self._runs.get(checked_run_id(run_id))
            if waiting is not None:
                waiting.ready_at = _ALWAYS
            return waiting is not None

    def remove(self, run_id: str) -> None:
        """Forget a run."""
        with self._lock:
            self._runs.pop(checked_run_id(run_id), None)

    def let_go(self) -> None:
        """Have ready what was taken: whoever took it has closed the log."""
        with self._lock:
            for waiting in self._runs.values():
                waiting.taken = False
