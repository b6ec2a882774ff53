"""One evolution, watched from outside: what a user would see, and what its processes cost."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.processes import Observer
from commons.adapters.file_blobs import FileBlobs
from commons.jobs import JobResult, stored_result
from commons.messages import Run, RunRequest
from commons.training import TrainResult
from dicebox.client import Client
from dicebox.run_display import ENDED

_POLL_S = 0.25


@dataclass(frozen=True)
class Overheads:
    """What the trainings of a search cost outside of training, in seconds.

    Args:
        training_s: In the loops of training, whose seconds a budget counts.
        outside_s: The rest of the workers' time: building and tracing the networks, judging
            and storing, handing over; without the starts of workers.
        starts_s: Starting workers, in place of others, after all had started once.
        restarts: How often that was.
        candidates: How many trainings these are of.
    """

    training_s: float
    outside_s: float
    starts_s: float
    restarts: int
    candidates: int


def drive_run(
    client: Client, request: RunRequest, observer: Observer, watch: Callable[[Run], None]
) -> Run:
    """Start a run and return it ended; every look at it is shown to `watch`."""
    run = client.evolution.start(request)
    while run.state not in ENDED:
        time.sleep(_POLL_S)
        run = client.evolution.run(run.id)
        observer.mark = run.progress.evaluated + run.progress.failed
        watch(run)
    return run


def search_results(data: Path, run: str, births: int) -> list[JobResult]:
    """Return how the search trainings of a run ended, from the blobs of its data folder."""
    blobs = FileBlobs(data / "blobs")
    found = (stored_result(blobs, f"{run}/{number}/1") for number in range(1, births + 1))
    return [result for result in found if result is not None]


def overheads(results: Iterable[JobResult], worker_s: float, starts: int) -> Overheads:
    """Return where the workers' time went.

    Args:
        results: Of the search trainings.
        worker_s: Seconds of the search times the number of workers.
        starts: How many worker processes were started; the first job of each, which imports
            TensorFlow, is taken to be one of those that took longest beside their training.
    """
    ok = [(each, TrainResult.model_validate(each.value)) for each in results if each.value]
    loops = [trained.history[-1].seconds for _, trained in ok if trained.history]
    beyond = [result.seconds - trained.seconds for result, trained in ok]
    usual = median(beyond) if beyond else 0.0
    slowest = sum(each - usual for each in sorted(beyond)[-starts:])
    restarts = max(0, starts - len({result.worker for result, _ in ok}))
    return Overheads(
        training_s=sum(loops),
        outside_s=worker_s - sum(loops) - slowest,
        starts_s=slowest * restarts / starts if starts else 0.0,
        restarts=restarts,
        candidates=len(ok),
    )
