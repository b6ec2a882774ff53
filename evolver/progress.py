"""Where a run stands, made from what it knows and what its engine says."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from commons.jobs import JobEvent, WorkerInfo
from commons.messages import Individual, RunProgress, WorkerActivity
from evolver.journal import FIRST_RUNG, trained


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


def measured(individuals: Mapping[int, Individual]) -> RunProgress:
    """Return counts, best and median of what was trained; times and workers are left out."""
    ended = [found for found in individuals.values() if found.state == "finished"]
    good = [found.fitness for found in ended if found.fitness is not None]
    found = next(iter(trained(individuals.values())), None)
    return RunProgress(
        births=len(individuals),
        evaluated=len(good),
        failed=sum(1 for each in ended if _failed(each)),
        best=found.fitness.accuracy if found else None,
        median=median(good) if good else None,
        best_genome=individuals[found.number].description if found else None,
        best_individual=found.number if found else None,
    )


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


def _failed(individual: Individual) -> bool:
    """Say whether its search training went wrong; one whose time was over did not."""
    outcomes = [found.outcome for found in individual.evaluations if found.rung == FIRST_RUNG]
    return any(outcome not in ("ok", "cancelled") for outcome in outcomes)
