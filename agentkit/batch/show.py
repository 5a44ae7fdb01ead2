"""A batch on a screen: a line, a bar on a terminal, a bar and a table in a notebook."""

import contextlib
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator
from html import escape
from typing import TYPE_CHECKING, Any

from agentkit.rows import Rows
from agentkit.text import dollars, duration, inert, one_line

if TYPE_CHECKING:
    from agentkit.batch.handle import Batch
    from agentkit.state import Approval

_EVERY = 0.5
"""Seconds between two updates in a notebook."""
_LISTED = 10  # failed items, and questions
_FAILED = ("failed item", "run", "error")
_FIRST = 20  # items whose outputs are shown
_WAITS = "what waits for a person: ak.pending()"

_STYLE = (
    "<style>.agentkit-batch progress{width:20em;vertical-align:middle;margin-right:1em}"
    ".agentkit-batch td{text-align:left}</style>"
)


def summary(batch: "Batch") -> str:
    """How far a batch is, in some words."""
    counts = batch.counts
    total = "" if counts.left is None else f" of {sum(counts[:4]) + counts.left:,}"
    said = [f"{counts.done:,}{total} done"]
    said += [f"{counts.failed:,} failed"] if counts.failed else []
    said += [f"{counts.paused:,} paused"] if counts.paused else []
    queued = batch.queued
    said += [f"{counts.running - queued:,} running"] if counts.running > queued else []
    said += [f"{queued:,} waiting for a worker"] if queued else []
    said += [f"waits for {batch.waits_for}, who maps the same"] if batch.waits_for else []
    said += ["the log cannot be read at this moment"] if batch.trouble else []
    return ", ".join(said)


def text(batch: "Batch") -> str:
    """A batch as lines of text: how far it is, and what failed."""
    lines = [f"{inert(batch.name)}: {_line(batch)}"]
    failed = batch.failed
    lines += [f"  ✗ item {row.index}: {one_line(row.error or row.status, 120)}" for row in failed[:_LISTED]]
    if len(failed) > _LISTED:
        lines.append(f"  … and {len(failed) - _LISTED:,} more: batch.failed")
    lines += [f"  ? {_WAITS}"] if _waits(batch) else []
    return "\n".join(lines)


def _waits(batch: "Batch") -> bool:
    return batch.settled and batch.counts.paused > 0


def _line(batch: "Batch") -> str:
    cost = batch.cost
    money = [] if cost == 0 else ["cost unknown" if cost is None else dollars(cost)]
    return " · ".join([summary(batch), duration(batch.seconds), *money])


def bundle(batch: "Batch") -> dict[str, str]:
    """What a notebook shows and saves: HTML that needs no script, and text."""
    return {"text/plain": text(batch), "text/html": _html(batch)}


def _html(batch: "Batch") -> str:
    counts = batch.counts
    bar = "<progress></progress>"
    if counts.left is not None:
        total = sum(counts[:4]) + counts.left
        bar = f'<progress max="{max(total, 1)}" value="{counts.done + counts.failed if total else 1}"></progress>'
    failed = [(row.index, row.run_id, row.error or row.status) for row in batch.failed]
    table = _table(Rows(_FAILED, failed)) if failed else ""
    if batch.settled:  # while it is at work, nobody reads the log for it twice a second
        table += _table(_with_dollars(batch.first_rows(_FIRST)))
    table += f"<p>? {_WAITS}</p>" if _waits(batch) else ""
    head = f"<p>{bar}<b>{escape(inert(batch.name))}</b> {escape(_line(batch))}</p>"
    return f'{_STYLE}<div class="agentkit-batch">{head}{table}</div>'


def _with_dollars(rows: Rows) -> Rows:
    """The table of items with its costs, the last column, as they are shown everywhere."""
    shown = [(*row[:-1], None if row[-1] is None else dollars(row[-1])) for row in rows]
    return Rows(rows.columns, shown, rows.note)


def _table(rows: Rows) -> str:
    return rows._repr_html_()  # pyright: ignore[reportPrivateUsage]  a table inside ours


def how_to_come_back(batch: "Batch") -> str:
    """What becomes of a batch that nobody waits for any more, and how to look at it again."""
    going, paused = batch.submitted
    if going:
        return (
            "what was submitted goes on at the workers; call map again with the same items to look at it, and to "
            "submit what is left"
        )
    if paused:
        return "somebody stopped what is paused: run.resume(submit=True) of each in batch.waiting has workers go on"
    return "call map again with the same items to go on"


def how_to_go_on(batch: "Batch", pending: "list[Approval]") -> str:
    """Why there is no result yet, and what to do."""
    if not pending:
        return f"{batch.name} was stopped: {summary(batch)}; {how_to_come_back(batch)}"
    lines = [f"{batch.name}: {summary(batch)}; answer, then batch.result():"]
    lines += [f"  {asked}" for asked in pending[:_LISTED]]
    if len(pending) > _LISTED:
        lines.append(f"  … and {len(pending) - _LISTED:,} more: batch.pending")
    return "\n".join(lines)


@contextlib.contextmanager
def while_waiting(batch: "Batch", progress: bool | None) -> Generator[Callable[[], None]]:
    """Show how far a batch is as long as somebody waits for it, where there is a place for it.

    Args:
        batch: the batch.
        progress: True shows a bar on standard error, False nothing; None: where there is a notebook or a terminal.
    """
    if batch.settled:
        yield _nothing
    elif progress is not False and in_notebook():
        display(batch)
        yield _nothing
    elif progress or (progress is None and sys.stderr.isatty()):
        with _bar(batch) as update:
            yield update
    else:
        yield _nothing


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _bar(batch: "Batch") -> Generator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.fields[said]}", markup=False), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=None, said="")

        def update() -> None:
            counts = batch.counts
            total = None if counts.left is None else sum(counts[:4]) + counts.left
            said = f"{inert(batch.name)} {summary(batch)}"
            bar.update(task, total=total, completed=counts.done + counts.failed, said=said)
            bar.refresh()

        update()
        yield update


def say_that_it_stops(progress: bool | None) -> None:
    """Tell the person who pressed Ctrl-C what is waited for, where there is one."""
    if progress is not False and (sys.stderr.isatty() or in_notebook()):
        print("stopping after what is in flight; Ctrl-C again leaves at once", file=sys.stderr)  # noqa: T201  as above


def in_notebook() -> bool:
    """Whether this process is a kernel, whose front end shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def display(batch: "Batch") -> None:
    """Show a batch in IPython, kept up to date until nothing is left to come; once shown, the same place is updated."""
    from IPython.display import display as show  # pyright: ignore[reportUnknownVariableType]  untyped

    if batch.shown is not None and not batch.settled:
        return
    handle: Any = show(bundle(batch), raw=True, display_id=True)
    if handle is not None and in_notebook() and not _is_over(batch):
        batch.shown = handle
        _Kept(batch, handle).start()


def _is_over(batch: "Batch") -> bool:
    """Whether nothing changes any more: who answers what waits for a person does it in another cell, or elsewhere."""
    return batch.settled and not _waits(batch)


class _Kept(threading.Thread):
    """Updates the place where a batch was shown last; what waits for a person keeps no batch that nobody has."""

    def __init__(self, batch: "Batch", handle: Any) -> None:
        super().__init__(name="agentkit-display", daemon=True)
        self._batch = weakref.ref(batch)
        self._at_work: Batch | None = batch
        self._handle = handle
        self._showed: object = None

    def run(self) -> None:
        """Look again and again."""
        while (batch := self._at_work or self._batch()) is not None and batch.shown is self._handle:
            settled = batch.sleep(_EVERY)
            over = _is_over(batch)
            self._update(batch, settled)
            if over:
                batch.shown = None
                return
            self._at_work = None if settled else batch
            del batch
            if settled:
                time.sleep(_EVERY)

    def _update(self, batch: "Batch", settled: bool) -> None:
        shows = (settled, batch.counts)
        if settled and shows == self._showed:
            return
        self._showed = shows
        with contextlib.suppress(Exception):  # a front end that went away must not end in a traceback
            self._handle.update(bundle(batch), raw=True)
