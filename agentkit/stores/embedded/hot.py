"""The segments not yet unlinked, as readers see them: where each run's lines are, kept up as the segments grow."""

import contextlib
import os
import threading
from collections import defaultdict
from io import FileIO
from pathlib import Path
from typing import Any

from agentkit import failpoints
from agentkit.stores.embedded import segment

_Place = tuple[int, int, int]  # seq, offset, length


class HotSegments:
    """An index over `journal/`; one for a process, whatever its threads read.

    Args:
        folder: `journal/` of the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indexes: dict[str, _Index] = {}
        self._lock = threading.Lock()

    def rows(self, run_id: str, after: int, until: int | None) -> list[dict[str, Any]]:
        """A run's rows with `after < seq <= until`, as the segments have them: in no order, possibly twice.

        Raises:
            LogCorrupt: a line that is or may be this run's is damaged.
        """
        found: list[dict[str, Any]] = []
        with self._lock:
            indexes = self._current()
            failpoints.hit("history.listed")
            for index in indexes:
                try:
                    found.extend(index.rows(run_id, after, until))
                except FileNotFoundError:  # folded and unlinked meanwhile: the table has it
                    self._indexes.pop(index.path.name, None)
        return found

    def damage(self) -> list[str]:
        """Which lines do not match their checksums: a sentence each, of those that a writer has finished."""
        with self._lock:
            return [sentence for index in self._current() for sentence in index.damage()]

    def _current(self) -> "list[_Index]":
        paths = {path.name: path for path in sorted(self._folder.glob(segment.PATTERN))}
        self._indexes = {name: self._indexes.get(name) or _Index(path) for name, path in paths.items()}
        return list(self._indexes.values())


class _Index:
    """Where a segment's lines are, by run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reset()

    def _reset(self) -> None:
        self._scanned = 0  # up to here, every line is in the index
        self._size = 0  # the file's size at the last look
        self._places: defaultdict[str, list[_Place]] = defaultdict(list)
        self._damaged: list[tuple[str | None, int]] = []  # whose line, where

    def rows(self, run_id: str, after: int, until: int | None) -> list[dict[str, Any]]:
        """A run's rows in this segment."""
        self._refresh()
        for owner, offset in self._damaged:
            if owner in {run_id, None}:
                raise segment.damaged(self.path, offset)
        places = [p for p in self._places.get(run_id, ()) if p[0] > after and (until is None or p[0] <= until)]
        if not places:
            return []
        with self.path.open("rb", buffering=0) as file:
            return [segment.row(line) for place in places if (line := self._line(file, place))]

    def damage(self) -> list[str]:
        """A sentence for each line that does not match its checksum."""
        with contextlib.suppress(FileNotFoundError):  # folded, and what is damaged is not folded
            self._refresh()
        return [str(segment.damaged(self.path, offset)) for _, offset in self._damaged]

    def _line(self, file: FileIO, place: _Place) -> bytes | None:
        """A line that was sound when it was indexed; None when its writer cut it off since, unacknowledged."""
        _, offset, length = place
        file.seek(offset)
        line = file.read(length)
        if segment.is_sound(line):
            return line
        if file.seek(0, os.SEEK_END) >= offset + length:
            raise segment.damaged(self.path, offset)
        return None

    def _refresh(self) -> None:
        size = self.path.stat().st_size
        if size < self._size:  # its writer cut it back after a failed write
            self._reset()
        if size == self._size:
            return
        with self.path.open("rb") as file:
            file.seek(self._scanned)
            data = file.read()
        self._size = self._scanned + len(data)
        self._scan(data)

    def _scan(self, data: bytes) -> None:
        """Index the lines of what follows `_scanned`; a damaged last one waits for the next look."""
        start = self._scanned
        for offset, line in segment.lines(data):
            key = segment.key(line)
            if segment.is_sound(line) and key is not None:
                self._places[key[0]].append((key[1], start + offset, len(line)))
            elif offset + len(line) < len(data):
                self._damaged.append((key[0] if key else None, start + offset))
            else:
                return
            self._scanned = start + offset + len(line)
