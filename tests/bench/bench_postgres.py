"""A team's log in PostgreSQL beside plain inserts into the same server.

    uv run --project ../.. python bench_postgres.py [--json FILE]

The server is started for it, on the disk of `--folder`, as durable as PostgreSQL is by default. A plain
insert is one row of the same columns and bytes and one commit, by psycopg, prepared: no claim, no fence, no order.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import measure
import psycopg
from appender import note

sys.path.append(str(Path(__file__).parent.parent))
from actors import Actor
from postgres_server import PostgresServer, fresh_database, running

from agentkit import ids
from agentkit.errors import RunClaimed
from agentkit.stores.postgres import PostgresStore
from agentkit.stores.postgres.connections import Place
from agentkit.stores.postgres.tables import EVENTS

ALONE = 2.5
"""So many times a plain insert may a durable append of a lone run take, by wall: it is handed to a thread and back."""
WRITERS = (1, 16, 200)
CONNECTIONS = 16  # that plain inserts are made over at once; a server of the usual settings takes 100 in all


class Plain:
    """A table like the log's, and rows put into it with nothing around."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sql = f"INSERT INTO plain ({', '.join(EVENTS)}) VALUES ({', '.join(f'%({name})s' for name in EVENTS)})"
        with psycopg.connect(url, autocommit=True) as connection:
            columns = ", ".join(f"{name} {kind}" for name, kind in EVENTS.items())
            connection.execute(f"CREATE TABLE plain ({columns}, PRIMARY KEY (run_id, seq))")

    def write(self, count: int) -> list[float]:
        """So many rows of a new run, one commit each; the seconds of each."""
        run = type("Run", (), {"run_id": ids.new_id(), "head": 0})()
        waits = []
        with psycopg.connect(self._url, autocommit=True) as connection:
            for seq in range(count):
                run.head = seq
                event = note(run)
                row = dict.fromkeys(EVENTS) | event.columns()
                row |= {"body": event.body_json().decode(), "schema_version": 1}
                began = time.perf_counter()
                connection.execute(self._sql, row, prepare=True)
                waits.append(time.perf_counter() - began)
        return waits


def append(store: Any, count: int) -> list[float]:
    """So many durable appends to a new run; the seconds of each."""
    claim = store.claim(ids.new_id(), new=True)
    waits = []
    for _ in range(count):
        event = note(claim)
        began = time.perf_counter()
        store.append(claim, [event]).result()
        waits.append(time.perf_counter() - began)
    store.release(claim)
    return waits


def alone(plain: Plain, store: Any, repetitions: int, count: int) -> dict[str, list[dict[str, float]]]:
    """One writer: both ways in turns; the median of a commit, and the client's CPU for it."""

    def measured(name: str) -> dict[str, float]:
        work: Callable[[int], list[float]] = plain.write if name == "plain" else lambda n: append(store, n)
        cpu = time.process_time()
        waits = work(count)
        return {"wall_ms": median(waits) * 1000, "cpu_ms": (time.process_time() - cpu) / count * 1000}

    return measure.interleave(["plain", "agentkit"], repetitions, measured)


def together(plain: Plain, store: Any, writers: int, seconds: float) -> dict[str, float]:
    """Durable rows a second with so many runs written at once."""
    at_once = min(writers, CONNECTIONS)
    each = 40
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        rows = sum(map(len, pool.map(lambda _: plain.write(each), range(at_once))))
    plainly = rows / (time.perf_counter() - began)

    async def appender(until: float) -> int:
        claim = await asyncio.to_thread(store.claim, ids.new_id(), new=True)
        done = 0
        while time.perf_counter() < until:
            await asyncio.wrap_future(store.append(claim, [note(claim)]))
            done += 1
        await asyncio.to_thread(store.release, claim)
        return done

    async def all_of_them() -> float:
        until = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(appender(until) for _ in range(writers)))) / seconds

    return {"plain": plainly, "connections": at_once, "agentkit": asyncio.run(all_of_them())}


def taken_over(url: str, store: Any, repetitions: int) -> list[float]:
    """Milliseconds from a process's SIGKILL until another one has its run."""
    found = []
    for _ in range(repetitions):
        run_id = ids.new_id()
        with Actor(url) as actor:
            actor("claim(run_id, new=True)", run_id=run_id)
            actor("append(run_id)", run_id=run_id)
            actor.kill()
            began = time.perf_counter()
            while True:
                try:
                    claim = store.claim(run_id)
                except RunClaimed:
                    continue
                break
            found.append((time.perf_counter() - began) * 1000)
            store.release(claim)
    return found


def report(server: PostgresServer, options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    url = fresh_database(server)
    plain, store = Plain(url), PostgresStore(Place.of(url))
    try:
        append(store, 50), plain.write(50)  # caches, plans, connections
        return {
            "alone": alone(plain, store, options.repetitions, options.count),
            "together": {str(n): together(plain, store, n, options.lasting) for n in WRITERS},
            "taken over": taken_over(url, store, options.repetitions),
        }
    finally:
        store.close()


def show(found: dict[str, Any]) -> bool:
    """Print it; say whether the goal is met."""
    results = found["alone"]
    print("## A durable append, one run; median (least-most) of the repetitions\n")
    over = {kind: measure.ratios(*([r[kind] for r in results[n]] for n in ("agentkit", "plain"))) for kind in _KINDS}
    rows = [[name, *(str(measure.spread([r[kind] for r in results[name]])) for kind in _KINDS)] for name in results]
    print(measure.table(("", "wall ms", "client CPU ms"), [*rows, ["ratio", *map(str, over.values())]]), "\n")
    print("## Durable rows a second\n")
    rows = [
        [n, f"{each['agentkit']:,.0f}", f"{each['plain']:,.0f} over {each['connections']}"]
        for n, each in found["together"].items()
    ]
    print(measure.table(("runs at once", "agentkit, one connection", "plain inserts, connections"), rows), "\n")
    taken = measure.spread(found["taken over"])
    print(f"A run whose process was killed is taken up by another after {taken} ms.\n")
    met = over["wall_ms"].median <= ALONE
    print(f"goal: alone at most {ALONE} x a plain insert by wall: {'met' if met else 'missed'}")
    return met


_KINDS = ("wall_ms", "cpu_ms")


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--count", type=int, default=300, help="appends a repetition")
    parser.add_argument("--lasting", type=float, default=3.0, help="seconds for which many runs append at once")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(given)
    with running(fsync=True, parent=options.folder) as server:
        version = server.execute("SHOW server_version")[0][0]
        facts = {
            "machine": measure.machine(server.folder),
            "versions": measure.versions(["jupyter-agentkit", "psycopg"]) | {"PostgreSQL": version},
        }
        print(measure.heading("PostgreSQL", facts))
        found = report(server, options)
    met = show(found)
    measure.write_json(options.json, {"facts": facts, **found})
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
