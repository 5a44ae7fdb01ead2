"""A loop over what a filter leaves: each item that ran low is ordered again, and no other.

What makes it hard: none may be low, or all; and what is ordered is said beside the item, not in the list's order.
"""

from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True


class Request(BaseModel):
    """What comes in."""

    warehouse_id: str


class Item(TypedDict):
    """What lies on a shelf."""

    sku: str
    on_hand: int
    low: bool
    lot: int
    supplier_id: str


class Restocked(BaseModel):
    """How much was ordered for which warehouse."""

    warehouse_id: str
    orders: int


@ak.tool
def list_stock(warehouse_id: str, ctx: ak.Context) -> list[Item]:
    """List what a warehouse holds. Returns each item, whether it ran low, and the lot it is ordered in.

    Args:
        warehouse_id: the warehouse's number, for example "W-310".
    """
    return ctx.deps.read("stock", warehouse_id)


@ak.tool
def find_supplier(supplier_id: str, ctx: ak.Context) -> dict[str, str]:
    """Look up one supplier by number. Returns its name and how it wants orders.

    Args:
        supplier_id: the supplier's number, for example "V-482".
    """
    return ctx.deps.read("suppliers", supplier_id)


@ak.tool(writes=True)
def order_stock(
    sku: str, supplier_id: str, quantity: Annotated[int, Field(ge=1, le=10_000)], deliver_to: str, ctx: ak.Context
) -> dict[str, str]:
    """Order an item from a supplier. Returns the order's number.

    Args:
        sku: the item, for example "SKU4821".
        supplier_id: who delivers it, for example "V-482".
        quantity: how many pieces, one lot or more.
        deliver_to: the warehouse's number, for example "W-310".
    """
    number = ctx.deps.write("order_stock", sku=sku, supplier_id=supplier_id, quantity=quantity, deliver_to=deliver_to)
    return {"order_id": f"O-{number}"}


TOOLS = [list_stock, find_supplier, order_stock]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("restocks", model, "Order one lot of whatever ran low.", tools=TOOLS, output=Restocked)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    stock = yield use(list_stock, warehouse_id=given["warehouse_id"])
    low = [item for item in stock if item["low"]]
    yield [
        use(
            order_stock,
            sku=item["sku"],
            supplier_id=item["supplier_id"],
            quantity=item["lot"],
            deliver_to=given["warehouse_id"],
        )
        for item in low
    ]
    return Restocked(warehouse_id=given["warehouse_id"], orders=len(low))


def idle(_given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(find_supplier, supplier_id="V-100")]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities) -> Case:
    """A random request."""
    pool = Pool("restocks", seed, entities)
    warehouse_id = pool.id("W-", 3)
    stock = [_item(pool) for _ in range(pool.random.randint(0, 6))]
    low = [item for item in stock if item["low"]]
    world = World({"stock": {warehouse_id: stock}, "suppliers": {"V-100": {"name": pool.name(), "by": "mail"}}})
    writes = [
        Write(
            "order_stock",
            {
                "sku": item["sku"],
                "supplier_id": item["supplier_id"],
                "quantity": item["lot"],
                "deliver_to": warehouse_id,
            },
        )
        for item in low
    ]
    given = Request(warehouse_id=warehouse_id).model_dump()
    return Case(given, world, writes, {"warehouse_id": warehouse_id, "orders": len(low)})


def _item(pool: Pool) -> Item:
    return Item(
        sku=pool.id("SKU", 4),
        on_hand=pool.random.randint(0, 200),
        low=pool.chance(0.5),
        lot=pool.number(10, 500),
        supplier_id=pool.id("V-", 3),
    )


agent = new_agent(policy())
