"""What was spent, over time: US dollars and tokens."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from agentkit.errors import ConfigError
from agentkit.log import Log
from agentkit.plot.chosen import CHOSEN, Since, nothing, parameters
from agentkit.rows import Rows
from agentkit.text import dollars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agentkit.plot.canvas import Axes

By = Literal["model", "name"]

_ENDS = "type IN ('model_responded', 'model_failed')"
_STRETCHES = (60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)  # seconds of a bar
_BARS = 60
_SHOWN = 6
"""Models that have a colour; the others share one."""

_RANGE = f"SELECT min(ts), max(ts) FROM events WHERE {_ENDS} AND {CHOSEN}"  # noqa: S608  of our own constants
_SQL = """
SELECT CAST(floor(extract(epoch FROM ts) / $stretch) AS BIGINT) AS stretch, {label} AS label, count(*) AS calls,
  CAST(sum(coalesce(input_tokens, 0)) AS BIGINT) AS input_tokens,
  CAST(sum(coalesce(output_tokens, 0)) AS BIGINT) AS output_tokens,
  sum(cost_usd) AS cost_usd, CAST(sum(CASE WHEN cost_usd IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS unpriced
FROM events AS e WHERE {ends} AND {chosen} GROUP BY 1, 2 ORDER BY 1, 2"""
_LABELS = {
    "model": "name",
    "name": "(SELECT max(s.name) FROM events AS s WHERE s.run_id = e.run_id AND s.type = 'run_started')",
}


class Cost:
    """What was spent, over time.

    Args:
        log: of which log.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, *, by: By = "model", name: str | None = None, since: Since = None) -> "Figure":
        """Draw what was spent: US dollars and tokens, a bar a stretch of time.

        Args:
            by: a colour for each "model", or for each "name" of an agent or a pipeline.
            name: only runs of this agent or pipeline.
            since: only calls that ended after this time, or in this last stretch (a `timedelta`).

        Raises:
            ConfigError: no run has that name, or matplotlib is missing: pip install 'jupyter-agentkit[plot]'.
        """
        from agentkit.plot import canvas

        rows = self.data(by=by, name=name, since=since)
        if not rows:
            return canvas.empty(nothing(self._log, "model call", name, since))
        return _drawn(rows.dicts())

    def data(self, *, by: By = "model", name: str | None = None, since: Since = None) -> Rows:
        """The rows behind the figure: one a stretch of time and a label.

        Returns:
            `begins` (UTC) and `seconds` of the stretch; `label`, the model or the name; `calls` (attempts),
            `input_tokens`, `output_tokens`, `cost_usd` of those whose price is known, and `unpriced`, how many are not.
        """
        if by not in _LABELS:
            raise ConfigError(f"by={by!r}: a cost is told apart by 'model' or by 'name'")
        given = parameters(name, since)
        first, last = self._log.sql(_RANGE, **given)[0]
        columns = ("begins", "seconds", "label", "calls", "input_tokens", "output_tokens", "cost_usd", "unpriced")
        if first is None:
            return Rows(columns, [])
        stretch = _stretch((last - first).total_seconds())
        sql = _SQL.format(label=_LABELS[by], ends=_ENDS, chosen=CHOSEN)
        found = self._log.sql(sql, stretch=stretch, **given)
        return Rows(columns, [(_time(row[0] * stretch), stretch, *row[1:]) for row in found], found.note)


def _stretch(seconds: float) -> int:
    return next((stretch for stretch in _STRETCHES if seconds / stretch <= _BARS), _STRETCHES[-1])


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _drawn(rows: list[dict[str, Any]]) -> "Figure":
    from agentkit.plot import canvas

    total = sum(row["cost_usd"] or 0 for row in rows)
    calls, unpriced = sum(row["calls"] for row in rows), sum(row["unpriced"] for row in rows)
    left = f"; {unpriced:,} more of unknown price" if unpriced else ""
    said = f"{dollars(total)} for {calls - unpriced:,} model calls{left}"
    figure = canvas.figure(5.0 if total else 3.0, said)
    if total:
        money, tokens = figure.subplots(2, 1, sharex=True)
        _bars(money, rows, "cost_usd")
        canvas.dressed(money, title=said, x="", y="US dollars")
        canvas.legend(money)
    else:
        tokens: Axes = figure.subplots()
    _bars(tokens, rows, "input_tokens", "output_tokens")
    title = "tokens, read and written" if total else f"{said}: tokens, read and written"
    canvas.dressed(tokens, title=title, x="time (UTC)", y="tokens")
    if not total:
        canvas.legend(tokens)
    return figure


def _bars(axes: "Axes", rows: list[dict[str, Any]], *columns: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter

    from agentkit.plot import canvas

    days = rows[0]["seconds"] / 86400
    heights: dict[float, float] = {}
    for index, (label, held) in enumerate(_by_label(rows, columns).items()):
        at = [time.timestamp() / 86400 + days / 2 for time, _ in held]  # days since 1970, as matplotlib counts
        tall = [height for _, height in held]
        below = [heights.get(place, 0.0) for place in at]
        colour = canvas.COLOURS[index % len(canvas.COLOURS)]
        axes.bar(at, tall, width=days * 0.9, bottom=below, color=colour, label=canvas.plain(label, 30))
        heights.update({place: low + high for place, low, high in zip(at, below, tall, strict=True)})
    middle = (min(heights) + max(heights)) / 2
    half = max((max(heights) - min(heights)) / 2 + days, 6 * days)  # one bar alone is not as wide as the page
    axes.set_xlim(middle - half, middle + half)
    locator = AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    axes.xaxis.get_offset_text().set_color(canvas.GREY)
    axes.yaxis.set_major_formatter(FuncFormatter(_amount))


def _amount(amount: float, _at: float | None) -> str:
    return f"{amount:,.6g}"


def _by_label(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> dict[str, list[tuple[datetime, float]]]:
    """Each label's bars; the labels beyond those that have a colour are one."""
    sums: dict[str, float] = {}
    for row in rows:
        sums[row["label"]] = sums.get(row["label"], 0) + row["calls"]
    known = sorted(sums, key=lambda label: -sums[label])[:_SHOWN]
    found: dict[str, dict[datetime, float]] = {label: {} for label in known}
    for row in rows:
        held = found.setdefault(row["label"] if row["label"] in known else "others", {})
        held[row["begins"]] = held.get(row["begins"], 0) + sum(row[column] or 0 for column in columns)
    return {label: sorted(held.items()) for label, held in found.items()}
