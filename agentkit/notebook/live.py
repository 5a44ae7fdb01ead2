"""The live trace in a cell: an anywidget that is told what changed, and whose clicks are answers in the log's inbox."""

import contextlib
import threading
from pathlib import Path
from typing import Any, cast

import anywidget

from agentkit.errors import AgentKitError, ApprovalError
from agentkit.notebook.details import details
from agentkit.notebook.feed import Feed
from agentkit.runner.answers import Answered
from agentkit.runner.run import Run

_HERE = Path(__file__).parent


class LiveTrace(anywidget.AnyWidget):
    """One run's trace. What arrives from the browser may come in any thread, and is handed over at once.

    Args:
        run: the run.
    """

    _esm = _HERE / "trace.js"
    _css = _HERE / "trace.css"

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self.seen = threading.Event()  # a browser shows it
        self.over = threading.Event()
        self._feed = Feed(run, self._tell, self.over.set)
        cast("Any", self).on_msg(self._take)  # ipywidgets has no types

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):  # the kernel or the browser is gone: the log has it all
            cast("Any", self).send(message)

    def _take(self, _widget: Any, message: Any, _buffers: Any) -> None:
        given = cast("dict[str, Any]", message)
        threading.Thread(target=self._answer, args=(given,), name="agentkit-click", daemon=True).start()

    def _answer(self, message: dict[str, Any]) -> None:
        kind = message.get("kind")
        if kind == "ready":
            self.seen.set()
            self._tell(self._feed.snapshot())
        elif kind == "open":
            self._tell(self._details(str(message.get("id"))))
        elif kind == "answer":
            self._tell(self._give(message))

    def _details(self, row: str) -> dict[str, Any]:
        run_id, _, step = row.partition("/")
        state = self._feed.state(run_id)
        sections = details(state, step) if state is not None else []
        shown = [{"title": part.title, "form": part.form, "value": part.value} for part in sections]
        return {"kind": "details", "id": row, "sections": shown}

    def _give(self, message: dict[str, Any]) -> dict[str, Any]:
        """A click: an answer in the inbox, by whatever process; who lost is told who was first."""
        key = str(message.get("id"))
        self._run.through = "notebook"
        try:
            return {"kind": "told", "id": key, "text": str(self._put(key, message))}
        except AgentKitError as error:
            return {"kind": "told", "id": key, "bad": True, "text": str(error)}

    def _put(self, key: str, said: dict[str, Any]) -> Answered:
        run, comment, verdict = self._run, said.get("comment"), said.get("verdict")
        match verdict:
            case "approve" | "edit":
                return run.approve(key, edit=said.get("edits"), comment=comment)
            case "reject":
                return run.reject(key, reason=comment)
            case "answer":
                return run.answer(key, said.get("value"))
            case "happened":
                return run.resolve(key, "happened", result=said.get("value"))
            case "did_not":
                return run.resolve(key, "did not")
            case "stop":
                return run.resolve(key, "stop")
            case _:
                raise ApprovalError(f"{verdict!r} is no answer")

    def close(self) -> None:
        """Tell it nothing any more, and take it off the page."""
        self._feed.close()
        super().close()
