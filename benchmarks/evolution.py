"""`python -m benchmarks.evolution`: accuracy of the champion at equal wall-clock.

The arms are the evolution and random search over the same space with the same budget. A cell
is one run on a fresh data folder: images in over HTTP, frozen, searched, published, and the
test images classified over HTTP once, at the very end.
"""

import time
from collections.abc import Sequence
from typing import Any, Literal

import click
from rich.table import Table

from benchmarks.cells import Cell, Measured, measure_cells
from benchmarks.datasets import DIGITS, NAMES, freeze_dataset
from benchmarks.estimates import Interval, deviation, difference, mean
from benchmarks.frame import Findings, Options, benchmark, figure
from benchmarks.installation import fresh_dicebox
from benchmarks.processes import Observer
from benchmarks.rows import Goal, Row, at_least
from benchmarks.runs import drive_run
from commons.errors import DiceboxError
from commons.messages import Run, RunRequest
from dicebox.held_out import classify_held_out

OURS, RANDOM = "ours", "random"
ARMS: dict[str, Literal["evolution", "random"]] = {OURS: "evolution", RANDOM: "random"}
# The goals, for the data and budget they were set for.
_GOALS = {(DIGITS, 60.0): at_least(98.5)}
_LOOK_EVERY_S = 1.0  # each look costs some 20 ms of a processor that the search could use
_QUICK_S = 20.0
_QUICK_SEEDS = 2
_MB = 1e6


@benchmark("evolution")
@click.option("--dataset", type=click.Choice(NAMES), default=DIGITS, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="Wall-clock of one run.")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="0 to N-1.")
def evolution(options: Options, dataset: str, seconds: float, seeds: int) -> Findings:
    """Evolve with several seeds, against random search with the same budget."""
    if options.quick:
        seconds, seeds = min(seconds, _QUICK_S), min(seeds, _QUICK_SEEDS)
    # Seed by seed, so that whatever else the machine does strikes both arms alike.
    cells = [
        Cell("evolution", arm, dataset, seed, {"seconds": seconds})
        for seed in range(seeds)
        for arm in ARMS
    ]
    measured = measure_cells(cells, lambda cell: _measure(cell, options), options)
    rows = summary(measured, _GOALS.get((dataset, seconds)))
    return Findings(rows, [cells_table(measured)], {"cells": [each.as_json() for each in measured]})


def _measure(cell: Cell, options: Options) -> dict[str, Any]:
    """Return the figures of one run."""
    with (
        fresh_dicebox(options.work / "houses") as (running, client),
        Observer(running.pid, _LOOK_EVERY_S) as seen,
    ):
        snapshot = freeze_dataset(client, cell.data, options.datasets, options.work)
        request = RunRequest(
            dataset=cell.data,
            snapshot=snapshot.id,
            seconds=cell.settings["seconds"],
            seed=cell.seed,
            strategy=ARMS[cell.arm],
        )
        started = time.monotonic()
        run = drive_run(client, request, seen, lambda _: None)
        seconds = time.monotonic() - started
        if run.state != "complete" or run.network is None:
            raise DiceboxError(f"the run {run.id} ended as {run.state}: {run.reason}")
        held_out = classify_held_out(client, snapshot, run.network, lambda: None)
    return {
        "test_accuracy": held_out.accuracy,
        "test_images": held_out.images,
        "classification_median_ms": held_out.median_ms,
        "wall_seconds": seconds,
        "tensorflow_imports": len(seen.trainers),
        "peak_bytes": seen.peak_bytes(),
        "snapshot": snapshot.id,
        **_figures_of(run),
    }


def _figures_of(run: Run) -> dict[str, Any]:
    progress = run.progress
    return {
        "validation_accuracy": progress.best,
        "candidates": progress.evaluated,
        "failed": progress.failed,
        "candidates_per_minute": progress.candidates_per_minute,
        "champion": progress.best_genome,
    }


def summary(measured: Sequence[Measured], goal: Goal | None) -> list[Row]:
    """Return the rows: both arms, and what the evolution is worth beyond random search."""
    ours, theirs = ([100 * x for x in _all(measured, arm, "test_accuracy")] for arm in ARMS)
    gain = difference(ours, theirs)

    def both(measure: str, unit: str, name: str, scale: float = 1.0) -> Row:
        means = [scale * mean(_all(measured, arm, name)) for arm in ARMS]
        return Row(measure, unit, means[0], means[1], RANDOM)

    return [
        Row("test accuracy, mean", "%", mean(ours), mean(theirs), RANDOM, goal),
        Row("test accuracy, standard deviation", "%", deviation(ours), deviation(theirs), RANDOM),
        Row(f"test accuracy, ours - random {_bounds(gain)}", "points", gain.value),
        both("validation accuracy, mean", "%", "validation_accuracy", 100),
        both("candidates a minute", "", "candidates_per_minute"),
        both("failed candidates a run", "", "failed"),
        both("wall-clock of a run", "s", "wall_seconds"),
        both("TensorFlow imports a run", "", "tensorflow_imports"),
        both("peak memory of all processes", "MB", "peak_bytes", 1 / _MB),
        both("one classification over HTTP, median", "ms", "classification_median_ms"),
    ]


def _all(measured: Sequence[Measured], arm: str, name: str) -> list[float]:
    return [float(each.figures[name]) for each in measured if each.cell.arm == arm]


def _bounds(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "(one seed: no interval)"
    return f"(95 %: {interval.low:+.2f} to {interval.high:+.2f})"


def cells_table(measured: Sequence[Measured]) -> Table:
    """Return one line a cell."""
    table = Table(box=None, header_style="bold")
    for title in ("arm", "seed", "test %", "validation %", "candidates", "failed", "s", "MB"):
        table.add_column(title, justify="left" if title == "arm" else "right")
    for each in measured:
        found = each.figures
        table.add_row(
            each.cell.arm,
            str(each.cell.seed),
            f"{100 * found['test_accuracy']:.2f}",
            f"{100 * found['validation_accuracy']:.2f}",
            str(found["candidates"]),
            str(found["failed"]),
            figure(found["wall_seconds"]),
            figure(found["peak_bytes"] / _MB),
        )
    return table


if __name__ == "__main__":
    evolution()
