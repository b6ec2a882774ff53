"""Measures how fast candidates answer, one job each, as soon as one is worth it."""

import logging
from concurrent.futures import Future

from pydantic import ValidationError

from commons.genome import Genome
from commons.jobs import JobResult, JobSpec
from commons.messages import Individual, RunRequest
from commons.training import MEASURE_FUNCTION, LatencyJob, LatencyResult
from evolver.crew import Crew, checked, job_id
from evolver.journal import FIRST_RUNG, evaluation_of, fitness_of, measured_on
from evolver.preparation import Prepared
from evolver.search import Search, timed

_TIMEOUT_S = 120.0
_JOB = "latency"
# In a fleet of many kinds of machines the next one may be of the kind that counts.
_MOST_ASKED = 5
_LOG = logging.getLogger(__name__)


class Latencies:
    """The latencies of a run; it does nothing where nobody asks for them.

    All that a run compares were measured on one processor, the first that measured: one that
    comes from another is written down, but the search is not told. Of a fleet it is asked for
    again then, a few times.
    """

    def __init__(self, request: RunRequest, prepared: Prepared, crew: Crew) -> None:
        self._wanted = "latency" in request.objectives or request.max_latency_us is not None
        self._prepared = prepared
        self._crew = crew
        self._asked: dict[int, int] = {}
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
        times = self._asked[number] = self._asked.get(number, 0) + 1
        # Each time under another id: what has a result is not asked again.
        name = _JOB if times == 1 else f"{_JOB}-{times}"
        spec = JobSpec(
            id=job_id(self._crew.run, number, name),
            function=MEASURE_FUNCTION,
            arguments=job.model_dump(mode="json"),
            timeout_s=_TIMEOUT_S,
        )
        self._under_way[number] = self._crew.engine.submit(spec)
        self._crew.others += 1
        return True

    def collect(self, search: Search) -> Search:
        """Return the search that knows what was measured since the last call.

        Raises:
            DiceboxError: The tables failed.
            UnavailableError: The platform failed a measurement.
        """
        for number in [each for each, future in self._under_way.items() if future.done()]:
            self._crew.others -= 1
            result = checked(self._under_way.pop(number).result())
            try:
                found = LatencyResult.model_validate(result.value or {})
            except ValidationError:
                reason = f"{result.outcome}: {result.reason}"
                _LOG.warning("run %s: no latency of %d: %s", self._crew.run, number, reason)
                continue
            self._crew.put_latency(number, found.latency_us, found.cpu)
            if found.cpu == measured_on(self._crew.individuals.values()):
                search = timed(search, number, found.latency_us)
        return search

    def busy(self) -> bool:
        """Say whether anything is being measured."""
        return bool(self._under_way)

    def _next(self) -> int | None:
        again: int | None = None
        for number in sorted(self._crew.individuals.keys() - self._under_way.keys()):
            individual = self._crew.individuals[number]
            if number not in self._asked:
                first = evaluation_of(individual, FIRST_RUNG)
                trained = first is not None and not fitness_of(first).failed
                if trained and individual.latency_us is None:
                    return number
            if again is None and self._may_ask_again(individual):
                again = number
        return again

    def _may_ask_again(self, individual: Individual) -> bool:
        """Say whether another worker may be of the processor that counts."""
        if not self._crew.fleet or individual.cpu is None:
            return False
        if self._asked.get(individual.number, 0) >= _MOST_ASKED:
            return False
        return individual.cpu != measured_on(self._crew.individuals.values())
