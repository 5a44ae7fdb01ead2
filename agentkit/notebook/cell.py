"""One place where a run is shown: the document's HTML keeps up with the run, so that it can be saved at any time."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias
from uuid import uuid4

from agentkit.runner.run import Run

Bundle: TypeAlias = Callable[[Run, str | None], dict[str, str]]

_SEEN, _UNSEEN = 30.0, 2.0
"""Seconds between two writings of the document: where a live trace stands before it, and where there is only it."""
_LARGE = 3000
"""Events of a run from which on its live trace is shown before the document is written: that takes a second by then."""
_MOST = 20
"""Live traces of a process: an older one gives its place back to plain HTML, which is there anyhow."""

_live: deque["Cell"] = deque()


class Cell:
    """Shows one run once.

    Args:
        run: the run.
        bundle: what the document holds: of the run and the name of the place.
    """

    def __init__(self, run: Run, bundle: Bundle) -> None:
        self.run = run
        self.place = f"agentkit-at-{uuid4().hex}"
        self._bundle = bundle
        self._over = threading.Event()
        self._closed = threading.Event()
        self._trace: Any = None  # a LiveTrace: ipywidgets are imported where somebody looks
        self._written = (0, "")
        self._handle: Any = None  # of IPython, which has no types
        self._events: Any = None

    def show(self, show: Callable[..., Any], events: Any, *, live: bool) -> None:
        """Write the document, and put the live trace before it.

        Args:
            show: `IPython.display.display`.
            events: the shell's, which tell of the ends of cells.
            live: whether a person looks.
        """
        is_large = live and bool(self.run.store.read(self.run.run_id, after=_LARGE, until=_LARGE + 1))
        if not is_large:
            self._written = self._stand()
        ended = not is_large and self.run.state.ended  # before the document is made, which then has the end
        first = self._soon() if is_large else self._bundle(self.run, self.place if live else None)
        self._handle = show(first, raw=True, display_id=True)
        if live:
            with suppress(Exception):  # without widgets there is the document
                self._mount()
        if self._trace is not None and not ended:
            threading.Thread(target=self._keep_up, name="agentkit-cell", daemon=True).start()
            return
        if is_large:
            self._write(self._stand())
        if self._trace is None and not ended:
            # who executes a notebook without a person takes what is written while a cell runs, and nothing later
            self._events = events
            events.register("post_run_cell", self._after_cell)

    def _soon(self) -> dict[str, str]:
        """What the document holds for the second that its words of a very long run take."""
        text = f"run {self.run.run_id}: ak.open_log().run({self.run.run_id!r})"
        return {"text/plain": text, "text/html": f"<div class='agentkit-trace {self.place}'><code>{text}</code></div>"}

    def _mount(self) -> None:
        from agentkit.notebook.live import LiveTrace

        self._trace = LiveTrace(self.run, place=self.place, on_end=self._over.set, on_word=self._again)
        _live.append(self)
        while len(_live) > _MOST:
            _live.popleft().close()

    def close(self) -> None:
        """Take the live trace off the page: the document is what is seen."""
        self._closed.set()
        self._over.set()
        if self._trace is not None:
            self._trace.close()

    def hears(self, patience: float) -> bool:
        """Whether a click in it reaches this process now.

        Args:
            patience: seconds to wait for the browser's word.
        """
        return self._trace is not None and self._trace.hears(patience)

    def tell(self, message: dict[str, Any]) -> None:
        """Say something to the page, where there is one."""
        if self._trace is not None:
            self._trace.tell(message)

    def _stand(self) -> tuple[int, str]:
        return self.run.state.seq, self.run.status

    def _keep_up(self) -> None:
        if not self._written[0]:
            self._trace.loaded.wait(30)
            with suppress(Exception):
                self._write(self._stand())
        wrote = time.monotonic()
        while not self._over.wait(0.5):
            with suppress(Exception):  # the log may be busy: the next look reads it
                stand = self._stand()
                apart = _SEEN if self._trace.seen.is_set() else _UNSEEN
                paused = stand[1] == "paused" != self._written[1]
                if stand != self._written and (paused or time.monotonic() - wrote > apart):
                    self._write(stand)
                    wrote = time.monotonic()
        with suppress(Exception):
            if (stand := self._stand()) != self._written:
                self._write(stand)

    def _after_cell(self, _result: Any) -> None:
        with suppress(Exception):
            stand = self._stand()
            if stand != self._written:
                self._write(stand)
            if self.run.state.ended:
                self._events.unregister("post_run_cell", self._after_cell)

    def _again(self) -> None:
        with suppress(Exception):
            self._write(self._stand())

    def _write(self, stand: tuple[int, str]) -> None:
        """Write the document anew."""
        live = self._trace is not None and not self._closed.is_set()
        self._handle.update(self._bundle(self.run, self.place if live else None), raw=True)
        self._written = stand
