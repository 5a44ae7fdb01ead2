"""Identifiers and digests: UUIDv7 runs, content digests, idempotency keys."""

import hashlib
from collections.abc import Mapping
from typing import Any

import uuid_utils

from agentkit.jsonvalue import canonical


def new_id() -> str:
    """A new UUIDv7 (RFC 9562): ids sort by the time they were made, so the log's zone maps prune by them."""
    return str(uuid_utils.uuid7())


def digest(value: Any) -> str:
    """The sha256 of a JSON value's canonical bytes, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def idempotency_key(run_id: str, step: str, arguments: Mapping[str, Any]) -> str:
    """The key that stays the same in every attempt of a step, after every crash.

    Args:
        run_id: the run that began the step.
        step: the step's path, for example `tool/refund/2`.
        arguments: the validated arguments as JSON.

    Returns:
        32 hex digits.
    """
    return digest([run_id, step, dict(arguments)])[:32]


def approval_id(run_id: str, step: str, kind: str, occasion: int, subject: Any) -> str:
    """The id of a question about a step: the same when a crash makes the run ask it again, and only then.

    Args:
        run_id: the run that asks.
        step: the step it is about.
        kind: what is asked.
        occasion: how many questions the run had put before this one.
        subject: what it is about, as JSON: an answer to one call is no answer to another.

    Returns:
        16 hex digits.
    """
    return digest([run_id, step, kind, occasion, subject])[:16]
