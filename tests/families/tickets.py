"""A real choice: which queue a ticket belongs to is said in words that no code knows, and a reason is written.

The words of training and of held-out tickets differ, so no rule that was learned from the one holds for the other: what
promotion makes of this must keep a model.
"""

from typing import Literal

from pydantic import BaseModel
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

import agentkit as ak
from families.case import ANY_TEXT, Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = False

Queue = Literal["billing", "shipping", "technical", "other"]

SAYS: dict[str, tuple[str, ...]] = {
    "billing": (
        "I was charged twice for the same thing",
        "the amount on my card statement is not what I agreed to",
        "where do I find a document for my tax return",
        "you took money although I cancelled",
    ),
    "shipping": (
        "nothing has arrived and it has been two weeks",
        "the driver left the box at some neighbour's",
        "the tracking page has not moved since Monday",
        "half of what I ordered was in the carton",
    ),
    "technical": (
        "the screen stays black after I press the button",
        "it loses the wireless connection every hour",
        "your app closes itself when I log in",
        "the update never gets past ninety percent",
    ),
    "other": (
        "do you have a shop in my town",
        "I would like to work for you",
        "who drew the picture on the front page",
        "may I use your photographs in a school paper",
    ),
}
"""What customers say, by where it belongs; every second one is only ever held out."""


class Request(BaseModel):
    """What comes in."""

    ticket_id: str


class Ticket(TypedDict):
    """What a customer wrote."""

    ticket_id: str
    customer_id: str
    subject: str
    body: str
    priority: int


class Routing(BaseModel):
    """Where a ticket went, and what it is about."""

    ticket_id: str
    queue: Queue
    summary: str


@ak.tool
def read_ticket(ticket_id: str, ctx: ak.Context) -> Ticket:
    """Read one ticket by its number. Returns what the customer wrote.

    Args:
        ticket_id: the ticket's number, for example "T-48213".
    """
    return ctx.deps.read("tickets", ticket_id)


@ak.tool
def queue_lengths(ctx: ak.Context) -> dict[str, int]:
    """Count the open tickets. Returns how many each queue has."""
    return ctx.deps.read("queues", "all")


@ak.tool(writes=True)
def route_ticket(ticket_id: str, queue: Queue, reason: str, customer_id: str, ctx: ak.Context) -> dict:
    """Move a ticket to a queue. Returns the ticket's number and its new place.

    Args:
        ticket_id: the ticket's number, for example "T-48213".
        queue: who is to answer it.
        reason: why it belongs there, in one sentence.
        customer_id: the customer's number, for example "C-20482".
    """
    number = ctx.deps.write("route_ticket", ticket_id=ticket_id, queue=queue, reason=reason, customer_id=customer_id)
    return {"ticket_id": ticket_id, "queue": queue, "position": number}


TOOLS = [read_ticket, queue_lengths, route_ticket]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("tickets", model, "Route the ticket and sum it up.", tools=TOOLS, output=Routing)


def judge(body: str) -> Queue:
    """Where a ticket belongs: what a model understands and no rule does."""
    (queue,) = [queue for queue, phrases in SAYS.items() if any(phrase in body for phrase in phrases)]
    return queue  # type: ignore[return-value]


def plan(given: dict, dice: Dice) -> Turns:
    """How a request is settled."""
    ticket = yield use(read_ticket, ticket_id=given["ticket_id"])
    queue = judge(ticket["body"])
    reason = dice.wording([f"It is about {queue}.", f"Our {queue} people know this.", f"{queue.title()}, clearly."])
    yield use(route_ticket, ticket_id=given["ticket_id"], queue=queue, reason=reason, customer_id=ticket["customer_id"])
    summary = dice.wording([f"A {queue} matter.", f"The customer has trouble with {queue}.", f"Asks about {queue}."])
    return Routing(ticket_id=given["ticket_id"], queue=queue, summary=summary)


def idle(_given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(queue_lengths)]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities) -> Case:
    """A random request."""
    pool = Pool("tickets", seed, entities)
    ticket_id, customer_id, queue = pool.id("T-"), pool.id("C-"), pool.choice(list(SAYS))
    said = pool.choice(SAYS[queue][int(entities == "held_out") :: 2])
    ticket = Ticket(
        ticket_id=ticket_id,
        customer_id=customer_id,
        subject=pool.choice(["Help", "Question", "Please read"]),
        body=f"Hello, {said}. Regards, {pool.name()}",
        priority=pool.random.randint(1, 3),
    )
    lengths = {name: pool.random.randint(0, 30) for name in SAYS}
    world = World({"tickets": {ticket_id: ticket}, "queues": {"all": lengths}})
    write = {"ticket_id": ticket_id, "queue": queue, "reason": ANY_TEXT, "customer_id": customer_id}
    return Case(
        Request(ticket_id=ticket_id).model_dump(),
        world,
        [Write("route_ticket", write)],
        {"ticket_id": ticket_id, "queue": queue, "summary": ANY_TEXT},
        judged={"queue": queue, "reason": f"It is about {queue}.", "summary": f"A {queue} matter."},
        shown=(said,),
    )


agent = new_agent(policy())
