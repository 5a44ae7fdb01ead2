"""What a store that keeps its claims in this process knows of one: the head, and why it broke."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from agentkit.errors import LogError, SeqConflict
from agentkit.events import Event
from agentkit.store import Claim


@dataclass(eq=False, slots=True)
class HeldClaim:
    """A claim as its store sees it; others read `run_id` and `head` only.

    Args:
        run_id: the run.
        owner: the process's name in the log: a forked child has another one and does not inherit the claim.
        head: the seq of the last event appended.
        written: the seq up to which all is on disk, where the store keeps count.
        held: False once released.
        broken: what an append of this claim ran into; every later one fails with it.
    """

    run_id: str
    owner: str
    head: int = 0
    written: int = 0
    held: bool = True
    broken: LogError | None = field(default=None)

    def check(self, events: Sequence[Event], owner: str) -> None:
        """Make sure that these events continue the run.

        Raises:
            SeqConflict: the claim is not held any more, or the events are not this run's next ones.
        """
        if not self.held or self.owner != owner:
            raise SeqConflict(
                f"run {self.run_id} is not claimed by this process any more (it was released, or claimed before a "
                "fork); claim it again and go on from its last event"
            )
        for seq, event in enumerate(events, self.head + 1):
            if event.seq != seq or event.run_id != self.run_id:
                raise SeqConflict(
                    f"run {self.run_id} stands at seq {self.head}: event {event.seq} of run {event.run_id} does not "
                    f"continue it, {seq} of this run is next"
                )


C = TypeVar("C", bound=HeldClaim)


def own(claim: Claim, kind: type[C]) -> C:
    """A claim as the store that gave it sees it.

    Args:
        claim: what the store was handed.
        kind: what its claims are.

    Raises:
        SeqConflict: another store gave it.
    """
    if not isinstance(claim, kind):
        raise SeqConflict(f"the claim on run {claim.run_id} is another store's; claim the run in this one")
    return claim
