"""Answers to approvals: a file each, created once by `link()`, so that of two answers one wins and both know which."""

import os
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import to_json

from agentkit import failpoints
from agentkit.errors import LogCorrupt
from agentkit.ids import new_id
from agentkit.store import Answer
from agentkit.stores.embedded.locks import BINARY, sync, sync_folder, write_all

FAIL_POINTS = ("inbox.written", "inbox.linked", "inbox.synced")


class Inbox:
    """The folder of answers.

    Args:
        folder: `inbox/` of the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, run_id: str, approval_id: str, answer: Answer) -> Answer:
        """Create the answer, durably.

        Returns:
            The answer that counts: this one, or the one that was there before.
        """
        folder = self._folder / run_id
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            sync_folder(self._folder)
        path = folder / f"{approval_id}.json"
        temporary = folder / f".{approval_id}.{new_id()}.tmp"
        _write(temporary, to_json(answer))
        failpoints.hit("inbox.written")
        try:
            os.link(temporary, path)
            failpoints.hit("inbox.linked")
        except FileExistsError:
            return _read(path)
        finally:
            temporary.unlink()
            # the loser syncs too: it may tell of an answer whose winner has not come that far
            sync_folder(folder)
        failpoints.hit("inbox.synced")
        return answer

    def all(self, run_id: str) -> dict[str, Answer]:
        """Every answer given for a run, by approval id."""
        try:
            paths = sorted((self._folder / run_id).iterdir())
        except FileNotFoundError:
            return {}
        return {path.stem: _read(path) for path in paths if not path.name.startswith(".")}

    def remove(self, run_id: str) -> None:
        """Remove a run's answers."""
        folder = self._folder / run_id
        if folder.exists():
            for path in folder.iterdir():
                path.unlink(missing_ok=True)
            folder.rmdir()


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o644)
    try:
        write_all(fd, data)
        sync(fd)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(fd)


def _read(path: Path) -> Answer:
    try:
        return Answer.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise LogCorrupt(f"{path}: is no answer ({error.error_count()} errors); remove it and answer again") from error
