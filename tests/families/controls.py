"""The negative controls: training that misleads, a world that changed, work that cannot be promoted.

Each says which outcomes are right. A wrong write is right in none of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from types import ModuleType
from typing import Any, Literal

from families import chores, claims, discounts, parcels, pickups, refunds, reminders, returns, sensors, statements
from families.case import Case

Outcome = Literal["equal", "deopt", "wrong", "error"]


@dataclass(frozen=True)
class Control:
    """A way to be misled.

    Args:
        about: what misleads, and what is right.
        family: whose agent and tools it has.
        training: the case of a seed that is learned from.
        held_out: the case of a seed that is judged.
        runs: how many runs are learned from.
        right: the outcomes that are right; refusing to promote always is, unless it says "promoted".
        refused: only a refusal is right.
    """

    about: str
    family: ModuleType
    training: Callable[[int], Case]
    held_out: Callable[[int], Case]
    runs: int = 5
    right: frozenset[Outcome] = frozenset({"equal", "deopt"})
    refused: bool = False


DEOPT: frozenset[Outcome] = frozenset({"deopt"})


def _changed(case: Case, change: Callable[[dict[str, dict[Any, Any]]], None]) -> Case:
    """A case whose world changed after the runs: nothing that is written to it can be right."""
    change(case.world.tables)
    case.writes, case.output = [], None
    return case


def _rename_gate(tables: dict[str, dict[Any, Any]]) -> None:
    for gate in tables["gates"].values():
        gate["gate_no"] = gate.pop("gate")


def _rename_status(tables: dict[str, dict[Any, Any]]) -> None:
    for payments in tables["payments"].values():
        for payment in payments:
            payment["state"] = payment.pop("status")


def _lose_customers(tables: dict[str, dict[Any, Any]]) -> None:
    tables["customers"].clear()


def _no_line(tables: dict[str, dict[Any, Any]]) -> None:
    for order in tables["orders"].values():
        for line in order.lines:
            line.sku += "-B"


CONTROLS: dict[str, Control] = {
    "computed choice": Control(
        "The queue follows from a threshold that no record holds: a model chooses, or nobody does.",
        claims,
        lambda seed: claims.case(seed, "training"),
        lambda seed: claims.case(seed, "held_out"),
        runs=10,
    ),
    "computed choice, one side seen": Control(
        "Every run was below the threshold, so the queue looks constant; above what was seen it must not be written.",
        claims,
        lambda seed: claims.case(seed, "training", kinds=("water", "fire"), up_to=900),
        lambda seed: claims.case(seed, "held_out", kinds=("water", "fire")),
        runs=10,
    ),
    "computed choice, one kind seen": Control(
        "Every run was about water, so the queue looks constant; another kind was never seen.",
        claims,
        lambda seed: claims.case(seed, "training", kinds=("water",), up_to=900),
        lambda seed: claims.case(seed, "held_out", up_to=900),
        runs=10,
    ),
    "coincidental constant, written": Control(
        "Every run went to one depot: its code is a constant and is what the request says; these disagree elsewhere.",
        pickups,
        lambda seed: pickups.case(seed, "training", depot="muc"),
        lambda seed: pickups.case(seed, "held_out", depot="ber" if seed % 2 else "ham"),
    ),
    "coincidental constant, read": Control(
        "Every account was in EUR: a constant, or the account's currency; these disagree for other accounts.",
        statements,
        lambda seed: statements.case(seed, "training", currency="EUR"),
        lambda seed: statements.case(seed, "held_out", currency="USD"),
    ),
    "one run": Control(
        "One run, in which sender is recipient and both addresses are the same: what was meant cannot be known.",
        parcels,
        lambda seed: parcels.case(seed, "training", alike=True),
        lambda seed: parcels.case(seed, "held_out"),
        runs=1,
    ),
    "alike in every run": Control(
        "Five runs in which sender is recipient and both addresses are the same: more of them show no more.",
        parcels,
        lambda seed: parcels.case(seed, "training", alike=True),
        lambda seed: parcels.case(seed, "held_out", alike=False),
    ),
    "a day that reads both ways": Control(
        "Every run's day was like 03/03: which number is the month was never shown.",
        pickups,
        lambda seed: pickups.case(seed, "training", day=date(2026, seed % 11 + 1, seed % 11 + 1)),
        lambda seed: pickups.case(seed, "held_out", day=date(2026, seed % 11 + 1, seed % 11 + 2)),
    ),
    "reordered list": Control(
        "What was meant always stood first: the first is not what is meant once the order changes.",
        refunds,
        lambda seed: refunds.case(seed, "training", first=True),
        lambda seed: refunds.case(seed, "held_out", lines=4),
    ),
    "extra element": Control(
        "Every order had one line, so the only one was meant; an order of three has no only one.",
        refunds,
        lambda seed: refunds.case(seed, "training", lines=1),
        lambda seed: refunds.case(seed, "held_out", lines=3),
    ),
    "extra invoice": Control(
        "Every month had one invoice, so sum, maximum and its amount were the same.",
        statements,
        lambda seed: statements.case(seed, "training", count=1),
        lambda seed: statements.case(seed, "held_out", count=3),
    ),
    "extra guest": Control(
        "Every event had one guest: that the write is done for each of them was never shown.",
        reminders,
        lambda seed: reminders.case(seed, "training", guests=1),
        lambda seed: reminders.case(seed, "held_out"),
    ),
    "two that match": Control(
        "Two payments were captured: one of them cannot be picked.",
        refunds,
        lambda seed: refunds.case(seed, "training"),
        lambda seed: refunds.case(seed, "held_out", captured=2),
        right=DEOPT,
    ),
    "none that matches": Control(
        "No line has the SKU of the request.",
        refunds,
        lambda seed: refunds.case(seed, "training"),
        lambda seed: _changed(refunds.case(seed, "held_out"), _no_line),
        right=DEOPT,
    ),
    "renamed field, read": Control(
        "A field that is written from has another name now.",
        pickups,
        lambda seed: pickups.case(seed, "training"),
        lambda seed: _changed(pickups.case(seed, "held_out"), _rename_gate),
        right=DEOPT,
    ),
    "renamed field, selected by": Control(
        "A field that something is selected by has another name now.",
        refunds,
        lambda seed: refunds.case(seed, "training"),
        lambda seed: _changed(refunds.case(seed, "held_out"), _rename_status),
        right=DEOPT,
    ),
    "error result": Control(
        "A read that always succeeded fails.",
        parcels,
        lambda seed: parcels.case(seed, "training"),
        lambda seed: _changed(parcels.case(seed, "held_out"), _lose_customers),
        right=DEOPT,
    ),
    "branch never seen": Control(
        "Every order was delivered or on its way; what is done with a lost one was never shown.",
        returns,
        lambda seed: returns.case(seed, "training", status="delivered" if seed % 2 else "in transit"),
        lambda seed: returns.case(seed, "held_out", status="lost"),
    ),
    "one branch seen": Control(
        "Every order was delivered, so every run wrote; an order on its way must not be returned.",
        returns,
        lambda seed: returns.case(seed, "training", status="delivered"),
        lambda seed: returns.case(seed, "held_out"),
    ),
    "a phrase never seen": Control(
        "Every request was worded in one of two ways; another way has another number in it.",
        returns,
        lambda seed: returns.case(seed, "training", phrases=returns.PHRASES[:2]),
        lambda seed: returns.case(seed, "held_out", phrases=returns.PHRASES[2:]),
    ),
    "a number that another thing has too": Control(
        "Every room had the number of its sensor: put together from the request, or read; these differ elsewhere.",
        sensors,
        lambda seed: sensors.case(seed, "training", same_number=True),
        lambda seed: sensors.case(seed, "held_out", same_number=False),
    ),
    "edited in every run": Control(
        "A person changed the percentage each time: what was written is that person's, and the account's is proposed.",
        discounts,
        lambda seed: discounts.case(seed, "training", edited=True),
        lambda seed: discounts.case(seed, "held_out", edited=False),
    ),
    "no repetition": Control(
        "Each request wants other things in another order: there is nothing to promote.",
        chores,
        lambda seed: chores.case(seed, "training"),
        lambda seed: chores.case(seed, "held_out"),
        runs=10,
        refused=True,
    ),
}
