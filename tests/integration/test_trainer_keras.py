"""The trainer with the real Keras: builds, trains, diverges, forgets, exports."""

import gc
import math
import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from commons.adapters.file_blobs import FileBlobs
from commons.errors import JobFailedError
from commons.genome import (
    Augmentation,
    Convolution,
    Dense,
    Genome,
    Optimizer,
    Pooling,
    Training,
)
from commons.messages import Category
from commons.network_card import NetworkCard
from commons.shapes import infer_shape
from commons.training import Budget, ExportJob, TrainingData, TrainProgress
from tests.evolver_builders import genomes
from trainer.examples import Examples, Part, pixel_statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Figures are compared with those of the published files, which are float32 everywhere.
os.environ["DICEBOX_PRECISION"] = "float32"

pytestmark = [
    pytest.mark.integration,
    # What the libraries say of each other while they are imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
]

GENOME = Genome(
    features=(
        Convolution(filters=8, kernel=3),
        Pooling(size=2),
        Convolution(filters=16, kernel=3, separable=True, residual=True),
    ),
    head="average",
    classifier=(Dense(units=16, norm=True),),
    training=Training(
        learning_rate=0.01,
        batch_size=16,
        label_smoothing=0.05,
        weight_decay=1e-4,
        augmentation=Augmentation(shift=0.1),
    ),
)


def part(n: int, seed: int) -> Part:
    """Return images of three categories that differ in where they are bright."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = rng.integers(0, 90, (n, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[1 + 2 * label : 3 + 2 * label] += 120
    return Part(images.astype(np.uint8), labels.astype(np.int64))


@pytest.fixture(scope="module")
def examples() -> Examples:
    train = part(120, 0)
    return Examples(train, part(61, 1), *pixel_statistics(train.images))


def run(genome: Genome, examples: Examples, **budget: Any) -> Any:
    from trainer.training import train  # noqa: PLC0415 - imports TensorFlow

    reports: list[TrainProgress] = []
    trained = train(genome, examples, 3, Budget(**budget), 0, reports.append)
    assert reports == trained.history
    return trained


def count() -> int:
    return 2000 if os.environ.get("DICEBOX_CAMPAIGN") == "full" else 300


def test_some_hundreds_of_genomes_build_what_the_shapes_say() -> None:
    import keras  # noqa: PLC0415

    from trainer.adapters.keras_network import build_network  # noqa: PLC0415

    heads = (
        keras.layers.Flatten,
        keras.layers.GlobalMaxPooling2D,
        keras.layers.GlobalAveragePooling2D,
    )
    for number, (genome, shape, categories) in enumerate(genomes(count())):
        channels = shape[2]
        network = build_network(genome, shape, categories, (0.0,) * channels, (1.0,) * channels)
        inferred = infer_shape(genome, shape, categories)
        head = next(layer for layer in network.layers if isinstance(layer, heads))
        before_head = [layer for layer in inferred.layers if len(layer.output) == 3]
        maps = before_head[-1].output if before_head else shape
        assert network.count_params() == inferred.parameters, genome
        assert head.input.shape[1:] == maps, genome
        assert network.output.shape == (None, categories)
        if number % 50 == 0:
            keras.backend.clear_session()


def test_a_training_learns_and_reports_every_epoch(examples: Examples) -> None:
    trained = run(GENOME, examples, epochs=12)
    assert trained.accuracy > 0.95
    assert trained.loss < 0.5
    assert [progress.epoch for progress in trained.history] == list(range(1, 13))
    assert 0 < trained.build_seconds < trained.seconds


@pytest.mark.parametrize("optimizer", get_args(Optimizer))
def test_every_optimizer_changes_the_weights(examples: Examples, optimizer: str) -> None:
    training = GENOME.training.model_copy(update={"optimizer": optimizer})
    trained = run(GENOME.model_copy(update={"training": training}), examples, epochs=4)
    assert math.isfinite(trained.loss)
    assert trained.history[-1].loss != trained.history[0].loss


def test_the_same_seed_trains_the_same_network(examples: Examples) -> None:
    first, second = (run(GENOME, examples, epochs=2) for _ in range(2))
    for one, other in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_budget_of_seconds_ends_the_training_with_the_rate_annealed(
    examples: Examples,
) -> None:
    trained = run(GENOME, examples, epochs=100_000, seconds=0.5)
    assert len(trained.history) < 100_000
    assert trained.history[-1].seconds < 5
    rate = float(np.asarray(trained.network.optimizer.learning_rate))
    assert rate < 0.1 * GENOME.training.learning_rate


def test_a_loss_that_is_no_number_is_a_diverged_candidate(examples: Examples) -> None:
    wild = Training(optimizer="sgd", learning_rate=10.0, schedule="constant", batch_size=8)
    genome = Genome(
        features=(Convolution(filters=64, kernel=5, norm=False, activation="linear"),) * 3,
        head="flatten",
        classifier=(Dense(units=64, activation="linear"),) * 3,
        training=wild,
    )
    with pytest.raises(JobFailedError) as failed:
        run(genome, examples, epochs=20)
    assert failed.value.outcome == "diverged"
    assert "epoch" in failed.value.reason


def test_a_batch_larger_than_the_data_is_all_of_it(examples: Examples) -> None:
    training = GENOME.training.model_copy(update={"batch_size": 4096})
    trained = run(GENOME.model_copy(update={"training": training}), examples, epochs=2)
    assert math.isfinite(trained.loss)


def test_nothing_of_a_trained_network_stays_behind(examples: Examples) -> None:
    from tensorflow.python.framework.func_graph import FuncGraph  # noqa: PLC0415

    from trainer.job import _forget_networks  # noqa: PLC0415

    def graphs() -> set[int]:
        gc.collect()
        return {id(each) for each in gc.get_objects() if isinstance(each, FuncGraph)}

    before = graphs()  # what other tests of this process built
    for _ in range(3):
        run(GENOME, examples, epochs=1)
        _forget_networks()
    assert graphs() <= before


def card_of(
    examples: Examples, folder: Path, genome: Genome = GENOME
) -> tuple[NetworkCard, FileBlobs, Any]:
    from trainer.adapters.named_weights import arrays_of  # noqa: PLC0415
    from trainer.export import export  # noqa: PLC0415
    from trainer.weights import weights_to_bytes  # noqa: PLC0415

    trained = run(genome, examples, epochs=6)
    blobs = FileBlobs(folder)
    blobs.put("weights/w.npz", weights_to_bytes(arrays_of(trained.network)))
    job = ExportJob(
        genome=genome,
        weights="weights/w.npz",
        data=TrainingData(sensory_url="http://house", snapshot="a" * 64, shape=(8, 8, 1)),
        dataset="stripes",
        categories=[Category(id=f"c{n}", name=str(n)) for n in range(3)],
    )
    return export(job, examples, blobs, now=12.0), blobs, trained


@pytest.mark.parametrize("mirror", [False, True])
def test_the_published_files_answer_as_the_trained_network_does(
    examples: Examples, tmp_path: Path, mirror: bool
) -> None:
    import keras  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    from trainer.judging import predict  # noqa: PLC0415

    genome = GENOME.model_copy(update={"mirror": mirror})
    card, blobs, trained = card_of(examples, tmp_path, genome)
    expected = predict(trained.network, examples.validation.images, mirror=mirror)
    pixels = examples.validation.images.astype(np.float32)

    session = onnxruntime.InferenceSession(blobs.get(card.onnx.blob))
    answers = session.run(None, {session.get_inputs()[0].name: pixels})[0]
    np.testing.assert_allclose(answers, expected, atol=1e-5)

    file = tmp_path / "network.keras"
    file.write_bytes(blobs.get(card.keras.blob))
    loaded = keras.saving.load_model(file, safe_mode=True)
    np.testing.assert_allclose(loaded.predict_on_batch(pixels), expected, atol=1e-5)


def test_a_network_in_bfloat16_has_the_same_variables_and_nearly_the_same_answers(
    examples: Examples,
) -> None:
    from trainer.adapters.keras_network import network_of  # noqa: PLC0415
    from trainer.judging import judge, predict  # noqa: PLC0415

    trained = run(GENOME, examples, epochs=6).network
    short = network_of(GENOME, examples, 3, "mixed_bfloat16")
    short.set_weights(trained.get_weights())
    assert {variable.dtype for variable in short.variables} == {
        variable.dtype for variable in trained.variables
    }
    images, labels = examples.validation.images, examples.validation.labels
    said = [predict(each, images, mirror=False) for each in (trained, short)]
    np.testing.assert_allclose(said[1], said[0], atol=0.05)
    assert judge(said[1], labels)[0] == pytest.approx(judge(said[0], labels)[0], abs=0.05)


def test_the_norm_of_training_is_that_of_the_files(examples: Examples) -> None:
    from trainer.adapters.fused_norm import training_norm  # noqa: PLC0415
    from trainer.adapters.keras_network import network_of  # noqa: PLC0415

    fast, plain = (
        network_of(GENOME, examples, 3, norm=training_norm()),
        network_of(GENOME, examples, 3),
    )
    assert [type(layer) for layer in fast.layers] != [type(layer) for layer in plain.layers]
    plain.set_weights(fast.get_weights())
    pixels = examples.train.images.astype(np.float32)
    for training in (True, False):
        said = [np.asarray(each(pixels, training=training)) for each in (fast, plain)]
        np.testing.assert_allclose(said[0], said[1], rtol=1e-3, atol=1e-4)
    for one, other in zip(fast.variables, plain.variables, strict=True):
        # Of 120 images the variance of a sample is larger than that of all by a 4,000th part.
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-3, atol=1e-4)


def test_bfloat16_is_for_networks_that_it_makes_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.adapters import precision  # noqa: PLC0415

    full, separable = (
        Convolution(filters=8, kernel=3),
        Convolution(filters=8, kernel=3, separable=True),
    )
    chosen = {}
    for here in (True, False):
        monkeypatch.setattr(precision, "_has_bfloat16", lambda here=here: here)
        for setting in ("auto", "bfloat16", "float32"):
            monkeypatch.setenv(precision.SETTING, setting)
            chosen[here, setting] = [
                precision.training_precision(Genome(features=features))
                for features in ((), (full, full, separable), (full, separable, separable))
            ]
    short, exact = "mixed_bfloat16", "float32"
    assert chosen[True, "auto"] == [short, short, exact]
    assert chosen[False, "auto"] == chosen[True, "float32"] == [exact] * 3
    assert chosen[False, "bfloat16"] == [short] * 3
    monkeypatch.setenv(precision.SETTING, "int8")
    with pytest.raises(ValueError, match="int8"):
        precision.training_precision(Genome())


def test_a_mirroring_network_does_not_tell_left_from_right(
    examples: Examples, tmp_path: Path
) -> None:
    import onnxruntime  # noqa: PLC0415

    card, blobs, _ = card_of(examples, tmp_path, GENOME.model_copy(update={"mirror": True}))
    pixels = examples.validation.images.astype(np.float32)
    session = onnxruntime.InferenceSession(blobs.get(card.onnx.blob))
    ways = [session.run(None, {"pixels": view})[0] for view in (pixels, pixels[:, :, ::-1])]
    np.testing.assert_allclose(ways[0], ways[1], atol=1e-6)


def test_the_card_says_what_was_measured(examples: Examples, tmp_path: Path) -> None:
    card, _, trained = card_of(examples, tmp_path)
    assert card.metrics.validation_accuracy == trained.accuracy
    assert card.metrics.validation_images == 61
    assert card.metrics.train_images == 120
    assert card.metrics.parameters == infer_shape(GENOME, (8, 8, 1), 3).parameters
    assert card.metrics.onnx_difference <= 1e-5
    assert card.created == 12.0
    assert {"keras", "onnxruntime", "numpy"} <= set(card.versions)
