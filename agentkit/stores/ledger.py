"""The ledger of exports of a log that is in memory."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence

from agentkit.errors import LogBusy
from agentkit.store import Exported


class MemoryLedger:
    """Lines in a list, and a lock for each target."""

    def __init__(self) -> None:
        self.lines: list[Exported] = []
        self._lock = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextlib.contextmanager
    def turn(self, target: str, *, timeout: float) -> Generator[None]:
        """Be the only one who exports to a target; see `Ledger.turn`."""
        with self._lock:
            turn = self._turns[target]
        if not turn.acquire(timeout=timeout):
            raise LogBusy(f"another thread exports to {target} for more than {timeout} s; let it end")
        try:
            yield
        finally:
            turn.release()

    def read(self, target: str) -> Mapping[str | None, Exported]:
        """The newest line of each run; see `Ledger.read`."""
        found: dict[str | None, Exported] = {}
        with self._lock:
            for line in self.lines:
                if line.target == target and (line.run_id is not None or None not in found):
                    found[line.run_id] = line
        return found

    def write(self, lines: Sequence[Exported]) -> None:
        """Add lines; see `Ledger.write`."""
        with self._lock:
            self.lines.extend(lines)

    def remove(self, run_ids: Iterable[str]) -> None:
        """Forget runs that are removed from the log."""
        gone = set(run_ids)
        with self._lock:
            self.lines = [line for line in self.lines if line.run_id not in gone]
