"""A loop: for each person of an event a read and a write; there are none to six.

What makes it hard: an event without people has no write at all, the organiser often is one of them, and with one person
the loop does not show.
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

    event_id: str


class Guest(BaseModel):
    """Somebody who is invited."""

    user_id: str
    seat: int


class Event(BaseModel):
    """What people are invited to."""

    event_id: str
    title: str
    starts: str
    organiser_id: str
    guests: list[Guest]


class User(BaseModel):
    """Somebody with an account."""

    user_id: str
    name: str
    email: str
    timezone: str


class Reminded(BaseModel):
    """How many people were reminded of what."""

    event_id: str
    sent: int


@ak.tool
def find_event(event_id: str, ctx: ak.Context) -> Event:
    """Look up one event by its number. Returns when it starts and who is invited.

    Args:
        event_id: the event's number, for example "E-48213".
    """
    return ctx.deps.read("events", event_id)


@ak.tool
def find_user(user_id: str, ctx: ak.Context) -> User:
    """Look up one person by number. Returns the name and the e-mail address.

    Args:
        user_id: the person's number, for example "U-20482".
    """
    return ctx.deps.read("users", user_id)


@ak.tool(writes=True)
def send_reminder(email: str, event_id: str, starts: str, ctx: ak.Context) -> dict[str, str]:
    """Send one person a reminder of an event. Returns the reminder's number.

    Args:
        email: the person's address, for example "ada@example.com".
        event_id: the event's number, for example "E-48213".
        starts: when it starts, for example "2026-03-14T18:00:00Z".
    """
    number = ctx.deps.write("send_reminder", email=email, event_id=event_id, starts=starts)
    return {"reminder_id": f"M-{number}", "email": email}


TOOLS = [find_event, find_user, send_reminder]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("reminders", model, "Remind every guest of the event.", tools=TOOLS, output=Reminded)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    event = yield use(find_event, event_id=given["event_id"])
    users = yield [use(find_user, user_id=guest["user_id"]) for guest in event["guests"]]
    yield [
        use(send_reminder, email=user["email"], event_id=event["event_id"], starts=event["starts"]) for user in users
    ]
    return Reminded(event_id=event["event_id"], sent=len(users))


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(find_event, event_id=given["event_id"])]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, guests: int | None = None) -> Case:
    """A random request.

    Args:
        guests: how many people are invited; any number from 0 to 6 when left out.
    """
    pool = Pool("reminders", seed, entities)
    event_id = pool.id("E-")
    users = [_user(pool) for _ in range(guests if guests is not None else pool.random.randint(0, 6))]
    organiser = pool.choice(users) if users and pool.chance(0.5) else _user(pool)
    event = Event(
        event_id=event_id,
        title=f"The {pool.word()} evening",
        starts=f"{pool.day()}T{pool.random.randint(8, 20):02}:00:00Z",
        organiser_id=organiser.user_id,
        guests=[Guest(user_id=user.user_id, seat=seat) for seat, user in enumerate(users, 1)],
    )
    world = World({"events": {event_id: event}, "users": {user.user_id: user for user in [*users, organiser]}})
    writes = [
        Write("send_reminder", {"email": user.email, "event_id": event_id, "starts": event.starts}) for user in users
    ]
    given = Request(event_id=event_id).model_dump()
    return Case(given, world, writes, {"event_id": event_id, "sent": len(users)})


def _user(pool: Pool) -> User:
    name = pool.name()
    return User(user_id=pool.id("U-"), name=name, email=pool.email(name), timezone=pool.choice(["UTC", "CET"]))


agent = new_agent(policy())
