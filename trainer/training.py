"""Trains one genome within a budget and says how good the network is on validation images."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from commons.errors import JobFailedError
from commons.genome import Genome, Training
from commons.training import Budget, TrainProgress
from trainer.adapters.keras_network import compile_network, network_of
from trainer.augmentation import augment
from trainer.examples import Examples, Part
from trainer.schedule import learning_rate_share

_PREDICT_BATCH = 512


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
) -> Trained:
    """Return the network of a genome, trained until its budget ends.

    The learning rate follows the share of the budget that is spent, epochs or seconds,
    whichever is further, so it is annealed when the training ends, however slow the machine.

    Raises:
        JobFailedError: `diverged`: the loss is no longer a number; `out-of-memory`.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    network = network_of(genome, examples, categories)
    compile_network(network, genome.training)
    loop = _Loop(network, genome.training, examples.train, categories, seed)
    try:
        # Traced before the clock of the budget starts, like the first training step.
        predict(network, examples.validation.images)
        history = _epochs(loop, examples.validation, budget, report)
    except Exception as error:
        if "ResourceExhausted" in type(error).__name__:
            raise JobFailedError("out-of-memory", str(error).splitlines()[0]) from error
        raise
    return Trained(
        network=network,
        accuracy=history[-1].accuracy,
        loss=history[-1].loss,
        history=history,
        seconds=time.monotonic() - started,
        build_seconds=loop.first_step_at - started,
    )


def predict(network: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the probabilities (n, categories) for uint8 images (n, height, width, channels)."""
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


def _epochs(
    loop: "_Loop",
    validation: Part,
    budget: Budget,
    report: Callable[[TrainProgress], None],
) -> list[TrainProgress]:
    history: list[TrainProgress] = []
    for epoch in range(1, budget.epochs + 1):

        def spent(part: float, before: int = epoch - 1) -> float:
            by_time = loop.seconds / budget.seconds if budget.seconds else 0.0
            return max((before + part) / budget.epochs, by_time)

        loop.run_epoch(epoch, spent)
        accuracy, loss = judge(predict(loop.network, validation.images), validation.labels)
        if not math.isfinite(loss):
            raise JobFailedError("diverged", f"the validation loss is {loss} in epoch {epoch}")
        history.append(
            TrainProgress(
                epoch=epoch,
                epochs=budget.epochs,
                loss=loss,
                accuracy=accuracy,
                seconds=loop.seconds,
            )
        )
        report(history[-1])
        if spent(1.0) >= 1.0:
            break
    return history


class _Loop:
    """Steps through the training images, a fresh permutation each epoch."""

    def __init__(
        self, network: keras.Model, training: Training, part: Part, categories: int, seed: int
    ) -> None:
        self.network = network
        self.first_step_at = 0.0
        self._training = training
        self._part = part
        self._one_hot = np.eye(categories, dtype=np.float32)
        self._rng = np.random.default_rng(seed)

    @property
    def seconds(self) -> float:
        """Return the seconds since the first step, whose cost is mostly building the graph."""
        return time.monotonic() - self.first_step_at if self.first_step_at else 0.0

    def run_epoch(self, epoch: int, spent: Callable[[float], float]) -> None:
        """Train on every image once, or until the budget is spent."""
        steps = self._steps()
        for step, batch in enumerate(self._batches()):
            share = spent(step / steps)
            if share >= 1.0 and step > 0:
                return
            self._set_learning_rate(
                self._training.learning_rate * learning_rate_share(self._training.schedule, share)
            )
            loss = self._step(batch)
            self.first_step_at = self.first_step_at or time.monotonic()
            if not math.isfinite(loss):
                raise JobFailedError("diverged", f"the loss is {loss} in epoch {epoch}")

    def _steps(self) -> int:
        return max(1, len(self._part.labels) // self._training.batch_size)

    def _batches(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the indices of batches of one size: another size would be traced anew."""
        n = len(self._part.labels)
        size = min(self._training.batch_size, n)
        order = self._rng.permutation(n)
        for start in range(0, n - size + 1, size):
            yield np.sort(order[start : start + size])

    def _step(self, batch: npt.NDArray[np.int64]) -> float:
        images = augment(self._rng, self._part.images[batch], self._training.augmentation)
        labels = self._one_hot[self._part.labels[batch]]
        return float(_number(self.network.train_on_batch(images, labels)))

    def _set_learning_rate(self, value: float) -> None:
        self.network.optimizer.learning_rate = value


def _number(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) else value
