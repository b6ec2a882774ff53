"""The trainings under way: writes each down, submits it, collects and writes down its end."""

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from commons.errors import DiceboxError, UnavailableError
from commons.jobs import Device, JobResult, JobSpec, result_blob, stored_result
from commons.messages import Evaluation, Individual
from commons.ports import Blobs, Clock, Engine
from commons.training import TRAIN_FUNCTION, TrainJob
from evolver.journal import evaluation_of, finished, summarised, with_evaluation
from evolver.ports import BlobKind, Journal

# Small networks have ten epochs a second, and to keep one costs a disk as much.
_KEEP_EVERY_S = 2.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """One training in the engine's hands.

    `epochs` and `seconds` are the most it may still have, `spent_s` what the rungs below it took
    of its budget, `submitted` is monotonic time.
    """

    job: str
    number: int
    evaluation: Evaluation
    epochs: int
    seconds: float
    spent_s: float
    submitted: float
    future: "Future[JobResult]"

    @property
    def rung(self) -> str:
        """Return which of its individual's trainings it is."""
        return self.evaluation.rung


@dataclass
class Crew:
    """The engine as one run uses it, and the run's individuals as its journal has them.

    The individuals here leave out the histories of their trainings: nobody needs them all.
    `holding` are the numbers of those with a blob that was not cleared away, of any run few.
    `overheads` are the seconds that trainings of `warm` workers took beyond their loop, `starts`
    those of the first training of each worker, which had to start it; `tails` are the seconds
    from the last step to the result; `others` counts the jobs under way that are no trainings.

    Args:
        run: The id of the run.
        runner: In whose hands it is.
        began: Monotonic time at which the run had spent no second yet.
        fleet: The engine's workers are of other machines: one may be lost with what it trains,
            so trainings under way are kept in the blobs, for another one to go on with.
        device: What a worker must have to train for this run.
    """

    run: str
    runner: str
    engine: Engine
    journal: Journal
    blobs: Blobs
    clock: Clock
    began: float
    fleet: bool = False
    device: Device | None = None
    individuals: dict[int, Individual] = field(default_factory=dict)
    holding: set[int] = field(default_factory=set)
    under_way: list[Training] = field(default_factory=list)
    overheads: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)
    warm: set[str | None] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    others: int = 0
    _settled: list[str] = field(default_factory=list)

    def now(self) -> float:
        """Return the seconds that the run has spent."""
        return self.clock.monotonic() - self.began

    def load(self) -> list[Individual]:
        """Read what the journal has of the run and return it, histories too."""
        found = self.journal.individuals(self.run, histories=True)
        for individual in found:
            self._know(_slimmed(individual))
        return found

    @contextmanager
    def working_with(self, engine: Engine) -> Iterator[None]:
        """Use another engine in a block, at whose beginning and end nothing is under way."""
        before, self.engine = self.engine, engine
        # The first training of each of its workers starts that worker.
        warm, self.warm = self.warm, set()
        try:
            yield
        finally:
            self.engine, self.warm = before, warm

    def free(self) -> int:
        """Return how many more trainings can start at once; below 1 none, as workers leave."""
        return self.engine.capacity() - len(self.under_way) - self.others

    def known(self, evaluation: Evaluation) -> Evaluation | None:
        """Return a training as it ended in any run under the same key."""
        found = self.journal.same_training(evaluation.key) if evaluation.key else None
        if found is None:
            return None
        now = self.clock.now()
        update = {
            "rung": evaluation.rung,
            "cached": True,
            # It belongs to the other training, which may go on from it, or be cleared away.
            "checkpoint": None,
            "inherited": evaluation.inherited,
            "attempt": 1,
            "seconds": 0.0,
            "worker": None,
            "started": now,
            "ended": now,
            "at": self.now(),
        }
        return found.model_copy(update=update)

    def add(self, individual: Individual) -> None:
        """Write a new individual down, with its first training."""
        self.journal.add_individual(self.run, individual, self.runner)
        self._know(_slimmed(summarised(individual)))

    def put(self, number: int, evaluation: Evaluation) -> None:
        """Write down what is known of one training of an individual."""
        self.journal.put_evaluation(self.run, number, evaluation, self.runner)
        self._know(with_evaluation(self.individuals[number], _slim(evaluation)))

    def put_latency(self, number: int, latency_us: float, cpu: str) -> None:
        """Write down how fast an individual answers."""
        self.journal.put_latency(self.run, number, latency_us, cpu, self.runner)
        update = {"latency_us": latency_us, "cpu": cpu}
        self._know(self.individuals[number].model_copy(update=update))

    def forget(self, number: int, rung: str, blobs: list[BlobKind]) -> None:
        """Write down that blobs of a training are gone."""
        self.journal.forget_blobs(self.run, number, rung, blobs, self.runner)
        known = evaluation_of(self.individuals[number], rung)
        if known is not None:
            gone = known.model_copy(update=dict.fromkeys(blobs))
            self._know(with_evaluation(self.individuals[number], gone))

    def train(
        self,
        number: int,
        evaluation: Evaluation,
        job: TrainJob,
        timeout_s: float,
        before: Evaluation | None = None,
    ) -> None:
        """Submit a training that is already written down; `before` is the rung it goes on from."""
        name = job_id(self.run, number, evaluation.rung)
        if self.fleet:
            update = {"checkpoint": under_way(name), "keep_every_s": _KEEP_EVERY_S}
            job = job.model_copy(update=update)
        spec = JobSpec(
            id=name,
            function=TRAIN_FUNCTION,
            arguments=job.model_dump(mode="json"),
            timeout_s=timeout_s,
            device=self.device,
        )
        submitted = self.clock.monotonic()
        future = self.engine.submit(spec)
        spent_epochs = before.epochs or 0 if before else 0
        spent_s = before.trained_s or 0.0 if before else 0.0
        seconds = math.inf if job.budget.seconds is None else job.budget.seconds
        self.under_way.append(
            Training(
                job=spec.id,
                number=number,
                evaluation=evaluation,
                epochs=job.budget.epochs - spent_epochs,
                seconds=seconds - spent_s,
                spent_s=spent_s,
                submitted=submitted,
                future=future,
            )
        )

    def collect(self) -> list[tuple[Training, Evaluation]]:
        """Return the trainings that ended since the last call, each written down.

        Raises:
            UnavailableError: The platform failed one of them: that one stays under way, and the
                others are written down all the same.
        """
        ended = [training for training in self.under_way if self._has_ended(training)]
        self.under_way = [training for training in self.under_way if training not in ended]
        collected = [(training, self._write_down(training)) for training in ended]
        for training in self.under_way:
            if training.future.done():
                checked(training.future.result())
        return collected

    def adopt(self, number: int, evaluation: Evaluation) -> Evaluation | None:
        """Return the end of a training whose runner died, if its worker had stored a result."""
        job = job_id(self.run, number, evaluation.rung)
        result = stored_result(self.blobs, job)
        if result is None:
            return None
        ended = finished(evaluation, result).model_copy(
            update={"ended": self.clock.now(), "at": self.now()}
        )
        self.put(number, ended)
        self._settled.append(job)
        return ended

    def cancel(self, chosen: Callable[[Training], bool] = lambda _: True) -> None:
        """Kill trainings, each once; `collect` gives them when their workers are gone."""
        for training in self.under_way:
            if not chosen(training) or training.job in self.cancelled:
                continue
            try:
                self.engine.kill(training.job)
            except UnavailableError as error:
                _LOG.warning("run %s: %s was not killed: %s", self.run, training.job, error)
                continue
            self.cancelled.add(training.job)

    def leave(self) -> None:
        """Leave what is under way to whoever takes the run up; for the end of one that failed.

        It is written down as submitted still, and as if that attempt had not been.
        """
        left = [training for training in self.under_way if not self._has_ended(training)]
        for training in self.under_way:
            if training not in left:
                self._write_down(training)
        self.under_way = []
        for training in left:
            update = {"attempt": training.evaluation.attempt - 1}
            self.put(training.number, training.evaluation.model_copy(update=update))

    def give_up(self) -> None:
        """Write down as cancelled what is still under way; for the very end of a run."""
        self.collect()
        for training in self.under_way:
            spent = self.clock.monotonic() - training.submitted
            self.put(training.number, self.cut_short(training.evaluation, spent))
        self.under_way = []

    def cut_short(self, evaluation: Evaluation, seconds: float) -> Evaluation:
        """Return a training that the end of its run ended."""
        return evaluation.model_copy(
            update={
                "state": "finished",
                "outcome": "cancelled",
                "reason": "the run ended first",
                "seconds": seconds,
                "ended": self.clock.now(),
                "at": self.now(),
            }
        )

    def tidy(self) -> None:
        """Delete what was kept on the way of trainings that the journal has the ends of.

        Their results stay until the run ends: by them a job that is delivered once more is known
        to be done.
        """
        while self._settled:
            job = self._settled.pop()
            if self.fleet:
                self._forget_the_way_of(job)

    def discard_result(self, job: str) -> None:
        """Delete the stored result of a job that the journal has; that it stays does no harm."""
        try:
            self.blobs.delete(result_blob(job))
        except DiceboxError as error:
            _LOG.warning("run %s: the result of %s stays: %s", self.run, job, error)

    def _forget_the_way_of(self, job: str) -> None:
        try:
            for name in list(self.blobs.names(f"checkpoints/{under_way(job)}/")):
                self.blobs.delete(name)
        except DiceboxError as error:
            _LOG.warning("run %s: a checkpoint of %s stays: %s", self.run, job, error)

    def _know(self, individual: Individual) -> None:
        self.individuals[individual.number] = individual
        if any(known.weights or known.checkpoint for known in individual.evaluations):
            self.holding.add(individual.number)
        else:
            self.holding.discard(individual.number)

    def _has_ended(self, training: Training) -> bool:
        """Say whether there is an end to write down: a fault of the platform is none."""
        if not training.future.done():
            return False
        return training.job in self.cancelled or not training.future.result().platform

    def _write_down(self, training: Training) -> Evaluation:
        result = training.future.result()
        evaluation = finished(training.evaluation, result)
        if evaluation.outcome == "ok":
            self._measure(training, evaluation, result)
        elif training.job in self.cancelled:
            reason = "its time was over"
            evaluation = evaluation.model_copy(update={"outcome": "cancelled", "reason": reason})
        evaluation = evaluation.model_copy(update={"ended": self.clock.now(), "at": self.now()})
        self.put(training.number, evaluation)
        self._settled.append(training.job)
        return evaluation

    def _measure(self, training: Training, ended: Evaluation, result: JobResult) -> None:
        before = training.spent_s if ended.resumed else 0.0
        loop = (ended.trained_s or 0.0) - before
        took = self.clock.monotonic() - training.submitted
        beyond = max(0.0, took - loop)
        if ended.worker not in self.warm:
            # It started the worker too, which no later training has to.
            self.warm.add(ended.worker)
            self.starts.append(beyond)
            return
        self.overheads.append(beyond)
        # The loop counts the look at all validation images that follows its last step. Where
        # epochs ended it, nobody knows when that step was.
        if loop >= training.seconds:
            build = float((result.value or {}).get("build_seconds", 0.0))
            self.tails.append(max(0.0, took - build - training.seconds))


def checked(result: JobResult) -> JobResult:
    """Return a result that is the job's own.

    Raises:
        UnavailableError: The platform failed, and the same job can be run again.
    """
    if result.platform:
        raise UnavailableError(
            f"the platform failed at {result.id}: {result.reason}; "
            "once that is mended the run can be resumed"
        )
    return result


def job_id(run: str, number: int, rung: str) -> str:
    """Return the engine's name for one job of an individual."""
    return f"{run}/{number}/{rung}"


def blob_folders(run: str) -> list[str]:
    """Return what the names of all blobs of a run begin with, those of its weights first."""
    return [
        f"weights/{run}/",
        f"checkpoints/{run}/",
        f"checkpoints/{under_way(run)}/",
        f"results/{run}/",
    ]


def under_way(job: str) -> str:
    """Return the word under which the checkpoints of a job on its way are kept."""
    # Not beside what it leaves at its end: that would be taken for one of them.
    return f"under-way/{job}"


def _slimmed(individual: Individual) -> Individual:
    evaluations = [_slim(known) for known in individual.evaluations]
    return individual.model_copy(update={"evaluations": evaluations})


def _slim(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(update={"history": []})
