"""Sending runs to one target: in bounded batches, each answer read, what was acknowledged remembered before the next.

A run is sent at least once. It is sent twice only where the process dies between the target's answer and the ledger's
line, or where an answer never came; ids and start times are the same each time, so that the target merges the two.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from agentkit import failpoints
from agentkit.errors import AgentKitError, ConfigError, LogUnwritable
from agentkit.export.langfuse_scores import Grades, newly_graded
from agentkit.export.payload import Payload, payload, smaller, together
from agentkit.export.post import Packet, Post
from agentkit.export.recorded import FEW, Recorded, gather, gather_many
from agentkit.export.replies import Reply
from agentkit.export.targets import Target
from agentkit.store import Exported, Store

FAIL_POINTS = ("export.turn", "export.encoded", "export.answered", "export.recorded")

CHUNK = 50
"""Runs that are looked up, encoded and sent in one turn; then others who export there get theirs."""

TURN = 60.0
"""Seconds to wait for others who export to the same target."""

TRIES = 3
"""How often a run is sent whose spans a target keeps rejecting, in this process and in others."""

_PAUSES = (0.5, 1.0, 2.0)
"""Seconds between tries of one request where the server does not say how long; then it counts as down."""


@dataclass
class Outcome:
    """What came of sending some runs.

    Args:
        sent: runs that were acknowledged.
        already: runs that the ledger had as sent.
        partial: runs of which some spans were rejected.
        refused: runs that the target will never take.
        unreadable: runs that the log does not give.
        left: runs that are still to be sent, because the target is down.
        spans, size: spans, and bytes before compression, that were acknowledged.
        requests: requests that were made.
        down: what the target, or the network, said when it could not go on.
        problems: what was wrong with single runs, a sentence each, at most a few.
    """

    sent: int = 0
    already: int = 0
    partial: int = 0
    refused: int = 0
    unreadable: int = 0
    left: int = 0
    spans: int = 0
    size: int = 0
    requests: int = 0
    down: Reply | None = None
    problems: list[str] = field(default_factory=list[str])

    def note(self, problem: str) -> None:
        """Remember what was wrong, as far as anybody wants to read."""
        if len(self.problems) < 5:
            self.problems.append(problem)


class Delivery:
    """Sends runs of one log to one target.

    Args:
        store: the log.
        target: where to.
        again: also what was sent, or refused, before.
        pauses: seconds between tries of a request; none where the caller tries again later by itself.
        stop: set by who wants it to end early: it does after the request that is under way.
        pace: called again and again while it computes: who has to leave the processor to others does so there.
    """

    def __init__(
        self,
        store: Store,
        target: Target,
        *,
        again: bool = False,
        pauses: Sequence[float] = _PAUSES,
        stop: threading.Event | None = None,
        pace: Callable[[], None] = lambda: None,
    ) -> None:
        self.store = store
        self.target = target
        self.post = Post(target.headers, timeout=target.timeout)
        self.outcome = Outcome()
        self._again = again
        self._pauses = pauses
        self._stop = stop or threading.Event()
        self._pace = pace
        self._known: Mapping[str | None, Exported] = {}
        self._grades = Grades(store, target, self.post, again=again)
        self._graded: set[str] = set()  # since they were sent

    def send(self, run_ids: Iterable[str]) -> Outcome:
        """Send runs; may be called again for more.

        Returns:
            What came of all of them so far. Where `down` is set, the rest was not tried.

        Raises:
            ConfigError: it is not configured: no such address, a package is missing.
            LogUnwritable: what was acknowledged cannot be recorded.
            LogBusy: others export there for too long.
        """
        self.outcome.down = None
        waiting = (run_id for run_id in run_ids if self.target.samples(run_id))
        while chunk := list(islice(waiting, CHUNK)):
            if self.outcome.down is not None or self._stop.is_set():
                self.outcome.left += len(chunk)
                continue
            with self.store.exports.turn(self.target.key, timeout=TURN):
                failpoints.hit("export.turn")
                self._known = self.store.exports.read(self.target.key)
                self._graded = newly_graded(self.store, self.target)
                self._send_chunk(chunk)
        return self.outcome

    def close(self) -> None:
        """Close the connections."""
        self.post.close()

    def _send_chunk(self, run_ids: Sequence[str]) -> None:
        batch: list[Payload] = []
        wanted = [run_id for run_id in run_ids if not self._is_over(run_id)]
        read = self._read(wanted)
        for run_id in wanted:
            ready = self._ready(run_id, read.pop(run_id, None))
            if ready is None:
                continue
            alone = self._goes_alone(ready)
            if batch and (alone or sum(one.size for one in batch) + ready.size > self.target.max_bytes):
                self._send_batch(batch)
                batch = []
            batch.append(ready)
            if alone:
                self._send_batch(batch)
                batch = []
        if batch:
            self._send_batch(batch)
        if self.outcome.down is None:
            self.outcome.down = self._grades.send()

    def _is_over(self, run_id: str) -> bool:
        over = not self._again and is_over(self._known.get(run_id)) and run_id not in self._graded
        self.outcome.already += over
        return over

    def _read(self, run_ids: Sequence[str]) -> dict[str, Recorded]:
        """Runs with one look at the log; where one of them cannot be read, none: they are then read one by one."""
        if len(run_ids) <= FEW:
            return {}
        try:
            return gather_many(self.store, run_ids)
        except AgentKitError:
            return {}

    def _goes_alone(self, ready: Payload) -> bool:
        """Whether it cannot share a request: it has several, or its answer would not tell whose spans are meant."""
        before = self._known.get(ready.run_id)
        return len(ready.packets) != 1 or (before is not None and before.status in {"partial", "refused"})

    def _ready(self, run_id: str, read: Recorded | None) -> Payload | None:
        """A run that is to be sent, encoded; None where there is nothing to do."""
        try:
            recorded = read or gather(self.store, run_id)
            self._grades.see(recorded)
            before = self._known.get(run_id)
            if not self._again and before is not None and _is_done(before, recorded.count()):
                self.outcome.already += 1
                return None
            if not recorded.ended and not (recorded.paused and self.target.takes_unfinished):
                return None
            ready = payload(recorded, self.target, self._pace)
        except ConfigError:
            raise
        except AgentKitError as error:  # one run that cannot be read must not keep the others back
            self.outcome.unreadable += 1
            self.outcome.note(f"run {run_id} cannot be read: {error}")
            self._record([_unreadable(self.target, run_id, str(error))])
            return None
        failpoints.hit("export.encoded")
        return ready if ready.packets else None

    # sending ---------------------------------------------------------------------------------------------------------

    def _send_batch(self, batch: Sequence[Payload]) -> None:
        """Send runs in one request, or a single run in as many as it needs; smaller where that is asked for."""
        if self.outcome.down is not None or self._stop.is_set():
            self.outcome.left += len(batch)
            return
        packets = [together(batch)] if len(batch) > 1 else list(batch[0].packets)
        reply, made = self._send_packets(packets)
        failpoints.hit("export.answered")
        if reply.meaning in {"too_large", "refused"} and len(batch) > 1:  # to find the one that it is about
            middle = len(batch) // 2
            self._send_batch(batch[:middle])
            self._send_batch(batch[middle:])
            return
        if reply.meaning == "too_large":
            largest = max(len(packet.body) for packet in packets)
            again = smaller(batch[0].recorded, self.target, largest)
            if again is not None:
                self._send_batch([again])
                return
        self._conclude(batch, reply, made)

    def _send_packets(self, packets: Sequence[Packet]) -> tuple[Reply, int]:
        """Send requests one after the other, up to the first that is not taken; the answer that counts for all."""
        made, rejected = 0, Reply("taken")
        for packet in packets:
            reply, tries = self._send_packet(packet)
            made += tries
            if reply.meaning not in {"taken", "partial"}:
                return reply, made
            if reply.meaning == "partial" or rejected.meaning == "taken":
                rejected = reply
        return rejected, made

    def _send_packet(self, packet: Packet) -> tuple[Reply, int]:
        """Send one request, again where the server or the network asks for it."""
        reply, made = self.post.send(packet), 1
        for pause in self._pauses:
            if reply.meaning != "later" or self._stop.wait(reply.wait if reply.wait is not None else pause):
                break
            reply, made = self.post.send(packet), made + 1
        self.outcome.requests += made
        return reply, made

    # remembering -----------------------------------------------------------------------------------------------------

    def _conclude(self, batch: Sequence[Payload], reply: Reply, made: int) -> None:
        """Record what became of a batch, and count it."""
        status = _STATUS[reply.meaning]
        lines = [self._line(one, status, reply, made) for one in batch]
        self._record([line for line in lines if status != "failed" or not self._is_known(line)])
        failpoints.hit("export.recorded")
        if status == "failed":
            self.outcome.down = reply
            self.outcome.left += len(batch)
            return
        if status != "refused":
            self.outcome.spans += sum(one.spans for one in batch) - reply.rejected
            self.outcome.size += sum(one.size for one in batch)
        self.outcome.sent += len(batch) if status == "sent" else 0
        self.outcome.partial += len(batch) if status == "partial" else 0
        self.outcome.refused += len(batch) if status == "refused" else 0
        if status != "sent":
            which = f"run {batch[0].run_id}" if len(batch) == 1 else f"{len(batch)} runs, {batch[0].run_id} first"
            what = f"{reply.rejected} spans were rejected" if status == "partial" else "it is refused"
            self.outcome.note(f"{which}: {what}: {reply}")

    def _is_known(self, line: Exported) -> bool:
        """Whether the ledger has this failure: a target that is down for days is no new line every few minutes."""
        before = self._known.get(line.run_id)
        return before is not None and (before.status, before.http_status) == (line.status, line.http_status)

    def _line(self, one: Payload, status: "_Status", reply: Reply, made: int) -> Exported:
        now, before = datetime.now(UTC), self._known.get(one.run_id)
        return Exported(
            target=self.target.key,
            run_id=one.run_id,
            status=status,
            recorded_at=now,
            acknowledged_at=now if status in {"sent", "partial"} else None,
            sha256=one.sha256,
            events=one.recorded.count(),
            ended=one.recorded.ended,
            spans=one.spans,
            size=one.size,
            http_status=reply.http_status,
            attempts=made + (before.attempts if before is not None else 0),
            error=reply.message if status != "sent" else None,
        )

    def _record(self, lines: Sequence[Exported]) -> None:
        if not lines:
            return
        try:
            self.store.exports.write(lines)
        except LogUnwritable as error:
            raise LogUnwritable(f"what was exported to {self.target.key} cannot be remembered: {error}") from error


_Status = Literal["sent", "partial", "refused", "failed"]
_STATUS: Mapping[str, _Status] = {
    "taken": "sent",
    "partial": "partial",
    "refused": "refused",
    "too_large": "refused",
    "later": "failed",
    "closed": "failed",
}


def is_over(line: Exported | None) -> bool:
    """Whether there is nothing more to send of a run, whatever the log says: what has ended stays as it is."""
    if line is None or not line.ended:
        return False
    return line.status in {"sent", "refused"} or (line.status == "partial" and line.attempts >= TRIES)


def _is_done(before: Exported, events: int) -> bool:
    """Whether a run needs no more sending: the target has all of it, or will not take more of it."""
    return before.events == events and is_over(before.model_copy(update={"ended": True}))


def _unreadable(target: Target, run_id: str, error: str) -> Exported:
    now = datetime.now(UTC)
    return Exported(target=target.key, run_id=run_id, status="unreadable", recorded_at=now, error=error[:300])
