"""A result's table in a page: an anywidget that holds the rows, and sorts and pages them without asking the kernel."""

import json
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets

_PAGE = Path(__file__).parent / "page"


class LiveTable(anywidget.AnyWidget):
    """One result.

    Args:
        rows: of `agentkit.notebook.table.page`.
        place: the class of the element in the page that it takes the place of.
    """

    _esm = "\n".join((_PAGE / part).read_text("utf-8") for part in ("elements.js", "table.js"))
    _css = "\n".join((_PAGE / part).read_text("utf-8") for part in ("trace.css", "table.css"))
    place = cast("str", traitlets.Unicode().tag(sync=True))
    data = cast("str", traitlets.Unicode().tag(sync=True))
    """The rows as JSON: they come with the widget, so that the table needs the kernel no more."""

    def __init__(self, rows: dict[str, Any], place: str) -> None:
        super().__init__(place=place, data=json.dumps(rows))
