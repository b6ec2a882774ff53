"""`python -m benchmarks.scale`: the real evolver, engine and broker with trainings that sleep.

Light workers take the place of machines: desk, consumer and link are those of a real worker, the
training is a sleep of as many seconds as a real one took (`benchmarks.durations`), scaled to a
median. So what is measured is everything around the trainings, on one machine that has to be
evolver, broker and all workers at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.broker import own_rabbit
from benchmarks.cells import Cell, Measured, measure_cells
from benchmarks.frame import Findings, Grid, Options, benchmark, figure
from benchmarks.made_up import measured_seconds
from benchmarks.rows import Row, at_least, at_most
from benchmarks.scale_cell import empty_jobs, scaled_search
from benchmarks.scale_picture import draw

RESULTS = Path(__file__).parent / "results"
_SLOTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_JUDGED = 64
_QUICK_SLOTS, _QUICK_EACH, _QUICK_EMPTY = (1, 4), 5, 20
_EMPTY = "empty jobs"
_TITLES = (
    "slots", "trainings", "speed-up", "idle %", "wait p50 ms", "wait p99 ms",
    "evolver ms", "broker ms", "worker ms", "load",
)  # fmt: skip


@benchmark("scale")
@click.option("--slots", multiple=True, type=click.IntRange(1, 256), help="[default: 1 to 256]")
@click.option("--median", "median_s", default=2.0, show_default=True, type=click.FloatRange(0.01))
@click.option("--each", default=15, show_default=True, help="Trainings for each slot.")
@click.option("--jobs", default=200, show_default=True, help="Empty jobs, one after another.")
@click.option(
    "--durations",
    default=RESULTS / "durations.json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A report of benchmarks.durations.",
)
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="SVG to write.")
def scale(
    options: Options,
    slots: tuple[int, ...],
    median_s: float,
    each: int,
    jobs: int,
    durations: Path,
    picture: Path | None,
) -> Findings:
    """Evolve with made-up trainings on 1 to 256 slots, and run empty jobs on a real worker."""
    slots = slots or _SLOTS
    if options.quick:
        slots, each, jobs = _QUICK_SLOTS, _QUICK_EACH, _QUICK_EMPTY
    seconds = measured_seconds(durations, median_s)
    folder = options.work / "scale"

    def measure(cell: Cell) -> dict[str, Any]:
        with own_rabbit() as rabbit:
            if cell.arm == _EMPTY:
                return empty_jobs(rabbit, jobs, folder)
            return scaled_search(rabbit, cell.seed, each, seconds, folder)

    # The number of slots takes the place of the seed: it is what differs.
    asked = {"median_s": median_s, "each": each, "measured": len(seconds.measured)}
    cells = [Cell("scale", "sleep", "made-up", number, asked) for number in slots]
    found = measure_cells(
        [Cell("scale", _EMPTY, "none", 1, {"jobs": jobs}), *cells], measure, options
    )
    searches = found[1:]
    if picture is not None:
        points = [(cell.cell.seed, cell.figures["speed_up"]) for cell in searches]
        draw(points, median_s, picture)
    return Findings(
        rows(found[0].figures, searches),
        grids=[Grid(_TITLES, [_line(cell) for cell in searches])],
        details={"cells": [cell.as_json() for cell in found]},
    )


def rows(empty: dict[str, Any], searches: Sequence[Measured]) -> list[Row]:
    """Return what is judged."""
    by_slots = {cell.cell.seed: cell.figures for cell in searches}
    judged = by_slots.get(_JUDGED)
    # The fewer slots, the more of it is looking whether any training has ended.
    cost = by_slots[max(by_slots)]["evolver_ms"] if by_slots else None
    busy = None if judged is None else 100 * judged["speed_up"] / _JUDGED
    return [
        Row("an empty job, submit to result, median", "ms", empty["median_ms"], goal=at_most(20)),
        Row("an empty job, submit to result, p99", "ms", empty["p99_ms"]),
        Row(f"{_JUDGED} workers: busy", "%", busy, goal=at_least(95)),
        Row("the evolver's own cost of an individual, most slots", "ms", cost),
    ]


def _line(cell: Measured) -> list[str]:
    figures, slots = cell.figures, cell.cell.seed
    names = ("wait_p50_ms", "wait_p99_ms", "evolver_ms", "broker_ms", "worker_ms", "load")
    return [
        str(slots),
        str(figures["trainings"]),
        f"{figures['speed_up']:.2f}",
        f"{100 * (1 - figures['speed_up'] / slots):.1f}",
        *(figure(figures[name]) for name in names),
    ]


if __name__ == "__main__":
    scale()
