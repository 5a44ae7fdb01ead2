"""Which run ids and approval ids a store takes: they become file names and keys, so nothing else may pass."""

import re

from agentkit.errors import ConfigError

_RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_APPROVAL_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


def checked_run_id(run_id: str) -> str:
    """The run id itself.

    Raises:
        ConfigError: it is no UUID in its usual lower-case form.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise ConfigError(f"{run_id!r} is no run id; a run id is a UUID such as 0192f7c1-8f5e-7cc3-a5c8-3f1b2c4d5e6f")
    return run_id


def checked_approval_id(approval_id: str) -> str:
    """The approval id itself.

    Raises:
        ConfigError: it holds something else than letters, digits, `_` and `-`, or is too long.
    """
    if not _APPROVAL_ID.fullmatch(approval_id):
        raise ConfigError(
            f"{approval_id!r} is no approval id; take it from `run.pending` (letters, digits, - and _, at most 64)"
        )
    return approval_id
