"""The process's journal: one thread writes what every run appended meanwhile, with one write and one sync.

`append` fixes the order and returns. The committer thread takes all that is waiting, so under load many appends share a
sync, and alone an append costs two thread switches more than writing itself.
"""

import errno
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from agentkit.errors import LogUnwritable
from agentkit.events import Event
from agentkit.stores.acknowledgement import DONE, Acknowledgement, acknowledge, failed
from agentkit.stores.claims import HeldClaim
from agentkit.stores.committer import Committer
from agentkit.stores.embedded import blobs, segment
from agentkit.stores.embedded.writer import SegmentWriter

_SEGMENT_SIZE = 1 << 20  # bytes; a fold then takes tens of milliseconds, and readers index a live segment in one
_QUICK = 0.002  # seconds: a disk that takes longer to sync must not stop the thread that drives all runs

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; make it writable or open a log elsewhere",
    errno.EACCES: "this user may not write there; change the permissions or open a log elsewhere",
    errno.EIO: "the disk reports an error; check it before you go on",
}


@dataclass(slots=True)
class _Entry:
    """Lines of one claim that wait to be written; the future, where there is one, waits for the disk."""

    claim: HeldClaim
    head: int  # the claim's after these lines
    lines: bytes
    large: tuple[bytes, ...]
    future: Acknowledgement | None


class Journal:
    """What this process writes.

    Args:
        folder: `journal/` of the log.
        process: this process's name in the log.
        large: where large bodies go.
    """

    def __init__(self, folder: Path, process: str, large: blobs.Blobs) -> None:
        self._folder = folder
        self._process = process
        self._blobs = large
        self._lock = threading.Lock()  # orders appends
        self._waiting: list[_Entry] = []
        self._committer = Committer("agentkit-journal", self._lock, self._commit_waiting)
        self._io = threading.Lock()  # held while the segment is written, opened or closed
        self._writer: SegmentWriter | None = None
        self._last_write = 0.0
        self._took = 0.0

    def append(
        self, claim: HeldClaim, events: Sequence[Event], *, durable: bool, alone: bool = False
    ) -> "Future[None]":
        """Put events after the claim's head; see `Store.append`.

        Args:
            claim: the claim on the events' run.
            events: the events.
            durable: whether somebody waits for the disk.
            alone: no other run could append meanwhile. The caller's thread then writes by itself, as long as the disk
                is quick: handing over to the committer and back costs a lone run more than the sync.
        """
        lines, large = _encode(events)
        with self._lock:
            claim.check(events, self._process)
            if claim.broken is not None:
                return failed(claim.broken)
            claim.head += len(events)
            here = alone and not self._committer.awake and self._took < _QUICK
            future = Acknowledgement() if durable and not here else None
            self._waiting.append(_Entry(claim, claim.head, lines, large, future))
            if future is not None:
                self._committer.wake()
        if durable and here:
            self._commit_waiting()
            return DONE if claim.broken is None else failed(claim.broken)
        return future or DONE

    def flush(self) -> None:
        """Write what waits, if anything does, without waiting for it."""
        with self._lock:
            if self._waiting:
                self._committer.wake()

    def settle(self) -> None:
        """Wait until everything appended up to now can be read, or has failed."""
        if self._waiting or self._io.locked():
            self._committer.settle()

    def idle(self) -> float | None:
        """Seconds since the last write to the open segment; None when no segment is open."""
        return None if self._writer is None else time.monotonic() - self._last_write

    def close_segment(self) -> None:
        """Close the open segment so that it can be folded; the next append opens another."""
        with self._io:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def close(self) -> None:
        """Write what waits, close the segment, end the thread."""
        self._commit_waiting()
        self.close_segment()
        self._committer.stop()

    def forget(self) -> None:
        """In a forked child: close the inherited descriptor."""
        if self._writer is not None:
            self._writer.forget()

    def _commit_waiting(self) -> None:
        interrupted: BaseException | None = None
        with self._io:
            with self._lock:
                batch, self._waiting = self._waiting, []
            sound = [entry for entry in batch if entry.claim.broken is None]
            try:
                self._write(sound)
                for entry in sound:
                    entry.claim.written = entry.head
            except BaseException as error:  # noqa: BLE001  whatever it is, these events are not on disk
                self._fail(sound, error)
                interrupted = None if isinstance(error, Exception) else error
            waiting = [(entry.future, entry.claim.broken) for entry in batch if entry.future is not None]
        acknowledge(waiting)
        if interrupted is not None:  # whoever closes the log was interrupted
            raise interrupted

    def _write(self, entries: list[_Entry]) -> None:
        data = b"".join([entry.lines for entry in entries])
        if not data:
            return
        large = [body for entry in entries for body in entry.large]
        if not large:
            self._write_lines(data)
            return
        with self._blobs.lock.hold(timeout=60.0):
            for body in large:
                self._blobs.put(body)
            self._write_lines(data)

    def _write_lines(self, data: bytes) -> None:
        if self._writer is None:
            self._writer = SegmentWriter(self._folder, self._process)
        began = time.monotonic()
        self._writer.write(data)
        self._last_write = time.monotonic()
        self._took = self._last_write - began
        if self._writer.size >= _SEGMENT_SIZE:
            self._writer.close()
            self._writer = None

    def _fail(self, entries: list[_Entry], error: BaseException) -> None:
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        problem = unwritable(self._folder, error)
        with self._lock:
            for entry in entries:
                entry.claim.broken = problem


def unwritable(path: Path, error: BaseException) -> LogUnwritable:
    """The error for a log that does not take what is written to it, with what to do."""
    advice = _ADVICE.get(getattr(error, "errno", None) or 0, "check that folder")
    problem = LogUnwritable(f"{path}: cannot be written ({error}): {advice}, then resume the run")
    problem.__cause__ = error
    return problem


def _encode(events: Sequence[Event]) -> tuple[bytes, tuple[bytes, ...]]:
    """The events' lines, and the bodies among them that go to files of their own."""
    lines: list[bytes] = []
    large: list[bytes] = []
    for event in events:
        encoded = event.encode()
        if len(encoded) > blobs.LIMIT:
            head, _, rest = encoded.partition(b',"body":')
            body, _, tail = rest.rpartition(b',"schema_version":')
            if len(body) > blobs.LIMIT:
                large.append(body)
                encoded = b'%s,"body":%s,"schema_version":%s' % (head, blobs.reference(body), tail)
        lines.append(segment.seal(encoded))
    return b"".join(lines), tuple(large)
