"""The same conversation for every contestant: each turn calls one reading tool, ~100 bytes in and ~500 bytes out."""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

QUESTION = "Order A-1042 arrived broken: look through what is known of it and say what to do."
ANSWER = "Done: every record was read."
WORDS = [
    "order",
    "item",
    "parcel",
    "courier",
    "depot",
    "broken",
    "replaced",
    "refund",
    "customer",
    "address",
    "invoice",
    "total",
    "paid",
    "delayed",
    "damaged",
    "shelf",
    "signed",
    "returned",
    "voucher",
    "ticket",
    "stock",
    "weight",
    "carton",
    "label",
    "morning",
    "evening",
    "street",
    "window",
    "glass",
    "handle",
    "lamp",
    "chair",
]


@dataclass(frozen=True)
class Turn:
    """What the model says and calls, and what the tool returns."""

    says: str
    arguments: dict[str, str]
    result: dict[str, Any]

    def bytes(self) -> int:
        """The new content of this turn, as compact JSON."""
        return len(self.says) + len(compact(self.arguments)) + len(compact(self.result))


def compact(value: Any) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def prose(chance: random.Random, length: int) -> str:
    """Words up to a length: like real text, it compresses, but no two turns are the same."""
    words = " ".join(chance.choice(WORDS) for _ in range(length // 4))
    return words[:length]


def turn(number: int) -> Turn:
    """The turn of that number, the same in every process."""
    chance = random.Random(number)
    order = f"A-{number:05d}"
    record = {"order_id": order, "status": chance.choice(WORDS), "total": chance.randrange(100_000) / 100}
    return Turn(
        says=f"Reading {order}.",
        arguments={"order_id": order, "note": prose(chance, 60)},
        result={**record, "history": prose(chance, 430)},
    )


@dataclass
class Script:
    """A run's turns, played in order; it notes when each tool call happened and how much CPU had been used by then."""

    turns: list[Turn]
    proposed: int = 0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, count: int) -> "Script":
        """The first `count` turns."""
        return cls([turn(number) for number in range(1, count + 1)])

    def propose(self) -> Turn | None:
        """The model's next turn; None when it has only the answer left to give."""
        if self.proposed == len(self.turns):
            return None
        self.proposed += 1
        return self.turns[self.proposed - 1]

    def read(self, order_id: str, note: str) -> dict[str, Any]:
        """The tool: the record of the turn that was proposed last."""
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())
        expected = self.turns[len(self.wall) - 1]
        assert expected.arguments == {"order_id": order_id, "note": note}, "a call out of order"
        return expected.result

    def bytes(self) -> int:
        """The new content of the whole run."""
        return len(QUESTION) + len(ANSWER) + sum(each.bytes() for each in self.turns)

    def check(self, answer: object) -> None:
        """Every turn happened once, and the run gave its answer."""
        assert len(self.wall) == len(self.turns), f"{len(self.wall)} tool calls for {len(self.turns)} turns"
        assert answer == ANSWER, f"the run answered {answer!r}"


def facts(turns: int) -> Mapping[str, str]:
    """The workload in words, for a report."""
    script = Script.of(turns)
    mean = script.bytes() / turns
    return {"turns": str(turns), "new content a turn": f"{mean:.0f} B", "sleeping": "none"}
