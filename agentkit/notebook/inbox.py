"""What waits for a person, over all runs of a log: a list, and in a notebook cards that can be answered."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from typing import Any
from uuid import uuid4

from agentkit import registry
from agentkit.log import Log
from agentkit.notebook.details import card
from agentkit.runner.shell import somebody_looks
from agentkit.state import Approval
from agentkit.text import inert

_LOOK = 2.0
"""Seconds between two looks at the log at least; a look that takes long is taken less often."""


class Inbox:
    """Everything that waits for a person, oldest first, at each look anew; `ak.pending()` gives one.

    Args:
        log: the log.
    """

    def __init__(self, log: Log) -> None:
        self.log = log

    def __iter__(self) -> Iterator[Approval]:
        return iter(self.log.pending())

    def __len__(self) -> int:
        return len(self.log.pending())

    def __repr__(self) -> str:
        lines = [f"{asked.run_id}  {asked}" for asked in self]
        if not lines:
            return "nothing waits for a person"
        how = "log.run(run_id).approve(id), .reject(id, reason=…) or .answer(id, value)"
        return inert("\n".join([*lines, how]))

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        return self._bundle(None)

    def _bundle(self, place: str | None) -> dict[str, str]:
        text = repr(self)
        named = f"agentkit-trace {place}" if place else "agentkit-trace"
        return {"text/plain": text, "text/html": f"<div class='{named}'><pre>{escape(text)}</pre></div>"}

    def _ipython_display_(self) -> None:
        show = registry.load("IPython.display:display")  # which has no types
        if not somebody_looks():  # nobody clicks there
            show(self._bundle(None), raw=True)
            return
        place = f"agentkit-at-{uuid4().hex}"
        show(self._bundle(place), raw=True)
        with suppress(Exception):  # without widgets there is the list
            _open_live(self.log, place)

    def cards(self) -> list[dict[str, Any]]:
        """What waits, as cards need it."""
        pending = list(self)
        runs = {asked.run_id for asked in pending}  # the items of a fan-out ask in one run, which is read once
        states = {run_id: self.log.run(run_id).state for run_id in runs}
        return [card(states[asked.run_id], asked) for asked in pending]


_live: list[Any] = []
_MOST = 3
"""Live inboxes of a process, each of which looks into the log; an older one stands still."""


def _open_live(log: Log, place: str) -> None:
    from agentkit.notebook.live_inbox import LiveInbox

    _live.append(LiveInbox(Inbox(log), place))
    while len(_live) > _MOST:
        _live.pop(0).close()


class Looker:
    """Looks into the log again and again, and tells what is new.

    Args:
        inbox: what is looked at.
        tell: is given the cards where they are others than before; in a thread of its own.
    """

    def __init__(self, inbox: Inbox, tell: Any) -> None:  # a function of the cards
        self._inbox = inbox
        self._tell = tell
        self._closed = threading.Event()
        threading.Thread(target=self._look, name="agentkit-inbox", daemon=True).start()

    def _look(self) -> None:
        before: list[dict[str, Any]] | None = None
        took = 0.0
        while not self._closed.wait(max(_LOOK, 20 * took)):
            began = time.perf_counter()
            with suppress(Exception):  # the log may be busy: the next look reads it
                cards = self._inbox.cards()
                if cards != before:
                    self._tell(cards)
                    before = cards
            took = time.perf_counter() - began

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
