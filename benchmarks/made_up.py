"""Trainings, networks and neighbours that are made up, so that an evolution costs only itself."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.sleep_engine import Pretence
from commons.errors import InvalidInputError, NotFoundError
from commons.genome import genome_hash
from commons.jobs import JobContext, JobSpec
from commons.messages import Category, FreezeRequest, Snapshot
from commons.network_card import Metrics, NetworkCard, NetworkFile, Preprocessing
from commons.shapes import infer_shape
from commons.training import (
    EXPORT_FUNCTION,
    MEASURE_FUNCTION,
    READY_FUNCTION,
    TRAIN_FUNCTION,
    ExportJob,
    ExportResult,
    LatencyJob,
    LatencyResult,
    TrainJob,
    TrainProgress,
    TrainResult,
)
from commons.trial_messages import Trial, TrialRequest

DATASET = "made-up"
# A job that takes the `seconds` of its arguments and gives them back.
SLEEP_FUNCTION = "benchmarks.made_up:sleep"
NOTHING_FUNCTION = "benchmarks.made_up:nothing"
_HASH = "0" * 64
_WORST, _SPAN = 0.5, 0.45


@dataclass(frozen=True)
class Trainings:
    """Pretends to do what `trainer.job` does, or to sleep: the same job always gives the same.

    Args:
        seconds: How long a training takes, by a number from 0 to 1 that is drawn for each.
        leaves: Whether weights and checkpoints are really stored.
    """

    seconds: Callable[[float], float]
    leaves: bool = False

    def __call__(self, spec: JobSpec) -> Pretence:
        """Return what a job seems to do.

        Raises:
            InvalidInputError: It is no job of a trainer.
        """
        if spec.function == TRAIN_FUNCTION:
            return self._train(spec)
        if spec.function == SLEEP_FUNCTION:
            return Pretence(float(spec.arguments["seconds"]), spec.arguments)
        if spec.function == EXPORT_FUNCTION:
            card = made_up_card(ExportJob.model_validate(spec.arguments))
            return Pretence(0.0, ExportResult(card=card).model_dump(mode="json"))
        if spec.function == MEASURE_FUNCTION:
            job = LatencyJob.model_validate(spec.arguments)
            parameters = infer_shape(job.genome, job.shape, job.categories).parameters
            measured = LatencyResult(latency_us=parameters / 100.0, cpu="made up")
            return Pretence(0.0, measured.model_dump(mode="json"))
        if spec.function == READY_FUNCTION:
            return Pretence(0.0, {})
        raise InvalidInputError(f"expected a job of a trainer, got {spec.function}")

    def _train(self, spec: JobSpec) -> Pretence:
        job = TrainJob.model_validate(spec.arguments)
        accuracy = _WORST + _SPAN * share_of(genome_hash(job.genome))
        epochs = job.budget.epochs
        history = [
            TrainProgress(
                epoch=epoch,
                epochs=epochs,
                loss=1.0 - accuracy,
                accuracy=accuracy * (1.0 - 0.5 / (1 + epoch)) if epoch < epochs else accuracy,
                seconds=float(epoch),
            )
            for epoch in range(1, epochs + 1)
        ]
        weights = f"weights/{spec.id}/made-up.npz"
        checkpoint = f"checkpoints/{spec.id}/made-up.npz" if job.leave_checkpoint else None
        result = TrainResult(
            accuracy=accuracy,
            loss=1.0 - accuracy,
            epochs=epochs,
            parameters=infer_shape(job.genome, job.data.shape, job.categories).parameters,
            seconds=float(epochs),
            build_seconds=0.0,
            weights=weights,
            history=history,
            checkpoint=checkpoint,
        )
        left = tuple(name for name in (weights, checkpoint) if name and self.leaves)
        seconds = self.seconds(share_of(spec.id))
        return Pretence(seconds, result.model_dump(mode="json"), left)


@dataclass(frozen=True)
class MeasuredSeconds:
    """Seconds drawn from those of real trainings, each as likely as any other.

    Args:
        measured: Real ones.
        factor: What each is multiplied by.
    """

    measured: Sequence[float]
    factor: float = 1.0

    def __call__(self, share: float) -> float:
        """Return the seconds that belong to a number from 0 to 1."""
        ordered = sorted(self.measured)
        return self.factor * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def measured_seconds(file: Path, median_s: float) -> MeasuredSeconds:
    """Return the seconds of a report of `benchmarks.durations`, with another median.

    Raises:
        InvalidInputError: There is no such report, or it has no trainings.
    """
    try:
        seconds = json.loads(file.read_text(encoding="utf-8"))["details"]["seconds"]
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(f"{file} is no report of benchmarks.durations: {error}") from error
    if not seconds:
        raise InvalidInputError(f"{file} knows of no training")
    return MeasuredSeconds(seconds, median_s / sorted(seconds)[len(seconds) // 2])


def sleep(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Take some seconds, in a real worker, and say in which process."""
    context.report({"process": os.getpid()})
    time.sleep(arguments["seconds"])
    return arguments


def nothing(_arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    """Be a job that does nothing, in a real worker."""
    return {}


def share_of(word: str) -> float:
    """Return a number from 0 to 1 that is drawn by a word: the same one everywhere."""
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:8]) / 2**64


def made_up_card(job: ExportJob, accuracy: float = _WORST) -> NetworkCard:
    """Return the card of a network that nobody trained."""
    file = NetworkFile(blob="networks/made-up", sha256=_HASH, bytes=1)
    return NetworkCard(
        dataset=job.dataset,
        snapshot=job.data.snapshot,
        categories=job.categories,
        genome=job.genome,
        genome_hash=genome_hash(job.genome),
        preprocessing=Preprocessing(shape=job.data.shape, resize=job.data.resize, decoder="1"),
        metrics=Metrics(
            validation_accuracy=accuracy,
            validation_loss=_WORST,
            validation_images=1000,
            train_images=10_000,
            parameters=1,
            onnx_difference=0.0,
        ),
        weights=file,
        keras=file,
        onnx=file,
        run=job.run,
        individual=job.individual,
        created=0.0,
        versions={},
    )


class OneSnapshot:
    """A sensory service, as the evolver knows it, with one dataset of ten digits."""

    def __init__(self) -> None:
        self._snapshot = Snapshot(
            id=_HASH,
            dataset=DATASET,
            categories=[Category(id=f"c{digit}", name=str(digit)) for digit in range(10)],
            counts={"train": 10_000, "validation": 1000, "test": 1000},
            median_shape=(8, 8, 1),
            created=0.0,
        )

    def freeze(self, dataset: str, request: FreezeRequest) -> Snapshot:
        """Return the snapshot."""
        if dataset != DATASET or request.categories is not None:
            raise NotFoundError(f"there is only all of {DATASET}")
        return self._snapshot

    def snapshot(self, snapshot: str) -> Snapshot:
        """Return the snapshot."""
        if snapshot != self._snapshot.id:
            raise NotFoundError(f"there is no snapshot {snapshot}")
        return self._snapshot


class PatientGallery:
    """A classification service, as the evolver knows it, that takes every network."""

    def register(self, card: NetworkCard) -> str:
        """Return an id."""
        return card.genome_hash

    def try_out(self, dataset: str, request: TrialRequest) -> Trial:
        """Refuse: runs for a benchmark promote nothing."""
        raise NotFoundError(f"nothing of {dataset} is put on trial here, not {request!r}")

    def trials(self, dataset: str) -> list[Trial]:
        """Return none."""
        del dataset
        return []
