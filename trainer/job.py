"""The jobs an engine runs by their dotted names: see `commons.training`."""

import gc
import hashlib
import os
from functools import cache
from typing import Any

import keras
import numpy as np

from commons.adapters.clock import SystemClock
from commons.errors import JobFailedError
from commons.jobs import JobContext
from commons.learning_curve import Curve
from commons.ports import Blobs
from commons.training import (
    ExportJob,
    ExportResult,
    LatencyJob,
    ReadyJob,
    TrainingData,
    TrainJob,
    TrainProgress,
    TrainResult,
    training_id,
)
from trainer.adapters.card_share import keep_to_share
from trainer.adapters.determinism import be_deterministic
from trainer.adapters.mapped_examples import examples_of
from trainer.adapters.named_weights import arrays_of
from trainer.backends import on_tensorflow
from trainer.beginning import Beginning, read_beginning
from trainer.checkpoint import Checkpoints
from trainer.examples import Examples
from trainer.export import export as export_network
from trainer.latency import measure as measure_latency
from trainer.training import train as train_genome
from trainer.weights import weights_to_bytes


def train(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Run a `TrainJob`; return a `TrainResult`."""
    _settle()
    job = TrainJob.model_validate(arguments)
    examples = _examples(context, job.data)

    def report(progress: TrainProgress) -> None:
        context.report(progress.model_dump())

    if job.deterministic:
        be_deterministic()
    beginning = read_beginning(job, context.blobs, _kind(job))
    try:
        trained = train_genome(
            job.genome,
            examples,
            job.categories,
            job.budget,
            job.seed,
            report,
            open_checkpoints(context.blobs, job),
            beginning=beginning,
            bar=_bar(job, beginning),
            until=_here(job.until),
            keep_every_s=job.keep_every_s,
        )
        arrays = arrays_of(trained.network)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            # Such a number can hide behind a maximum, and then ruin a child or a file.
            raise JobFailedError("diverged", "a weight is no longer a number")
        checkpoint = None
        if job.leave_checkpoint and not trained.stopped:
            state = trained.state(_kind(job)).to_bytes()
            checkpoint = _put(context, "checkpoints", state)
        result = TrainResult(
            accuracy=trained.accuracy,
            loss=trained.loss,
            epochs=len(trained.history),
            parameters=trained.network.count_params(),
            seconds=trained.seconds,
            build_seconds=trained.build_seconds,
            weights=_put(context, "weights", weights_to_bytes(arrays)),
            history=trained.history,
            checkpoint=checkpoint,
            resumed=trained.resumed,
            stopped=trained.stopped,
            inherited_share=trained.inherited_share,
        )
    finally:
        _forget_networks()
    return result.model_dump(mode="json")


def export(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Run an `ExportJob`; return an `ExportResult`."""
    job = ExportJob.model_validate(arguments)
    elsewhere = on_tensorflow("export", arguments, context, [job.weights])
    if elsewhere is not None:
        return elsewhere
    _settle()
    examples = _examples(context, job.data)
    try:
        card = export_network(job, examples, context.blobs, SystemClock().now())
    finally:
        _forget_networks()
    return ExportResult(card=card).model_dump(mode="json")


def measure(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Run a `LatencyJob`; return a `LatencyResult`."""
    elsewhere = on_tensorflow("measure", arguments, context)
    if elsewhere is not None:
        return elsewhere
    _settle()
    job = LatencyJob.model_validate(arguments)
    try:
        result = measure_latency(job)
    finally:
        _forget_networks()
    return result.model_dump(mode="json")


def be_ready(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Run a `ReadyJob`, which has no result."""
    _settle()
    _examples(context, ReadyJob.model_validate(arguments).data)
    return {}


def open_checkpoints(blobs: Blobs, job: TrainJob) -> Checkpoints | None:
    """Return where a job keeps its checkpoints, if it has a word for them."""
    if job.checkpoint is None:
        return None
    return Checkpoints(blobs, job.checkpoint, _kind(job))


def _kind(job: TrainJob) -> str:
    """Return what the checkpoints of a job are of."""
    # Another Keras may list other variables.
    return f"{training_id(job)} keras {keras.__version__} on {keras.backend.backend()}"


def _bar(job: TrainJob, beginning: Beginning) -> Curve | None:
    """Return the bar of a job, none where it cannot begin as those did that the bar is made of."""
    asked = job.start is not None or job.inherit is not None
    return None if asked and beginning == Beginning() else job.curve


def _here(until: float | None) -> float | None:
    """Return a moment in unix seconds as one of `time.monotonic`."""
    if until is None:
        return None
    clock = SystemClock()
    return clock.monotonic() + until - clock.now()


def _put(context: JobContext, kind: str, data: bytes) -> str:
    """Store arrays and return the name of their blob."""
    # The job says whose they are, the hash keeps two attempts of it apart.
    name = f"{kind}/{context.job_id}/{hashlib.sha256(data).hexdigest()}.npz"
    context.blobs.put(name, data)
    return name


def _examples(context: JobContext, data: TrainingData) -> Examples:
    return examples_of(data, context.cache, context.blobs, os.environ)


@cache
def _settle() -> None:
    """Keep to the worker's share of its card, and have the collector leave the libraries alone.

    Measured: it looks at a million objects of theirs for 0.2 s after every training otherwise.
    """
    keep_to_share(keras.backend.backend())
    gc.collect()
    gc.freeze()


def _forget_networks() -> None:
    """Give back what Keras keeps of every network that was ever built in this process."""
    keras.backend.clear_session(free_memory=False)
    gc.collect()
