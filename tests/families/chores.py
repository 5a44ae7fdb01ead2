"""A workload without repetition: each request wants other things in another order; promoting it has to be refused."""

from typing import Annotated

from pydantic import BaseModel, Field

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = False


class Done(BaseModel):
    """How much was done."""

    chores: int


@ak.tool
def room_state(room: str, ctx: ak.Context) -> dict[str, bool]:
    """Look at one room. Returns what is on and what is open.

    Args:
        room: the room's name, for example "amber".
    """
    return ctx.deps.read("rooms", room)


@ak.tool(writes=True)
def switch_light(room: str, ctx: ak.Context) -> dict[str, str]:
    """Turn the light of a room on, or off; this changes the room. Returns which room it was.

    Args:
        room: the room's name, for example "amber".
    """
    ctx.deps.write("switch_light", room=room)
    return {"room": room}


@ak.tool(writes=True)
def open_window(room: str, ctx: ak.Context) -> dict[str, str]:
    """Open the window of a room. Returns which room that is.

    Args:
        room: the room's name, for example "amber".
    """
    ctx.deps.write("open_window", room=room)
    return {"room": room}


@ak.tool(writes=True)
def start_cleaner(room: str, ctx: ak.Context) -> dict[str, str]:
    """Start the cleaner where it is wanted. Returns the room that gets cleaned.

    Args:
        room: the room's name, for example "amber".
    """
    ctx.deps.write("start_cleaner", room=room)
    return {"room": room}


@ak.tool(writes=True)
def set_heating(room: str, degrees: Annotated[int, Field(ge=5, le=30)], ctx: ak.Context) -> dict[str, str]:
    """Set the heating to so many degrees Celsius. Returns the room that gets warm.

    Args:
        room: the room's name, for example "amber".
        degrees: how warm it gets, from 5 to 30.
    """
    ctx.deps.write("set_heating", room=room, degrees=degrees)
    return {"room": room}


@ak.tool(writes=True)
def play_music(room: str, ctx: ak.Context) -> dict[str, str]:
    """Start something on the speakers of a room. Returns where it plays.

    Args:
        room: the room's name, for example "amber".
    """
    ctx.deps.write("play_music", room=room)
    return {"room": room}


TOOLS = [room_state, switch_light, open_window, start_cleaner, set_heating, play_music]

SAYS = {
    "room_state": "look at {room}",
    "switch_light": "switch the light in {room}",
    "open_window": "air {room}",
    "start_cleaner": "clean {room}",
    "set_heating": "make {room} {degrees} degrees",
    "play_music": "play something in {room}",
}


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("chores", model, "Do what is asked, one after the other.", tools=TOOLS, output=Done)


def _understood(given: str) -> list[Use]:
    """The calls that a request asks for."""
    by_name = {tool.name: tool for tool in TOOLS}
    wanted: list[Use] = []
    for part in given.removeprefix("Please ").split(", then "):
        (name,) = [name for name, says in SAYS.items() if says.split("{")[0] == part[: len(says.split("{")[0])]]
        words = part[len(SAYS[name].split("{")[0]) :].split(" ")
        warm = {"degrees": int(words[1])} if name == "set_heating" else {}
        wanted.append(use(by_name[name], room=words[0], **warm))
    return wanted


def plan(given: str, _dice: Dice) -> Turns:
    """How a request is settled."""
    wanted = _understood(given)
    for one in wanted:  # noqa: UP028  a list would not take the result that is sent
        yield one
    return Done(chores=len(wanted))


def idle(_given: str) -> list[Use]:
    """What a model might look at without need."""
    return [use(room_state, room="hall")]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities) -> Case:
    """A random request."""
    pool = Pool("chores", seed, entities)
    rooms = [pool.word() for _ in range(pool.random.randint(3, 8))]
    degrees = pool.random.randint(5, 30)
    names = [pool.choice(list(SAYS)) for _ in rooms]
    parts = [SAYS[name].format(room=room, degrees=degrees) for name, room in zip(names, rooms, strict=True)]
    state = {"light": True, "window": False}
    world = World({"rooms": dict.fromkeys([*rooms, "hall"], state)})
    writes = [
        Write(name, {"room": room, **({"degrees": degrees} if name == "set_heating" else {})})
        for name, room in zip(names, rooms, strict=True)
        if name != "room_state"
    ]
    return Case("Please " + ", then ".join(parts), world, writes, {"chores": len(rooms)})


agent = new_agent(policy())
