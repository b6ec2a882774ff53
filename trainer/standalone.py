"""Trains one genome by itself, with the same jobs, engine and files as in an evolution."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from commons.adapters.services import GalleryClient, SensoryClient
from commons.errors import DiceboxError, InvalidInputError
from commons.genome import Genome
from commons.jobs import JobSpec
from commons.messages import (
    FreezeRequest,
    ImageShape,
    PromotePolicy,
    ResizePolicy,
    Snapshot,
    Split,
)
from commons.network_card import Metrics, NetworkCard
from commons.ports import Blobs, Engine
from commons.promotion import put_to_use
from commons.training import (
    EXPORT_FUNCTION,
    TRAIN_FUNCTION,
    Budget,
    ExportJob,
    ExportResult,
    TrainingData,
    TrainJob,
    TrainProgress,
    TrainResult,
    resolve_shape,
    training_id,
)
from trainer.adapters.example_cache import ExampleCache
from trainer.checkpoint import Checkpoints
from trainer.milestones import MilestoneFile, Milestones

_POLL_S = 0.2
_NEEDED: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True)
class TrainingRequest:
    """What to train on what.

    `snapshot` names a frozen one; without it `dataset` is frozen anew.
    """

    genome: Genome
    dataset: str | None
    snapshot: str | None
    budget: Budget
    shape: ImageShape | None = None
    resize: ResizePolicy = "fit"
    seed: int = 0
    promote: PromotePolicy = "never"


@dataclass(frozen=True)
class Published:
    """A network that was trained, exported and registered, with what was measured.

    `verdict` says what it does now, as the rest of a sentence.
    """

    network: str
    dataset: str
    snapshot: str
    epochs: int
    seconds: float
    promoted: bool
    verdict: str
    metrics: Metrics


class Display(Protocol):
    """Whoever watches a training."""

    def fetched(self, here: int, every: int) -> None:
        """Hear how many of the examples are on this machine."""
        ...

    def trained(self, progress: TrainProgress) -> None:
        """Hear of an epoch."""
        ...

    def say(self, sentence: str) -> None:
        """Hear what else there is to know."""
        ...


class StandaloneTrainer:
    """Orders the examples, trains, exports, and registers the network.

    Killed at any moment and asked for the same again, it goes on where it was.

    Args:
        engine: Runs the jobs.
        blobs: Those of the engine; the classification service may have others.
        sensory: Where snapshots are.
        gallery: Where the network goes.
        cache: The examples on this machine, which the engine's workers find there.
        sensory_url: Where the workers would find the examples.
        folder: Where it is written down how far each training is.
        display: Who watches.
    """

    def __init__(
        self,
        engine: Engine,
        blobs: Blobs,
        sensory: SensoryClient,
        gallery: GalleryClient,
        cache: ExampleCache,
        sensory_url: str,
        folder: Path,
        display: Display,
    ) -> None:
        self._engine = engine
        self._blobs = blobs
        self._sensory = sensory
        self._gallery = gallery
        self._cache = cache
        self._sensory_url = sensory_url
        self._folder = folder
        self._display = display

    def train(self, request: TrainingRequest) -> Published:
        """Return the registered network.

        Raises:
            DiceboxError: The training or the export failed; the message says why.
        """
        snapshot = self._snapshot(request)
        job = self._job(request, snapshot)
        word = training_id(job, job.budget)
        job = job.model_copy(update={"checkpoint": f"alone/{word}"})
        checkpoints = Checkpoints(self._blobs, f"alone/{word}", word)
        file = MilestoneFile(self._folder, word)
        with file.held():
            done = self._valid(file.read())
            if done.trained is None:
                done = Milestones(trained=self._trained(job, checkpoints.epochs()))
                file.write(done)
            elif done.card is None:
                self._display.say("trained already: goes on with the export")
            if done.card is None:
                done = done.model_copy(update={"card": self._exported(job, done, snapshot)})
                file.write(done)
            published = self._published(request, done)
            checkpoints.forget()
            file.forget()
        return published

    def _snapshot(self, request: TrainingRequest) -> Snapshot:
        if request.snapshot is not None:
            snapshot = self._sensory.snapshot(request.snapshot)
        elif request.dataset is not None:
            snapshot = self._sensory.freeze(request.dataset, FreezeRequest())
        else:
            raise InvalidInputError("expected a dataset or a snapshot to train on, got neither")
        if request.dataset not in (None, snapshot.dataset):
            raise DiceboxError(
                f"expected a snapshot of {request.dataset}, got one of {snapshot.dataset}",
                kind="wrong-dataset",
            )
        _check(snapshot)
        return snapshot

    def _job(self, request: TrainingRequest, snapshot: Snapshot) -> TrainJob:
        return TrainJob(
            genome=request.genome,
            data=TrainingData(
                sensory_url=self._sensory_url,
                snapshot=snapshot.id,
                shape=resolve_shape(request.shape, snapshot.median_shape),
                resize=request.resize,
            ),
            categories=len(snapshot.categories),
            budget=request.budget,
            seed=request.seed,
        )

    def _valid(self, done: Milestones) -> Milestones:
        """Return the milestones whose files are still there."""
        card, trained = done.card, done.trained
        if card and not all(map(self._blobs.exists, _files(card))):
            card = None
        if trained and not self._blobs.exists(trained.weights):
            trained = card = None
        return Milestones(trained=trained, card=card)

    def _trained(self, job: TrainJob, epochs_done: int | None) -> TrainResult:
        if epochs_done:
            self._display.say(f"goes on after epoch {epochs_done} of {job.budget.epochs}")
        self._cache.examples(job.data, self._display.fetched)
        return TrainResult.model_validate(self._run(TRAIN_FUNCTION, job, self._display.trained))

    def _exported(self, job: TrainJob, done: Milestones, snapshot: Snapshot) -> NetworkCard:
        assert done.trained is not None  # noqa: S101 - the milestones come in this order
        self._cache.examples(job.data, self._display.fetched)
        export = ExportJob(
            genome=job.genome,
            weights=done.trained.weights,
            data=job.data,
            dataset=snapshot.dataset,
            categories=snapshot.categories,
        )
        value = self._run(EXPORT_FUNCTION, export, self._display.trained)
        return ExportResult.model_validate(value).card

    def _published(self, request: TrainingRequest, done: Milestones) -> Published:
        assert done.trained is not None  # noqa: S101 - both were just made or read
        assert done.card is not None  # noqa: S101
        network = self._gallery.publish(done.card, self._blobs.get)
        outcome = put_to_use(
            self._gallery,
            done.card.dataset,
            network,
            request.promote,
            time.monotonic,
            lambda: time.sleep(_POLL_S),
        )
        return Published(
            network=network,
            dataset=done.card.dataset,
            snapshot=done.card.snapshot,
            epochs=done.trained.epochs,
            seconds=done.trained.seconds,
            promoted=outcome.promoted,
            verdict=outcome.verdict,
            metrics=done.card.metrics,
        )

    def _run(
        self,
        function: str,
        job: TrainJob | ExportJob,
        report: Callable[[TrainProgress], None],
    ) -> dict[str, Any]:
        arguments = job.model_dump(mode="json")
        spec = JobSpec(id=f"alone/{uuid.uuid4().hex}", function=function, arguments=arguments)
        future = self._engine.submit(spec)
        seen, done = 0, False
        while not done:
            done = bool(wait([future], timeout=_POLL_S).done)
            for event in self._engine.events(seen):
                seen = event.sequence
                if event.job == spec.id:
                    report(TrainProgress.model_validate(event.data))
        result = future.result()
        if result.value is None:
            # Of an error the reason says all; the other outcomes say what kind of end it was.
            reason = str(result.reason)
            words = reason if result.outcome == "error" else f"{result.outcome}: {reason}"
            raise DiceboxError(words, kind=result.outcome)
        return result.value


def _check(snapshot: Snapshot) -> None:
    """Return if a network can be trained on a snapshot and judged by it."""
    counts = ", ".join(f"{count} {split}" for split, count in snapshot.counts.items()) or "none"
    if not all(snapshot.counts.get(split) for split in _NEEDED):
        raise InvalidInputError(
            f"expected images for train and validation in the snapshot {snapshot.id[:12]} of "
            f"{snapshot.dataset}, got {counts}",
            kind="empty-splits",
        )
    if len(snapshot.categories) < 2:  # noqa: PLR2004 - else there is nothing to tell apart
        raise InvalidInputError(
            f"expected at least two categories in the snapshot {snapshot.id[:12]} of "
            f"{snapshot.dataset}, got {len(snapshot.categories)}"
        )


def _files(card: NetworkCard) -> list[str]:
    return [file.blob for file in (card.weights, card.keras, card.onnx)]
