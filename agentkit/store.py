"""The log as the runner sees it: append, read, claim, answer, query. One protocol, one contract test class.

Every store passes `agentkit.testing.StoreContract`. All methods are thread-safe and may block for as long as a disk or
a server takes, except `append`, which fixes the events' order and returns a future. It is called on the thread that
drives every run, so it may wait for the disk only where that is quick and no other run could use the time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import field_validator

from agentkit.events import Event, Verdict
from agentkit.jsonvalue import clean
from agentkit.messages import Fact
from agentkit.rows import Rows


class Answer(Fact):
    """What a person, or who acts for one, said about an approval. Written once; whoever comes second has lost."""

    verdict: Verdict
    edits: dict[str, Any] | None = None  # JSON
    value: Any = None  # JSON
    comment: str | None = None
    who: str | None = None
    through: str | None = None
    answered_at: datetime

    @field_validator("comment", "who", "through", mode="before")
    @classmethod
    def _clean(cls, text: Any) -> Any:
        return clean(text)  # it is recorded with the run: text that the log cannot hold would stop every resume


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that executes a run, or that paused it and watches for its answers.

    Args:
        process: the process's own name in the log, unique for ever.
        pid: its process id.
        host: its machine.
        since: when it took the run.
        activity: "executing" holds the claim; "noting" does, for the moment in which it writes a comment down;
            "watching" does not, and takes the run up when it is answered.
    """

    process: str
    pid: int
    host: str
    since: datetime
    activity: Literal["executing", "noting", "watching"]

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (since {self.since:%Y-%m-%d %H:%M:%S} UTC)"


ClaimActivity: TypeAlias = Literal["executing", "noting"]
"""What a claim is taken for."""


class Claim(Protocol):
    """The right to append to one run, from `Store.claim` until it is released or its process dies."""

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def head(self) -> int:
        """The seq of the run's last event; 0 for a new run."""
        ...


class Exported(Fact):
    """What became of sending a run to a tracing system: one line of the ledger, which is no event of the run.

    `target` names system, host and project, so that a run sent to one is not taken for sent to another. `status` is
    "sent" once the system acknowledged all of it; "partial" where it took a part; "refused" where it never will take
    it; "failed" where it is to be tried again; "unreadable" where the log does not give the run. A line without a run
    says that from `recorded_at` on what ends is exported there ("began").
    """

    target: str
    run_id: str | None = None
    status: Literal["began", "sent", "partial", "refused", "failed", "unreadable"]
    recorded_at: datetime
    acknowledged_at: datetime | None = None
    sha256: str | None = None  # of what was sent, before compression
    events: int = 0  # of the run and of all that it called
    ended: bool = False  # whether it holds the run's end
    spans: int = 0
    size: int = 0  # bytes, before compression
    http_status: int | None = None
    attempts: int = 0  # requests that were made for it; of failures that repeat themselves, the first
    error: str | None = None


class Ledger(Protocol):
    """Which runs were exported where. The newest line of a run and a target counts."""

    def turn(self, target: str, *, timeout: float) -> AbstractContextManager[None]:
        """Be the only one who exports to a target, for a `with` block; a process that dies gives it back.

        Args:
            target: the target.
            timeout: seconds to wait for others.

        Raises:
            LogBusy: others took longer.
        """
        ...

    def read(self, target: str) -> Mapping[str | None, Exported]:
        """The newest line of each run; of None, the first "began"."""
        ...

    def write(self, lines: Sequence[Exported]) -> None:
        """Add lines, durably.

        Raises:
            LogUnwritable: full disk, read-only folder.
        """
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A run that a worker took from the queue.

    Args:
        run_id: the run.
        name: its agent's or pipeline's.
        submitted_at: when it was put into the queue; by the store's clock.
        lost: how many processes died that had taken it, since it was last put back or woken.
    """

    run_id: str
    name: str
    submitted_at: datetime
    lost: int = 0


class Queue(Protocol):
    """Which runs wait for a worker. It says where a run is to be executed next, and nothing of what happened in it.

    A run is ready, or taken by a process, or asleep (for some seconds, or until it is woken). All methods are safe
    from several threads and processes at once. When the log is closed, what this process took is ready again.
    """

    def put(self, run_id: str, name: str) -> None:
        """A run is ready from now on. Called before its first event is recorded; durable when it returns.

        Args:
            run_id: a new run; one that is there already stays as it is.
            name: its agent's or pipeline's.

        Raises:
            LogUnwritable: the log cannot be written.
        """
        ...

    def take(self, names: Collection[str], limit: int) -> list[Taken]:
        """Take runs that are ready, those submitted first before the others; each goes to one taker alone.

        Who takes a run has it until it puts it back or removes it. What a process that died had is ready again.

        Args:
            names: of the agents and pipelines that the caller can execute.
            limit: at most so many.

        Raises:
            LogUnwritable: the log cannot be written.
            LogCorrupt: naming a file.
        """
        ...

    def put_back(self, run_id: str, *, after: float | None, forgive: bool = True) -> None:
        """Let go of a run that this process took; nothing happens where another has it, or where it is not there.

        A wake that came while it was taken is forgotten: who puts a run to sleep looks afterwards, once more, whether
        what it waits for has come, and wakes it.

        Args:
            run_id: the run.
            after: seconds until it is ready again; None is when it is woken.
            forgive: whether the processes that died with it are forgotten; False where it was never begun here.

        Raises:
            LogUnwritable: the log cannot be written. Where it is on a server that is away, the run is let go of when
                that is back, and nothing is raised.
        """
        ...

    def wake(self, run_id: str) -> bool:
        """Have a run that is asleep ready at once; one that is ready or taken stays so. Durable when it returns.

        Returns:
            Whether the run is in the queue.

        Raises:
            LogUnwritable: the log cannot be written.
        """
        ...

    def remove(self, run_id: str) -> None:
        """Forget a run: it ended. Whoever has it, and whether it is there or not.

        Raises:
            LogUnwritable: the log cannot be written.
        """
        ...


class Store(Protocol):
    """Where events are kept."""

    @property
    def queue(self) -> Queue:
        """Which runs wait for a worker."""
        ...

    @property
    def exports(self) -> Ledger:
        """Which runs were exported where."""
        ...

    @property
    def url(self) -> str:
        """What opens the same log again: a folder's path or a server's URL, no password in it."""
        ...

    @property
    def process(self) -> str:
        """This process's name in the log."""
        ...

    def claim(self, run_id: str, *, new: bool = False, activity: ClaimActivity = "executing") -> Claim:
        """Take the right to append to a run.

        Args:
            run_id: a UUID.
            new: the caller just made the id, so there is nothing to read.
            activity: what `holder` says meanwhile.

        Raises:
            RunClaimed: another process, or another activation in this one, holds it.
            LogUnwritable: the log cannot be written.
            LogCorrupt: what is recorded of the run cannot be trusted.
        """
        ...

    def append(self, claim: Claim, events: Sequence[Event], *, durable: bool = True) -> Future[None]:
        """Put events after the claim's head, in this order.

        Args:
            claim: the claim on the events' run.
            events: with seq `claim.head + 1` and up; empty with `durable` waits for what was appended before.
            durable: the future ends when these events and all appended before them are on disk; else they ride along
                with the next durable append of this claim and the future is done at once.

        Raises (at once, nothing is appended):
            SeqConflict: the events do not continue the head, or the claim is no longer held.
            EncodingError: an event cannot be encoded.

        The future raises:
            LogUnwritable: full disk, dead server. The claim is broken from then on: every later append fails too.
        """
        ...

    def release(self, claim: Claim, *, watch: bool = False) -> None:
        """Give a claim back. What was appended is made durable first.

        Args:
            claim: what `claim` returned; a second release does nothing.
            watch: this process goes on watching for answers and `holder` says so, until it claims the run again, dies,
                or `unwatch`.
        """
        ...

    def unwatch(self, run_id: str) -> None:
        """Stop being the one who watches a run; does nothing where this process does not."""
        ...

    def holder(self, run_id: str) -> Holder | None:
        """The living process that executes or watches the run; None when nobody does."""
        ...

    def read(self, run_id: str, *, after: int = 0, until: int | None = None) -> list[Event]:
        """A run's own events with `after < seq <= until`, in order, checksums and density of seq checked.

        Called again with the last seq it follows a live run; it sees at least what is durable.

        Raises:
            LogCorrupt: naming file and offset.
        """
        ...

    def read_many(self, run_ids: Iterable[str]) -> Mapping[str, Sequence[Event]]:
        """All events of several runs, each as `read` gives them; a run that is not there is left out.

        Raises:
            LogCorrupt: naming file and offset.
        """
        ...

    def answer(self, run_id: str, approval_id: str, answer: Answer) -> Answer:
        """Put an answer where the run's owner finds it, once.

        Returns:
            The answer that counts: `answer` itself, or the one that was there before it.
        """
        ...

    def answers(self, run_id: str) -> dict[str, Answer]:
        """Every answer given for a run, by approval id."""
        ...

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Run one reading statement over the log's views, `$name` standing for parameters.

        Raises:
            QueryError: it is no reading statement, reaches outside the log, or is wrong.
        """
        ...

    def prune(self, run_ids: Iterable[str]) -> int:
        """Remove runs with their answers and the large bodies nobody else needs; the caller checked that it may.

        Returns:
            How many events were removed.
        """
        ...

    def close(self) -> None:
        """Make everything durable, give back every claim, stop background work."""
        ...
