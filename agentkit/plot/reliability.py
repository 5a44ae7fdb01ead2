"""What fails: the share of each model's, tool's and step's calls that succeeds, and what that becomes over a whole run.

The intervals are Wilson's, at 95%: E. B. Wilson, "Probable inference, the law of succession, and statistical
inference", Journal of the American Statistical Association 22 (1927). They stay between 0 and 1 and hold for few
calls, too.
"""

import math
from typing import TYPE_CHECKING, Any

from agentkit.interval import wilson
from agentkit.log import Log
from agentkit.plot.chosen import CHOSEN, Since, nothing, parameters
from agentkit.rows import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agentkit.plot.canvas import Axes

_SHOWN = 30
"""Rows of the picture: those that fail most."""

_STEPS = f"""
SELECT run_id, step, max(CASE WHEN type <> 'checked' THEN name END) AS name,
  max(CASE WHEN type LIKE 'model%' THEN 'model' WHEN type LIKE 'tool%' THEN 'tool'
    WHEN type LIKE 'step%' THEN 'step' END) AS kind,
  max(seq * 2 + CASE WHEN status = 'ok' THEN 1 ELSE 0 END) % 2 AS ok,
  sum(CASE WHEN type = 'checked' THEN 0 ELSE 1 END) AS attempts,
  max(CASE WHEN type IN ('tool_failed', 'step_failed') AND body->>'rejected' = 'true' THEN 1 ELSE 0 END) AS rejected,
  max(CASE WHEN type = 'checked' AND body->>'passed' = 'false' THEN 1 ELSE 0 END) AS refused
FROM events
WHERE (type IN ('model_responded', 'model_failed', 'tool_succeeded', 'tool_failed', 'step_failed')
    OR (type = 'step_succeeded' AND duration_ms IS NOT NULL) OR (type = 'checked' AND body->>'passed' = 'false'))
  AND step IS NOT NULL AND {CHOSEN}
GROUP BY run_id, step"""  # noqa: S608  of our own constants
_SQL = f"""
SELECT kind, name, count(*) AS steps, CAST(sum(CASE WHEN ok = 1 AND refused = 0 THEN 1 ELSE 0 END) AS BIGINT)
    AS succeeded,
  CAST(sum(CASE WHEN ok = 1 AND refused = 0 AND attempts = 1 THEN 1 ELSE 0 END) AS BIGINT) AS first_try,
  count(*) * 1.0 / count(DISTINCT run_id) AS per_run
FROM ({_STEPS}) AS s WHERE rejected = 0 AND kind IS NOT NULL GROUP BY kind, name ORDER BY kind, name"""  # noqa: S608
_LENGTHS = f"""
SELECT n AS steps, count(*) AS runs, CAST(sum(ok) AS BIGINT) AS succeeded FROM (
  SELECT s.run_id, count(*) AS n, max(CASE WHEN e.type = 'run_succeeded' THEN 1 ELSE 0 END) AS ok
  FROM ({_STEPS}) AS s JOIN events AS e ON e.run_id = s.run_id AND e.type IN ('run_succeeded', 'run_failed')
  GROUP BY s.run_id) AS r
GROUP BY n ORDER BY n"""  # noqa: S608


class Reliability:
    """What fails, and how failures add up.

    Args:
        log: of which log.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, *, name: str | None = None, since: Since = None) -> "Figure":
        """Draw how often each model, tool and step succeeds, and what that comes to over runs of growing length.

        A step succeeded when its last attempt did, and no check refused it. What a person rejected is left out.

        Args:
            name: only runs of this agent or pipeline.
            since: only what ended after this time, or in this last stretch (a `timedelta`).

        Raises:
            ConfigError: no run has that name, or matplotlib is missing: pip install 'jupyter-agentkit[plot]'.
        """
        from agentkit.plot import canvas

        rows = self.data(name=name, since=since)
        if not rows:
            return canvas.empty(nothing(self._log, "step that ended", name, since))
        return _drawn(rows.dicts(), self.lengths(name=name, since=since).dicts())

    def data(self, *, name: str | None = None, since: Since = None) -> Rows:
        """The rows behind the figure: one a model, tool or step, what fails most first.

        Returns:
            `kind`, `name`, `steps` (how many ended), `succeeded`, `first_try` (without a second attempt), `rate` with
            its 95% interval `low` to `high`, `per_run` (how many in a run that has any), and `over_run`: the share of
            runs that get through all of those, if each failure ended the run.
        """
        found = self._log.sql(_SQL, **parameters(name, since))
        rows: list[tuple[Any, ...]] = []
        for kind, what, steps, succeeded, first_try, per_run in found:
            rate, (low, high) = succeeded / steps, wilson(succeeded, steps)
            rows.append(
                (kind, what, steps, succeeded, first_try, rate, low, high, float(per_run), rate ** float(per_run))
            )
        columns = ("kind", "name", "steps", "succeeded", "first_try", "rate", "low", "high", "per_run", "over_run")
        return Rows(columns, sorted(rows, key=lambda row: (row[5], row[1])), found.note)

    def lengths(self, *, name: str | None = None, since: Since = None) -> Rows:
        """How runs of each length ended: `steps`, `runs` that succeeded or failed, and those that `succeeded`."""
        return self._log.sql(_LENGTHS, **parameters(name, since))


def _drawn(rows: list[dict[str, Any]], lengths: list[dict[str, Any]]) -> "Figure":
    from agentkit.plot import canvas

    steps, succeeded = sum(row["steps"] for row in rows), sum(row["succeeded"] for row in rows)
    share = succeeded / steps
    said = f"{share:.1%} of {steps:,} steps succeed; of runs of 10 steps, {share**10:.0%} would"
    shown = rows[:_SHOWN]
    tall = 0.9 + 0.3 * len(shown)
    figure = canvas.figure(tall + 3.6, said)
    above, below = figure.subplots(2, 1, height_ratios=[tall, 3.0])
    _shares(above, shown)
    _compound(below, succeeded, steps, sum(row["first_try"] for row in rows), lengths)
    return figure


def _shares(axes: "Axes", shown: list[dict[str, Any]]) -> None:
    from agentkit.plot import canvas

    for at, row in enumerate(shown):
        colour = canvas.KINDS[row["kind"]]
        axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
        axes.plot([row["rate"]], [at], marker="o", color=colour, markersize=7, linestyle="none")
        first = row["first_try"] / row["steps"]
        axes.plot([first], [at], marker="o", color=colour, markersize=7, fillstyle="none", linestyle="none")
    axes.set_xlim(-0.02, 1.02)
    title = "share of steps that succeed: ● in the end, ○ at the first try, with the 95% interval"
    canvas.dressed(axes, title=title, x="share of steps")
    axes.xaxis.set_major_formatter(_percent())
    canvas.named_rows(axes, [f"{row['kind']} {row['name']} ({row['steps']:,})" for row in shown])


def _compound(axes: "Axes", succeeded: int, steps: int, first_try: int, lengths: list[dict[str, Any]]) -> None:
    from agentkit.plot import canvas

    longest = max((row["steps"] for row in lengths), default=0)
    until = min(max(20, longest + 2), 100)
    count = range(until + 1)
    (low, high), share = wilson(succeeded, steps), succeeded / steps
    blue = canvas.COLOURS[0]
    axes.fill_between(count, [low**n for n in count], [high**n for n in count], color=blue, alpha=0.2, linewidth=0)
    axes.plot(count, [share**n for n in count], color=blue, linewidth=2, label="as steps succeed in the end, 95%")
    once = [(first_try / steps) ** n for n in count]
    axes.plot(count, once, color=canvas.GREY, linewidth=1.5, linestyle="--", label="without a second attempt")
    runs = [row for row in lengths if row["steps"] <= until]
    sizes = [20 + 160 * math.sqrt(row["runs"] / max(other["runs"] for other in runs)) for row in runs]
    seen = [row["succeeded"] / row["runs"] for row in runs]
    axes.scatter(
        [row["steps"] for row in runs], seen, s=sizes, facecolors="none", edgecolors=canvas.COLOURS[3], linewidths=1.6,
        label="runs of this log",
    )  # fmt: skip
    axes.set_xlim(0, until)
    axes.set_ylim(-0.03, 1.06)
    canvas.dressed(
        axes, title=f"what {share:.1%} a step comes to, if each failure ends the run",
        x="length of a run (steps)", y="share of runs that get through",
    )  # fmt: skip
    axes.yaxis.set_major_formatter(_percent())
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, fontsize=9, labelcolor=canvas.GREY, loc="lower left")


def _percent() -> Any:  # matplotlib's formatter
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(xmax=1.0, decimals=0)
