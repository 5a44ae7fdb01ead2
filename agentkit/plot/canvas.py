"""How every picture looks: the same figure on a white page and on a dark one, and no word that does anything.

Nothing is drawn on the background, and lines and letters have a grey that stands out as much from white as from black.
The figures are made without pyplot: a notebook shows each once, and none is kept.
"""

import base64
import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any, TypeAlias, cast

from agentkit.errors import ConfigError
from agentkit.text import inert, one_line

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise ConfigError(
        f"pictures of the log need the extra plot: pip install 'jupyter-agentkit[plot]' ({error})"
    ) from error

Axes: TypeAlias = Any
"""Matplotlib's: the types that it brings leave what its drawing functions take partly unknown."""

GREY = "#7d7d7d"
"""4.1 times as light as black, and white 4.1 times as light as it: legible on both."""
RED = "#e0443e"
COLOURS = ("#3d85e8", "#1f9d55", "#b065e0", "#cf7f1a", "#159a9c", "#d1568f", "#8a8f2a")
KINDS = {"model": "#3d85e8", "tool": "#1f9d55", "step": "#159a9c", "ask": "#8a8f2a", "person": "#b065e0"}
"""The colour of each kind of step, in every picture."""
_DPI = 100
_WIDTH = 8.0  # inches


class Picture(Figure):
    """A matplotlib figure that a notebook shows sharp, with nothing behind it, and once."""

    said = ""
    """What it shows, in a line: for who cannot see it."""

    def _repr_mimebundle_(self, **_options: Any) -> tuple[dict[str, str], dict[str, Any]]:  # Jupyter's options
        held = BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a letter that the font does not have is shown as a box
            cast("Any", self).savefig(held, format="png", dpi=2 * _DPI, facecolor="none")
        width, height = (int(inches * _DPI) for inches in self.get_size_inches())
        shown = {"image/png": base64.b64encode(held.getvalue()).decode(), "text/plain": self.said}
        return shown, {"image/png": {"width": width, "height": height}}

    def __repr__(self) -> str:
        return f"<Figure: {self.said}>"

    __str__ = __repr__  # matplotlib says its size


def figure(height: float, said: str) -> Picture:
    """An empty figure.

    Args:
        height: inches.
        said: what it will show, in a line.
    """
    made = Picture(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="none")
    made.said = inert(said)
    return made


def empty(said: str) -> Picture:
    """A figure that says why it shows nothing."""
    made = figure(1.2, said)
    cast("Any", made).text(0.5, 0.5, plain(said, 100), ha="center", va="center", color=GREY, fontsize=11)
    return made


def dressed(axes: Axes, *, title: str, x: str, y: str = "") -> Axes:
    """Give axes their words and their greys.

    Args:
        axes: drawn upon, or not yet.
        title: what is seen.
        x: what goes from left to right, with its unit.
        y: what goes upwards, with its unit.
    """
    axes.set_title(plain(title, 100), color=GREY, fontsize=11, loc="left")
    axes.set_xlabel(x, color=GREY, fontsize=10)
    axes.set_ylabel(y, color=GREY, fontsize=10)
    axes.set_facecolor("none")
    axes.tick_params(colors=GREY, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(GREY)
    axes.grid(visible=True, axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def legend(axes: Axes, **options: Any) -> None:  # matplotlib's
    """A legend in the same greys, beside the drawing."""
    axes.legend(frameon=False, fontsize=9, labelcolor=GREY, loc="upper left", bbox_to_anchor=(1.0, 1.0), **options)


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a picture, from the top to the bottom."""
    axes.set_yticks(range(len(names)), [plain(name, 34) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


def plain(words: str, columns: int) -> str:
    r"""Words as matplotlib draws them: on one line, cut, and no formula, whatever dollars are in them.

    Example:
        >>> print(plain("costs $5\nor $6", 40))
        costs \$5 or \$6
    """
    return one_line(words, columns).replace("$", r"\$")
