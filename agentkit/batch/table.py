"""What a batch remembers of its items: some 40 bytes each, so that ten thousand are no more than a list of numbers."""

import math
import uuid
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from agentkit.definition import Definition
from agentkit.runner.run import Run
from agentkit.store import Store

STATUSES = ("running", "succeeded", "failed", "cancelled", "paused", "interrupted")
_CODES = {status: code for code, status in enumerate(STATUSES)}
WITHOUT_OUTPUT = ("failed", "cancelled", "interrupted")
_LONGEST = 300  # characters of an error that are kept; the log has it whole
_NO_RUN = bytes(16)
_DIGITS = 12  # of a dollar: what is added up has no more that mean anything


class Counts(NamedTuple):
    """How far a batch is.

    Args:
        done: items whose run succeeded.
        failed: items that have no output and will get none: failed, cancelled, or of the wrong type.
        paused: items that wait for a person, or were stopped.
        running: items whose run executes, or waits for a worker.
        left: items not begun; None where nobody knows how many there are.
    """

    done: int
    failed: int
    paused: int
    running: int
    left: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one item.

    Args:
        index: the item's place, from 0.
        run_id: its newest run; None where it was never begun.
        status: running, succeeded, failed, cancelled, paused, or interrupted (nobody executes it).
        error: why there is no output, in short.
        seconds: how long the run took, waiting included; None before it stopped.
        cost: US dollars; None when a price is unknown.
    """

    index: int
    run_id: str | None
    status: str
    error: str | None
    seconds: float | None
    cost: float | None
    _store: Store = field(repr=False, compare=False)
    _definition: Definition = field(repr=False, compare=False)

    @property
    def run(self) -> Run | None:
        """The run; None where the item was never begun."""
        return (self.run_id and Run(self._store, self.run_id, definition=self._definition)) or None


class Table:
    """The items that were read, by their index.

    Args:
        store: where the runs are.
        definition: what they are runs of.
    """

    def __init__(self, store: Store, definition: Definition) -> None:
        self._of = (store, definition)
        self._ids = bytearray()
        self._statuses = bytearray()
        self._seconds = array("d")
        self._costs = array("d")
        self._errors: dict[int, str] = {}
        self.statuses: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._statuses)

    def put(
        self,
        index: int,
        run_id: str | None,
        status: str,
        *,
        error: str | None = None,
        seconds: float | None = None,
        cost: float | None = 0.0,
    ) -> None:
        """Say what became of an item: the next one, or one that is there."""
        if index == len(self):
            self._ids += _NO_RUN
            self._statuses.append(_CODES[status])
            self._seconds.append(math.nan)
            self._costs.append(0.0)
        else:
            self.statuses[self.status(index)] -= 1
        self.statuses[status] += 1
        self._statuses[index] = _CODES[status]
        self._ids[16 * index : 16 * index + 16] = uuid.UUID(run_id).bytes if run_id else _NO_RUN
        self._seconds[index] = math.nan if seconds is None else seconds
        self._costs[index] = math.nan if cost is None else cost
        self._errors.pop(index, None)
        if error is not None:
            self._errors[index] = error if len(error) <= _LONGEST else error[: _LONGEST - 1] + "…"

    def status(self, index: int) -> str:
        """An item's status."""
        return STATUSES[self._statuses[index]]

    def run_id(self, index: int) -> str | None:
        """An item's newest run."""
        data = bytes(self._ids[16 * index : 16 * index + 16])
        return None if data == _NO_RUN else str(uuid.UUID(bytes=data))

    def row(self, index: int) -> Row:
        """An item's row."""
        seconds, cost = self._seconds[index], self._costs[index]
        return Row(
            index,
            self.run_id(index),
            self.status(index),
            self._errors.get(index),
            None if math.isnan(seconds) else seconds,
            None if math.isnan(cost) else round(cost, _DIGITS),
            *self._of,
        )

    def those(self, *statuses: str) -> list[int]:
        """The items with one of these statuses, in order."""
        codes = {_CODES[status] for status in statuses}
        return [index for index, code in enumerate(self._statuses) if code in codes]

    def counts(self, total: int | None) -> Counts:
        """How many there are of which kind, of so many items in all."""
        many = self.statuses
        return Counts(
            done=many["succeeded"],
            failed=sum(many[status] for status in WITHOUT_OUTPUT),
            paused=many["paused"],
            running=many["running"],
            left=None if total is None else max(0, total - len(self)),
        )
