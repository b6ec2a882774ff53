"""The trainings under way: writes each down, submits it, collects and writes down its end."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from commons.genome import Genome
from commons.jobs import JobResult, JobSpec
from commons.messages import Evaluation, Individual
from commons.ports import Clock, Engine
from commons.training import TRAIN_FUNCTION, TrainJob, TrainResult
from evolver.journal import finished, with_evaluation
from evolver.ports import Journal


@dataclass(frozen=True)
class Training:
    """One training in the engine's hands; `submitted` is monotonic time."""

    job: str
    number: int
    rung: str
    genome: Genome
    submitted: float
    future: "Future[JobResult]"


@dataclass
class Crew:
    """The engine as one run uses it, and the run's individuals as its journal has them.

    `overheads` are the seconds that trainings of `warm` workers took beyond their loop.
    """

    run: str
    engine: Engine
    journal: Journal
    clock: Clock
    individuals: dict[int, Individual] = field(default_factory=dict)
    under_way: list[Training] = field(default_factory=list)
    overheads: list[float] = field(default_factory=list)
    warm: set[str | None] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)

    def free(self) -> int:
        """Return how many more trainings can start at once."""
        return self.engine.capacity() - len(self.under_way)

    def add(self, individual: Individual) -> None:
        """Write a new individual down, its search training submitted."""
        self.journal.add_individual(self.run, individual)
        self.individuals[individual.number] = individual

    def add_rung(self, number: int, evaluation: Evaluation) -> None:
        """Write down that an individual is trained again."""
        self._put(number, evaluation)

    def train(self, number: int, rung: str, job: TrainJob, timeout_s: float) -> None:
        """Submit a training that is already written down."""
        spec = JobSpec(
            id=job_id(self.run, number, rung),
            function=TRAIN_FUNCTION,
            arguments=job.model_dump(mode="json"),
            timeout_s=timeout_s,
        )
        submitted = self.clock.monotonic()
        future = self.engine.submit(spec)
        self.under_way.append(Training(spec.id, number, rung, job.genome, submitted, future))

    def collect(self) -> list[tuple[Training, Evaluation]]:
        """Return the trainings that ended since the last call, each written down."""
        ended = [training for training in self.under_way if training.future.done()]
        self.under_way = [training for training in self.under_way if training not in ended]
        return [(training, self._write_down(training)) for training in ended]

    def cancel(self, chosen: Callable[[Training], bool] = lambda _: True) -> None:
        """Kill trainings, each once; `collect` gives them when their workers are gone."""
        for training in self.under_way:
            if chosen(training) and training.job not in self.cancelled:
                self.cancelled.add(training.job)
                self.engine.kill(training.job)

    def give_up(self) -> None:
        """Write down as cancelled what is still under way; for the very end of a run."""
        self.collect()
        for training in self.under_way:
            evaluation = Evaluation.model_validate(
                {
                    "rung": training.rung,
                    "state": "finished",
                    "outcome": "cancelled",
                    "reason": "the run ended first",
                    "seconds": self.clock.monotonic() - training.submitted,
                }
            )
            self._put(training.number, evaluation)
        self.under_way = []

    def _write_down(self, training: Training) -> Evaluation:
        result = training.future.result()
        evaluation = finished(training.rung, result)
        if evaluation.outcome == "ok":
            self._measure(training, result)
        elif training.job in self.cancelled:
            reason = "its time was over"
            evaluation = evaluation.model_copy(update={"outcome": "cancelled", "reason": reason})
        self._put(training.number, evaluation)
        return evaluation

    def _measure(self, training: Training, result: JobResult) -> None:
        if result.worker not in self.warm:
            # It started the worker too, which no later training has to.
            self.warm.add(result.worker)
            return
        spent = self.clock.monotonic() - training.submitted
        self.overheads.append(max(0.0, spent - _loop_seconds(result)))

    def _put(self, number: int, evaluation: Evaluation) -> None:
        self.journal.put_evaluation(self.run, number, evaluation)
        self.individuals[number] = with_evaluation(self.individuals[number], evaluation)


def job_id(run: str, number: int, rung: str) -> str:
    """Return the engine's name for one training of an individual."""
    return f"{run}/{number}/{rung}"


def _loop_seconds(result: JobResult) -> float:
    """Return the seconds that a budget counts: without start, data and tracing."""
    history = TrainResult.model_validate(result.value).history
    return history[-1].seconds if history else 0.0
