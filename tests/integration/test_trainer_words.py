"""The words of a training job with the real Keras: climb, inherit, stop, be deterministic."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commons.errors import JobFailedError, StorageFullError
from commons.genome import Augmentation, Convolution, Dense, Dropout, Genome, Pooling, Training
from commons.jobs import JobContext
from commons.training import (
    Budget,
    InheritedWeights,
    ReadyJob,
    TrainingData,
    TrainJob,
    TrainResult,
)
from commons.weight_layout import weight_layout
from tests.evolver_builders import genomes
from tests.sensory_house import MemoryBlobs
from trainer.checkpoint import Checkpoint
from trainer.examples import Examples, Part, pixel_statistics
from trainer.weights import weights_from_bytes, weights_to_bytes

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["DICEBOX_PRECISION"] = "float32"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

SHAPE = (8, 8, 1)
GENOME = Genome(
    features=(Convolution(filters=8, kernel=3), Pooling(size=2), Convolution(filters=8, kernel=3)),
    classifier=(Dense(units=16), Dropout(rate=0.1)),
    training=Training(
        learning_rate=0.005, batch_size=16, augmentation=Augmentation(shift=0.1, flip=True)
    ),
)


def part(n: int, seed: int) -> Part:
    """Return images of three categories, told apart by a bar that noise half hides."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.integers(0, 130, (n, *SHAPE))
    for image, label in zip(images, labels, strict=True):
        image[1 + 2 * label : 3 + 2 * label] += 60
    return Part(images.astype(np.uint8), labels.astype(np.int64))


TRAIN = part(150, 0)
EXAMPLES = Examples(TRAIN, part(120, 1), *pixel_statistics(TRAIN.images))


@pytest.fixture(autouse=True)
def known_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    import trainer.job  # noqa: PLC0415 - imports TensorFlow

    monkeypatch.setattr(trainer.job, "_examples", lambda context, data: EXAMPLES)


def job(epochs: int = 2, genome: Genome = GENOME, **words: Any) -> TrainJob:
    return TrainJob(
        genome=genome,
        data=TrainingData(sensory_url="http://house", snapshot="a" * 64, shape=SHAPE),
        categories=3,
        budget=Budget(epochs=epochs, seconds=words.pop("seconds", None)),
        seed=3,
        **words,
    )


def run(blobs: MemoryBlobs, work: TrainJob, name: str = "run/1/1") -> TrainResult:
    from trainer.job import train  # noqa: PLC0415

    context = JobContext(name, blobs, Path("unused"), lambda _: None)
    return TrainResult.model_validate(train(work.model_dump(mode="json"), context))


def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list that every learning rate used from now on is added to."""
    from trainer.loop import Loop  # noqa: PLC0415

    seen: list[float] = []
    true = Loop._set_learning_rate

    def noting(self: Loop, value: float) -> None:
        seen.append(value)
        true(self, value)

    monkeypatch.setattr(Loop, "_set_learning_rate", noting)
    return seen


def test_a_climb_goes_on_from_the_rung_below_and_comes_out_the_same_each_time() -> None:
    blobs = MemoryBlobs()
    low = run(blobs, job(epochs=2, leave_checkpoint=True))
    assert low.checkpoint is not None
    assert low.checkpoint.startswith("checkpoints/run/1/1/")
    assert not low.resumed
    work = job(epochs=8, start=low.checkpoint, leave_checkpoint=True)
    high, again = (run(blobs, work, f"run/1/{name}") for name in ("2", "again"))
    assert high.resumed
    assert high.epochs == 8
    assert high.history[:2] == low.history
    assert high.history[2].seconds > low.history[1].seconds
    assert high.loss < low.loss
    assert high.accuracy >= low.accuracy
    assert blobs.get(high.weights) == blobs.get(again.weights)
    assert high.checkpoint is not None
    assert Checkpoint.from_bytes(blobs.get(high.checkpoint)).epochs == 8


def test_a_climb_anneals_over_its_own_part_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = MemoryBlobs()
    low = run(blobs, job(epochs=2, leave_checkpoint=True))
    seen = rates(monkeypatch)
    run(blobs, job(epochs=6, start=low.checkpoint), "run/1/2")
    peak = GENOME.training.learning_rate
    steps = 4 * (150 // 16)
    assert len(seen) == steps
    assert seen[0] == pytest.approx(0.1 * peak), "as warm as any schedule begins"
    assert max(seen) == pytest.approx(peak, rel=0.05)
    assert np.argmax(seen) == pytest.approx(0.2 * steps, abs=1)
    assert seen[-1] < 0.05 * peak


def test_a_climb_within_seconds_ends_annealed(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = MemoryBlobs()
    low = run(blobs, job(epochs=10_000, seconds=0.3, leave_checkpoint=True))
    seen = rates(monkeypatch)
    high = run(blobs, job(epochs=10_000, seconds=0.9, start=low.checkpoint), "run/1/2")
    assert high.history[-1].seconds >= 0.9
    assert high.epochs > low.epochs
    assert seen[0] < 0.5 * max(seen)
    assert seen[-1] < 0.3 * max(seen)


@pytest.mark.parametrize("change", [{"seed": 4}, {"categories": 4}])
def test_a_climb_without_its_rung_starts_afresh(change: dict[str, Any]) -> None:
    blobs = MemoryBlobs()
    fresh = run(blobs, job(epochs=2))
    gone = run(blobs, job(epochs=2, start="checkpoints/run/1/1/gone.npz"), "run/1/2")
    assert not gone.resumed
    assert blobs.get(gone.weights) == blobs.get(fresh.weights)
    other = run(blobs, job(epochs=1, leave_checkpoint=True).model_copy(update=change), "run/2/1")
    assert not run(blobs, job(epochs=2, start=other.checkpoint), "run/1/3").resumed


def test_names_of_variables_are_those_of_the_layout() -> None:
    from trainer.adapters.keras_network import build_network  # noqa: PLC0415
    from trainer.adapters.named_weights import arrays_of, variables_of  # noqa: PLC0415

    for genome, shape, categories in genomes(60):
        channels = shape[2]
        network = build_network(genome, shape, categories, (0.0,) * channels, (1.0,) * channels)
        found = {name: array.shape for name, array in arrays_of(network).items()}
        assert found == weight_layout(genome, shape, categories), genome
        assert [v.path for v in variables_of(network).values()] == [v.path for v in network.weights]


def changed(*features: Any, units: int = 16) -> Genome:
    classifier = (Dense(units=units), Dropout(rate=0.1))
    return GENOME.model_copy(update={"features": features, "classifier": classifier})


first, pooling, second = GENOME.features
WIDER = changed(Convolution(filters=12, kernel=3), pooling, Convolution(filters=11, kernel=5))
DEEPER = changed(first, Convolution(filters=8, kernel=3, residual=True), pooling, second, units=24)


@pytest.mark.parametrize("child", [GENOME, WIDER, DEEPER])
def test_a_child_that_can_keep_the_function_answers_as_its_parent_before_it_is_trained(
    child: Genome,
) -> None:
    from trainer.adapters.keras_network import network_of  # noqa: PLC0415
    from trainer.beginning import Parent, take_over  # noqa: PLC0415
    from trainer.judging import judge, predict  # noqa: PLC0415

    blobs = MemoryBlobs()
    parent = run(blobs, job(epochs=8))
    assert parent.accuracy > 0.8
    network = network_of(child, EXAMPLES, 3)
    arrays = weights_from_bytes(blobs.get(parent.weights))
    share = take_over(network, child, Parent(GENOME, arrays), SHAPE)
    said = predict(network, EXAMPLES.validation.images, mirror=False)
    accuracy, loss = judge(said, EXAMPLES.validation.labels)
    assert accuracy == parent.accuracy
    assert loss == pytest.approx(parent.loss, rel=1e-4)
    assert share == pytest.approx(1.0) if child == GENOME else 0.2 < share < 1.0


def test_a_child_that_loses_a_part_of_its_parent_starts_better_than_fresh() -> None:
    blobs = MemoryBlobs()
    parent = run(blobs, job(epochs=10))
    child = changed(
        Convolution(filters=7, kernel=3), pooling, second, Convolution(filters=8, kernel=3)
    )
    inherit = InheritedWeights(genome=GENOME, weights=parent.weights)
    fresh = run(blobs, job(epochs=1, genome=child), "run/2/1")
    born = run(blobs, job(epochs=1, genome=child, inherit=inherit), "run/3/1")
    assert fresh.inherited_share == 0.0
    assert 0.2 < born.inherited_share < 1.0
    assert born.accuracy > fresh.accuracy + 0.1
    assert born.loss < fresh.loss


def test_a_parent_that_is_gone_or_of_no_use_is_not_missed() -> None:
    blobs = MemoryBlobs()
    fresh = run(blobs, job())
    blobs.put("weights/torn.npz", b"no weights")
    blobs.put("weights/other.npz", blobs.get(fresh.weights))
    parents = [
        InheritedWeights(genome=GENOME, weights="weights/gone.npz"),
        InheritedWeights(genome=GENOME, weights="weights/torn.npz"),
        InheritedWeights(genome=WIDER, weights="weights/other.npz"),
    ]
    for number, inherit in enumerate(parents):
        born = run(blobs, job(inherit=inherit), f"run/{number}/1")
        assert born.inherited_share == 0.0
        assert blobs.get(born.weights) == blobs.get(fresh.weights)


def test_weights_out_of_all_proportion_are_not_inherited() -> None:
    blobs = MemoryBlobs()
    fresh = run(blobs, job())
    arrays = weights_from_bytes(blobs.get(fresh.weights))
    for number, wild in enumerate((1e7, np.inf, np.nan)):
        arrays["features-0/variance"] = np.full_like(arrays["features-0/variance"], wild)
        blobs.put(f"weights/wild-{number}.npz", weights_to_bytes(arrays))
        inherit = InheritedWeights(genome=GENOME, weights=f"weights/wild-{number}.npz")
        born = run(blobs, job(inherit=inherit), f"run/{number}/1")
        assert born.inherited_share == 0.0
        assert blobs.get(born.weights) == blobs.get(fresh.weights)


def test_a_weight_that_is_no_number_is_a_diverged_candidate_whatever_its_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import trainer.job  # noqa: PLC0415

    arrays = {"output/bias": np.array([0.0, np.nan, 0.0], np.float32)}
    monkeypatch.setattr(trainer.job, "arrays_of", lambda _: arrays)
    blobs = MemoryBlobs()
    with pytest.raises(JobFailedError, match="no longer a number") as failed:
        run(blobs, job(leave_checkpoint=True))
    assert failed.value.outcome == "diverged"
    assert blobs.held == {}


def test_a_climb_of_a_child_keeps_what_it_inherited() -> None:
    blobs = MemoryBlobs()
    parent = run(blobs, job(epochs=8))
    inherit = InheritedWeights(genome=GENOME, weights=parent.weights)
    low = run(blobs, job(genome=WIDER, inherit=inherit, leave_checkpoint=True), "run/2/1")
    high = run(blobs, job(epochs=4, genome=WIDER, start=low.checkpoint), "run/2/2")
    assert high.resumed
    assert high.history[:2] == low.history


def test_a_hopeless_training_is_stopped_and_leaves_no_checkpoint() -> None:
    blobs = MemoryBlobs()
    whole = run(blobs, job(epochs=10, curve=((0.3, 0.0), (0.8, 0.0))))
    assert (whole.stopped, whole.epochs) == (False, 10)
    early = run(
        blobs, job(epochs=10, curve=((0.3, 0.0), (0.5, 1.1)), leave_checkpoint=True), "run/2/1"
    )
    assert early.stopped
    assert early.epochs == 5
    assert early.checkpoint is None
    assert early.accuracy == early.history[-1].accuracy
    assert early.weights in blobs.held


def test_at_the_end_of_its_budget_nothing_is_stopped_any_more() -> None:
    last = run(MemoryBlobs(), job(epochs=2, curve=((1.0, 1.1),)))
    assert not last.stopped


@pytest.mark.parametrize("curve", [None, ((0.5, 1.1),)])
def test_only_the_end_is_judged_by_all_validation_images(
    monkeypatch: pytest.MonkeyPatch, curve: Any
) -> None:
    from trainer import training  # noqa: PLC0415
    from trainer.judging import judge  # noqa: PLC0415

    seen: list[Any] = []

    def noting(said: Any, labels: Any) -> tuple[float, float]:
        seen.append(judge(said, labels))
        sizes.append(len(labels))
        return seen[-1]

    sizes: list[int] = []
    monkeypatch.setattr(training, "_GLIMPSE", 50)
    monkeypatch.setattr(training, "judge", noting)
    result = run(MemoryBlobs(), job(epochs=4, curve=curve))
    # Of 120 every third is looked at, and all once more where it turns out to be hopeless.
    assert sizes == ([40, 40, 40, 120] if curve is None else [40, 40, 120])
    assert (result.accuracy, result.loss) == seen[-1]
    assert len(result.history) == (4 if curve is None else 2)


def test_a_disk_that_fills_at_the_checkpoint_fails_the_job_and_nothing_is_named() -> None:
    blobs = MemoryBlobs(room=100)
    with pytest.raises(StorageFullError, match="no space"):
        run(blobs, job(leave_checkpoint=True))
    assert blobs.held == {}


def test_deterministic_trainings_on_several_threads_are_the_same_to_the_bit() -> None:
    blobs = MemoryBlobs()
    one, other = (run(blobs, job(deterministic=True), f"run/{n}/1") for n in (1, 2))
    assert blobs.get(one.weights) == blobs.get(other.weights)
    assert [each.loss for each in one.history] == [each.loss for each in other.history]


def test_a_training_ends_with_the_moment_it_is_given_and_anneals_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = rates(monkeypatch)
    schedule = GENOME.training.model_copy(update={"schedule": "cosine"})
    genome = GENOME.model_copy(update={"training": schedule})
    until = time.time() + 8.0
    result = run(MemoryBlobs(), job(epochs=1_000_000, seconds=0.1, genome=genome, until=until))
    # The steps, and what follows them: a look at the images, and storing.
    assert -0.5 < time.time() - until < 4.0
    assert result.seconds - result.build_seconds > 10 * 0.1
    assert seen[0] == pytest.approx(GENOME.training.learning_rate)
    assert seen[-1] < 0.05 * GENOME.training.learning_rate


def test_a_training_that_begins_after_its_end_takes_a_few_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = rates(monkeypatch)
    result = run(MemoryBlobs(), job(epochs=50, seconds=20.0, until=1.0))
    assert 1 <= len(seen) < 10
    assert (result.epochs, len(result.history)) == (1, 1)


def test_a_worker_that_is_made_ready_has_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    import trainer.job  # noqa: PLC0415

    asked: list[TrainingData] = []
    monkeypatch.setattr(trainer.job, "_examples", lambda context, data: asked.append(data))
    context = JobContext("run/a/ready", MemoryBlobs(), Path("unused"), lambda _: None)
    data = job().data
    assert trainer.job.be_ready(ReadyJob(data=data).model_dump(mode="json"), context) == {}
    assert asked == [data]


def test_who_cannot_begin_as_the_others_did_is_not_compared_with_them() -> None:
    nobody_passes = ((0.3, 1.1), (0.5, 1.1))
    gone = InheritedWeights(genome=GENOME, weights="weights/gone.npz")
    for words in ({"inherit": gone}, {"start": "checkpoints/gone.npz"}):
        result = run(MemoryBlobs(), job(epochs=6, curve=nobody_passes, **words))
        assert (result.stopped, result.epochs) == (False, 6)
    blobs = MemoryBlobs()
    parent = run(blobs, job(epochs=1))
    inherit = InheritedWeights(genome=GENOME, weights=parent.weights)
    heir = run(blobs, job(epochs=6, curve=nobody_passes, inherit=inherit), "run/2/1")
    assert heir.stopped
    assert heir.epochs < 6


def test_an_epoch_is_kept_only_where_the_one_before_was_kept_long_ago() -> None:
    blobs = MemoryBlobs()
    run(blobs, job(epochs=3, checkpoint="under-way/run/1/1", keep_every_s=3600.0))
    assert list(blobs.names("checkpoints/")) == []
    run(blobs, job(epochs=3, checkpoint="under-way/run/1/1"), "run/2/1")
    assert [name.rpartition("/")[2] for name in blobs.names("checkpoints/")] == [
        "00000003-00000000.npz"
    ]
