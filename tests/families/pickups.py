"""Normalisation: a bare number becomes an invoice's, a day is written the other way round, a code is set in capitals.

What makes it hard: nothing is copied as it stands, and a day such as 03/03 reads the same both ways.
"""

from datetime import date
from typing import Any

from pydantic import BaseModel

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True

DEPOTS = ("muc", "ber", "ham", "fra", "cgn")


class Request(BaseModel):
    """What comes in: a form that people fill by hand."""

    invoice: int
    day: str
    depot: str


class Booking(BaseModel):
    """A pickup that was booked."""

    reference: str
    day: str
    gate: str


@ak.tool
def find_invoice(invoice_id: str, ctx: ak.Context) -> dict[str, Any]:
    """Look up one invoice. Returns whose it is and how many boxes it is about.

    Args:
        invoice_id: the invoice's number, for example "INV-20417".
    """
    return ctx.deps.read("invoices", invoice_id)


@ak.tool
def find_gate(depot: str, day: str, ctx: ak.Context) -> dict[str, Any]:
    """Look up where a depot loads on a day. Returns the gate and when it closes.

    Args:
        depot: three capital letters, for example "MUC".
        day: the day in ISO format, for example "2026-11-03".
    """
    return ctx.deps.read("gates", depot, day)


@ak.tool(writes=True)
def book_pickup(reference: str, depot: str, day: str, gate: str, contact: str, ctx: ak.Context) -> dict[str, Any]:
    """Book a pickup at a gate. Returns the booking with its time.

    Args:
        reference: what the driver says, for example "PU-INV-20417".
        depot: three capital letters, for example "MUC".
        day: the day in ISO format, for example "2026-11-03".
        gate: the gate, for example "G-310".
        contact: who is called: an e-mail address in small letters, for example "ada@example.com".
    """
    ctx.deps.write("book_pickup", reference=reference, depot=depot, day=day, gate=gate, contact=contact)
    return {"reference": reference, "day": day, "gate": gate, "window": "08:00-10:00"}


TOOLS = [find_invoice, find_gate, book_pickup]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("pickups", model, "Book the pickup; days come as DD/MM/YYYY.", tools=TOOLS, output=Booking)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    invoice_id, depot = f"INV-{given['invoice']}", given["depot"].upper()
    day, month, year = given["day"].split("/")
    iso = f"{year}-{month}-{day}"
    invoice, gate = yield [use(find_invoice, invoice_id=invoice_id), use(find_gate, depot=depot, day=iso)]
    contact = invoice["contact"].strip().lower()
    booked = yield use(
        book_pickup, reference=f"PU-{invoice_id}", depot=depot, day=iso, gate=gate["gate"], contact=contact
    )
    return Booking(reference=booked["reference"], day=booked["day"], gate=booked["gate"])


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(find_invoice, invoice_id=str(given["invoice"]))]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, day: date | None = None, depot: str | None = None) -> Case:
    """A random request.

    Args:
        day: when; any day of the pool's when left out.
        depot: where; any of them when left out.
    """
    pool = Pool("pickups", seed, entities)
    when = day or pool.day()
    invoice, depot, gate = pool.number(10000, 99999), depot or pool.choice(DEPOTS), pool.id("G-", 3)
    contact = pool.email(pool.name())
    written = pool.choice([contact, contact.title(), contact.upper()])
    record = {"owner": pool.name(), "contact": written, "boxes": pool.random.randint(1, 9), "issued": f"{pool.day()}"}
    world = World(
        {
            "invoices": {f"INV-{invoice}": record},
            "gates": {(depot.upper(), when.isoformat()): {"gate": gate, "spare": pool.id("G-", 3), "closes": "18:00"}},
        }
    )
    reference = f"PU-INV-{invoice}"
    booking = {"reference": reference, "depot": depot.upper(), "day": when.isoformat(), "gate": gate}
    given = Request(invoice=invoice, day=f"{when:%d/%m/%Y}", depot=pool.choice([depot, depot.title()]))
    output = {"reference": reference, "day": when.isoformat(), "gate": gate}
    return Case(given.model_dump(), world, [Write("book_pickup", {**booking, "contact": contact})], output)


agent = new_agent(policy())
