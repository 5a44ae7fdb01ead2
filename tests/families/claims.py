"""A computed choice: above a limit, or of one kind, a claim goes to a person; nothing in the record says so.

No promotion may take the queue of its runs for a constant: what is above the limit has to be a model's choice, or
refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = False

LIMIT = 1000  # EUR; only the agent's instructions know it
KINDS = ("water", "fire", "theft")
Kind = Literal["water", "fire", "theft"]


class Request(BaseModel):
    """What comes in."""

    claim_id: str


class Claim(BaseModel):
    """What somebody claims."""

    claim_id: str
    holder_id: str
    kind: Kind
    amount: float


class Assigned(BaseModel):
    """Where a claim went."""

    claim_id: str
    queue: Literal["auto", "manual"]


@ak.tool
def find_claim(claim_id: str, ctx: ak.Context) -> Claim:
    """Look up one claim by its number. Returns its kind, its amount in EUR, and whose it is.

    Args:
        claim_id: the claim's number, for example "CL-48213".
    """
    return ctx.deps.read("claims", claim_id)


@ak.tool
def find_holder(holder_id: str, ctx: ak.Context) -> dict[str, Any]:
    """Look up one policy holder by number. Returns the name and since when the policy holds.

    Args:
        holder_id: the holder's number, for example "H-20482".
    """
    return ctx.deps.read("holders", holder_id)


@ak.tool(writes=True)
def assign_claim(
    claim_id: str,
    queue: Literal["auto", "manual"],
    reserve: Annotated[float, Field(ge=0, le=1_000_000)],
    ctx: ak.Context,
) -> Assigned:
    """Assign a claim to a queue. Returns where it is then.

    Args:
        claim_id: the claim's number, for example "CL-48213".
        queue: who decides it.
        reserve: what is put aside for it, in EUR.
    """
    ctx.deps.write("assign_claim", claim_id=claim_id, queue=queue, reserve=reserve)
    return Assigned(claim_id=claim_id, queue=queue)


TOOLS = [find_claim, find_holder, assign_claim]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    words = f"Assign the claim: above {LIMIT} EUR, or where it is a theft, to manual; else to auto."
    return ak.Agent("claims", model, words, tools=TOOLS, output=Assigned)


def queue_of(kind: str, amount: float) -> str:
    """The rule that only the instructions say."""
    return "manual" if amount > LIMIT or kind == "theft" else "auto"


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    claim = yield use(find_claim, claim_id=given["claim_id"])
    queue = queue_of(claim["kind"], claim["amount"])
    assigned = yield use(assign_claim, claim_id=given["claim_id"], queue=queue, reserve=claim["amount"])
    return Assigned(**assigned)


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(find_claim, claim_id=given["claim_id"])]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, kinds: tuple[Kind, ...] = KINDS, up_to: int = 2 * LIMIT) -> Case:
    """A random request.

    Args:
        kinds: the kinds there are.
        up_to: the highest amount, EUR.
    """
    pool = Pool("claims", seed, entities)
    claim_id, holder_id = pool.id("CL-"), pool.id("H-")
    kind, amount = pool.choice(kinds), float(pool.amount(10, up_to))
    claim = Claim(claim_id=claim_id, holder_id=holder_id, kind=kind, amount=amount)
    holder = {"name": pool.name(), "since": f"{pool.day()}"}
    queue = queue_of(kind, amount)
    world = World({"claims": {claim_id: claim}, "holders": {holder_id: holder}})
    write = {"claim_id": claim_id, "queue": queue, "reserve": amount}
    given = Request(claim_id=claim_id).model_dump()
    output = {"claim_id": claim_id, "queue": queue}
    shown = (kind, str(amount))
    return Case(given, world, [Write("assign_claim", write)], output, judged={"queue": queue}, shown=shown)


agent = new_agent(policy())
