"""The jobs an engine runs by their dotted names: see `commons.training`."""

import gc
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import keras

from commons.adapters.clock import SystemClock
from commons.adapters.services import Caller, SensoryClient
from commons.auth import authorization, key_from_env
from commons.jobs import JobContext
from commons.ports import Blobs
from commons.training import (
    ExportJob,
    ExportResult,
    TrainingData,
    TrainJob,
    TrainProgress,
    TrainResult,
    training_id,
)
from trainer.adapters.example_cache import ExampleCache
from trainer.checkpoint import Checkpoints
from trainer.examples import Examples
from trainer.export import export as export_network
from trainer.training import train as train_genome
from trainer.weights import weights_to_bytes

_HTTP_TIMEOUT_S = 60.0


def train(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Run a `TrainJob`; return a `TrainResult`."""
    job = TrainJob.model_validate(arguments)
    examples = _examples(context.cache, job.data)

    def report(progress: TrainProgress) -> None:
        context.report(progress.model_dump())

    try:
        trained = train_genome(
            job.genome,
            examples,
            job.categories,
            job.budget,
            job.seed,
            report,
            open_checkpoints(context.blobs, job),
        )
        weights = weights_to_bytes(trained.network.get_weights())
        # The job says whose they are, the hash keeps two attempts of it apart.
        name = f"weights/{context.job_id}/{hashlib.sha256(weights).hexdigest()}.npz"
        context.blobs.put(name, weights)
        result = TrainResult(
            accuracy=trained.accuracy,
            loss=trained.loss,
            epochs=len(trained.history),
            parameters=trained.network.count_params(),
            seconds=trained.seconds,
            build_seconds=trained.build_seconds,
            weights=name,
            history=trained.history,
        )
    finally:
        _forget_networks()
    return result.model_dump(mode="json")


def export(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Run an `ExportJob`; return an `ExportResult`."""
    job = ExportJob.model_validate(arguments)
    examples = _examples(context.cache, job.data)
    try:
        card = export_network(job, examples, context.blobs, SystemClock().now())
    finally:
        _forget_networks()
    return ExportResult(card=card).model_dump(mode="json")


def open_checkpoints(blobs: Blobs, job: TrainJob) -> Checkpoints | None:
    """Return where a job keeps its checkpoints, if it has a word for them."""
    if job.checkpoint is None:
        return None
    # Another Keras may list other variables.
    keras_here = f"keras {keras.__version__} on {keras.backend.backend()}"
    return Checkpoints(blobs, job.checkpoint, f"{training_id(job)} {keras_here}")


@cache
def _sensory(url: str) -> SensoryClient:
    # A secret is no part of a job: it comes from where the worker process was started.
    headers = authorization(key_from_env(os.environ))
    return SensoryClient(
        Caller(httpx.Client(base_url=url, timeout=_HTTP_TIMEOUT_S, headers=headers))
    )


@cache
def _examples(folder: Path, data: TrainingData) -> Examples:
    return ExampleCache(folder, _sensory(data.sensory_url), SystemClock()).examples(data)


def _forget_networks() -> None:
    """Give back what Keras keeps of every network that was ever built in this process."""
    keras.backend.clear_session()
    gc.collect()
