"""The best validation accuracy so far against the seconds of a search, as numbers and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.cells import Measured

_POINTS = 400
_SIZE = (8.0, 4.5)  # inches
# The colours of Okabe and Ito, which most colour-blind people can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_STYLES = ("-", "--", ":")

Curve = Sequence[Sequence[float]]


def best_at(curve: Curve, second: float) -> float | None:
    """Return the best accuracy found by a second, None before the first network."""
    found = [accuracy for at, accuracy in curve if at <= second]
    return found[-1] if found else None


def mean_curve(curves: Sequence[Curve], seconds: float) -> list[tuple[float, float]]:
    """Return the mean over the seeds, from the second on at which each has a network."""
    points = []
    for second in np.linspace(0.0, seconds, _POINTS):
        found = [best_at(curve, float(second)) for curve in curves]
        known = [accuracy for accuracy in found if accuracy is not None]
        if len(known) == len(curves):
            points.append((float(second), float(np.mean(known))))
    return points


def curves_of(measured: Sequence[Measured]) -> dict[str, list[Curve]]:
    """Return the curves of every arm that found anything, in the order of the cells."""
    found: dict[str, list[Curve]] = {}
    for each in measured:
        if each.figures["curve"]:
            found.setdefault(each.cell.arm, []).append(each.figures["curve"])
    return found


def labelled(curves: Mapping[str, list[Curve]], seeds: int) -> dict[str, list[Curve]]:
    """Return the curves by names that say so where seeds are missing."""
    return {
        arm if len(each) == seeds else f"{arm} (n = {len(each)} of {seeds})": each
        for arm, each in curves.items()
    }


def draw(curves: Mapping[str, Sequence[Curve]], seconds: float, title: str, file: Path) -> None:
    """Write a picture (SVG): one line an arm, the mean of its seeds, each seed thin behind it.

    The same curves give the same bytes.
    """
    with rc_context({"svg.hashsalt": "anytime", "svg.fonttype": "none"}):
        figure = Figure(_SIZE, layout="constrained")
        axes = figure.subplots()
        ends: list[float] = []
        for number, (arm, seeds) in enumerate(curves.items()):
            colour = _COLOURS[number % len(_COLOURS)]
            for curve in seeds:
                axes.step(
                    [*(at for at, _ in curve), seconds],
                    [*(100 * accuracy for _, accuracy in curve), 100 * curve[-1][1]],
                    where="post", color=colour, linewidth=0.6, alpha=0.4,
                )  # fmt: skip
                ends.append(100 * curve[-1][1])
            points = mean_curve(seeds, seconds)
            axes.plot(
                [second for second, _ in points],
                [100 * accuracy for _, accuracy in points],
                _STYLES[number // len(_COLOURS) % len(_STYLES)],
                color=colour, linewidth=2.0, label=arm,
            )  # fmt: skip
        axes.set_xlim(0, seconds)
        if ends:
            axes.set_ylim(*_window(ends))
            axes.legend(loc="lower right", fontsize="small")
        axes.set_xlabel("seconds of search")
        axes.set_ylabel("best validation accuracy so far, %")
        axes.set_title(title, fontsize="medium")
        axes.grid(alpha=0.25)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", metadata={"Date": None})


def _window(ends: Sequence[float]) -> tuple[float, float]:
    """Return limits in percent that show where the searches end, not where they begin."""
    low, high = min(ends), max(ends)
    room = max(high - low, 1.0)
    return max(0.0, low - room), min(100.0, high + room / 2)
