"""Trains one genome by itself, with the same jobs, engine and files as in an evolution."""

import uuid
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Any

from commons.adapters.services import GalleryClient, SensoryClient
from commons.errors import DiceboxError
from commons.genome import Genome
from commons.jobs import JobSpec
from commons.messages import FreezeRequest, ImageShape, ResizePolicy, Snapshot
from commons.network_card import Metrics
from commons.ports import Engine
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
)

_POLL_S = 0.2


@dataclass(frozen=True)
class TrainingRequest:
    """What to train on what; `snapshot` names a frozen one, else the dataset is frozen anew."""

    genome: Genome
    dataset: str
    snapshot: str | None
    budget: Budget
    shape: ImageShape | None = None
    resize: ResizePolicy = "fit"
    seed: int = 0
    promote: bool = False


@dataclass(frozen=True)
class Published:
    """A network that was trained, exported and registered, with what was measured."""

    network: str
    snapshot: str
    epochs: int
    seconds: float
    promoted: bool
    metrics: Metrics


class StandaloneTrainer:
    """Orders the examples, trains, exports, and registers the network.

    Args:
        sensory_url: Where the engine's workers find the examples.
    """

    def __init__(
        self, engine: Engine, sensory: SensoryClient, gallery: GalleryClient, sensory_url: str
    ) -> None:
        self._engine = engine
        self._sensory = sensory
        self._gallery = gallery
        self._sensory_url = sensory_url

    def train(self, request: TrainingRequest, report: Callable[[TrainProgress], None]) -> Published:
        """Return the registered network; `report` is called after every epoch.

        Raises:
            DiceboxError: The training or the export failed; the message says why.
        """
        snapshot = self._snapshot(request)
        data = TrainingData(
            sensory_url=self._sensory_url,
            snapshot=snapshot.id,
            shape=resolve_shape(request.shape, snapshot.median_shape),
            resize=request.resize,
        )
        train = TrainJob(
            genome=request.genome,
            data=data,
            categories=len(snapshot.categories),
            budget=request.budget,
            seed=request.seed,
        )
        trained = TrainResult.model_validate(self._run(TRAIN_FUNCTION, train, report))
        export = ExportJob(
            genome=request.genome,
            weights=trained.weights,
            data=data,
            dataset=snapshot.dataset,
            categories=snapshot.categories,
        )
        card = ExportResult.model_validate(self._run(EXPORT_FUNCTION, export, report)).card
        network = self._gallery.register(card)
        if request.promote:
            self._gallery.promote(snapshot.dataset, network)
        return Published(
            network, snapshot.id, trained.epochs, trained.seconds, request.promote, card.metrics
        )

    def _snapshot(self, request: TrainingRequest) -> Snapshot:
        if request.snapshot is None:
            return self._sensory.freeze(request.dataset, FreezeRequest())
        snapshot = self._sensory.snapshot(request.snapshot)
        if snapshot.dataset != request.dataset:
            raise DiceboxError(
                f"expected a snapshot of {request.dataset}, got one of {snapshot.dataset}",
                kind="wrong-dataset",
            )
        return snapshot

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
            raise DiceboxError(f"{result.outcome}: {result.reason}", kind=result.outcome)
        return result.value
