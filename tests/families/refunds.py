"""A selection by field: the one line of an order, and the one payment, whose field says so; lists in any order.

What makes it hard: another line can have the same price, the payments that failed stand beside the one that did not,
and an order of one line looks as if its first line were meant.
"""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, Field

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True


class Request(BaseModel):
    """What comes in."""

    order_id: str
    sku: str


class Line(BaseModel):
    """One position of an order."""

    line_id: str
    sku: str
    title: str
    quantity: int
    price: Decimal


class Order(BaseModel):
    """What somebody bought."""

    order_id: str
    customer: str
    lines: list[Line]
    total: Decimal


class Resolution(BaseModel):
    """How the request was settled."""

    refund_id: str
    amount: Decimal


@ak.tool
def find_order(order_id: str, ctx: ak.Context) -> Order:
    """Look up one order by its number. Returns its lines with their prices in USD, in no order.

    Args:
        order_id: the order's number, for example "A-10428".
    """
    return ctx.deps.read("orders", order_id)


@ak.tool
def find_payments(order_id: str, ctx: ak.Context) -> list[dict[str, Any]]:
    """List the attempts to pay for an order. Returns their ids and statuses; the one captured is what was paid.

    Args:
        order_id: the order's number, for example "A-10428".
    """
    return ctx.deps.read("payments", order_id)


@ak.tool
def refund_rules(country: str, ctx: ak.Context) -> dict:
    """Look up until when refunds are due in a country. Returns the number of days.

    Args:
        country: two letters, for example "DE".
    """
    return ctx.deps.read("rules", country)


@ak.tool(writes=True)
def refund(
    payment_id: str, line_id: str, amount: Annotated[Decimal, Field(gt=0, le=10_000)], ctx: ak.Context
) -> dict[str, Any]:
    """Refund one line of an order to what it was paid with. Returns the refund's number and amount.

    Args:
        payment_id: the captured payment, for example "pay_48213".
        line_id: the line, for example "L-20482".
        amount: in USD, above 0, for example "19.90".
    """
    number = ctx.deps.write("refund", payment_id=payment_id, line_id=line_id, amount=amount)
    return {"refund_id": f"R-{number}", "amount": str(amount), "status": "pending"}


TOOLS = [find_order, find_payments, refund_rules, refund]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("refunds", model, "Refund the line with that SKU.", tools=TOOLS, output=Resolution)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    order, payments = yield [
        use(find_order, order_id=given["order_id"]),
        use(find_payments, order_id=given["order_id"]),
    ]
    (line,) = [line for line in order["lines"] if line["sku"] == given["sku"]]
    (paid,) = [payment for payment in payments if payment["status"] == "captured"]
    done = yield use(refund, payment_id=paid["payment_id"], line_id=line["line_id"], amount=line["price"])
    return Resolution(refund_id=done["refund_id"], amount=done["amount"])


def idle(_given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(refund_rules, country="DE")]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, lines: int | None = None, first: bool = False, captured: int = 1) -> Case:
    """A random request.

    Args:
        lines: how many lines the order has; any number from 1 to 5 when left out.
        first: the line that is meant stands first, as does the captured payment.
        captured: how many payments were; with more than one nobody can say which is meant, and no write is right.
    """
    pool = Pool("refunds", seed, entities)
    order_id = pool.id("A-")
    count = lines if lines is not None else pool.random.randint(1, 5)
    meant, *others = [_line(pool) for _ in range(count)]
    if others and pool.chance(0.3):
        others[0] = others[0].model_copy(update={"price": meant.price})
    paid, *failed = _payments(pool, captured)
    in_order = [meant, *others] if first else pool.shuffled([meant, *others])
    attempts = [paid, *failed] if first else pool.shuffled([paid, *failed])
    total = sum((line.price * line.quantity for line in in_order), Decimal(0))
    order = Order(order_id=order_id, customer=pool.name(), lines=in_order, total=total)
    number = pool.number(10000, 99999)
    world = World(
        {"orders": {order_id: order}, "payments": {order_id: attempts}, "rules": {"DE": {"days": 14}}},
        {"refund": number},
    )
    price = str(meant.price)
    writes = [Write("refund", {"payment_id": paid["payment_id"], "line_id": meant.line_id, "amount": price})]
    given = Request(order_id=order_id, sku=meant.sku).model_dump()
    if captured != 1:
        return Case(given, world, [], None)
    return Case(given, world, writes, {"refund_id": f"R-{number}", "amount": price})


def _line(pool: Pool) -> Line:
    return Line(
        line_id=pool.id("L-"),
        sku=pool.id("SKU", 4),
        title=pool.word(),
        quantity=pool.choice([1, 1, 2, 3]),
        price=pool.amount(3, 300),
    )


def _payments(pool: Pool, captured: int) -> list[dict[str, Any]]:
    """The captured one first."""
    others = [pool.choice(["failed", "authorised"]) for _ in range(pool.random.randint(0, 2))]
    return [
        {"payment_id": pool.id("pay_"), "status": status, "method": pool.choice(["card", "transfer"])}
        for status in ["captured"] * captured + others
    ]


agent = new_agent(policy())
