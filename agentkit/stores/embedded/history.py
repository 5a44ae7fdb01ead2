"""A run's recorded rows: the table and the segments as one, each seq once, none missing."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit import failpoints
from agentkit.errors import LogCorrupt
from agentkit.stores.embedded.hot import HotSegments

if TYPE_CHECKING:
    from agentkit.stores.embedded.warehouse import Warehouse

FAIL_POINTS = ("history.listed", "history.scanned", "history.chosen")
_ATTEMPTS = 8  # a gap that is a race (a run that changes hands while it is read) is closed at the second look
_REMEMBERED = 4096  # runs


class History:
    """Reads runs.

    The segments are read before the table. A segment is unlinked only after what it holds is in the table, so what
    vanishes between the two looks is found by the second, and what is found by both is the same event.

    Args:
        folder: the log's.
        warehouse: opens the table when it is first needed.
    """

    def __init__(self, folder: Path, warehouse: "Callable[[], Warehouse]") -> None:
        self._folder = folder
        self._warehouse = warehouse
        self._hot = HotSegments(folder / "journal")
        self._lock = threading.Lock()
        self._settled: dict[str, tuple[bytes, int]] = {}  # run → the fold it was read after, its last seq in the table

    def rows(self, run_id: str, after: int, until: int | None) -> list[dict[str, Any]]:
        """A run's rows with `after < seq <= until`, in order.

        Raises:
            LogCorrupt: a line is damaged, or a seq is missing.
        """
        gap = 0
        for attempt in range(_ATTEMPTS):
            time.sleep(0.002 * attempt)
            rows = {row["seq"]: row for row in self._hot.rows(run_id, after, until)}
            failpoints.hit("history.scanned")
            if until is None or len(rows) < until - after:
                rows = self._cold(run_id, after, until) | rows
            gap = next((seq for seq in range(after + 1, after + len(rows) + 1) if seq not in rows), 0)
            if not gap:
                return [rows[seq] for seq in sorted(rows)]
        raise LogCorrupt(
            f"{self._folder}: event {gap} of run {run_id} is missing, later ones are there; the journal or "
            "log.duckdb was changed, restore them from a backup"
        )

    def rows_of(self, run_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """All rows of several runs, each in order, with one look at the table for all of them.

        Raises:
            LogCorrupt: a line is damaged, or a seq is missing.
        """
        found = {run_id: {row["seq"]: row for row in self._hot.rows(run_id, 0, None)} for run_id in run_ids}
        if (self._folder / "log.duckdb").exists():
            for row in self._warehouse().read_many(run_ids):
                found[row["run_id"]].setdefault(row["seq"], row)
        return {run_id: self._ordered(run_id, rows) for run_id, rows in found.items()}

    def damage(self) -> list[str]:
        """What SQL shows wrongly or leaves out, since it verifies no checksum: a sentence for each damaged line."""
        return self._hot.damage()

    def _ordered(self, run_id: str, rows: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows in order; where one is missing, a fold came between the two looks: look again."""
        if all(seq in rows for seq in range(1, len(rows) + 1)):
            return [rows[seq] for seq in sorted(rows)]
        return self.rows(run_id, 0, None)

    def _cold(self, run_id: str, after: int, until: int | None) -> dict[int, dict[str, Any]]:
        """What the table has. It is not opened where a look since the last fold found nothing after `after`."""
        if not (self._folder / "log.duckdb").exists():
            return {}
        fold = fold_count(self._folder)
        with self._lock:
            seen, last = self._settled.get(run_id, (b"", 0))
        if seen == fold and last <= after:
            return {}
        failpoints.hit("history.chosen")
        rows = self._warehouse().read(run_id, after, until)
        if until is None:
            with self._lock:
                if len(self._settled) >= _REMEMBERED:
                    self._settled.clear()
                self._settled[run_id] = (fold, rows[-1]["seq"] if rows else after)
        return {row["seq"]: row for row in rows}


def fold_count(folder: Path) -> bytes:
    """Which fold was the last to begin: it writes a new name into `fold.lock` before it changes anything."""
    try:
        fd = os.open(folder / "fold.lock", os.O_RDONLY)
    except FileNotFoundError:
        return b""
    try:
        return os.read(fd, 64)
    finally:
        os.close(fd)
