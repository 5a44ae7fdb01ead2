"""Free text in, free text out: a sensor's alarm is set to its room's limit; what the user is told is worded each time.

What makes it hard: the limit is one of several, by the kind of the sensor, and the room often has the sensor's number.
"""

from typing import Annotated

from pydantic import BaseModel, Field

import agentkit as ak
from families.case import ANY_TEXT, Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True

KINDS = ("temperature", "humidity", "noise")
PHRASES = (
    "Set the alarm of sensor S-{number}.",
    "Could you see to S-{number}? It has been silent for {days} days.",
    "sensor S-{number} needs its alarm back, I am in building {days}",
)


class Sensor(BaseModel):
    """Something that measures."""

    sensor_id: str
    kind: str
    room_id: str
    reading: float


class Limit(BaseModel):
    """What a room may reach."""

    kind: str
    upper: float
    lower: float


@ak.tool
def find_sensor(sensor_id: str, ctx: ak.Context) -> Sensor:
    """Look up one sensor by its number. Returns its kind, its room and what it reads now.

    Args:
        sensor_id: the sensor's number, for example "S-4821".
    """
    return ctx.deps.read("sensors", sensor_id)


@ak.tool
def room_limits(room_id: str, ctx: ak.Context) -> list[Limit]:
    """List the limits of a room, one for each kind of sensor. Returns them in no order.

    Args:
        room_id: the room's number, for example "R-4821".
    """
    return ctx.deps.read("limits", room_id)


@ak.tool(writes=True)
def set_alarm(sensor_id: str, above: Annotated[float, Field(ge=-100, le=1000)], ctx: ak.Context) -> dict[str, str]:
    """Set the value above which a sensor rings. Returns the state of the device.

    Args:
        sensor_id: the sensor's number, for example "S-4821".
        above: the highest value that is right, in the sensor's unit.
    """
    ctx.deps.write("set_alarm", sensor_id=sensor_id, above=above)
    return {"state": "armed"}


TOOLS = [find_sensor, room_limits, set_alarm]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("sensors", model, "Set alarms to the upper limit of the room.", tools=TOOLS)


def plan(given: str, dice: Dice) -> Turns:
    """How a request is settled."""
    sensor = yield use(find_sensor, sensor_id="S-" + given.partition("S-")[2][:4])
    limits = yield use(room_limits, room_id=sensor["room_id"])
    (limit,) = [limit for limit in limits if limit["kind"] == sensor["kind"]]
    yield use(set_alarm, sensor_id=sensor["sensor_id"], above=limit["upper"])
    return dice.wording(
        [f"The alarm of {sensor['sensor_id']} is set to {limit['upper']}.", "Done.", "It rings again when it should."]
    )


def idle(_given: str) -> list[Use]:
    """What a model might look at without need."""
    return [use(room_limits, room_id="R-1000")]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, same_number: bool | None = None) -> Case:
    """A random request.

    Args:
        same_number: the room has the sensor's number; every other has when left out.
    """
    pool = Pool("sensors", seed, entities)
    number = pool.number(1001, 9999)
    sensor_id, kind = f"S-{number}", pool.choice(KINDS)
    alike = pool.chance(0.5) if same_number is None else same_number
    room_id = f"R-{number}" if alike else pool.id("R-", 4)
    limits = [_limit(pool, each) for each in pool.shuffled(KINDS)]
    (upper,) = [limit.upper for limit in limits if limit.kind == kind]
    reading = upper if pool.chance(0.2) else float(pool.amount(1, 99))
    sensor = Sensor(sensor_id=sensor_id, kind=kind, room_id=room_id, reading=reading)
    world = World({"sensors": {sensor_id: sensor}, "limits": {room_id: limits, "R-1000": limits[:1]}})
    said = pool.choice(PHRASES).format(number=number, days=pool.random.randint(2, 9))
    return Case(said, world, [Write("set_alarm", {"sensor_id": sensor_id, "above": upper})], ANY_TEXT)


def _limit(pool: Pool, kind: str) -> Limit:
    return Limit(kind=kind, upper=float(pool.amount(20, 90)), lower=float(pool.amount(1, 19)))


agent = new_agent(policy())
