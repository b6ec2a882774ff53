"""Checkpoints: their form, and what is left of them after a crash or on a full disk."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from commons.adapters.file_blobs import FileBlobs
from commons.errors import StorageFullError
from commons.genome import Genome
from commons.training import Budget, TrainingData, TrainJob, TrainProgress, training_id
from tests.sensory_house import MemoryBlobs
from trainer.checkpoint import Checkpoint, Checkpoints


def checkpoint(epochs: int = 3, steps: int = 0, training: str = "one") -> Checkpoint:
    rng = np.random.default_rng(epochs)
    epoch_rng = rng.bit_generator.state
    rng.random(5)
    progress = TrainProgress(epoch=3, epochs=9, loss=0.1 + 0.2, accuracy=1 / 3, seconds=1.5)
    return Checkpoint(
        training=training,
        epochs=epochs,
        steps=steps,
        seconds=12.25,
        history=(progress,),
        epoch_rng=epoch_rng,
        rng=rng.bit_generator.state,
        network=tuple(np.full((2, n), n, np.float32) for n in range(1, 13)),
        optimizer=(np.array(7, np.int64), np.array([1e-38, 3.3], np.float32)),
    )


def test_a_checkpoint_comes_back_to_the_bit() -> None:
    before = checkpoint()
    after = Checkpoint.from_bytes(before.to_bytes())
    for field in fields(Checkpoint):
        one, other = getattr(before, field.name), getattr(after, field.name)
        if field.name in ("network", "optimizer"):
            assert [array.dtype for array in one] == [array.dtype for array in other]
            assert [array.tobytes() for array in one] == [array.tobytes() for array in other]
        else:
            assert one == other
    again = np.random.default_rng()
    again.bit_generator.state = after.epoch_rng
    assert again.random() == np.random.default_rng(3).random()


def test_what_is_no_checkpoint_is_refused() -> None:
    data = checkpoint().to_bytes()
    torn = bytearray(data)
    torn[len(data) // 2] ^= 255
    for wrong in (b"", b"no", data[:-40], bytes(torn)):
        with pytest.raises(ValueError, match="no checkpoint"):
            Checkpoint.from_bytes(wrong)


def test_the_newest_stays_and_those_before_it_go(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    kept, other = Checkpoints(blobs, "run/7", "one"), Checkpoints(blobs, "run/71", "one")
    assert (kept.latest(), kept.epochs()) == (None, None)
    other.save(checkpoint(epochs=99))
    for epochs, steps in ((0, 5), (9, 0), (9, 40), (10, 0)):
        kept.save(checkpoint(epochs, steps))
    latest = kept.latest()
    assert latest is not None
    assert (latest.epochs, latest.steps, kept.epochs()) == (10, 0, 10)
    assert sorted(blobs.names()) == [
        "checkpoints/run/7/00000010-00000000.npz",
        "checkpoints/run/71/00000099-00000000.npz",
    ]
    kept.forget()
    assert kept.latest() is None
    assert other.epochs() == 99


def test_on_a_full_disk_the_one_before_stays_whole() -> None:
    blobs = MemoryBlobs(room=len(checkpoint().to_bytes()) + 10)
    kept = Checkpoints(blobs, "a", "one")
    kept.save(checkpoint(1))
    with pytest.raises(StorageFullError, match="no space"):
        kept.save(checkpoint(2))
    latest = kept.latest()
    assert latest is not None
    assert latest.epochs == 1


def test_a_damaged_one_is_passed_over_and_can_be_written_again(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    kept = Checkpoints(blobs, "a", "one")
    kept.save(checkpoint(1))
    # Killed before the one before it was deleted, and damaged since.
    blobs.put("checkpoints/a/00000002-00000000.npz", checkpoint(2).to_bytes()[:-9])
    latest = kept.latest()
    assert latest is not None
    assert latest.epochs == 1
    kept.save(checkpoint(2))
    latest = kept.latest()
    assert latest is not None
    assert latest.epochs == 2


def test_one_of_another_training_is_never_used() -> None:
    blobs = MemoryBlobs()
    Checkpoints(blobs, "a", "one").save(checkpoint())
    assert Checkpoints(blobs, "a", "two").latest() is None
    assert list(blobs.names()) == []


JOB = TrainJob(
    genome=Genome(),
    data=TrainingData(sensory_url="http://here", snapshot="a" * 64, shape=(8, 8, 1)),
    categories=3,
    budget=Budget(epochs=4),
    seed=1,
)


def test_a_training_is_named_by_what_decides_its_weights_and_by_nothing_else() -> None:
    elsewhere = JOB.data.model_copy(update={"sensory_url": "http://there"})
    for same in ({"data": elsewhere}, {"checkpoint": "x"}, {"budget": Budget(epochs=8)}):
        assert training_id(JOB.model_copy(update=same)) == training_id(JOB)
    changes = [
        {"genome": Genome(head="flatten")},
        {"data": JOB.data.model_copy(update={"snapshot": "b" * 64})},
        {"data": JOB.data.model_copy(update={"shape": (8, 8, 3)})},
        {"data": JOB.data.model_copy(update={"resize": "pad"})},
        {"categories": 4},
        {"seed": 2},
    ]
    ids = {training_id(JOB.model_copy(update=change)) for change in changes}
    budgets = [Budget(epochs=4), Budget(epochs=8), Budget(epochs=4, seconds=2.0), None]
    ids |= {training_id(JOB, budget) for budget in budgets}
    assert len(ids) == len(changes) + len(budgets)


def test_the_state_on_the_way_is_kept_apart_from_that_at_the_start_of_the_epoch() -> None:
    on_the_way = Checkpoint.from_bytes(replace(checkpoint(), steps=5).to_bytes())
    assert on_the_way.rng != on_the_way.epoch_rng
