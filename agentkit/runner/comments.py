"""What people say about a run and its steps: facts that nobody acts on, given at any time, by any process.

A comment goes into the log's inbox, as an answer does, and whoever holds the run writes it down: the activation that
executes it, or the process that watches a paused one. Where nobody does, who comments writes it down.
"""

import contextlib
import difflib
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from agentkit.errors import AgentKitError, ConfigError, RunClaimed
from agentkit.events import Commented, Event
from agentkit.ids import new_id
from agentkit.jsonvalue import clean_text
from agentkit.redact import Redactor
from agentkit.runner.answers import current_user
from agentkit.runner.engine import engine
from agentkit.runner.load import load_state
from agentkit.runner.recorder import Recorder, now
from agentkit.runner.threads import threads
from agentkit.runner.watch import watch
from agentkit.state import Comment, State
from agentkit.store import Answer, Store
from agentkit.text import one_line

LONGEST = 10_000
"""Characters of a comment: what is longer is a document, and a link to it says more."""

_LONGEST_NAME = 100
_PREFIX = "comment-"
"""How a comment's place in the inbox begins; its id follows."""

_SOON = 2.0
"""Seconds in which who holds a run writes a comment down: it looks five times a second."""

_LISTED = 12
"""So many of a run's steps are listed where one that was named is none of them."""


def new_comment(state: State, text: str, step: str | None, by: str | None, through: str) -> Comment:
    """A comment that can be left with a run.

    Args:
        state: the run.
        text: the words.
        step: which step they are about; None for the run itself.
        by: whose they are; None is who runs this process.
        through: by what they are given.

    Raises:
        ConfigError: it has no words or too many, or the run has no such step; the message guesses which was meant.
    """
    words = _checked(text, "a comment", LONGEST)
    who = current_user() if by is None else _checked(by, "the name of who comments", _LONGEST_NAME)
    if step is not None:
        _check_step(state, step)
    return Comment(id=new_id(), step=step, text=words, who=who, at=now(), through=through)


def _checked(text: str, what: str, longest: int) -> str:
    """Words that the log can hold, without the space around them."""
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  users do not always check types
        raise ConfigError(f"{what} is text, not {text!r}")
    words = clean_text(text).strip()
    if not words:
        raise ConfigError(f"{what} is empty")
    if len(words) > longest:
        raise ConfigError(
            f"{what} has at most {longest:,} characters, and this has {len(words):,}: {one_line(words, 60)!r}; put it "
            "where it can be linked, and say where"
        )
    return words


def _check_step(state: State, step: str) -> None:
    known = [*dict.fromkeys(_steps(state))]
    if step in known:
        return
    close = [path for path in known if step in path.split("/")] or difflib.get_close_matches(
        str(step), known, cutoff=0.75
    )
    guess = f"; did you mean {' or '.join(map(repr, close[:3]))}?" if close else "."
    more = f", and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    listed = f"Its steps: {', '.join(known[:_LISTED])}{more}" if known else "It has no steps yet"
    raise ConfigError(f"run {state.run_id} has no step {step!r}{guess} {listed}")


def _steps(state: State) -> Iterable[str]:
    """The paths that events name steps by."""
    for paths in (state.config.get("steps", {}), state.models, state.calls, state.asks, state.skipped):
        yield from paths


def leave(store: Store, state: State, said: Comment, redactor: Redactor) -> Comment:
    """Put a comment where it is kept, and see to it that it is recorded soon.

    Args:
        store: the log.
        state: the run, as it was when somebody commented on it.
        said: the comment.
        redactor: takes secrets out of it.

    Returns:
        The comment as it is kept.

    Raises:
        LogUnwritable: the log takes nothing.
    """
    key = f"{_PREFIX}{said.id}"
    said = replace(said, text=redactor.text(said.text), who=redactor.text(said.who))
    given = Answer(
        verdict="answer", value=said.step, comment=said.text, who=said.who, through=said.through, answered_at=said.at
    )
    store.answer(state.run_id, key, given)
    engine().call(lambda: watch.tell(state.run_id, {key: given}))
    if engine().here:  # an async tool comments: it must not wait for the loop that it holds up
        engine().spawn(_see_to_it_elsewhere(store, state, said.id, redactor))
    else:
        _see_to_it(store, state, said.id, redactor)
    return said


async def _see_to_it_elsewhere(store: Store, state: State, comment_id: str, redactor: Redactor) -> None:
    with contextlib.suppress(AgentKitError):  # the inbox keeps it
        await threads.run(lambda: _see_to_it(store, state, comment_id, redactor))


def _see_to_it(store: Store, state: State, comment_id: str, redactor: Redactor) -> None:
    """Wait until who holds the run has recorded a comment; do it here where nobody holds it.

    A holder that does not come to it in time does so later, or whoever has the run next: the inbox keeps it.
    """
    deadline = time.monotonic() + _SOON
    while time.monotonic() < deadline:
        if store.holder(state.run_id) is None:
            with contextlib.suppress(RunClaimed):  # somebody has it since
                record_left(store, state.run_id, redactor)
                return
        elif _is_recorded(store.read(state.run_id, after=state.seq), comment_id):
            return
        time.sleep(0.02)


def record_left(store: Store, run_id: str, redactor: Redactor) -> None:
    """Write down what was said of a run that nobody holds.

    Raises:
        RunClaimed: somebody does.
    """
    claim = store.claim(run_id, activity="noting")
    try:
        recorder = Recorder(store, claim, load_state(store, run_id), _tell_nobody, redactor)
        absorb(recorder, store.answers(run_id))
        recorder.settle()
    finally:
        store.release(claim)


def absorb(recorder: Recorder, inbox: dict[str, Answer]) -> bool:
    """Record the comments of an inbox that are not recorded yet, and take them out of it.

    Returns:
        Whether there were any.
    """
    keys = [key for key in inbox if key.startswith(_PREFIX)] if inbox else []
    if not keys:
        return False
    seq = recorder.state.seq
    for said in left(inbox, recorder.state):
        body = Commented(id=said.id, text=said.text, who=said.who, through=said.through, said_at=said.at)
        recorder.record(body, step=said.step, name=recorder.state.name)
    for key in keys:
        del inbox[key]
    return recorder.state.seq > seq


def of(store: Store, state: State) -> list[Comment]:
    """What was said of a run, oldest first: what its events have, and what is still to be recorded."""
    return [*state.comments, *left(store.answers(state.run_id), state)]


def left(inbox: Mapping[str, Answer], state: State) -> list[Comment]:
    """The comments of an inbox that a run's events do not have, oldest first."""
    found = {key.removeprefix(_PREFIX): given for key, given in inbox.items() if key.startswith(_PREFIX)}
    if not found:
        return []
    known = {said.id for said in state.comments}
    said = [_comment(key, given) for key, given in found.items() if key not in known]
    return sorted(said, key=lambda one: (one.at, one.id))


def _comment(comment_id: str, given: Answer) -> Comment:
    who, at = given.who or "somebody", given.answered_at
    return Comment(comment_id, given.value, given.comment or "", who, at, given.through)


def _is_recorded(events: Iterable[Event], comment_id: str) -> bool:
    return any(isinstance(event.body, Commented) and event.body.id == comment_id for event in events)


def _tell_nobody(_event: Event) -> None:
    """Nobody follows a run that is not executing."""
