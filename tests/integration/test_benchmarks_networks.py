import importlib
import itertools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from benchmarks.arms import SCRIPTS

pytestmark = pytest.mark.integration


class First:
    """Chooses the first of everything, or what a test asks for, and notes what it was asked."""

    def __init__(self, **wanted: Any) -> None:
        self.wanted = wanted
        self.asked: set[str] = set()

    def _take(self, name: str, default: Any) -> Any:
        self.asked.add(name)
        return self.wanted.get(name, default)

    def whole(self, name: str, low: int, high: int) -> Any:
        return self._take(name, low)

    def one_of(self, name: str, values: Sequence[Any]) -> Any:
        found = self._take(name, values[0])
        assert found in values
        return found

    def share(self, name: str, low: float, high: float) -> Any:
        return self._take(name, low)

    def scale(self, name: str, low: float, high: float) -> Any:
        return self._take(name, high)


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # As the scripts are run: their folder is on the path.
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("networks")


def examples(networks: ModuleType, shape: tuple[int, int, int]) -> Any:
    """Give images of two categories, dark and bright."""
    labels = np.arange(64) % 2
    images = np.broadcast_to((labels * 200)[:, None, None, None], (64, *shape)).astype(np.uint8)
    return networks.Examples(images, labels, images[:32], labels[:32])


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (1, 1, 1)])
def test_the_smallest_and_the_largest_network_can_be_built(
    networks: ModuleType, shape: tuple[int, int, int]
) -> None:
    given = examples(networks, shape)
    largest = First(
        blocks=3, head="flatten", dense=256, optimizer="sgd",
        **{f"{name}_{block}": value for block in range(3)
           for name, value in (("filters", 128), ("kernel", 5), ("convolutions", 2))},
    )  # fmt: skip
    small = networks.build(First(head="average", batch_norm=False), given, flip=False)
    large = networks.build(largest, given, flip=False)
    assert small.output_shape == large.output_shape == (None, 2)
    assert small.count_params() < large.count_params()


def test_images_are_flipped_only_where_that_is_allowed(networks: ModuleType) -> None:
    given = examples(networks, (8, 8, 1))
    for allowed in (True, False):
        choices = First(flip=True)
        model = networks.build(choices, given, allowed)
        flips = [layer for layer in model.layers if isinstance(layer, keras.layers.RandomFlip)]
        assert ("flip" in choices.asked, len(flips)) == (allowed, int(allowed))


def test_the_network_after_its_best_epoch_answers_and_the_deadline_ends_a_training(
    networks: ModuleType,
) -> None:
    keras.utils.set_random_seed(1)
    given = examples(networks, (8, 8, 1))
    ticks = itertools.count()
    race = networks.Race(60.0, lambda: next(ticks) / 4)
    model = networks.build(First(filters_0=16, dense=64), given, flip=False)
    with pytest.raises(importlib.import_module("race").TimeIsUp):
        model.fit(
            given.train, given.train_labels, batch_size=32, epochs=1000,
            validation_data=(given.validation, given.validation_labels),
            callbacks=[networks.Watch(race)], verbose=0,
        )  # fmt: skip
    assert race.networks == 1
    assert 1 <= race.epochs < 100
    said = networks.answer(race.kept, given.validation)
    assert np.mean(said == given.validation_labels) == race.curve[-1][1]
