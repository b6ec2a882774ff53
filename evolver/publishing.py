"""Turns the best trained weights into a network's files and card."""

import logging
from collections.abc import Callable

from commons.errors import DiceboxError
from commons.genome import Genome
from commons.jobs import JobResult, JobSpec
from commons.network_card import NetworkCard
from commons.training import EXPORT_FUNCTION, ExportJob, ExportResult
from evolver.crew import Crew, checked, job_id
from evolver.journal import Trained
from evolver.preparation import Prepared

_TIMEOUT_S = 300.0
_MOST_TRIES = 3
_LOG = logging.getLogger(__name__)


def export_best(
    found: list[Trained], prepared: Prepared, crew: Crew, wait: Callable[[], None]
) -> NetworkCard:
    """Return the card of the first of the trained, or of the next if that cannot be exported.

    Args:
        found: What was trained, the best first.
        prepared: What it was trained on.
        crew: Has the engine and the individuals.
        wait: Called again and again until an export ends.

    Raises:
        DiceboxError: None of the first three could be exported.
        UnavailableError: The engine is gone, or the platform failed an export.
    """
    reason = ""
    best_of_each = {candidate.number: candidate for candidate in reversed(found)}
    order = list(dict.fromkeys(candidate.number for candidate in found))
    for number in order[:_MOST_TRIES]:
        result = _export(best_of_each[number], prepared, crew, wait)
        if result.outcome == "ok":
            return ExportResult.model_validate(result.value).card
        reason = f"{result.outcome}: {result.reason}"
        _LOG.warning("run %s: individual %d was not exported: %s", crew.run, number, reason)
    raise DiceboxError(f"the winner could not be exported: {reason}", kind="export-failed")


def _export(
    candidate: Trained, prepared: Prepared, crew: Crew, wait: Callable[[], None]
) -> JobResult:
    job = ExportJob(
        genome=Genome.model_validate(crew.individuals[candidate.number].genome),
        weights=candidate.weights,
        data=prepared.data,
        dataset=prepared.snapshot.dataset,
        categories=prepared.snapshot.categories,
        run=crew.run,
        individual=candidate.number,
    )
    spec = JobSpec(
        id=job_id(crew.run, candidate.number, "export"),
        function=EXPORT_FUNCTION,
        arguments=job.model_dump(mode="json"),
        timeout_s=_TIMEOUT_S,
    )
    future = crew.engine.submit(spec)
    while not future.done():
        wait()
    return checked(future.result())
