"""Trains one genome within a budget and says how good the network is on validation images."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

from commons.errors import JobFailedError
from commons.genome import Genome
from commons.training import Budget, TrainProgress
from trainer.adapters.keras_network import compile_network, network_of
from trainer.adapters.precision import training_precision
from trainer.checkpoint import Checkpoints
from trainer.examples import Examples, Part
from trainer.loop import Loop

_PREDICT_BATCH = 512
# How often a long epoch is kept on its way.
_KEEP_EVERY_S = 30.0


@dataclass(frozen=True)
class Trained:
    """A trained network with what was measured on the validation split."""

    network: keras.Model
    accuracy: float
    loss: float
    history: list[TrainProgress]
    seconds: float
    build_seconds: float


def train(
    genome: Genome,
    examples: Examples,
    categories: int,
    budget: Budget,
    seed: int,
    report: Callable[[TrainProgress], None],
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Return the network of a genome, trained until its budget ends.

    The learning rate follows the share of the budget that is spent, epochs or seconds,
    whichever is further, so it is annealed when the training ends, however slow the machine.

    With `checkpoints` it goes on from the latest one, and keeps one after every epoch. Where
    epochs are the budget, a training that was interrupted gives the very weights of one that
    was not.

    Raises:
        JobFailedError: `diverged`: the loss is no longer a number; `out-of-memory`.
        StorageFullError: No space is left for a checkpoint; the one before is still there.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    network = network_of(genome, examples, categories, training_precision())
    compile_network(network, genome.training)
    loop = Loop(network, genome, examples.train, categories, seed)
    keeper = _Keeper(loop, checkpoints, budget)
    try:
        # Traced before the clock of the budget starts, like the first training step.
        predict(network, examples.validation.images, mirror=genome.mirror)
        history = _epochs(loop, keeper, examples.validation, budget, report)
    except Exception as error:
        if "ResourceExhausted" in type(error).__name__:
            raise JobFailedError("out-of-memory", str(error).splitlines()[0]) from error
        raise
    return Trained(
        network=network,
        accuracy=history[-1].accuracy,
        loss=history[-1].loss,
        history=history,
        seconds=time.monotonic() - started + loop.seconds_before,
        build_seconds=(loop.first_step_at or time.monotonic()) - started,
    )


def predict(
    network: keras.Model, images: npt.NDArray[np.uint8], *, mirror: bool
) -> npt.NDArray[np.float32]:
    """Return the probabilities (n, categories) for uint8 images (n, height, width, channels).

    With `mirror` they are the mean over each image and its mirror image.
    """
    if mirror:
        views = (images, images[:, :, ::-1])
        mean: npt.NDArray[np.float32] = np.mean(
            [_probabilities(network, view) for view in views], axis=0
        )
        return mean
    return _probabilities(network, images)


def _probabilities(network: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    size = min(_PREDICT_BATCH, len(images))
    answers = []
    for start in range(0, len(images), size):
        # Batches of one size, the last one overlapping: another size would be traced anew.
        first = min(start, len(images) - size)
        batch = images[first : first + size].astype(np.float32)
        answers.append(np.asarray(network.predict_on_batch(batch))[start - first :])
    logits = np.concatenate(answers).astype(np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return result


def judge(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy (nats) of probabilities (n, categories)."""
    right = probabilities[np.arange(len(labels)), labels]
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    return accuracy, float(-np.log(np.maximum(right, 1e-7)).mean())


class _Keeper:
    """Takes a training up from its latest checkpoint, and keeps the next ones."""

    def __init__(self, loop: Loop, checkpoints: Checkpoints | None, budget: Budget) -> None:
        self.history: list[TrainProgress] = []
        self._loop = loop
        self._checkpoints = checkpoints
        self._kept_at = time.monotonic()
        found = checkpoints.latest() if checkpoints else None
        # What has had more than this budget is no way to where it ends.
        if found is not None and found.epochs <= budget.epochs:
            self.history += found.history
            loop.restore(found)

    def keep(self) -> None:
        """Keep where the training stands."""
        if self._checkpoints is not None:
            state = self._loop.state(self._checkpoints.training, self.history)
            self._checkpoints.save(state)
        self._kept_at = time.monotonic()

    def keep_now_and_then(self) -> None:
        """Do the same if the last time is a while ago."""
        if time.monotonic() - self._kept_at >= _KEEP_EVERY_S:
            self.keep()


def _epochs(
    loop: Loop,
    keeper: _Keeper,
    validation: Part,
    budget: Budget,
    report: Callable[[TrainProgress], None],
) -> list[TrainProgress]:
    def spent(part: float) -> float:
        by_time = loop.seconds / budget.seconds if budget.seconds else 0.0
        return max((loop.epochs + part) / budget.epochs, by_time)

    is_over = bool(keeper.history) and spent(0.0) >= 1.0
    while not is_over:
        loop.run_epoch(spent, keeper.keep_now_and_then)
        said = predict(loop.network, validation.images, mirror=loop.mirror)
        accuracy, loss = judge(said, validation.labels)
        if not math.isfinite(loss):
            raise JobFailedError(
                "diverged", f"the validation loss is {loss} in epoch {loop.epochs}"
            )
        keeper.history.append(
            TrainProgress(
                epoch=loop.epochs,
                epochs=budget.epochs,
                loss=loss,
                accuracy=accuracy,
                seconds=loop.seconds,
            )
        )
        # Before it is kept: what is over here must be so for whoever takes the checkpoint up.
        is_over = spent(0.0) >= 1.0
        keeper.keep()
        report(keeper.history[-1])
    return keeper.history
