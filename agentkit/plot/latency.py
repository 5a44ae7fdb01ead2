"""How long things take: each model, tool and step, from its median to its slowest."""

from typing import TYPE_CHECKING, Any

from agentkit.log import Log
from agentkit.plot.chosen import CHOSEN, Since, nothing, parameters
from agentkit.rows import Rows
from agentkit.text import duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agentkit.plot.canvas import Axes

_SHOWN = 30
"""Rows of the picture: the slowest."""

_SQL = f"""
SELECT CASE WHEN type LIKE 'model%' THEN 'model' WHEN type LIKE 'tool%' THEN 'tool' ELSE 'step' END AS kind, name,
  count(*) AS attempts, percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) AS p50_ms,
  percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_ms, max(duration_ms) AS max_ms,
  sum(duration_ms) AS total_ms
FROM events
WHERE type IN ('model_responded', 'model_failed', 'tool_succeeded', 'tool_failed', 'step_succeeded', 'step_failed')
  AND duration_ms IS NOT NULL AND {CHOSEN}
GROUP BY 1, 2 ORDER BY p95_ms DESC, name"""  # noqa: S608  of our own constants


class Latency:
    """How long things take.

    Args:
        log: of which log.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, *, name: str | None = None, since: Since = None) -> "Figure":
        """Draw how long each model, tool and step takes: its median, its 95th percentile, its slowest; slow ones first.

        Args:
            name: only runs of this agent or pipeline.
            since: only what ended after this time, or in this last stretch (a `timedelta`).

        Raises:
            ConfigError: no run has that name, or matplotlib is missing: pip install 'jupyter-agentkit[plot]'.
        """
        from agentkit.plot import canvas

        rows = self.data(name=name, since=since)
        if not rows:
            return canvas.empty(nothing(self._log, "attempt that ended", name, since))
        return _drawn(rows.dicts())

    def data(self, *, name: str | None = None, since: Since = None) -> Rows:
        """The rows behind the figure: one a model, tool or step.

        Returns:
            `kind`, `name`, `attempts`; `p50_ms`, `p95_ms`, `max_ms` and `total_ms`, milliseconds of an attempt. A step
            takes as long as what it asks and calls.
        """
        return self._log.sql(_SQL, **parameters(name, since))


def _drawn(rows: list[dict[str, Any]]) -> "Figure":
    from matplotlib.ticker import FuncFormatter

    from agentkit.plot import canvas

    shown = rows[:_SHOWN]
    slow = shown[0]
    said = f"the slowest is {slow['kind']} {slow['name']}: 95% within {duration(slow['p95_ms'] / 1000)}"
    figure = canvas.figure(1.4 + 0.3 * len(shown), said)
    axes: Axes = figure.subplots()
    for at, row in enumerate(shown):
        colour = canvas.KINDS[row["kind"]]
        p50, p95, most = (max(row[key], 0.01) / 1000 for key in ("p50_ms", "p95_ms", "max_ms"))
        axes.plot([p50, p95], [at, at], color=colour, linewidth=5, alpha=0.55, solid_capstyle="butt")
        axes.plot([p50], [at], marker="o", color=colour, markersize=7, linestyle="none")
        axes.plot([most], [at], marker="|", color=colour, markersize=11, markeredgewidth=2, linestyle="none")
    axes.set_xscale("log")
    canvas.dressed(axes, title=said, x="duration of an attempt (seconds, logarithmic)")
    axes.xaxis.set_major_formatter(FuncFormatter(_seconds))
    axes.minorticks_off()
    canvas.named_rows(axes, [f"{row['name']} ({row['attempts']:,})" for row in shown])
    _explained(axes, {row["kind"] for row in shown})
    return figure


def _seconds(seconds: float, _at: float | None) -> str:
    return f"{seconds:g}"


def _explained(axes: "Axes", kinds: set[str]) -> None:
    from matplotlib.lines import Line2D as line  # noqa: N813  it is called like a function

    from agentkit.plot import canvas

    grey = canvas.GREY
    marks = [
        line([], [], marker="o", color=grey, linestyle="none", label="half are quicker"),
        line([], [], color=grey, linewidth=5, alpha=0.55, label="up to the 95th of 100"),
        line([], [], marker="|", color=grey, markersize=11, markeredgewidth=2, linestyle="none", label="the slowest"),
    ]
    marks += [line([], [], color=canvas.KINDS[kind], linewidth=5, label=kind) for kind in canvas.KINDS if kind in kinds]
    canvas.legend(axes, handles=marks)
