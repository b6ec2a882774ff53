"""What a training starts from in place of fresh weights: a smaller budget of itself, or a parent.

What is gone or cannot be used is left out: the training then starts afresh, which costs time and
nothing else.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

from commons.errors import NotFoundError
from commons.genome import Genome
from commons.ports import Blobs
from commons.training import TrainJob
from commons.weight_transfer import inherit_weights
from trainer.adapters.named_weights import arrays_of, variables_of
from trainer.checkpoint import Checkpoint
from trainer.weights import weights_from_bytes

# A parent may live with larger numbers where norms make up for them; its children could not.
_LARGEST = 1e6
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parent:
    """A trained network: its genome and its arrays by name."""

    genome: Genome
    arrays: Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Beginning:
    """Where a training starts: at the end of a smaller budget, or with a parent's weights."""

    rung: Checkpoint | None = None
    parent: Parent | None = None


def read_beginning(job: TrainJob, blobs: Blobs, training: str) -> Beginning:
    """Return what a job starts from, as far as it is still there.

    Args:
        job: With `start`, `inherit` or neither.
        blobs: Where both are.
        training: What the checkpoint must be of.
    """
    if job.start is not None:
        return Beginning(rung=_rung(job.start, blobs, training))
    if job.inherit is not None:
        arrays = _arrays(job.inherit.weights, blobs)
        return Beginning(parent=Parent(job.inherit.genome, arrays) if arrays else None)
    return Beginning()


def take_over(
    network: keras.Model, genome: Genome, parent: Parent, shape: tuple[int, int, int]
) -> float:
    """Give an untrained network what fits of a parent's weights; return their share of its own."""
    variables = variables_of(network)
    categories = network.output_shape[-1]
    try:
        transfer = inherit_weights(
            parent.genome, parent.arrays, genome, arrays_of(network), shape, categories
        )
    except ValueError as error:
        _LOG.warning("nothing is inherited: %s", error)
        return 0.0
    if not all(np.abs(array).max(initial=0.0) < _LARGEST for array in transfer.arrays.values()):
        _LOG.warning("nothing is inherited: the parent's weights are out of all proportion")
        return 0.0
    for name, array in transfer.arrays.items():
        variables[name].assign(array)
    return transfer.share


def _rung(name: str, blobs: Blobs, training: str) -> Checkpoint | None:
    try:
        checkpoint = Checkpoint.from_bytes(blobs.get(name))
    except (ValueError, NotFoundError) as error:
        _LOG.warning("starts afresh without the checkpoint %s: %s", name, error)
        return None
    if checkpoint.training != training:
        _LOG.warning("starts afresh: the checkpoint %s is of another training", name)
        return None
    return checkpoint


def _arrays(name: str, blobs: Blobs) -> dict[str, npt.NDArray[np.float32]] | None:
    try:
        return weights_from_bytes(blobs.get(name))
    except (ValueError, NotFoundError) as error:
        _LOG.warning("starts afresh without the weights %s: %s", name, error)
        return None
