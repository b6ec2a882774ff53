"""Trains one genome within a budget and says how good the network is on validation images."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras

from commons.errors import JobFailedError
from commons.genome import Genome
from commons.learning_curve import Curve, hopeless
from commons.training import Budget, TrainProgress
from trainer.adapters.fused_norm import training_norm
from trainer.adapters.keras_network import compile_network, network_of
from trainer.adapters.precision import training_precision
from trainer.beginning import Beginning, take_over
from trainer.checkpoint import Checkpoint, Checkpoints
from trainer.examples import Examples, Part
from trainer.judging import PREDICT_BATCH, judge, predict
from trainer.loop import Loop

# How often a long epoch is kept on its way.
_KEEP_EVERY_S = 30.0
# Validation images that are looked at, at most, after an epoch that is not the last one.
_GLIMPSE = 2000
# A training that is late takes a few steps and is over.
_LEAST_S = 1e-3
_AFRESH = Beginning()
# What TensorFlow calls such an error, and what XLA says in errors of other names.
_NO_MEMORY = ("ResourceExhausted", "RESOURCE_EXHAUSTED")


@dataclass(frozen=True)
class Trained:
    """A trained network with what was measured on the validation split.

    `resumed` says that it went on from a smaller budget, `stopped` that its learning curve was
    hopeless; `inherited_share` of its weights came from a parent.
    """

    network: keras.Model
    accuracy: float
    loss: float
    history: list[TrainProgress]
    seconds: float
    build_seconds: float
    resumed: bool
    stopped: bool
    inherited_share: float
    loop: Loop

    def state(self, training: str) -> Checkpoint:
        """Return what a larger budget of this training goes on from."""
        return self.loop.state(training, self.history)


def train(
    genome: Genome,
    examples: Examples,
    categories: int,
    budget: Budget,
    seed: int,
    report: Callable[[TrainProgress], None],
    checkpoints: Checkpoints | None = None,
    *,
    beginning: Beginning = _AFRESH,
    bar: Curve | None = None,
    until: float | None = None,
    keep_every_s: float = 0.0,
) -> Trained:
    """Return the network of a genome, trained until its budget ends.

    The learning rate follows the share of the budget that is spent, epochs or seconds,
    whichever is further, so it is annealed when the training ends, however slow the machine.
    At the end it is judged by all validation images, on the way by some of them.

    With `checkpoints` it goes on from the latest one, and keeps one after every epoch, but none
    within `keep_every_s` seconds of the one before. Where epochs are the budget, a training that
    was interrupted gives the very weights of one that was not.

    From the end of a smaller budget (`beginning.rung`) it goes on as well, but the learning rate
    starts warm again: it follows the share of what that one left of the budget.

    With a `bar` it ends after the first epoch at which its learning curve is hopeless.

    With `until`, a moment of `time.monotonic`, the seconds of the budget are those until then.

    Raises:
        JobFailedError: `diverged`: the loss is no longer a number; `out-of-memory`.
        StorageFullError: No space is left for a checkpoint; the one before is still there.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    with _lack_of_memory_named():
        precision, norm = training_precision(genome), training_norm()
        network = network_of(genome, examples, categories, precision, norm)
        parent = beginning.parent
        share = take_over(network, genome, parent, examples.shape) if parent else 0.0
        compile_network(network, genome.training)
        loop = Loop(network, genome, examples.train, categories, seed)
        keeper = _Keeper(loop, checkpoints, budget, beginning.rung, keep_every_s)
        course = _Course(loop, budget, beginning.rung, bar, until)
        # Traced before the clock of the budget starts, like the first training step.
        predict(network, examples.validation.images[:PREDICT_BATCH], mirror=genome.mirror)
        _epochs(loop, keeper, course, examples.validation, report)
    return Trained(
        network=network,
        accuracy=keeper.history[-1].accuracy,
        loss=keeper.history[-1].loss,
        history=keeper.history,
        seconds=time.monotonic() - started + loop.seconds_before,
        build_seconds=(loop.first_step_at or time.monotonic()) - started,
        resumed=beginning.rung is not None,
        stopped=course.stopped,
        inherited_share=share,
        loop=loop,
    )


@contextmanager
def _lack_of_memory_named() -> Iterator[None]:
    """Raise a JobFailedError for what a library raises when it finds no memory."""
    try:
        yield
    except Exception as error:
        lines = f"{type(error).__name__}: {error}".splitlines()
        said = [line for line in lines if any(word in line for word in _NO_MEMORY)]
        if not said:
            raise
        raise JobFailedError("out-of-memory", said[0]) from error


class _Keeper:
    """Takes a training up where it can be, and keeps the next checkpoints."""

    def __init__(
        self,
        loop: Loop,
        checkpoints: Checkpoints | None,
        budget: Budget,
        rung: Checkpoint | None,
        every_s: float,
    ) -> None:
        self.history: list[TrainProgress] = []
        self._loop = loop
        self._checkpoints = checkpoints
        self._every_s = every_s
        self._kept_at = time.monotonic()
        found = checkpoints.latest() if checkpoints else None
        # What has had more than this budget is no way to where it ends.
        if found is None or found.epochs > budget.epochs:
            found = rung
        if found is not None:
            self.history += found.history
            loop.restore(found)

    def keep(self) -> None:
        """Keep where the training stands at the end of an epoch."""
        self._keep_after(self._every_s)

    def keep_now_and_then(self) -> None:
        """Keep where it stands on the way, if the last time is a while ago."""
        self._keep_after(_KEEP_EVERY_S)

    def _keep_after(self, seconds: float) -> None:
        if time.monotonic() - self._kept_at < seconds:
            return
        if self._checkpoints is not None:
            state = self._loop.state(self._checkpoints.training, self.history)
            self._checkpoints.save(state)
        self._kept_at = time.monotonic()


class _Course:
    """How far a training is on the way through its budget, and whether it is worth going on."""

    def __init__(
        self,
        loop: Loop,
        budget: Budget,
        rung: Checkpoint | None,
        bar: Curve | None,
        until: float | None,
    ) -> None:
        self.epochs = budget.epochs
        self.is_over = self.stopped = False
        self._loop = loop
        self._budget = budget
        self._bar = bar
        self._until = until
        self._rung = rung

    def spent(self, part: float = 0.0) -> float:
        """Return the share of the budget that is spent at a share of the present epoch."""
        return self._share(self._loop.epochs + part, self._loop.seconds)

    def of_schedule(self, part: float) -> float:
        """Return the share of the learning rate's schedule, which begins where this rung does."""
        before = self._share(self._rung.epochs, self._rung.seconds) if self._rung else 0.0
        left = 1.0 - before
        return (self.spent(part) - before) / left if left > 0 else 1.0

    def look(self, history: list[TrainProgress]) -> None:
        """Decide whether it is over, or hopeless, by what was measured so far."""
        self.is_over = bool(history) and self.spent() >= 1.0
        # What the smaller budget had reached was worth going on from: that is decided.
        epochs_before = self._rung.epochs if self._rung else 0
        if history and not self.is_over and history[-1].epoch > epochs_before:
            curve = ((self._share(each.epoch, each.seconds), each.accuracy) for each in history)
            self.is_over = self.stopped = hopeless(tuple(curve), self._bar)

    def _share(self, epochs: float, seconds: float) -> float:
        whole = self._seconds()
        return max(epochs / self._budget.epochs, seconds / whole if whole else 0.0)

    def _seconds(self) -> float | None:
        """Return the seconds of the budget, or those from the first step to a given end.

        The first step is not among them: it builds the graph, however long that takes.
        """
        if self._until is None or not self._loop.first_step_at:
            return self._budget.seconds
        left = self._until - self._loop.first_step_at
        return max(self._loop.seconds_before + left, _LEAST_S)


def _epochs(
    loop: Loop,
    keeper: _Keeper,
    course: _Course,
    validation: Part,
    report: Callable[[TrainProgress], None],
) -> None:
    step = -(-len(validation.labels) // _GLIMPSE) or 1
    glimpse = Part(validation.images[::step], validation.labels[::step])
    course.look(keeper.history)
    while not course.is_over:
        loop.run_epoch(course.of_schedule, keeper.keep_now_and_then)
        # On the way a part of the images says enough: all of them can cost a sixth of an epoch.
        is_last = course.spent() >= 1.0
        progress = _measured(loop, course, validation if is_last else glimpse)
        # Before it is kept: what is over here must be so for whoever takes the checkpoint up.
        course.look([*keeper.history, progress])
        if course.is_over and not is_last:
            progress = _measured(loop, course, validation)
        keeper.history.append(progress)
        keeper.keep()
        report(progress)


def _measured(loop: Loop, course: _Course, part: Part) -> TrainProgress:
    accuracy, loss = judge(predict(loop.network, part.images, mirror=loop.mirror), part.labels)
    if not math.isfinite(loss):
        raise JobFailedError("diverged", f"the validation loss is {loss} in epoch {loop.epochs}")
    return TrainProgress(
        epoch=loop.epochs,
        epochs=course.epochs,
        loss=loss,
        accuracy=accuracy,
        seconds=loop.seconds,
    )
