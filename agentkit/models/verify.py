"""Whether a file is the weights it is said to be."""

import hashlib
from pathlib import Path

from agentkit.errors import PullFailed
from agentkit.models.weights import Weights


def check(path: Path, weights: Weights) -> None:
    """Compare a file's size and sha256 with what is known of the weights.

    Args:
        path: the file.
        weights: what it should be.

    Raises:
        PullFailed: it is something else.
    """
    size = path.stat().st_size
    if size != weights.size:
        raise PullFailed(f"what came has {size:,} bytes and the weights have {weights.size:,}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != weights.sha256:
        raise PullFailed(f"what came has the sha256 {found[:12]}… and the weights have {weights.sha256[:12]}…")
