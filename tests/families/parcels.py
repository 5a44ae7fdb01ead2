"""A copy: a number from the request flows through two reads into a write.

What makes it hard: a sender often is the recipient, and a customer's billing address often is the address for notices.
"""

from pydantic import BaseModel

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True


class Request(BaseModel):
    """What comes in."""

    parcel_id: str


class Parcel(BaseModel):
    """A parcel on its way."""

    parcel_id: str
    sender_id: str
    recipient_id: str
    depot_id: str
    weight_kg: float
    status: str


class Customer(BaseModel):
    """Who sends or receives."""

    customer_id: str
    name: str
    billing_email: str
    email: str
    language: str


class Receipt(BaseModel):
    """A notice that was sent."""

    notice_id: str
    email: str


@ak.tool
def find_parcel(parcel_id: str, ctx: ak.Context) -> Parcel:
    """Look up one parcel by its number. Returns who sent it, who receives it, and where it is.

    Args:
        parcel_id: the parcel's number, for example "P-48213".
    """
    return ctx.deps.read("parcels", parcel_id)


@ak.tool
def find_customer(customer_id: str, ctx: ak.Context) -> Customer:
    """Look up one customer by number. Returns the name and the e-mail addresses.

    Args:
        customer_id: the customer's number, for example "C-20482".
    """
    return ctx.deps.read("customers", customer_id)


@ak.tool
def depot_hours(depot_id: str, ctx: ak.Context) -> dict:
    """Look up when a depot is open. Returns its opening hours in local time.

    Args:
        depot_id: the depot's number, for example "D-310".
    """
    return ctx.deps.read("depots", depot_id)


@ak.tool(writes=True)
def send_notice(email: str, parcel_id: str, template: str, ctx: ak.Context) -> Receipt:
    """Send a notice about a parcel to one address. Returns the notice's number.

    Args:
        email: the recipient's address, for example "ada@example.com".
        parcel_id: the parcel's number, for example "P-48213".
        template: which notice, for example "delayed".
    """
    number = ctx.deps.write("send_notice", email=email, parcel_id=parcel_id, template=template)
    return Receipt(notice_id=f"N-{number}", email=email)


TOOLS = [find_parcel, find_customer, depot_hours, send_notice]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent(
        "parcels", model, "Tell the recipient of the parcel that it is delayed.", tools=TOOLS, output=Receipt
    )


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    parcel = yield use(find_parcel, parcel_id=given["parcel_id"])
    customer = yield use(find_customer, customer_id=parcel["recipient_id"])
    receipt = yield use(send_notice, email=customer["email"], parcel_id=given["parcel_id"], template="delayed")
    return Receipt(**receipt)


def idle(_given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(depot_hours, depot_id="D-310")]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, alike: bool | None = None) -> Case:
    """A random request.

    Args:
        alike: whether sender and recipient are the same, and everybody's two addresses; now and then when left out.
    """
    pool = Pool("parcels", seed, entities)
    parcel_id, recipient = pool.id("P-"), pool.id("C-")
    sender = recipient if _is(alike, pool, 0.3) else pool.id("C-")
    parcel = Parcel(
        parcel_id=parcel_id,
        sender_id=sender,
        recipient_id=recipient,
        depot_id=pool.id("D-", 3),
        weight_kg=float(pool.amount(1, 30)),
        status=pool.choice(["in transit", "at depot"]),
    )
    customers = {number: _customer(pool, number, alike) for number in (sender, recipient)}
    number = pool.number(10000, 99999)
    world = World(
        {"parcels": {parcel_id: parcel}, "customers": customers, "depots": {"D-310": {"hours": "08:00-18:00"}}},
        {"send_notice": number},
    )
    email = customers[recipient].email
    writes = [Write("send_notice", {"email": email, "parcel_id": parcel_id, "template": "delayed"})]
    return Case(Request(parcel_id=parcel_id).model_dump(), world, writes, {"notice_id": f"N-{number}", "email": email})


def _is(given: bool | None, pool: Pool, probability: float) -> bool:
    return given if given is not None else pool.chance(probability)


def _customer(pool: Pool, number: str, alike: bool | None) -> Customer:
    name = pool.name()
    email = pool.email(name)
    billing = email if _is(alike, pool, 0.5) else pool.email("billing")
    return Customer(
        customer_id=number, name=name, billing_email=billing, email=email, language=pool.choice(["en", "de"])
    )


agent = new_agent(policy())
