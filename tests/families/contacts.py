"""One write of many: the numbers of those who match are handed on as a list, and nested input says whom.

Written after the code that promotes. What makes it hard: the list is deep inside the result, what is matched by stands
in the request, and nobody, or everybody, may match.
"""

from typing import Any

from pydantic import BaseModel

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True

CITIES = ("Bern", "Graz", "Lyon", "Oslo")


class Campaign(BaseModel):
    """What is sent."""

    campaign_id: str
    city: str


class Request(BaseModel):
    """What comes in."""

    book_id: str
    campaign: Campaign


class Added(BaseModel):
    """Who was added to what."""

    campaign_id: str
    contacts: list[str]


@ak.tool
def read_book(book_id: str, ctx: ak.Context) -> dict[str, Any]:
    """Read an address book. Returns its owner, and its contacts under data.items, in no order.

    Args:
        book_id: the book's number, for example "BK-482".
    """
    return ctx.deps.read("books", book_id)


@ak.tool(writes=True)
def add_contacts(campaign_id: str, contact_ids: list[str], owner: str, ctx: ak.Context) -> dict[str, Any]:
    """Add contacts to a campaign. Returns how many it has then.

    Args:
        campaign_id: the campaign's number, for example "CA-4821".
        contact_ids: the contacts' numbers, for example ["C-20482"].
        owner: whose contacts they are.
    """
    ctx.deps.write("add_contacts", campaign_id=campaign_id, contact_ids=contact_ids, owner=owner)
    return {"campaign_id": campaign_id, "size": len(contact_ids)}


TOOLS = [read_book, add_contacts]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("contacts", model, "Add who lives in the campaign's city.", tools=TOOLS, output=Added)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    book = yield use(read_book, book_id=given["book_id"])
    ids = [one["id"] for one in book["data"]["items"] if one["address"]["city"] == given["campaign"]["city"]]
    campaign_id = given["campaign"]["campaign_id"]
    yield use(add_contacts, campaign_id=campaign_id, contact_ids=ids, owner=book["owner"]["name"])
    return Added(campaign_id=campaign_id, contacts=ids)


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(read_book, book_id=given["book_id"])]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities) -> Case:
    """A random request."""
    pool = Pool("contacts", seed, entities)
    book_id, campaign_id, city, owner = pool.id("BK-", 3), pool.id("CA-", 4), pool.choice(CITIES), pool.name()
    items = [_contact(pool, city) for _ in range(pool.random.randint(0, 6))]
    book = {"owner": {"name": owner, "id": pool.id("U-")}, "data": {"items": items, "total": len(items)}}
    ids = [one["id"] for one in items if one["address"]["city"] == city]
    given = Request(book_id=book_id, campaign=Campaign(campaign_id=campaign_id, city=city)).model_dump()
    write = {"campaign_id": campaign_id, "contact_ids": ids, "owner": owner}
    output = {"campaign_id": campaign_id, "contacts": ids}
    world, known = World({"books": {book_id: book}}), (city, *(one["id"] for one in items))
    judged = {"contact_ids": ids, "contacts": ids}
    return Case(given, world, [Write("add_contacts", write)], output, judged=judged, shown=known)


def _contact(pool: Pool, city: str) -> dict[str, Any]:
    lives = city if pool.chance(0.5) else pool.choice(CITIES)
    return {"id": pool.id("C-"), "name": pool.name(), "address": {"city": lives, "zip": f"{pool.number(1000, 9999)}"}}


agent = new_agent(policy())
