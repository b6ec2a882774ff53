"""Training images in an accelerator's memory, on TensorFlow; `test_trainer_jax` does it on JAX."""

import numpy as np
import pytest

from commons.genome import Augmentation
from tests.resident_batches import CATEGORIES, KINDS, differences, part

pytestmark = pytest.mark.integration


def test_batches_made_on_the_device_are_those_that_numpy_makes() -> None:
    found = differences()
    assert found.keys() == KINDS.keys()
    for kind, difference in found.items():
        assert difference < 0.05, kind


def test_noise_is_as_strong_as_numpys_and_follows_the_seed() -> None:
    from trainer.adapters.resident import ResidentBatches  # noqa: PLC0415 - imports Keras

    examples = part((40, 40, 3))
    batches = ResidentBatches(examples, CATEGORIES, Augmentation(noise=0.1))
    indices, mirrored = np.arange(10), np.zeros(10, bool)

    def noise(seed: int) -> np.ndarray:
        images, _ = batches.batch(np.random.default_rng(seed), indices, mirrored)
        return np.asarray(images) - examples.images[indices]

    first = noise(1)
    assert abs(first.std() - 25.5) < 0.5
    assert abs(first.mean()) < 0.5
    np.testing.assert_array_equal(first, noise(1))
    assert np.abs(first - noise(2)).mean() > 10


@pytest.mark.parametrize(
    ("setting", "cards", "size", "resident"),
    [
        ("auto", [], 1, False),
        ("auto", ["gpu:0"], 1, True),
        ("auto", ["gpu:0"], 10**6, False),
        ("yes", [], 1, True),
        ("no", ["gpu:0"], 1, False),
    ],
)
def test_images_are_resident_where_there_is_an_accelerator_with_room(
    monkeypatch: pytest.MonkeyPatch, setting: str, cards: list[str], size: int, resident: bool
) -> None:
    import keras  # noqa: PLC0415 - it takes its time

    from trainer.adapters import resident as tested  # noqa: PLC0415 - the same

    monkeypatch.setenv(tested.SETTING, setting)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: cards)
    monkeypatch.setattr(tested, "_MOST_BYTES", 10**9 // size)
    chosen = tested.batches_of(part(), CATEGORIES, Augmentation())
    assert isinstance(chosen, tested.ResidentBatches) == resident


def test_another_word_for_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.adapters import resident as tested  # noqa: PLC0415 - imports Keras

    monkeypatch.setenv(tested.SETTING, "maybe")
    with pytest.raises(ValueError, match="DICEBOX_RESIDENT to be auto, yes or no, got 'maybe'"):
        tested.batches_of(part(), CATEGORIES, Augmentation())
