"""One process of several on one log: `appender.py FOLDER START SECONDS` prints its run and what was acknowledged."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentkit import ids, registry
from agentkit.events import Event, Note

SIZE = 600  # about a turn's result


def reach(folder: Path) -> Any:
    """The embedded store of a folder, without the log above it."""
    return registry.load(registry.STORES[""])(str(folder))


def note(claim: Any, size: int = SIZE) -> Event:
    """The run's next event, with a body of about that many bytes."""
    seq = claim.head + 1
    return Event(run_id=claim.run_id, seq=seq, ts=datetime.now(UTC), body=Note(text=f"{seq} ".ljust(size - 11, "x")))


def append_until(store: Any, start: float, seconds: float) -> dict[str, Any]:
    """Append durably, one event at a time, between two moments that all processes share."""
    claim = store.claim(ids.new_id(), new=True)
    time.sleep(max(0.0, start - time.time()))
    waits = []
    while (begun := time.time()) < start + seconds:
        store.append(claim, [note(claim)]).result()
        waits.append(time.time() - begun)
    store.release(claim)
    worst = sorted(waits)[int(len(waits) * 0.99)] if waits else 0.0
    return {"run_id": claim.run_id, "acknowledged": len(waits), "p99_ms": worst * 1000}


if __name__ == "__main__":
    where, begin, lasting = sys.argv[1:]
    shared = reach(Path(where))
    said = append_until(shared, float(begin), float(lasting))
    shared.close()
    print(json.dumps(said))
