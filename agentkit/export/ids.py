"""The ids that a run and its events have in every tracing system: derived from the log, so they never change."""

import hashlib
import uuid

_OURS = uuid.UUID("6f0d1f0a-5b1e-5c55-9a53-0b8f5d1c7a11")
"""The namespace of our name-based UUIDs (RFC 9562, version 5); any fixed one does."""


def trace_id(run_id: str) -> int:
    """The trace of a run and of all that it calls: 128 bits of a digest of the root run's id.

    Args:
        run_id: the run that nobody called.

    Returns:
        A number; `format(it, "032x")` is how it is written.

    Example:
        >>> format(trace_id("0192f7c1-8f5e-7cc3-a5c8-3f1b2c4d5e6f"), "032x")
        '487a36f4e89ff4d81ad48f62e5e26a8b'
    """
    return int.from_bytes(_digest("agentkit", run_id)[:16], "big")


def span_id(run_id: str, seq: int) -> int:
    """The span that an event of a run opens: 64 bits of a digest of both.

    Args:
        run_id: the event's own run.
        seq: its place in the run.

    Returns:
        A number; `format(it, "016x")` is how it is written.
    """
    return int.from_bytes(_digest("agentkit", run_id, str(seq))[:8], "big")


def request_id(run_id: str, seq: int) -> str:
    """The same as a UUID, for systems that want one."""
    return str(uuid.uuid5(_OURS, f"{run_id}/{seq}"))


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("/".join(parts).encode()).digest()
