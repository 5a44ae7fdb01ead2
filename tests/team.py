"""An agent whose every process answers in its own name: `team.py URL NAME` runs it and prints what came of it."""

import asyncio
import sys
from typing import Annotated

from pydantic import Field

import agentkit as ak
from agentkit.stores.postgres import PostgresStore
from agentkit.testing import FunctionModel, call

LEASE = 1.0
CALLS = 12


@ak.tool
async def look_up(number: Annotated[int, Field(ge=0, le=1000)]) -> int:
    """Look up one record by its number. Returns what is in it.

    Args:
        number: the record's number, for example 7.
    """
    await asyncio.sleep(0.1)
    return number


def counter(name, calls=CALLS):
    """Looks up so many records, one after the other, and says who counted them."""

    def think(request):
        done = sum(message.role == "tool" for message in request.messages)
        return call("look_up", number=done) if done < calls else f"{done} records, says {name}"

    return ak.Agent("counter", FunctionModel(think), tools=[look_up])


def open_log(url):
    """A log whose processes count as dead after a second without a sign of life."""
    PostgresStore.__init__.__kwdefaults__["lease"] = LEASE
    return ak.open_log(url)


if __name__ == "__main__":
    log = open_log(sys.argv[1])
    run = counter(sys.argv[2]).run("go", log=log)
    print(run.run_id, flush=True)
    print(run.result(60), flush=True)
    print(run.state.activation, len(run.state.calls), flush=True)
    log.close()
