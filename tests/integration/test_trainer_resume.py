"""A training that is killed and started again gives the weights of one that was not."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commons.adapters.file_blobs import FileBlobs
from commons.errors import StorageFullError
from commons.genome import Augmentation, Convolution, Dense, Dropout, Genome, Pooling, Training
from commons.ports import Blobs
from commons.training import Budget, TrainProgress
from tests.sensory_house import MemoryBlobs
from trainer.checkpoint import Checkpoints
from trainer.examples import Examples, Part, pixel_statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

EPOCHS = 3
# Everything that keeps a state: averages of a norm, dropout, momenta, noise and the schedule.
GENOME = Genome(
    features=(Convolution(filters=8, kernel=3), Pooling(size=2), Dropout(rate=0.2)),
    head="average",
    classifier=(Dense(units=16, norm=True), Dropout(rate=0.3)),
    training=Training(
        optimizer="nadam",
        learning_rate=0.01,
        schedule="one-cycle",
        batch_size=16,
        augmentation=Augmentation(shift=0.1, noise=0.05, flip=True),
    ),
)


class Interrupted(BaseException):
    """Stands for a kill where the process is to live on."""


class DyingBlobs:
    """Blobs that call `die` before or after one of the changes made to them."""

    def __init__(self, blobs: Blobs, changes: float, die: Callable[[], None]) -> None:
        self._blobs = blobs
        self._left = changes
        self._die = die

    def put(self, name: str, data: bytes) -> bool:
        self._step()
        return self._blobs.put(name, data)

    def put_many(self, blobs: Sequence[tuple[str, bytes]]) -> list[bool]:
        return [self.put(name, data) for name, data in blobs]

    def delete(self, name: str) -> bool:
        self._step()
        return self._blobs.delete(name)

    def get(self, name: str) -> bytes:
        return self._blobs.get(name)

    def exists(self, name: str) -> bool:
        return self._blobs.exists(name)

    def names(self, prefix: str = "") -> Iterator[str]:
        return self._blobs.names(prefix)

    def stored_at(self, name: str) -> float:
        return self._blobs.stored_at(name)

    def _step(self) -> None:
        if self._left < 1:
            self._die()
        self._left -= 1


def examples() -> Examples:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (80, 8, 8, 1), dtype=np.uint8)
    labels = rng.integers(0, 3, 80)
    train = Part(images[:60], labels[:60])
    return Examples(train, Part(images[60:], labels[60:]), *pixel_statistics(train.images))


def train(
    blobs: Blobs | None, every_s: float = 30.0, **budget: Any
) -> tuple[list[bytes], list[TrainProgress], list[int]]:
    """Return the weights, the history, and the epochs that were trained here."""
    from trainer import training  # noqa: PLC0415 - imports TensorFlow

    reported: list[int] = []
    checkpoints = Checkpoints(blobs, "a", "one") if blobs else None
    training._KEEP_EVERY_S = every_s
    done = training.train(
        GENOME,
        examples(),
        3,
        Budget(**{"epochs": EPOCHS, **budget}),
        5,
        lambda progress: reported.append(progress.epoch),
        checkpoints,
    )
    return [array.tobytes() for array in done.network.get_weights()], done.history, reported


def measured(history: list[TrainProgress]) -> list[tuple[int, float, float]]:
    return [(progress.epoch, progress.loss, progress.accuracy) for progress in history]


def interrupt() -> None:
    raise Interrupted


# Every step keeps a checkpoint (put, then delete the one before): 3 epochs of 3 steps.
@pytest.mark.parametrize("every_s", [0.0, 30.0])
def test_an_interrupt_at_any_change_of_the_checkpoints_costs_no_bit(every_s: float) -> None:
    expected, history, _ = train(None)
    blobs = MemoryBlobs()
    interrupts = 0
    while True:
        try:
            # Three changes a life: it comes forward, and dies before and after each kind.
            weights, resumed, reported = train(DyingBlobs(blobs, 3, interrupt), every_s)
            break
        except Interrupted:
            interrupts += 1
    print(f"interrupted {interrupts} times")
    assert interrupts == (7 if every_s == 0.0 else 1)
    assert weights == expected
    assert measured(resumed) == measured(history)
    assert reported[-1:] in ([], [EPOCHS])


def test_a_training_that_ended_is_not_trained_again() -> None:
    blobs = MemoryBlobs()
    expected, history, reported = train(blobs)
    assert reported == [1, 2, 3]
    weights, again, reported = train(blobs)
    assert (weights, reported) == (expected, [])
    assert measured(again) == measured(history)


def test_a_larger_budget_goes_on_from_a_smaller_one() -> None:
    blobs = MemoryBlobs()
    train(blobs, epochs=2)
    _, history, reported = train(blobs, epochs=4)
    assert reported == [3, 4]
    assert [progress.epoch for progress in history] == [1, 2, 3, 4]
    assert history[-1].seconds > history[1].seconds
    _, history, reported = train(blobs, epochs=1)
    assert reported == [1], "what had more than the budget is no way to its end"


def test_seconds_that_were_spent_before_count() -> None:
    blobs = MemoryBlobs()
    train(blobs, epochs=10_000, seconds=0.4)
    _, _, reported = train(blobs, epochs=10_000, seconds=0.4)
    assert reported == []


def test_a_full_disk_is_told_and_the_training_goes_on_from_the_checkpoint_before() -> None:
    expected, _, _ = train(None)
    probe = MemoryBlobs()
    train(probe, epochs=1)
    (size,) = map(len, probe.held.values())
    blobs = MemoryBlobs(room=size * 2)  # deleting gives this disk no room back
    with pytest.raises(StorageFullError, match="no space"):
        train(blobs)
    blobs.room = size * 100
    weights, _, reported = train(blobs)
    assert weights == expected
    assert 1 not in reported


# The same with a real kill, by processes on real files.
CHILD = """
import json, os, signal, sys
from tests.integration.test_trainer_resume import FileBlobs, DyingBlobs, Path, train
folder, changes, every_s = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
blobs = DyingBlobs(FileBlobs(folder), changes, lambda: os.kill(os.getpid(), signal.SIGKILL))
weights, history, reported = train(blobs, every_s)
print(json.dumps([[w.hex() for w in weights], [p.model_dump() for p in history], reported]))
"""


def in_a_child(folder: Path, changes: float, every_s: float = 30.0) -> tuple[int, str]:
    command = [sys.executable, "-c", CHILD, str(folder), str(changes), str(every_s)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout.splitlines()[-1] if done.stdout else done.stderr


def test_killed_processes_come_to_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    code, line = in_a_child(tmp_path / "whole", float("inf"))
    assert code == 0, line
    expected, history, _ = json.loads(line)
    for changes, every_s in ((0, 30.0), (4, 0.0), (2, 30.0)):
        assert in_a_child(tmp_path / "torn", changes, every_s)[0] == -signal.SIGKILL
    code, line = in_a_child(tmp_path / "torn", float("inf"))
    assert code == 0, line
    weights, resumed, reported = json.loads(line)
    assert weights == expected
    assert [p["loss"] for p in resumed] == [p["loss"] for p in history]
    assert len(reported) < EPOCHS
    assert len(list(FileBlobs(tmp_path / "torn").names())) == 1
