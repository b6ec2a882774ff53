"""`python -m benchmarks.evolution`: accuracy of the champion at equal wall-clock.

The arms are Dicebox's own searches over the same space (evolution, random search, the seeds
alone, a plain generational algorithm), with `--ablate` the evolution without one thing at a
time, and with `--peers` other people's programs. A cell is one search: ours on a fresh data
folder, images in over HTTP, frozen, searched, published, and the test images classified over
HTTP once, at the very end; a peer's in its own environment, on the pixels of the same snapshot.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.anytime import curves_of, draw, labelled
from benchmarks.arms import (
    ABLATION_S,
    ABLATIONS,
    BUDGETS_S,
    GOALS,
    OURS,
    STRATEGIES,
    THREADS,
    TITLES,
    contestants,
    keep_to,
    settings_of,
)
from benchmarks.cells import Cell, Measured, kept_cells, measure_cells
from benchmarks.datasets import DIGITS, NAMES
from benchmarks.document import RESULTS
from benchmarks.evolution_cells import measure_ours, measure_peer
from benchmarks.evolution_rows import arms_grid, cells_grid, summary
from benchmarks.frame import Findings, Options, benchmark

CELLS = RESULTS / "cells"
_QUICK_S = 20.0
_QUICK_SEEDS = 1
_ARMS = (*STRATEGIES, *ABLATIONS, *contestants())


@benchmark("evolution")
@click.option("--dataset", type=click.Choice(NAMES), default=DIGITS, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(1.0),
    help="Wall-clock of one search [default: 60 for digits, 600 for the others; 120 to ablate].",
)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="0 to N-1.")
@click.option(
    "--arm",
    "chosen",
    type=click.Choice(_ARMS),
    multiple=True,
    help="Only this one; may be given again.",
)
@click.option("--ablate", is_flag=True, help="The evolution without one thing at a time.")
@click.option("--kept", is_flag=True, help="Measure nothing: tables of the cells there are.")
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the anytime curves into this file (SVG).",
)
def evolution(
    options: Options,
    dataset: str,
    seconds: float | None,
    seeds: int,
    chosen: tuple[str, ...],
    ablate: bool,
    kept: bool,
    picture: Path | None,
) -> Findings:
    """Evolve with several seeds, against other searches with the same budget."""
    budget = seconds or (ABLATION_S if ablate else BUDGETS_S[dataset])
    if options.quick:
        budget, seeds = min(budget, _QUICK_S), min(seeds, _QUICK_SEEDS)
    keep_to(THREADS)
    cells = cells_of(dataset, budget, seeds, chosen or arms(ablate, options.peers))
    measured = measured_of(cells, kept, options)
    if picture is not None:
        title = f"{TITLES[dataset]}, {budget:g} s, {THREADS} threads: the mean of {seeds} seeds"
        draw(labelled(curves_of(measured), seeds), budget, title, picture)
    return Findings(
        summary(measured, GOALS.get((dataset, budget)), cells),
        [cells_grid(measured).as_table()],
        {"cells": [each.as_json() for each in measured]},
        [arms_grid(measured, cells)],
    )


def measured_of(cells: Sequence[Cell], kept: bool, options: Options) -> list[Measured]:
    """Return the cells measured, or those that are kept already.

    Raises:
        NotFoundError: None is kept.
    """
    # What a look measured is not to lie beside measurements.
    folder = options.work / "cells" if options.quick else CELLS
    if kept:
        return kept_cells(cells, folder)
    return measure_cells(cells, lambda cell: measure(cell, options), options, folder)


def arms(ablate: bool, peers: bool) -> Sequence[str]:
    """Return who takes part."""
    own = (OURS, *ABLATIONS) if ablate else tuple(STRATEGIES)
    return (*own, *contestants()) if peers else own


def cells_of(dataset: str, seconds: float, seeds: int, taking_part: Sequence[str]) -> list[Cell]:
    """Return the cells in their order.

    It goes seed by seed, so that whatever else the machine does strikes all arms alike. A peer's
    cell is bound to its packages and its script; which commit measured a cell of ours is kept
    with it, and told in the table.
    """
    theirs = {
        arm: settings_of(contestant, dataset)
        for arm, contestant in contestants().items()
        if arm in taking_part
    }
    return [
        Cell("evolution", arm, dataset, seed, {"seconds": float(seconds), **theirs.get(arm, {})})
        for seed in range(seeds)
        for arm in taking_part
    ]


def measure(cell: Cell, options: Options) -> dict[str, Any]:
    """Return the figures of a cell."""
    if cell.arm in contestants():
        return measure_peer(cell, options)
    return measure_ours(cell, options)


if __name__ == "__main__":
    evolution()
