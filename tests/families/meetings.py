"""The least of a list: the earliest meeting of a day is moved to another room; nothing but its time says which it is.

Written after the code that promotes. What makes it hard: lists come in any order, and the earliest often stands first,
is the shortest, or is the only one.
"""

from typing import Any

from pydantic import BaseModel

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = False  # which one is the earliest is a model's choice, unless the code that promotes knows of leasts


class Request(BaseModel):
    """What comes in."""

    person_id: str
    day: str


class Moved(BaseModel):
    """What was moved where."""

    meeting_id: str
    room: str


@ak.tool
def list_meetings(person_id: str, day: str, ctx: ak.Context) -> list[dict[str, Any]]:
    """List a person's meetings of a day, in no order. Returns their numbers, times and minutes.

    Args:
        person_id: the person's number, for example "U-20482".
        day: the day in ISO format, for example "2026-11-03".
    """
    return ctx.deps.read("meetings", person_id, day)


@ak.tool
def quiet_room(day: str, ctx: ak.Context) -> dict[str, str]:
    """Look up which room is quiet on a day. Returns its name.

    Args:
        day: the day in ISO format, for example "2026-11-03".
    """
    return ctx.deps.read("rooms", day)


@ak.tool(writes=True)
def move_meeting(meeting_id: str, room: str, ctx: ak.Context) -> dict[str, str]:
    """Move a meeting to another room. Returns where it is then.

    Args:
        meeting_id: the meeting's number, for example "M-20482".
        room: the room's name, for example "amber".
    """
    ctx.deps.write("move_meeting", meeting_id=meeting_id, room=room)
    return {"meeting_id": meeting_id, "room": room}


TOOLS = [list_meetings, quiet_room, move_meeting]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("meetings", model, "Move the day's first meeting to the quiet room.", tools=TOOLS, output=Moved)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    meetings, quiet = yield [
        use(list_meetings, person_id=given["person_id"], day=given["day"]),
        use(quiet_room, day=given["day"]),
    ]
    first = min(meetings, key=lambda one: one["starts"])
    moved = yield use(move_meeting, meeting_id=first["meeting_id"], room=quiet["room"])
    return Moved(**moved)


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(quiet_room, day=given["day"])]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities) -> Case:
    """A random request."""
    pool = Pool("meetings", seed, entities)
    person_id, day, room = pool.id("U-"), pool.day().isoformat(), pool.word()
    hours = sorted(pool.random.sample(range(8, 19), pool.random.randint(1, 5)))
    meetings = [
        {
            "meeting_id": pool.id("M-"),
            "starts": f"{day}T{hour:02}:00",
            "minutes": pool.choice([15, 30, 60]),
            "room": pool.word(),
        }
        for hour in hours
    ]
    first = meetings[0]["meeting_id"]
    tables = {"meetings": {(person_id, day): pool.shuffled(meetings)}, "rooms": {day: {"room": room, "floor": "2"}}}
    moved = {"meeting_id": first, "room": room}
    given = Request(person_id=person_id, day=day).model_dump()
    shown = tuple(one[key] for one in meetings for key in ("meeting_id", "starts"))
    judged = {"meeting_id": first}
    return Case(given, World(tables), [Write("move_meeting", moved)], moved, judged=judged, shown=shown)


agent = new_agent(policy())
