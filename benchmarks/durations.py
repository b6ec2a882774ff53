"""`python -m benchmarks.durations`: how long the trainings of a real search take, each of them.

Nothing is judged here: `benchmarks.scale` draws the seconds of its made-up trainings from these.
"""

from statistics import median

import click

from benchmarks.datasets import DIGITS, freeze_dataset
from benchmarks.frame import Findings, Options, benchmark
from benchmarks.installation import fresh_dicebox
from benchmarks.processes import Observer
from benchmarks.rows import Row
from benchmarks.runs import WORKERS, drive_run
from commons.errors import DiceboxError
from commons.messages import RunRequest
from evolver.journal import FINAL_RUNG

_QUICK_S = 15.0


@benchmark("durations")
@click.option("--seconds", default=90.0, show_default=True, type=click.FloatRange(10.0))
def durations(options: Options, seconds: float) -> Findings:
    """Evolve the digits once and report the seconds of every training."""
    request = RunRequest(
        dataset=DIGITS,
        seconds=_QUICK_S if options.quick else seconds,
        workers=WORKERS,
        promote="never",
    )
    with fresh_dicebox(options.work / "houses") as (running, client):
        freeze_dataset(client, request.dataset, options.datasets, options.work)
        with Observer(running.pid) as observer:
            run = drive_run(client, request, observer, lambda _: None)
        found = [
            known.seconds
            for individual in client.evolution.individuals(run.id)
            for known in individual.evaluations
            if known.outcome == "ok" and not known.cached and known.rung != FINAL_RUNG
            if known.seconds is not None
        ]
    if not found:
        raise DiceboxError(f"the run ended as {run.state} with no training: {run.reason}")
    return Findings(
        [
            Row("trainings", "", len(found)),
            Row("shortest", "s", min(found)),
            Row("median", "s", median(found)),
            Row("longest", "s", max(found)),
        ],
        details={"seconds": sorted(found)},
    )


if __name__ == "__main__":
    durations()
