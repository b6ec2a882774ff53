"""One picture of a report, drawn with matplotlib: its style, its scales, its dots.

Colours are names of the page's style (see `svg`), so that one picture is right in the light, in
the dark and on paper. Kinds differ in shape as well as in colour. Accuracies stand on a scale of
the logarithm of the error, where the step from 98 % to 99 % is as high as that from 96 to 98.
"""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from dicebox.report.costs import rung_name
from dicebox.report.svg import inline_svg

_NAMES = ("ink", "soft", "line", "accent", "seed", "random", "crossover", "mutation", "bad")
# Colours nobody would choose: each stands for a variable of the page's style.
COLOUR = {name: f"#{index:02x}00{index:02x}" for index, name in enumerate(_NAMES, start=1)}
MARKERS = {"seed": "D", "random": "s", "crossover": "^", "mutation": "o"}
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOUR.items()}
# The keys are a type of their own to matplotlib, which no other name has.
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dicebox",
    "font.size": 11,
    "text.color": COLOUR["ink"],
    "text.parse_math": False,
    "axes.edgecolor": COLOUR["line"],
    "axes.labelcolor": COLOUR["soft"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOUR["line"],
    "grid.linewidth": 0.6,
    "xtick.color": COLOUR["line"],
    "ytick.color": COLOUR["line"],
    "xtick.labelcolor": COLOUR["soft"],
    "ytick.labelcolor": COLOUR["soft"],
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_TICKS = (
    (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999),
    (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999),
    tuple(round(1 - step * 10**-power, 6) for power in range(1, 6) for step in range(10, 1, -1)),
    tuple(
        round(1 - step * 10**-power / 2, 6) for power in range(1, 6) for step in range(20, 2, -1)
    ),
)
_MOST_TICKS = 8
_WIDTH = 11.0
_MANY_IMAGES = 1000


@dataclass
class Picture:
    """A figure that is being drawn.

    Args:
        figure: It.
        floor: The smallest error that is told from none.
        hints: What shows when one points at a dot, by group of dots.
    """

    figure: Figure
    floor: float
    hints: dict[str, list[str]] = field(default_factory=dict)

    def height(self, accuracy: float) -> float:
        """Return where an accuracy stands on the scale of errors."""
        return -math.log10(max(1.0 - accuracy, self.floor))

    def dots(self, axes: Axes, points: Sequence[tuple[float, float, str]], **style: Any) -> None:
        """Draw (x, accuracy, words) as dots."""
        heights = [(x, self.height(accuracy), words) for x, accuracy, words in points]
        self.dots_at(axes, heights, **style)

    def dots_at(self, axes: Axes, points: Sequence[tuple[float, float, str]], **style: Any) -> None:
        """Draw (x, y, words) as dots."""
        if not points:
            return
        gid = f"dots{len(self.hints)}"
        self.hints[gid] = [words for _, _, words in points]
        style = {"s": 26, "linewidths": 0.8, "clip_on": False} | style
        axes.scatter([x for x, _, _ in points], [y for _, y, _ in points], gid=gid, **style)

    def accuracy_axis(self, axes: Axes, accuracies: Sequence[float]) -> None:
        """Write accuracies at the left, from the lowest to the highest of some."""
        heights = [self.height(accuracy) for accuracy in accuracies]
        low, high = min(heights), max(heights)
        margin = max(0.08 * (high - low), 0.02)
        axes.set_ylim(low - margin, high + margin)
        ticks = self._ticks(low - margin, high + margin)
        axes.set_yticks(list(ticks), list(ticks.values()))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(visible=False, axis="x")

    def _ticks(self, low: float, high: float) -> dict[float, str]:
        """Return the finest ticks that are not too many between two heights, with their words."""
        chosen: dict[float, str] = {}
        for accuracies in _TICKS:
            ticks = {self.height(tick): percent(tick) for tick in accuracies if tick < 1}
            ticks |= {self.height(1.0): "100 %"}
            shown = {at: said for at, said in ticks.items() if low <= at <= high}
            if chosen and len(shown) > _MOST_TICKS:
                break
            chosen = shown
        return chosen

    def svg(self, key: str, label: str) -> str:
        """Return the picture for a page; `label` says what it shows to those who cannot see it."""
        file = io.StringIO()
        self.figure.savefig(file, format="svg", metadata=_NO_METADATA)
        return inline_svg(
            file.getvalue(), key=key, label=label, colours=_VARIABLES, hints=self.hints
        )


@contextmanager
def picture(height: float, images: int | None) -> Iterator[Picture]:
    """Give an empty picture; no error at all stands where half of one of `images` would."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield Picture(figure, 0.5 / (images or _MANY_IMAGES))


def legend(axes: Axes) -> None:
    """Say above the axes what the dots and lines mean."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=6,
        columnspacing=1.2,
        handletextpad=0.3,
        borderpad=0.2,
    )


def said(number: int, accuracy: float, rung: str | None = None) -> str:
    """Return what shows when one points at an individual."""
    where = f" at the {rung_name(rung)}" if rung else ""
    return f"#{number}: {100 * accuracy:.2f} %{where}"


def percent(accuracy: float) -> str:
    """Return an accuracy as an axis has it."""
    return f"{100 * accuracy:.4g} %"
