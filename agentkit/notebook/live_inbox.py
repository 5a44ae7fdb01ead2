"""The inbox in a page: a card for each question of every run, answered where it stands."""

from typing import Any

from agentkit.errors import ApprovalError
from agentkit.notebook.inbox import Inbox, Looker
from agentkit.notebook.live import Page
from agentkit.runner.run import Run


class LiveInbox(Page):
    """What waits, live.

    Args:
        inbox: of which log.
        place: the class of the element in the page that it takes the place of.
    """

    def __init__(self, inbox: Inbox, place: str) -> None:
        self._inbox = inbox
        self._number = 0
        super().__init__(place, self.snapshot(), inbox=True)
        self._looker = Looker(inbox, self._told)

    def snapshot(self) -> dict[str, Any]:
        """All cards."""
        return {"kind": "reset", "n": self._number, "rows": [], "cards": self._inbox.cards(), "ended": False}

    def number(self) -> int:
        """The number of the last message that told of something new."""
        return self._number

    def grade(self, message: dict[str, Any]) -> dict[str, Any]:
        """Nothing: what waits has not ended."""
        return {"kind": "graded", "bad": f"nothing here can be graded {message.get('verdict')}"}

    def leave(self, row: str, text: Any, by: str | None) -> None:  # what a browser sent
        """Nothing: a question is answered, and commented on in its run's trace."""
        del text, by
        raise ApprovalError(f"nothing here can be commented on: {row}")

    def _told(self, cards: list[dict[str, Any]]) -> None:
        self._number += 1
        self.tell({"kind": "rows", "n": self._number, "rows": [], "text": {}, "cards": cards, "ended": False})

    def opened(self, row: str) -> dict[str, Any]:
        """Nothing: an inbox has no rows."""
        return {"kind": "details", "id": row, "sections": []}

    def run_of(self, key: str) -> Run:
        """The run that asked, with its definition where it is known here."""
        for asked in self._inbox:
            if asked.id == key:
                return self._inbox.log.run(asked.run_id).by("notebook")
        raise ApprovalError(f"{key} does not wait any more: somebody answered it")

    def close(self) -> None:
        """Look no more, and take it off the page."""
        self._looker.close()
        super().close()
