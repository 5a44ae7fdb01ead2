"""Writing the report: the one thing that the audit changes outside its log."""

import tempfile
from pathlib import Path
from typing import Any

import agentkit as ak


@ak.tool(writes=True, idempotent=True, approve=True)
def write_report(path: str, report: str, context: ak.Context) -> dict[str, Any]:
    """Write the report to a file, in place of an earlier report of this tool. Returns the path and the size in bytes.

    Args:
        context: knows the key of this call.
        path: the file, for example "licences.md".
        report: its whole text.
    """
    place, mark = Path(path), f"<!-- agentkit {context.idempotency_key} -->\n"
    if place.exists():
        try:
            old = place.read_text("utf-8", errors="replace")
        except OSError as error:
            raise ak.ToolError(f"{path} cannot be read ({error.strerror or error}); give another path") from error
        if mark in old:  # this very call wrote it, and its process died before saying so
            return {"path": str(place), "bytes": place.stat().st_size}
        if "<!-- agentkit " not in old:
            raise ak.ToolError(f"{path} is there and no report of this tool; nothing was written", path=path)
    _write(place, report + "\n" + mark)
    return {"path": str(place), "bytes": place.stat().st_size}


def _write(place: Path, text: str) -> None:
    """All of it or nothing, also where the process is killed in between."""
    half: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=place.parent, delete=False) as file:
            half = Path(file.name)
            file.write(text)
        half.chmod(0o644)
        half.replace(place)
    except OSError as error:
        if half is not None:
            half.unlink(missing_ok=True)
        raise ak.ToolError(f"{place} cannot be written ({error.strerror or error}); give another path") from error
