"""A tape of a run's history: the log's events, the answers and what happened in the world, in the order it happened.

Cut anywhere, it is what a crash leaves behind: the log and the world as they were.
"""

import threading
from dataclasses import dataclass
from typing import Any

from scenario_tools import Ledger

from agentkit.events import Event
from agentkit.stores.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happened. `kind`: "event", "answer", "world", or "sync", when a run's events are on disk."""

    kind: str
    value: Any = None

    @property
    def run_id(self) -> str:
        """The run of an event; nothing else has one here."""
        return self.value[0].run_id if self.kind == "event" else ""


class TapeStore(MemoryStore):
    """A log in memory that writes the tape.

    Args:
        past: what happened before: the log begins with it.
    """

    def __init__(self, past: list[Item] | None = None) -> None:
        super().__init__("tape")
        self.tape: list[Item] = []
        self._taping = threading.RLock()
        for item in past or []:
            if item.kind == "event":
                event, data = item.value
                self._events.setdefault(event.run_id, []).append(data)
            elif item.kind == "answer":
                run_id, approval_id, given = item.value
                super().answer(run_id, approval_id, given)

    def append(self, claim, events, *, durable=True):
        with self._taping:
            done = super().append(claim, events, durable=durable)
            self.tape += [Item("event", (event, event.encode())) for event in events]
            if durable:
                self.tape.append(Item("sync", claim.run_id))
        return done

    def answer(self, run_id, approval_id, answer):
        with self._taping:
            self.tape.append(Item("answer", (run_id, approval_id, answer)))
            return super().answer(run_id, approval_id, answer)

    def ledger(self) -> Ledger:
        """A world whose entries go onto this tape."""
        return Ledger(told=lambda entry: self.tape.append(Item("world", entry)))


def events_of(items: list[Item]) -> list[Event]:
    """The events on a tape."""
    return [item.value[0] for item in items if item.kind == "event"]


def world_of(items: list[Item]) -> list[dict[str, Any]]:
    """What happened in the world by then."""
    return [item.value for item in items if item.kind == "world"]


def cuts(tape: list[Item], *, begin: int = 0) -> list[list[Item]]:
    """Every history that a crash can leave, shortest first.

    At each point of the tape once with all that was written by then and, where that is less, with only what was on disk
    for sure: a run's last events were written and not yet synced. Answers are synced when they are given.

    Args:
        tape: the history.
        begin: where the process that crashes began: all before that is on disk, and no cut is earlier.
    """
    found: dict[tuple[int, ...], list[Item]] = {}
    synced: dict[str, int] = {}
    for end, item in enumerate(tape[begin:], begin + 1):
        if item.kind == "sync":
            synced[item.value] = end
            continue
        kept = [at for at in range(end) if not _is_lost(tape[at], at, synced.get(tape[at].run_id, begin))]
        for history in (tuple(range(end)), tuple(kept)):
            found.setdefault(history, [tape[at] for at in history if tape[at].kind != "sync"])
    return [cut for cut in found.values() if any(item.kind == "event" for item in cut)]


def _is_lost(item: Item, at: int, synced: int) -> bool:
    return item.kind == "event" and at >= synced
