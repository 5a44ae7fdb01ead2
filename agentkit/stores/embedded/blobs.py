"""Bodies that are too large for a journal line: files named by their content's sha256."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from agentkit import failpoints
from agentkit.errors import LogCorrupt
from agentkit.stores.embedded.locks import BINARY, FileLock, sync, sync_folder, write_all

FAIL_POINTS = ("blob.written", "blob.renamed")
LIMIT = 256 * 1024  # bytes; from here on a body costs every query that scans bodies more than a file costs a reader
_REFERENCE = re.compile(r'\{"\$blob":"([0-9a-f]{64})"\}')


class Blobs:
    """The folder of large bodies.

    Args:
        folder: `blobs/` of the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # held from the look for a body's file until the line that needs it is on disk: prune cannot come between
        self.lock = FileLock(folder / ".lock")

    def put(self, body: bytes) -> None:
        """Make a body durable under its hash; does nothing where it is already."""
        sha256 = hashlib.sha256(body).hexdigest()
        path = self._folder / sha256
        if path.exists():
            return
        temporary = self._folder / f".{sha256}.{os.getpid()}.tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o644)
        try:
            write_all(fd, body)
            sync(fd)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        failpoints.hit("blob.written")
        temporary.replace(path)
        failpoints.hit("blob.renamed")
        sync_folder(self._folder)

    def get(self, body: str) -> str:
        """A row's body: itself, or what its reference names.

        Raises:
            LogCorrupt: the file is gone or is not what was written.
        """
        sha256 = referenced(body)
        if sha256 is None:
            return body
        path = self._folder / sha256
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise LogCorrupt(f"{path}: a large body is missing; restore that file from a backup") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise LogCorrupt(f"{path}: does not match its name's sha256; restore that file from a backup")
        return data.decode()

    def remove(self, names: Iterable[str]) -> None:
        """Remove bodies that no event needs any more; the caller holds `lock`."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)


def reference(body: bytes) -> bytes:
    """What stands in a line for a large body."""
    return b'{"$blob":"%s"}' % hashlib.sha256(body).hexdigest().encode()


def referenced(body: str) -> str | None:
    """The sha256 that a body refers to, None where it is the body itself."""
    found = _REFERENCE.fullmatch(body)
    return found[1] if found else None
