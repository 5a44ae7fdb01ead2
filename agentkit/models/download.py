"""Weights from the hub: over HTTP into a part file of our own, from where a cut download stopped, checked, then named.

A part in use has its process's own name, so that two processes that pull at once write two files. One that stopped is
taken over by renaming it, which only one can do.
"""

import contextlib
import http.client
import os
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import IO

from agentkit.errors import PullFailed
from agentkit.models.verify import check
from agentkit.models.weights import OnProgress, Weights

_CONNECT_SECONDS = 10.0  # also what a server may stay silent for
_ABANDONED_SECONDS = 60.0  # a part nobody wrote to for so long belongs to no living download: see _CONNECT_SECONDS
_BLOCK = 1 << 20
_RANGE_IS_WRONG = 416


def fetch(weights: Weights, on_progress: OnProgress) -> None:
    """Download, check, and put in place.

    Args:
        weights: what to fetch.
        on_progress: told how many bytes are here, of how many.

    Raises:
        PullFailed: nobody answers, the connection was cut, or what came is something else.
        OSError: the disk is full, or cannot be written.
    """
    with _own_part(weights) as part:
        with part.open("ab") as file:
            _complete(weights, file, on_progress)
            file.flush()
            os.fsync(file.fileno())
        check(part, weights)
        part.replace(weights.path)


@contextlib.contextmanager
def _own_part(weights: Weights) -> Generator[Path]:
    """A part file that no other process writes to. A cut leaves it to be taken over, anything else ends it."""
    left = weights.path.with_name(f"{weights.file}.part")
    own = weights.path.with_name(f"{weights.file}.{os.getpid()}.{secrets.token_hex(4)}.part")
    _take_over(left, own)
    try:
        yield own
    except BaseException as error:
        keep = isinstance(error, _Cut | KeyboardInterrupt) and own.exists() and own.stat().st_size
        own.replace(left) if keep else own.unlink(missing_ok=True)
        raise


def _take_over(left: Path, own: Path) -> None:
    """Go on with what a stopped download left, or one whose process died."""
    for part in [left, *left.parent.glob(f"{left.stem}.*.part")]:
        with contextlib.suppress(OSError):  # somebody else was quicker, or it is not there
            if part == left or part.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                part.rename(own)
                return


class _Cut(PullFailed):
    """The connection ended before the file did: what came is worth keeping."""


def _complete(weights: Weights, file: IO[bytes], on_progress: OnProgress) -> None:
    """Add to the file what is missing."""
    have = file.tell()
    if have < weights.size:
        _check_room(weights, have)
        with _answer(weights, have) as answer:
            if answer.status == http.client.OK and have:  # the server knows no ranges and sends it all
                have = file.truncate(0)
            _check_length(weights, have, answer.length)
            on_progress(have, weights.size)
            while have <= weights.size and (block := _read(answer)):
                file.write(block)
                have += len(block)
                on_progress(min(have, weights.size), weights.size)
    if have < weights.size:
        raise _Cut(f"the connection was cut after {have:,} of {weights.size:,} bytes; the next pull goes on from there")


def _check_room(weights: Weights, have: int) -> None:
    free = shutil.disk_usage(weights.path.parent).free
    if free < weights.size - have:
        raise PullFailed(
            f"{weights.path.parent} has {free / 1e6:,.0f} MB left and {(weights.size - have) / 1e6:,.0f} MB are "
            "needed; make room, or set $AGENTKIT_MODELS to a folder on another disk"
        )


def _check_length(weights: Weights, have: int, coming: int | None) -> None:
    if coming is not None and have + coming != weights.size:  # a page to sign in at, or another file of that name
        raise PullFailed(f"{weights.url} is a file of {have + coming:,} bytes, and the weights have {weights.size:,}")


def _answer(weights: Weights, have: int) -> http.client.HTTPResponse:
    request = urllib.request.Request(weights.url, headers={"User-Agent": "agentkit"})  # noqa: S310  https, or the user's own $HF_ENDPOINT
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        return urllib.request.urlopen(request, timeout=_CONNECT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        failed = PullFailed if error.code == _RANGE_IS_WRONG else _Cut  # a range it has not: the part is something else
        raise failed(f"{weights.url} answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _Cut(f"{weights.url} does not answer ({reason})") from error


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read1(_BLOCK)
    except (OSError, http.client.HTTPException):  # it was cut: what is missing says so
        return b""
