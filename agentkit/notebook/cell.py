"""One place where a run is shown: the document's HTML keeps up with the run, so that it can be saved at any time."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias
from uuid import uuid4

from agentkit.notebook.feed import Feed
from agentkit.runner.run import Run

Bundle: TypeAlias = Callable[[Run, str | None], dict[str, str]]

_SEEN, _UNSEEN = 30.0, 2.0
"""Seconds between two writings of the document: where a live trace stands before it, and where there is only it."""
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
        self._written: tuple[int, str] | None = None

    def show(self, show: Callable[..., Any], *, live: bool) -> None:
        """Write the document, and put the live trace before it.

        Args:
            show: `IPython.display.display`.
            live: whether a person looks.
        """
        self._written = self._stand()
        handle = show(self._bundle(self.run, self.place if live else None), raw=True, display_id=True)
        if live:
            with suppress(Exception):  # without widgets there is the document
                self._mount()
        if self.run.state.ended:
            return
        feed = None
        if self._trace is None:
            feed = Feed(self.run, lambda _message: None, self._over.set)
            feed.start()
        threading.Thread(target=self._keep_up, args=(handle, feed), name="agentkit-cell", daemon=True).start()

    def _mount(self) -> None:
        from agentkit.notebook.live import LiveTrace

        self._trace = LiveTrace(self.run, place=self.place, on_end=self._over.set)
        _live.append(self)
        while len(_live) > _MOST:
            _live.popleft().close()

    def close(self) -> None:
        """Take the live trace off the page: the document is what is seen."""
        self._closed.set()
        self._over.set()
        if self._trace is not None:
            self._trace.close()

    def _stand(self) -> tuple[int, str]:
        return self.run.state.seq, self.run.status

    def _keep_up(self, handle: Any, feed: Feed | None) -> None:
        wrote = time.monotonic()
        while not self._over.wait(0.5):
            with suppress(Exception):  # the log may be busy: the next look reads it
                stand = self._stand()
                apart = _SEEN if self._trace is not None and self._trace.seen.is_set() else _UNSEEN
                paused = stand[1] == "paused" != (self._written or stand)[1]
                if stand != self._written and (paused or time.monotonic() - wrote > apart):
                    wrote = self._write(handle, stand)
        with suppress(Exception):
            self._write(handle, self._stand())
        if feed is not None:
            feed.close()

    def _write(self, handle: Any, stand: tuple[int, str]) -> float:
        """Write the document anew; the time when that was done, so that a long one is written less often."""
        live = self._trace is not None and not self._closed.is_set()
        handle.update(self._bundle(self.run, self.place if live else None), raw=True)
        self._written = stand
        return time.monotonic()
