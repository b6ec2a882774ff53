"""One evolution, watched from outside: what a user would see, and what its processes cost."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from benchmarks.datasets import DIGITS
from benchmarks.processes import Observer
from commons.messages import Fidelity, Individual, Run, RunRequest
from dicebox.client import Client
from dicebox.run_display import ENDED

WORKERS = 2
# Far more than a short candidate takes: their number is to end the search.
SECONDS_EACH = 6.0
_CANDIDATE_S = 0.5
_POLL_S = 0.25
_SEARCH_RUNG = "1"


@dataclass(frozen=True)
class Overheads:
    """What the trainings of a search cost outside of training, in seconds.

    Args:
        training_s: In the loops of training, whose seconds a budget counts.
        building_s: In the jobs, but outside the loops: building and tracing the networks,
            judging and storing.
        outside_s: The rest of the workers' time: the same, and handing over, waiting for the
            next job and for a processor; without the starts of workers.
        starts_s: Starting workers, in place of others, after all had started once.
        restarts: How often that was.
        candidates: How many trainings these are of.
    """

    training_s: float
    building_s: float
    outside_s: float
    starts_s: float
    restarts: int
    candidates: int


def short_candidates(candidates: int, epochs: int) -> RunRequest:
    """Return a request for so many different random networks of the digits, each trained shortly.

    Each candidate is one training, so whoever counts the one has counted the other.
    """
    return RunRequest(
        dataset=DIGITS,
        evaluations=candidates,
        seconds=candidates * SECONDS_EACH,
        candidate_seconds=_CANDIDATE_S,
        candidate_epochs=epochs,
        workers=WORKERS,
        strategy="random",
        fidelity=Fidelity(rungs=False),
        promote="never",
    )


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


def overheads(individuals: Iterable[Individual], worker_s: float, starts: int) -> Overheads:
    """Return where the workers' time went.

    Args:
        individuals: Of a run without rungs, as its journal has them.
        worker_s: Seconds of the search times the number of workers.
        starts: How many worker processes were started; the first job of each, which imports
            TensorFlow, is taken to be one of those that took longest beside their training.
    """
    ok = [
        (known.worker, known.seconds or 0.0, known.trained_s or 0.0)
        for individual in individuals
        for known in individual.evaluations
        if known.rung == _SEARCH_RUNG and known.outcome == "ok" and not known.cached
    ]
    loops = [loop for _, _, loop in ok]
    beyond = [seconds - loop for _, seconds, loop in ok]
    usual = median(beyond) if beyond else 0.0
    slowest = sum(each - usual for each in sorted(beyond)[-starts:]) if starts else 0.0
    restarts = max(0, starts - len({worker for worker, _, _ in ok}))
    return Overheads(
        training_s=sum(loops),
        building_s=sum(beyond) - slowest,
        outside_s=worker_s - sum(loops) - slowest,
        starts_s=slowest * restarts / starts if starts else 0.0,
        restarts=restarts,
        candidates=len(ok),
    )
