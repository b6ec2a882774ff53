"""`python -m benchmarks.trainers`: two trainers behind a broker beside the embedded engine.

Both train the same random networks of the digits for as many epochs, two at once on two
processors, in turn and more than once. What differs is who hands out the work: pebble in the
runner's process, or Celery and RabbitMQ to two workers of one slot each on the same machine.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks.broker import own_rabbit
from benchmarks.cells import Cell, Measured, measure_cells
from benchmarks.datasets import freeze_dataset
from benchmarks.frame import Findings, Grid, Options, benchmark
from benchmarks.installation import fresh_dicebox
from benchmarks.processes import Observer
from benchmarks.real_worker import real_worker
from benchmarks.rows import Row, at_least
from benchmarks.runs import WORKERS, drive_run, short_candidates
from commons.errors import DiceboxError
from commons.messages import Individual, Run

_LOCAL, _CELERY = "local", "celery"
_ARMS = (_LOCAL, _CELERY)
_QUICK_CANDIDATES, _QUICK_ROUNDS = 6, 1
_EPOCHS = 10
_MINUTE_S = 60.0


@benchmark("trainers")
@click.option("--candidates", default=40, show_default=True, type=click.IntRange(4))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
def trainers(options: Options, candidates: int, rounds: int) -> Findings:
    """Measure how many candidates a minute two trainers give, and the embedded engine."""
    if options.quick:
        candidates, rounds = _QUICK_CANDIDATES, _QUICK_ROUNDS

    def measure(cell: Cell) -> dict[str, Any]:
        return {"per_minute": _per_minute(cell.arm, options, candidates)}

    settings = {"candidates": candidates, "epochs": _EPOCHS}
    cells = [
        Cell("trainers", arm, "digits", number, settings)
        for number in range(rounds)
        # In turn, so that a slow minute of the machine is everybody's.
        for arm in _ARMS
    ]
    found = measure_cells(cells, measure, options)
    return Findings(
        rows(found),
        grids=[
            Grid(
                ("round", *_ARMS),
                [
                    [str(number + 1), *(f"{rates(found, arm)[number]:.1f}" for arm in _ARMS)]
                    for number in range(rounds)
                ],
            )
        ],
        details={"cells": [cell.as_json() for cell in found]},
    )


def rates(found: Sequence[Measured], arm: str) -> list[float]:
    """Return the candidates a minute of an arm, round by round."""
    return [cell.figures["per_minute"] for cell in found if cell.cell.arm == arm]


def rows(found: Sequence[Measured]) -> list[Row]:
    """Return what is judged: the median of the ratios of each round."""
    local, celery = (rates(found, arm) for arm in _ARMS)
    share = median(each / beside for each, beside in zip(celery, local, strict=True))
    return [
        Row("candidates a minute, embedded engine", "", median(local)),
        Row("candidates a minute, two trainers behind a broker", "", median(celery)),
        Row("two trainers / embedded engine, median of rounds", "", share, goal=at_least(0.95)),
    ]


def candidates_per_minute(individuals: Sequence[Individual]) -> float:
    """Return how many trainings ended in a minute, from the first that did to the last.

    The start of the workers, which import TensorFlow, lies before the first.
    """
    ended = sorted(
        known.ended
        for individual in individuals
        for known in individual.evaluations
        if known.rung == "1" and known.ended is not None
    )
    if len(ended) < 2 or ended[-1] <= ended[0]:  # noqa: PLR2004 - a first and a last
        raise DiceboxError(f"expected more than one training, got {len(ended)}")
    return _MINUTE_S * (len(ended) - 1) / (ended[-1] - ended[0])


def _per_minute(arm: str, options: Options, candidates: int) -> float:
    # Epochs end the trainings, and no seconds, so that both engines do the same work.
    request = short_candidates(candidates, _EPOCHS).model_copy(
        update={"candidate_seconds": None, "seconds": None}
    )
    houses = options.work / "houses"
    with ExitStack() as stack:
        settings = stack.enter_context(_fleet(houses)) if arm == _CELERY else {}
        running, client = stack.enter_context(fresh_dicebox(houses, settings))
        freeze_dataset(client, request.dataset, options.datasets, options.work)
        observer = stack.enter_context(Observer(running.pid))

        def stop_after_the_search(run: Run) -> None:
            if run.progress.evaluated + run.progress.failed >= candidates:
                client.evolution.stop(run.id)

        run = drive_run(client, request, observer, stop_after_the_search)
        return candidates_per_minute(client.evolution.individuals(run.id))


@contextmanager
def _fleet(work: Path) -> Iterator[dict[str, str]]:
    """Give the settings of a house whose trainings two workers of one slot do."""
    work.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        rabbit = stack.enter_context(own_rabbit())
        folder = Path(stack.enter_context(TemporaryDirectory(dir=work, prefix="fleet-")))
        shared = {
            "DICEBOX_BROKER_URL": rabbit.url,
            "DICEBOX_BLOBS_URL": str(folder / "blobs"),
        }
        for number in range(WORKERS):
            own = {
                "DICEBOX_DATA": str(folder / f"worker-{number}"),
                "DICEBOX_SLOTS": "1",
                "DICEBOX_THREADS": "1",
                "DICEBOX_KIND": "cpu",
            }
            stack.enter_context(real_worker({**shared, **own}, folder / f"worker-{number}.log"))
        yield {**shared, "DICEBOX_ENGINE": _CELERY}


if __name__ == "__main__":
    trainers()
