"""The live trace in a page: an anywidget that is told what changed, and whose clicks are answers in the log's inbox."""

import gzip
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets

from agentkit.errors import AgentKitError, ApprovalError, ConfigError
from agentkit.notebook.details import came_from, details, given, in_python
from agentkit.notebook.feed import Feed
from agentkit.runner.answers import Answered, current_user
from agentkit.runner.prompt import rebuild_prompt
from agentkit.runner.run import Run

_FIRST = 400
"""Rows that travel with the widget, and not as one of the messages after it."""
_PACKED = 200
"""Rows of a message from which on they travel compressed."""
_PAGE = Path(__file__).parent / "page"
_PARTS = ("elements.js", "copy.js", "details.js", "card.js", "comments.js", "grade.js", "view.js", "trace.js")
"""One module in parts, each in the words of those before it; so nothing has to be built."""


class Page(anywidget.AnyWidget):
    """What a browser shows and says. What arrives from it may come in any thread, and is handed over at once.

    Args:
        place: the class of the element in the page that it takes the place of.
        first: what a page begins with.
    """

    _esm = "\n".join((_PAGE / part).read_text("utf-8") for part in _PARTS)
    _css = (_PAGE / "trace.css").read_text("utf-8")
    place = cast("str", traitlets.Unicode().tag(sync=True))
    inbox = cast("bool", traitlets.Bool().tag(sync=True))
    first = cast("str", traitlets.Unicode().tag(sync=True))
    """What a page begins with, JSON: it comes with the widget, so that it arrives though a cell keeps a kernel busy."""

    def __init__(self, place: str, first: dict[str, Any], *, inbox: bool = False) -> None:
        self.seen = threading.Event()  # a browser shows it
        self._heard = threading.Event()  # a browser said something
        super().__init__(place=place, first=json.dumps(first), inbox=inbox)
        cast("Any", self).on_msg(self._take)  # ipywidgets has no types

    def tell(self, message: dict[str, Any]) -> None:
        """Send it something; many rows as one compressed buffer."""
        rows, buffers = message.get("rows", ()), None
        if len(rows) > _PACKED:
            message = {name: value for name, value in message.items() if name != "rows"}
            buffers = [gzip.compress(json.dumps(rows).encode(), compresslevel=1)]
        with suppress(Exception):  # the kernel or the browser is gone: the log has it all
            cast("Any", self).send(message, buffers=buffers)

    def hears(self, patience: float) -> bool:
        """Ask the browser for a word, which a kernel that is busy with a cell may get only afterwards.

        Args:
            patience: seconds to wait for it.
        """
        self._heard.clear()
        until = time.monotonic() + patience
        while not self._heard.is_set() and time.monotonic() < until:
            self.tell({"kind": "ping"})
            self._heard.wait(0.25)
        return self._heard.is_set()

    def _take(self, _widget: Any, message: Any, _buffers: Any) -> None:
        heard = cast("dict[str, Any]", message)
        self._heard.set()
        if heard.get("kind") == "pong":
            return
        threading.Thread(target=self._hear, args=(heard,), name="agentkit-click", daemon=True).start()

    def _hear(self, message: dict[str, Any]) -> None:
        kind = message.get("kind")
        if kind in {"ping", "ready", "open"}:
            self.look_again()
        if kind == "ping":
            self.seen.set()
            self.tell({"kind": "pong", "n": self.number()})
        elif kind == "ready":
            self.tell(self.snapshot())
        elif kind == "open":
            self.tell(self.opened(str(message.get("id"))))
        elif kind == "answer":
            self.tell(self._give(message))
        elif kind == "grade":
            self.tell(self.grade(message))
        elif kind == "comment":
            self.tell(self.comment(message))

    def number(self) -> int:
        """The number of the last message that told of something new."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Somebody looks: tell what became of what is shown, where nobody follows it any more."""

    def grade(self, message: dict[str, Any]) -> dict[str, Any]:
        """Judge what is shown."""
        raise NotImplementedError

    def comment(self, message: dict[str, Any]) -> dict[str, Any]:
        """Leave words on a row; who did is told by the token that came with them."""
        row, token = str(message.get("id")), message.get("token")
        try:
            self.leave(row, message.get("text"), message.get("by"))
        except AgentKitError as error:
            return {"kind": "commented", "id": row, "token": token, "bad": str(error)}
        except Exception as error:  # noqa: BLE001  whatever it is, who commented is told
            return {"kind": "commented", "id": row, "token": token, "bad": f"{type(error).__name__}: {error}"}
        return {"kind": "commented", "id": row, "token": token}

    def leave(self, row: str, text: Any, by: str | None) -> None:  # what a browser sent
        """Leave words on a row."""
        raise NotImplementedError

    def snapshot(self) -> dict[str, Any]:
        """Everything as it stands."""
        raise NotImplementedError

    def opened(self, row: str) -> dict[str, Any]:
        """What a row holds."""
        raise NotImplementedError

    def run_of(self, key: str) -> Run:
        """The run that a question is answered by."""
        raise NotImplementedError

    def _give(self, message: dict[str, Any]) -> dict[str, Any]:
        """A click: an answer in the inbox, by whatever process; who lost is told who was first."""
        key = str(message.get("id"))
        try:
            return {"kind": "told", "id": key, "text": str(_put(self.run_of(key), key, message))}
        except AgentKitError as error:
            return {"kind": "told", "id": key, "bad": True, "text": str(error)}
        except Exception as error:  # noqa: BLE001  whatever it is, who clicked is told
            return {"kind": "told", "id": key, "bad": True, "text": f"{type(error).__name__}: {error}"}


class LiveTrace(Page):
    """One run's trace.

    Args:
        run: the run.
        place: the class of the element in the page that it takes the place of.
        on_end: called once the run has ended and everything was sent.
        on_word: called when somebody judged the run here, or commented on it.
    """

    def __init__(
        self,
        run: Run,
        *,
        place: str = "",
        on_end: Callable[[], None] = lambda: None,
        on_word: Callable[[], None] = lambda: None,
    ) -> None:
        self._run = run.by("notebook")
        self._on_word = on_word
        self._grade: dict[str, Any] | None = None
        self._feed = Feed(self._run, self.tell, on_end)
        self.loaded = self._feed.loaded
        super().__init__(place, self._around(self._feed.snapshot(most=_FIRST)))
        self._feed.start()

    def snapshot(self) -> dict[str, Any]:
        """Everything as it stands."""
        return self._around(self._feed.snapshot())

    def _around(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        return {**snapshot, "links": self._run.links, "grade": self._graded(), "you": current_user()}

    def number(self) -> int:
        """The number of the last message that told of something new."""
        return self._feed.number()

    def _graded(self) -> dict[str, Any] | None:
        with self._feed.reading(self._run.run_id) as state:
            known = {"verdict": state.grade, "why": state.grade_why} if state is not None and state.grade else None
        return self._grade or known

    def grade(self, message: dict[str, Any]) -> dict[str, Any]:
        """Judge the run."""
        verdict, why = message.get("verdict"), message.get("why")
        try:
            self._run.grade(cast("Any", verdict), why)  # who sends no verdict is told
        except AgentKitError as error:
            return {"kind": "graded", "bad": str(error)}
        self._grade = {"verdict": verdict, "why": why}
        self._on_word()
        return {"kind": "graded", "grade": self._grade}

    def leave(self, row: str, text: Any, by: str | None) -> None:  # what a browser sent
        """Leave words on the run, on one that it called, or on a step."""
        run_id, _, step = row.partition("/")
        run = _below(self._run, run_id)
        if run is None:
            raise ConfigError(f"this trace shows no run {run_id}")
        words = self._run.redacted(text) if isinstance(text, str) else text  # of a run below by the one above, too
        run.by("notebook").comment(words, step or None, by=by or None)
        self._feed.look_again()
        self._on_word()

    def look_again(self) -> None:
        """Tell what others said of the run since it ended, and have it in the document too."""
        if self._feed.look_again():
            self._on_word()

    def run_of(self, key: str) -> Run:
        """The run that a question is answered by: it knows those of its child runs."""
        del key
        return self._run

    def opened(self, row: str) -> dict[str, Any]:
        """What a row holds; a model's also its prompt."""
        run_id, _, step = row.partition("/")
        with self._feed.reading(run_id) as state:
            sections = [*details(state, step), *came_from(state, step)] if state is not None else []
            python = [in_python(run_id, state, step)] if sections and state is not None else []
            is_model = state is not None and step in state.models
        if is_model:
            with suppress(AgentKitError):  # of a damaged log there is what there is
                sections += given(rebuild_prompt(self._run.store, run_id, step))
        shown = [{"title": part.title, "form": part.form, "value": part.value} for part in [*sections, *python]]
        return {"kind": "details", "id": row, "sections": shown}

    def close(self) -> None:
        """Tell it nothing any more, and take it off the page."""
        self._feed.close()
        super().close()


def _below(run: Run, run_id: str) -> Run | None:
    """A run of that id: this one, or one that it called."""
    if run.run_id == run_id:
        return run
    return next((found for child in run.children() if (found := _below(child, run_id)) is not None), None)


def _put(run: Run, key: str, said: dict[str, Any]) -> Answered:
    comment, verdict = said.get("comment"), said.get("verdict")
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
