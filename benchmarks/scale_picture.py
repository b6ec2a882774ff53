"""The speed-up of many slots as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

_SIZE = (6.0, 4.5)  # inches


def draw(points: Sequence[tuple[int, float]], median_s: float, file: Path) -> None:
    """Write a picture (SVG): busy slots against slots, beside as many as there are.

    The same points give the same bytes.
    """
    slots = [number for number, _ in points]
    with rc_context({"svg.hashsalt": "scale", "svg.fonttype": "none"}):
        figure = Figure(_SIZE, layout="constrained")
        axes = figure.subplots()
        axes.plot(slots, slots, "--", color="#999999", linewidth=1.0, label="all busy")
        axes.plot(slots, [busy for _, busy in points], "o-", color="#0072B2", label="measured")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xticks(slots, [str(number) for number in slots])
        axes.set_yticks(slots, [str(number) for number in slots])
        axes.set_xlabel("slots")
        axes.set_ylabel("speed-up: seconds trained in a second")
        axes.set_title(f"Made-up trainings, median {median_s:g} s", fontsize="medium")
        axes.grid(alpha=0.25)
        axes.legend(loc="upper left", fontsize="small")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", metadata={"Date": None})
