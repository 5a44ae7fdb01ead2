"""The journal's line format: one event a line, its checksum last, so that a torn or damaged line is seen.

A line is `event.encode()` with `"crc"` as its last member: crc32 in 8 hex digits over all bytes before it
(comma excluded). Foreign tools read a segment as newline-delimited JSON.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from pydantic_core import from_json

from agentkit.errors import LogCorrupt

PATTERN = "*.*.jsonl"  # <process>.<time>.jsonl; the table keeps an empty file of one dot there for DuckDB's sake
_CRC_SIZE = len(',"crc":"00000000"}')
_KEY = re.compile(rb'\{"run_id":"([0-9a-f-]{36})","seq":(\d+),')


def seal(encoded: bytes) -> bytes:
    """Make a line of an encoded event.

    Args:
        encoded: what `Event.encode` gave: a JSON object without a newline.

    Returns:
        The line, its newline included.
    """
    payload = encoded[:-1]
    return b'%s,"crc":"%08x"}\n' % (payload, crc32(payload))


def is_sound(line: bytes) -> bool:
    """Whether a line is complete and its checksum fits.

    Args:
        line: with its newline.
    """
    payload, seal_ = line[: -_CRC_SIZE - 1], line[-_CRC_SIZE - 1 :]
    return seal_ == b',"crc":"%08x"}\n' % crc32(payload)


def key(line: bytes) -> tuple[str, int] | None:
    """The run id and seq that a line begins with, damaged or not; None where they cannot be read."""
    found = _KEY.match(line)
    return (found[1].decode(), int(found[2])) if found else None


def row(line: bytes) -> dict[str, Any]:
    """Take a sound line apart.

    Returns:
        The envelope's columns that are not empty, `schema_version`, and `body` as JSON text. A large body is
        `{"$blob":"<sha256>"}`, the name of its file under `blobs/`.
    """
    # In JSON a quote inside a string is escaped, and no column before the body is an object: the first `,"body":` is
    # the key, and so is the last `,"schema_version":`.
    head, _, rest = line.partition(b',"body":')
    body, _, tail = rest.rpartition(b',"schema_version":')
    columns: dict[str, Any] = from_json(head + b"}")
    columns["body"] = body.decode()
    columns["schema_version"] = int(tail[: -_CRC_SIZE - 1])
    return columns


def lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every line of a piece of a segment that has its newline, with its offset."""
    start = 0
    while (end := data.find(b"\n", start) + 1) > 0:
        yield start, data[start:end]
        start = end


def read_segment(path: Path) -> list[dict[str, Any]]:
    """Every event of a segment, verified.

    A torn last line (no newline, or one whose checksum does not fit) was never acknowledged and is left out.

    Args:
        path: the segment's file.

    Returns:
        One `row` a line, in the file's order.

    Raises:
        LogCorrupt: a line before the last is damaged; the message names file and byte offset.
    """
    data = path.read_bytes()
    rows: list[dict[str, Any]] = []
    for offset, line in lines(data):
        if is_sound(line):
            rows.append(row(line))
        elif offset + len(line) < len(data):
            raise damaged(path, offset)
    return rows


def damaged(path: Path, offset: int) -> LogCorrupt:
    """The error for a damaged line that is not the last one."""
    return LogCorrupt(
        f"{path}: the line at byte {offset} does not match its checksum; the file was changed or the disk is failing. "
        "Restore that file from a backup, or move it away to go on without its events"
    )
