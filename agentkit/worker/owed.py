"""What the queue is yet to be told: a log that is away for a moment loses nothing of it."""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

Telling: TypeAlias = Callable[[], object]


class Owed:
    """What is to be told of each run, in order; one run's trouble is not another's.

    What a living worker has nobody else takes, so no run may stay taken because one statement failed.
    """

    def __init__(self) -> None:
        self._of: dict[str, deque[Telling]] = {}

    def add(self, run_id: str, *tellings: Telling) -> None:
        """Tell something of a run when `pay` is called next."""
        self._of.setdefault(run_id, deque()).extend(tellings)

    def pay(self) -> Exception | None:
        """Tell what can be told, and keep the rest.

        Returns:
            What kept the rest from being told, if anything did.
        """
        problem: Exception | None = None
        for run_id in list(self._of):
            tellings = self._of[run_id]
            try:
                while tellings:
                    tellings[0]()
                    tellings.popleft()
            except Exception as error:  # noqa: BLE001  whatever a store raises: it is tried again, and the others go on
                problem = error
            else:
                del self._of[run_id]
        return problem
