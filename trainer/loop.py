"""Steps through the training images; where it stands can be taken down and taken up again."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from commons.errors import JobFailedError
from commons.genome import Genome
from commons.training import TrainProgress
from trainer.adapters.resident import batches_of
from trainer.adapters.steps import steps_of
from trainer.checkpoint import Arrays, Checkpoint
from trainer.examples import Part
from trainer.schedule import learning_rate_share

# A loss that is no number is found out after so many steps: to look at it costs time.
_LOOK_EVERY = 16


class Loop:
    """Trains a network on all images once an epoch, in a fresh permutation each time.

    `epochs` counts those that were trained whole; `seconds_before` were spent on them before
    this process took the training up.
    """

    def __init__(
        self, network: keras.Model, genome: Genome, part: Part, categories: int, seed: int
    ) -> None:
        self.network = network
        self.mirror = genome.mirror
        self.epochs = 0
        self.first_step_at = 0.0
        self.seconds_before = 0.0
        self._training = genome.training
        self._taking = steps_of(network)
        self._batches = batches_of(part, categories, genome.training.augmentation)
        self._count = len(part.labels)
        self._rng = np.random.default_rng(seed)
        self._epoch_rng = self._rng.bit_generator.state
        # Every second epoch shows an image as it is not shown in the others: a fresh draw each
        # epoch would show some twice as often one way. Source: Jordan 2024, "94% on CIFAR-10 in
        # 3.29 Seconds on a Single GPU", section 3.6.
        self._mirrored = np.random.default_rng([seed, 1]).random(len(part.labels)) < 0.5  # noqa: PLR2004
        # Of an epoch that is taken up on its way: the steps done, and the generator after them.
        self._steps = 0
        self._rng_on_the_way: Any = None

    @property
    def seconds(self) -> float:
        """Return the seconds of training, less each process' first step, which builds the graph."""
        here = time.monotonic() - self.first_step_at if self.first_step_at else 0.0
        return self.seconds_before + here

    def run_epoch(self, spent: Callable[[float], float], after_step: Callable[[], None]) -> None:
        """Train on every image once, or until the budget is spent.

        Args:
            spent: Returns the share of the budget that is spent at a share of this epoch.
            after_step: Called after each step; the state may be taken down there.
        """
        n = self._count
        # Batches of one size: another size would be traced anew.
        size = min(self._training.batch_size, n)
        steps = n // size
        order = self._permutation(n)
        while self._steps < steps:
            share = spent(self._steps / steps)
            if share >= 1.0 and self._steps > 0:
                break
            self._set_learning_rate(
                self._training.learning_rate * learning_rate_share(self._training.schedule, share)
            )
            self._step(np.sort(order[self._steps * size : (self._steps + 1) * size]))
            self.first_step_at = self.first_step_at or time.monotonic()
            self._steps += 1
            if self._steps % _LOOK_EVERY == 0 or self._steps == steps:
                self._check_loss()
            after_step()
        self._taking.settle()
        self.epochs += 1
        self._steps = 0
        self._epoch_rng = self._rng.bit_generator.state

    def state(self, training: str, history: Sequence[TrainProgress]) -> Checkpoint:
        """Return where the training stands, between two steps."""
        self._taking.settle()
        return Checkpoint(
            training=training,
            epochs=self.epochs,
            steps=self._steps,
            seconds=self.seconds,
            history=tuple(history),
            epoch_rng=dict(self._epoch_rng),
            rng=dict(self._rng.bit_generator.state),
            network=_values(self.network.variables),
            optimizer=_values(self.network.optimizer.variables),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from there; call it before the first epoch."""
        self.epochs, self._steps = checkpoint.epochs, checkpoint.steps
        self.seconds_before = checkpoint.seconds
        self._epoch_rng = self._rng.bit_generator.state = checkpoint.epoch_rng
        self._rng_on_the_way = checkpoint.rng
        _assign(self.network.variables, checkpoint.network)
        _assign(self.network.optimizer.variables, checkpoint.optimizer)

    def _permutation(self, n: int) -> npt.NDArray[np.int64]:
        order = self._rng.permutation(n)
        if self._steps:
            self._rng.bit_generator.state = self._rng_on_the_way
        return order

    def _check_loss(self) -> None:
        loss = self._taking.loss()
        if not math.isfinite(loss):
            raise JobFailedError("diverged", f"the loss is {loss} in epoch {self.epochs + 1}")

    def _step(self, batch: npt.NDArray[np.int64]) -> None:
        mirrored = self._mirrored[batch] ^ bool(self.epochs % 2)
        self._taking.take(*self._batches.batch(self._rng, batch, mirrored))

    def _set_learning_rate(self, value: float) -> None:
        self.network.optimizer.learning_rate = value


def _values(variables: Sequence[keras.Variable]) -> Arrays:
    return tuple(keras.ops.convert_to_numpy(variable) for variable in variables)


def _assign(variables: Sequence[keras.Variable], values: Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
