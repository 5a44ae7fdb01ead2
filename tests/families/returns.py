"""Two branches, and free text: what was delivered may come back, anything else ends without a write.

The branch shows in the order's status. What makes it hard: the number stands anywhere in the text, beside other
numbers, and most of the time a phone number or a price stands there too.
"""

from typing import Literal

from pydantic import BaseModel

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True

Status = Literal["delivered", "in transit", "lost"]

PHRASES = (
    "I want to send back order {order_id}, please.",
    "Hello, this is {name}. My order {order_id} does not fit. Can I return it?",
    "Return {order_id}! I paid {price} USD for this.",
    "Please take back what I ordered ({order_id}); my phone number is {phone}. {name}",
)


class Order(BaseModel):
    """What somebody bought."""

    order_id: str
    status: Status
    address_id: str
    billing_address_id: str
    items: int


class Answer(BaseModel):
    """What the customer is told."""

    order_id: str
    accepted: bool
    label: str | None = None


@ak.tool
def find_order(order_id: str, ctx: ak.Context) -> Order:
    """Look up one order by its number. Returns its status and its addresses.

    Args:
        order_id: the order's number, for example "A-10428".
    """
    return ctx.deps.read("orders", order_id)


@ak.tool
def return_policy(ctx: ak.Context) -> dict[str, str]:
    """Read what customers are told of returns. Returns the text by language."""
    return ctx.deps.read("policy", "returns")


@ak.tool(writes=True)
def create_return(order_id: str, address_id: str, ctx: ak.Context) -> dict[str, str]:
    """Create a return for an order. Returns the number of its label.

    Args:
        order_id: the order's number, for example "A-10428".
        address_id: where it is picked up, for example "AD-20482".
    """
    return {"label": f"RET-{ctx.deps.write('create_return', order_id=order_id, address_id=address_id)}"}


TOOLS = [find_order, return_policy, create_return]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent(
        "returns", model, "Create a return where the order was delivered; else refuse.", tools=TOOLS, output=Answer
    )


def plan(given: str, _dice: Dice) -> Turns:
    """How a request is settled."""
    order_id = "A-" + given.partition("A-")[2][:5]
    order = yield use(find_order, order_id=order_id)
    if order["status"] != "delivered":
        return Answer(order_id=order_id, accepted=False)
    done = yield use(create_return, order_id=order_id, address_id=order["address_id"])
    return Answer(order_id=order_id, accepted=True, label=done["label"])


def idle(_given: str) -> list[Use]:
    """What a model might look at without need."""
    return [use(return_policy)]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, status: Status | None = None, phrases: tuple[str, ...] = PHRASES) -> Case:
    """A random request.

    Args:
        status: the order's; any when left out, delivered in three of five.
        phrases: the ways to ask for it.
    """
    pool = Pool("returns", seed, entities)
    order_id, number = pool.id("A-"), pool.number(10000, 99999)
    stands = status or pool.choice(["delivered", "delivered", "delivered", "in transit", "lost"])
    address = pool.id("AD-")
    order = Order(
        order_id=order_id,
        status=stands,
        address_id=address,
        billing_address_id=address if pool.chance(0.4) else pool.id("AD-"),
        items=pool.random.randint(1, 4),
    )
    said = pool.choice(phrases).format(
        order_id=order_id, name=pool.name(), price=pool.amount(5, 200), phone=pool.number(100000, 999999)
    )
    world = World({"orders": {order_id: order}, "policy": {"returns": {"en": "14 days"}}}, {"create_return": number})
    accepted = stands == "delivered"
    writes = [Write("create_return", {"order_id": order_id, "address_id": address})] if accepted else []
    output = {"order_id": order_id, "accepted": accepted, "label": f"RET-{number}" if accepted else None}
    return Case(said, world, writes, output, way=stands)


agent = new_agent(policy())
