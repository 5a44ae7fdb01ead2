"""Removes runs for good: from the segments, from the table, and the large bodies that only they needed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentkit.errors import LogBusy
from agentkit.stores.embedded import blobs, segment
from agentkit.stores.embedded.folding import Folding

if TYPE_CHECKING:
    from agentkit.stores.embedded.warehouse import Warehouse

_PATIENCE = 30.0  # seconds to wait for another process's fold


def prune(run_ids: Sequence[str], folding: Folding, warehouse: "Warehouse", large: blobs.Blobs) -> int:
    """Remove runs; see `Store.prune`.

    Args:
        run_ids: the runs; the caller closed this process's own segment.
        folding: the log's.
        warehouse: the log's table.
        large: the log's large bodies.

    Returns:
        How many events were removed.

    Raises:
        LogBusy: another process still writes a segment that holds one of the runs, or keeps the table's file open.
    """
    with folding.alone(timeout=_PATIENCE):
        folding.fold_closed()
        folding.fold_closed()  # the second unlinks what the first took, so that no segment brings a run back
        _refuse_open(set(run_ids), folding)
        needed = {name for run_id in run_ids for row in warehouse.read(run_id, 0, None) if (name := _large(row))}
        removed = warehouse.prune(run_ids)
        if needed:
            with large.lock.hold(timeout=_PATIENCE):
                large.remove(needed - _still_needed(warehouse))
    return removed


def _refuse_open(run_ids: set[str], folding: Folding) -> None:
    for path in folding.open_segments():
        if any(row["run_id"] in run_ids for row in segment.read_segment(path)):
            raise LogBusy(
                f"{path}: process {path.name.split('.')[0]} wrote a part of these runs and still has the file open; "
                "try again when it has been idle for some seconds, or has ended"
            )


def _large(row: dict[str, str]) -> str | None:
    return blobs.referenced(row["body"])


def _still_needed(warehouse: "Warehouse") -> set[str]:
    found = warehouse.query(
        """SELECT DISTINCT CAST(body AS VARCHAR) FROM events
                               WHERE CAST(body AS VARCHAR) LIKE '{"$blob"%'""",
        {},
    )
    return {name for (body,) in found if (name := blobs.referenced(body))}
