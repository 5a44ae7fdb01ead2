"""The log's folder: what lies in it, and what is checked before it is used."""

import json
import os
from pathlib import Path

from agentkit.errors import LogTooNew, LogUnwritable
from agentkit.events import SCHEMA_VERSION
from agentkit.stores.embedded.journal import unwritable
from agentkit.stores.embedded.locks import sync_folder

_FOLDERS = ("journal", "lease", "inbox", "blobs", "exports")
_FORMAT = "format.json"


def prepare(path: Path) -> None:
    """Make the folder of a log, or check the one that is there.

    A log that is only readable can be opened: its runs can be read, and a claim says what is wrong.

    Raises:
        LogUnwritable: there is no log and none can be made.
        LogTooNew: a newer agentkit wrote it.
    """
    if path.exists() and not path.is_dir():
        raise LogUnwritable(f"{path} is a file; a log is a folder: give another path, or move that file away")
    found = _version(path)
    if found is not None and found > SCHEMA_VERSION:
        raise LogTooNew(
            f"{path} was written by a newer agentkit (schema version {found}, this one knows {SCHEMA_VERSION}); "
            "upgrade agentkit to open it"
        )
    try:
        _create(path, known=found is not None)
    except OSError as error:
        if found is None:
            raise unwritable(path, error) from error


def _create(path: Path, *, known: bool) -> None:
    if known and all((path / name).is_dir() for name in _FOLDERS):
        return
    for name in _FOLDERS:
        (path / name).mkdir(parents=True, exist_ok=True)
    ignore = path / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    # last, and in one step: a folder that has it is complete
    temporary = path / f".{_FORMAT}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps({"schema_version": SCHEMA_VERSION}) + "\n")
    temporary.replace(path / _FORMAT)
    for made in (path, path.parent):
        sync_folder(made)


def _version(path: Path) -> int | None:
    """The schema version that a log declares; None where there is no log."""
    try:
        return int(json.loads((path / _FORMAT).read_text())["schema_version"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unwritable(path, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise LogTooNew(f"{path / _FORMAT} does not say which schema version the log has: {error}") from error
