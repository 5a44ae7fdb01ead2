"""One run over time: when each step ran, how long a person was waited for, what was tried again."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentkit.log import Log
from agentkit.rows import Rows
from agentkit.runner.run import Run
from agentkit.text import duration, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agentkit.plot.canvas import Axes

_SHOWN = 60
"""Rows of the picture; of longer runs those of the steps that took longest."""
_UNITS = (("seconds", 1), ("minutes", 60), ("hours", 3600), ("days", 86400))
_OPACITY = {"person": 0.45}
_COLUMNS = ("step", "kind", "name", "attempt", "status", "started", "ended", "seconds")

_SQL = """
SELECT type, step, coalesce(attempt, 1) AS attempt, name, status, ts, approval_id FROM events
WHERE run_id = $run AND type IN ('model_requested', 'model_responded', 'model_failed', 'tool_started', 'tool_succeeded',
  'tool_failed', 'step_started', 'step_succeeded', 'step_failed', 'approval_requested', 'approval_answered',
  'approval_expired')
ORDER BY seq"""


class Timeline:
    """One run over time.

    Args:
        log: of which log.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, run: Run | str) -> "Figure":
        """Draw a run over time: a bar an attempt at a step, and one for each time that a person was waited for.

        Args:
            run: the run, or the beginning of its id.

        Raises:
            RunNotFound: there is no such run.
            ConfigError: matplotlib is missing: pip install 'jupyter-agentkit[plot]'.
        """
        from agentkit.plot import canvas

        found = run if isinstance(run, Run) else self._log.run(run)
        rows = self.data(found)
        if not rows:
            return canvas.empty(f"no step of run {found.run_id} has begun yet")
        return _drawn(rows.dicts(), found.state.name)

    def data(self, run: Run | str) -> Rows:
        """The rows behind the figure: one an attempt at a step, in the order in which they began.

        Returns:
            `step`, `kind` ("model", "tool", "step", or "person" for a question), `name`, `attempt`, `status` ("ok",
            "error", "answered", "open"), `started`, `ended` (UTC; None while it goes on) and `seconds`.
        """
        found = run if isinstance(run, Run) else self._log.run(run)
        events = self._log.sql(_SQL, run=found.run_id) if found.store is self._log.store else None
        rows = events if events is not None else found.store.query(_SQL, {"run": found.run_id})
        return Rows(_COLUMNS, _bars(rows), rows.note)


def _bars(events: Rows) -> list[tuple[Any, ...]]:
    """Each beginning with its end."""
    bars: dict[tuple[Any, ...], list[Any]] = {}
    for kind, step, attempt, name, status, ts, asked in events:
        key = ("person", asked) if asked is not None else (step, attempt)
        if kind.endswith(("_requested", "_started")):
            what = "person" if asked is not None else kind.partition("_")[0]
            bars.setdefault(key, [step or what, what, name or step, attempt, "open", ts, None, None])
        elif (bar := bars.get(key)) is not None:
            bar[4] = status if asked is None else "answered"
            bar[6], bar[7] = ts, (ts - bar[5]).total_seconds()
    return [tuple(bar) for bar in bars.values()]


def _drawn(rows: list[dict[str, Any]], name: str) -> "Figure":
    from agentkit.plot import canvas

    begin = min(row["started"] for row in rows)
    end = max(row["ended"] or row["started"] for row in rows)
    whole = max((end - begin).total_seconds(), 1e-3)
    steps = _chosen(rows)
    every = len({row["step"] for row in rows})
    left = f", the {len(steps)} longest of {every:,} steps" if len(steps) < every else ""
    said = f"{one_line(name, 40)}: {duration(whole)}{left}"
    unit, seconds = next((one for one in _UNITS if whole / one[1] < 180), _UNITS[-1])
    figure = canvas.figure(1.3 + 0.26 * len(steps), said)
    axes: Axes = figure.subplots()
    for row in rows:
        if row["step"] in steps:
            _bar(axes, steps[row["step"]], row, begin, end, seconds)
    canvas.dressed(axes, title=said, x=f"time since the run began ({unit})")
    axes.set_xlim(-whole / seconds * 0.01, whole / seconds * 1.02)
    canvas.named_rows(axes, list(steps))
    _explained(axes, rows)
    return figure


def _chosen(rows: list[dict[str, Any]]) -> dict[str, int]:
    """The steps that are shown, each with its row, in the order in which they began."""
    longest: dict[str, float] = {}
    for row in rows:
        longest[row["step"]] = longest.get(row["step"], 0) + (row["seconds"] or 0)
    kept = set(sorted(longest, key=lambda step: -longest[step])[:_SHOWN])
    return {step: at for at, step in enumerate(step for step in longest if step in kept)}


def _bar(axes: "Axes", at: int, row: dict[str, Any], begin: datetime, end: datetime, unit: float) -> None:
    from agentkit.plot import canvas

    left = (row["started"] - begin).total_seconds() / unit
    width = ((row["ended"] or end) - row["started"]).total_seconds() / unit
    failed = row["status"] == "error"
    colour = canvas.RED if failed else canvas.KINDS[row["kind"]]
    axes.barh(
        at, max(width, (end - begin).total_seconds() / unit * 0.004), left=left, height=0.62, color=colour,
        alpha=_OPACITY.get(row["kind"], 0.9), hatch="//" if row["ended"] is None else None,
        edgecolor=canvas.GREY if row["ended"] is None else "none",
    )  # fmt: skip


def _explained(axes: "Axes", rows: list[dict[str, Any]]) -> None:
    from matplotlib.patches import Patch

    from agentkit.plot import canvas

    kinds = {row["kind"] for row in rows if row["status"] != "error"}
    words = {"person": "waits for a person"}
    marks = [
        Patch(color=colour, alpha=_OPACITY.get(kind, 0.9), label=words.get(kind, kind))
        for kind, colour in canvas.KINDS.items()
        if kind in kinds
    ]
    if any(row["status"] == "error" for row in rows):
        marks.append(Patch(color=canvas.RED, label="failed"))
    if any(row["ended"] is None for row in rows):
        marks.append(Patch(facecolor="none", edgecolor=canvas.GREY, hatch="//", label="not over"))
    canvas.legend(axes, handles=marks)
