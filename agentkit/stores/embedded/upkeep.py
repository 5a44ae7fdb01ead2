"""The background thread of a log: writes out what waits, closes an idle segment, folds."""

import contextlib
import threading
from collections.abc import Callable

from agentkit.errors import LogError
from agentkit.stores.embedded.folding import Folding
from agentkit.stores.embedded.journal import Journal
from agentkit.stores.embedded.lease import Leases

_TICK = 1.0  # seconds
_IDLE = 3.0  # seconds without an append until a segment nobody needs is closed
_BATCH = 24  # closed segments that are worth a fold while runs execute; a query slows by about 7 ms per 10
_PAUSE = 5.0  # seconds until the next try when another program keeps the table's file


class Upkeep:
    """Looks after one process's part of a log.

    Args:
        journal: the process's.
        folding: the log's.
        leases: the log's.
        busy: says whether this process executes runs.
    """

    def __init__(self, journal: Journal, folding: Folding, leases: Leases, busy: Callable[[], bool]) -> None:
        self._journal = journal
        self._leases = leases
        self._folding = folding
        self._busy = busy
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._pause = 0.0

    def start(self) -> None:
        """Begin, at the first claim; does nothing after that."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="agentkit-upkeep", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End, waiting for a fold that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        if not self._stop.wait(_TICK):
            with contextlib.suppress(LogError, OSError):  # what cannot be tidied up does no harm
                self._leases.sweep()
                self._folding.sweep(self._leases.lives)
        while not self._stop.wait(_TICK):
            self._journal.flush()
            idle = self._journal.idle()
            if idle is not None and idle > _IDLE and not self._busy():
                self._journal.close_segment()
            self._fold()

    def _fold(self) -> None:
        if self._pause > 0:
            self._pause -= _TICK
            return
        due = self._folding.due()
        if due >= (_BATCH if self._busy() else 1) and not self._folding.fold():
            self._pause = _PAUSE
