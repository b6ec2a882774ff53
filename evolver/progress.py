"""Where a run stands, made from what it knows and what its engine says."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from commons.errors import UnavailableError
from commons.jobs import JobEvent, WorkerInfo
from commons.messages import (
    FrontPoint,
    Individual,
    RungProgress,
    RunProgress,
    RunRequest,
    WorkerActivity,
)
from evolver.budget import seconds_left
from evolver.crew import Crew
from evolver.journal import (
    FINAL_RUNG,
    FIRST_RUNG,
    Trained,
    epochs_of,
    evaluation_of,
    front_of,
    trained,
)


@dataclass
class Reports:
    """The latest report of every job, taken from an engine's events."""

    seen: int = 0
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, events: Collection[JobEvent], running: Collection[str]) -> None:
        """Keep the newest event of each job that still runs."""
        for event in events:
            self.seen = max(self.seen, event.sequence)
            self.latest[event.job] = event.data
        self.latest = {job: data for job, data in self.latest.items() if job in running}


class Standing:
    """Makes the progress of one run.

    Args:
        request: What was asked for.
        crew: Its engine and individuals.
    """

    def __init__(self, request: RunRequest, crew: Crew) -> None:
        self._request = request
        self._crew = crew
        self._reports = Reports()
        self._measure = Measure()
        self._searched_from = crew.now()
        self._searched_until: float | None = None
        self._ended_before: int | None = None

    def search_ended(self) -> None:
        """Take no more time into account where candidates a minute are counted."""
        self._searched_until = self._crew.now()

    def progress(self, phase: str) -> RunProgress:
        """Return where the run stands now."""
        crew = self._crew
        workers = self._workers()
        progress = self._measure(crew.individuals)
        now = crew.clock.now()
        return RunProgress.model_validate(
            progress.model_dump()
            | {
                "phase": phase,
                "seconds": crew.now(),
                "seconds_left": seconds_left(self._request, crew.now()),
                "front": self._front(),
                "candidates_per_minute": self._rate(progress.evaluated + progress.failed),
                "workers": [
                    activity(each, self._reports, crew.individuals, now) for each in workers
                ],
            }
        )

    def _workers(self) -> list[WorkerInfo]:
        """Return the workers that are idle or train for this run; take in what they report."""
        engine, own = self._crew.engine, f"{self._crew.run}/"
        try:
            workers = [
                each for each in engine.workers() if each.job is None or each.job.startswith(own)
            ]
            events = engine.events(self._reports.seen)
        except UnavailableError:
            # Whoever needs room for a training hears of it, and ends the run, which is told here.
            return []
        self._reports.take(events, {each.job for each in workers if each.job})
        return workers

    def _front(self) -> list[FrontPoint]:
        objectives = self._request.objectives
        if len(objectives) == 1:
            return []
        return [
            FrontPoint(
                number=each.number,
                accuracy=each.accuracy or 0.0,
                parameters=each.parameters,
                latency_us=each.latency_us,
            )
            for each in front_of(objectives, list(self._crew.individuals.values()))
        ]

    def _rate(self, ended: int) -> float | None:
        """Return how many candidates ended in a minute since this runner has the run."""
        if self._ended_before is None:
            self._ended_before = ended
        until = self._crew.now() if self._searched_until is None else self._searched_until
        minutes = (until - self._searched_from) / 60.0
        here = ended - self._ended_before
        return here / minutes if here and minutes > 0 else None


class Figures(NamedTuple):
    """What one individual adds to the progress of its run."""

    fitness: float | None
    failed: bool
    epochs: int
    best: Trained | None
    rungs: tuple[tuple[str, float], ...]


def figures_of(individual: Individual) -> Figures:
    """Return what an individual adds to the progress of its run."""
    ended = individual.state == "finished"
    return Figures(
        fitness=individual.fitness if ended else None,
        failed=ended and _failed(individual),
        epochs=epochs_of(individual),
        best=next(iter(trained([individual])), None),
        rungs=tuple(
            (known.rung, known.accuracy)
            for known in individual.evaluations
            if known.outcome == "ok" and known.accuracy is not None
        ),
    )


class Measure:
    """Remembers the figures of individuals: of a long run hardly any changes between two looks."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Individual, Figures]] = {}

    def __call__(self, individuals: Mapping[int, Individual]) -> RunProgress:
        """Return the same as `measured`."""
        for number, individual in individuals.items():
            known = self._known.get(number)
            if known is None or known[0] is not individual:
                self._known[number] = (individual, figures_of(individual))
        return _added_up(individuals, [self._known[number][1] for number in individuals])


def measured(individuals: Mapping[int, Individual]) -> RunProgress:
    """Return counts, best and median of what was trained; times and workers are left out."""
    return _added_up(individuals, [figures_of(each) for each in individuals.values()])


def _added_up(individuals: Mapping[int, Individual], all_of: Sequence[Figures]) -> RunProgress:
    good = [each.fitness for each in all_of if each.fitness is not None]
    candidates = [each.best for each in all_of if each.best is not None]
    found = max(candidates, key=lambda best: best.fitness.rank, default=None)
    return RunProgress(
        births=len(individuals),
        evaluated=len(good),
        failed=sum(each.failed for each in all_of),
        epochs=sum(each.epochs for each in all_of),
        best=found.fitness.accuracy if found else None,
        median=median(good) if good else None,
        best_genome=individuals[found.number].description if found else None,
        best_individual=found.number if found else None,
        rungs=_rungs(all_of),
    )


def _rungs(all_of: Sequence[Figures]) -> list[RungProgress]:
    """Return how many trainings of each rung ended well, and the best of them."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for each in all_of:
        for rung, accuracy in each.rungs:
            found[rung].append(accuracy)
    order = sorted(found, key=lambda rung: (rung == FINAL_RUNG, len(rung), rung))
    return [
        RungProgress(rung=rung, ended=len(found[rung]), best=max(found[rung])) for rung in order
    ]


def activity(
    worker: WorkerInfo, reports: Reports, individuals: Mapping[int, Individual], now: float
) -> WorkerActivity:
    """Return what a worker does; `now` is unix seconds."""
    if worker.job is None:
        return WorkerActivity(name=worker.name)
    number = int(worker.job.split("/")[-2])
    report = reports.latest.get(worker.job, {})
    return WorkerActivity(
        name=worker.name,
        individual=number,
        genome=individuals[number].description,
        epoch=report.get("epoch"),
        epochs=report.get("epochs"),
        accuracy=report.get("accuracy"),
        seconds=None if worker.since is None else max(0.0, now - worker.since),
    )


def last_failure(individuals: Mapping[int, Individual]) -> str:
    """Return how the latest training that went wrong did, in a few words."""
    for number in sorted(individuals, reverse=True):
        individual = individuals[number]
        if individual.outcome not in (None, "ok", "cancelled"):
            return f"{individual.outcome}: {individual.reason or 'no reason given'}"
    return "none"


def _failed(individual: Individual) -> bool:
    """Say whether its first training went wrong; one whose time was over did not."""
    first = evaluation_of(individual, FIRST_RUNG)
    return first is not None and first.outcome not in ("ok", "cancelled")
