"""Measures how fast candidates answer, one job each, as soon as one is worth it."""

import logging
from concurrent.futures import Future

from pydantic import ValidationError

from commons.genome import Genome
from commons.jobs import JobResult, JobSpec
from commons.messages import RunRequest
from commons.training import MEASURE_FUNCTION, LatencyJob, LatencyResult
from evolver.crew import Crew, job_id
from evolver.journal import FIRST_RUNG, evaluation_of, fitness_of, measured_on
from evolver.preparation import Prepared
from evolver.search import Search, timed

_TIMEOUT_S = 120.0
_JOB = "latency"
_LOG = logging.getLogger(__name__)


class Latencies:
    """The latencies of a run; it does nothing where nobody asks for them.

    All that a run compares were measured on one processor, the first that measured: one that
    comes from another is written down, but the search is not told.
    """

    def __init__(self, request: RunRequest, prepared: Prepared, crew: Crew) -> None:
        self._wanted = "latency" in request.objectives or request.max_latency_us is not None
        self._prepared = prepared
        self._crew = crew
        self._asked: set[int] = set()
        self._under_way: dict[int, Future[JobResult]] = {}

    def assign(self) -> bool:
        """Have the next individual measured that needs it and say whether there was one.

        Raises:
            UnavailableError: The engine is gone.
        """
        if not self._wanted:
            return False
        number = self._next()
        if number is None:
            return False
        problem = self._prepared.problem
        job = LatencyJob(
            genome=Genome.model_validate(self._crew.individuals[number].genome),
            shape=self._prepared.data.shape,
            categories=problem.categories,
        )
        spec = JobSpec(
            id=job_id(self._crew.run, number, _JOB),
            function=MEASURE_FUNCTION,
            arguments=job.model_dump(mode="json"),
            timeout_s=_TIMEOUT_S,
        )
        self._asked.add(number)
        self._under_way[number] = self._crew.engine.submit(spec)
        self._crew.others += 1
        return True

    def collect(self, search: Search) -> Search:
        """Return the search that knows what was measured since the last call.

        Raises:
            DiceboxError: The tables failed.
        """
        for number in [each for each, future in self._under_way.items() if future.done()]:
            result = self._under_way.pop(number).result()
            self._crew.others -= 1
            try:
                found = LatencyResult.model_validate(result.value or {})
            except ValidationError:
                reason = f"{result.outcome}: {result.reason}"
                _LOG.warning("run %s: no latency of %d: %s", self._crew.run, number, reason)
                continue
            self._crew.put_latency(number, found.latency_us, found.cpu)
            self._crew.discard_result(result.id)
            if found.cpu == measured_on(self._crew.individuals.values()):
                search = timed(search, number, found.latency_us)
        return search

    def busy(self) -> bool:
        """Say whether anything is being measured."""
        return bool(self._under_way)

    def _next(self) -> int | None:
        for number in sorted(self._crew.individuals.keys() - self._asked):
            individual = self._crew.individuals[number]
            first = evaluation_of(individual, FIRST_RUNG)
            trained = first is not None and not fitness_of(first).failed
            if trained and individual.latency_us is None:
                return number
        return None
