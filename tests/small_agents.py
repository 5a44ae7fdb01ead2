"""Small pieces that many tests of agents are made of."""

import pytest

import agentkit as ak

SOON = 20  # seconds; a run that takes longer hangs


@ak.tool
def lookup(what: str) -> str:
    """Look something up. Returns what is known of it.

    Args:
        what: a word.
    """
    return f"about {what}"


def paused(run):
    """Wait until a run paused; what it waits for."""
    with pytest.raises(ak.RunPaused) as raised:
        run.result(SOON)
    return raised.value.pending


def bodies(run, kind):
    """The bodies of a run's events of one type, in order."""
    return [event.body for event in run.events() if isinstance(event.body, kind)]
