"""Who is told of a run while it executes here: of its events, and of the text that models stream."""

import contextlib
from collections.abc import Callable
from typing import TypeAlias

from agentkit.events import Event
from agentkit.runner.engine import engine

OnEvent: TypeAlias = Callable[[Event], None]
OnText: TypeAlias = Callable[[str, str, str], None]


class Audience:
    """Those who follow a run, and those who follow the runs that called it. All of it is for the engine's thread.

    Args:
        run_id: the run.
        above: the audience of the run that called it; None where no run did.
    """

    def __init__(self, run_id: str, above: "Audience | None") -> None:
        self._run_id = run_id
        self._above = above
        self._listeners: list[OnEvent] = []
        self._follows: list[tuple[OnEvent, OnText]] = []

    def listen(self, on_event: OnEvent) -> None:
        """Be told of every event of this run from now on; be quick."""
        self._listeners.append(on_event)

    def follow(self, on_event: OnEvent, on_text: OnText) -> Callable[[], None]:
        """Be told of the events of this run and of those below it, and of streamed text: run, step, piece.

        Returns:
            What ends that, from any thread.
        """
        follower = (on_event, on_text)
        self._follows.append(follower)

        def leave() -> None:
            engine().call(lambda: self._follows.remove(follower) if follower in self._follows else None)

        return leave

    def followers(self) -> list[tuple[OnEvent, OnText]]:
        """Who follows this run, and who those that called it."""
        above = self._above.followers() if self._above is not None else []
        return self._follows + above if above else self._follows

    def tell(self, event: Event) -> None:
        """An event was recorded."""
        for listener in self._listeners:
            with contextlib.suppress(Exception):  # a broken view must not stop a run
                listener(event)
        for on_event, _ in self.followers():
            with contextlib.suppress(Exception):
                on_event(event)

    def tell_text(self, step: str, piece: str) -> None:
        """A model streamed a piece of text."""
        for _, on_text in self.followers():
            with contextlib.suppress(Exception):
                on_text(self._run_id, step, piece)
