"""A module whose pipeline a test maps in a process that it ends: `mapped.py LOG ITEMS CONCURRENCY SECONDS`."""

import sys
import time
from pathlib import Path

import agentkit as ak

slow = ak.Pipeline("slow", input={"n": int})


@slow.step
def work(n: int, ctx: ak.Context) -> int:
    """Leave a mark that it ran, and take a moment."""
    with Path(ctx.deps).open("a") as ran:
        ran.write(f"{n}\n")
    time.sleep(float(sys.argv[4]) if __name__ == "__main__" else 0)
    return n * n


if __name__ == "__main__":
    place, items, concurrency, _ = sys.argv[1:]
    batch = slow.map(range(int(items)), concurrency=int(concurrency), deps=f"{place}.ran", log=place)
    print(batch.result(timeout=300))
