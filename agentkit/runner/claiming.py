"""Claiming a run that somebody may be writing a comment into at this moment."""

import time

from agentkit.errors import RunClaimed
from agentkit.store import Claim, Store

_PATIENCE = 5.0
"""Seconds; a comment is written down in milliseconds, unless its process was stopped just then."""


def claim_run(store: Store, run_id: str) -> Claim:
    """Take the right to append to a run, after whoever only notes something in it: that is no reason to refuse.

    Args:
        store: the log.
        run_id: the run.

    Raises:
        RunClaimed: another process, or another activation in this one, executes it. And what `Store.claim` raises.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return store.claim(run_id)
        except RunClaimed:
            holder = store.holder(run_id)
            if (holder is not None and holder.activity == "executing") or time.monotonic() >= deadline:
                raise
        time.sleep(0.005)
