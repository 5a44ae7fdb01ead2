"""An approval: a person sees the discount before it is granted, and sometimes grants less.

What makes it hard: what was written is not what was proposed where a person changed it, so the percentage of a run may
come from the account, or from nowhere but that person.
"""

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

    quote_id: str


class Quote(BaseModel):
    """What was offered to whom."""

    quote_id: str
    account_id: str
    positions: int
    valid_until: str


class Granted(BaseModel):
    """A discount that was granted."""

    quote_id: str
    percent: int


@ak.tool
def find_quote(quote_id: str, ctx: ak.Context) -> Quote:
    """Look up one quote by its number. Returns whose it is and until when it holds.

    Args:
        quote_id: the quote's number, for example "Q-48213".
    """
    return ctx.deps.read("quotes", quote_id)


@ak.tool
def find_terms(account_id: str, ctx: ak.Context) -> dict[str, Any]:
    """Look up an account's terms. Returns its discount in percent and its days to pay.

    Args:
        account_id: the account's number, for example "K-20482".
    """
    return ctx.deps.read("terms", account_id)


@ak.tool(writes=True, approve=True)
def grant_discount(quote_id: str, percent: Annotated[int, Field(ge=0, le=50)], ctx: ak.Context) -> Granted:
    """Grant a discount on a quote. Returns what was granted.

    Args:
        quote_id: the quote's number, for example "Q-48213".
        percent: how much less, in percent.
    """
    ctx.deps.write("grant_discount", quote_id=quote_id, percent=percent)
    return Granted(quote_id=quote_id, percent=percent)


TOOLS = [find_quote, find_terms, grant_discount]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("discounts", model, "Grant the account's discount on the quote.", tools=TOOLS, output=Granted)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    quote = yield use(find_quote, quote_id=given["quote_id"])
    terms = yield use(find_terms, account_id=quote["account_id"])
    granted = yield use(grant_discount, quote_id=given["quote_id"], percent=terms["discount"])
    return Granted(**granted)


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(find_quote, quote_id=given["quote_id"])]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, edited: bool | None = None) -> Case:
    """A random request.

    Args:
        edited: whether the person changes the percentage; in two of five cases when left out.
    """
    pool = Pool("discounts", seed, entities)
    quote_id, account_id = pool.id("Q-"), pool.id("K-")
    proposed = pool.number(6, 40)
    changed = edited if edited is not None else pool.chance(0.4)
    percent = pool.number(0, proposed) if changed else proposed
    quote = Quote(
        quote_id=quote_id,
        account_id=account_id,
        positions=proposed if pool.chance(0.1) else pool.random.randint(1, 40),
        valid_until=f"{pool.day()}",
    )
    terms = {"discount": proposed, "days": pool.choice([14, 30, 60]), "owner": pool.name()}
    world = World({"quotes": {quote_id: quote}, "terms": {account_id: terms}})
    granted = {"quote_id": quote_id, "percent": percent}
    edits = {"grant_discount": {"percent": percent}} if changed else {}
    given = Request(quote_id=quote_id).model_dump()
    return Case(given, world, [Write("grant_discount", granted)], granted, edits=edits)


agent = new_agent(policy())
