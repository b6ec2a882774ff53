"""Schedules, pixel statistics and the form of weights."""

import numpy as np
import pytest

from trainer.examples import pixel_statistics
from trainer.schedule import learning_rate_share
from trainer.weights import weights_from_bytes, weights_to_bytes

PROGRESS = np.linspace(0, 1, 101)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle"])
def test_the_rate_stays_between_nothing_and_its_peak(schedule: str) -> None:
    shares = [learning_rate_share(schedule, p) for p in (-1.0, *PROGRESS, 2.0)]  # type: ignore[arg-type]
    assert min(shares) > 0
    assert max(shares) == 1


def test_a_constant_rate_is_constant() -> None:
    assert {learning_rate_share("constant", p) for p in PROGRESS} == {1.0}


def test_a_cosine_only_falls() -> None:
    shares = [learning_rate_share("cosine", p) for p in PROGRESS]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(0.01)


def test_one_cycle_climbs_to_its_peak_and_falls_to_the_end() -> None:
    shares = [learning_rate_share("one-cycle", p) for p in PROGRESS]
    peak = int(np.argmax(shares))
    assert peak == 20
    assert shares[:peak] == sorted(shares[:peak])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert shares[-1] == pytest.approx(0.01)


def test_statistics_are_those_of_each_channel() -> None:
    images = np.zeros((10, 4, 4, 3), dtype=np.uint8)
    images[::2, :, :, 0] = 100
    images[:, :, :, 1] = 7
    mean, deviation = pixel_statistics(images)
    assert mean == pytest.approx((50, 7, 0))
    assert deviation == pytest.approx((50, 1, 1)), "a constant channel is divided by one"


def test_statistics_of_many_images_look_at_a_few_evenly_spread() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)
    mean, _ = pixel_statistics(images, most=16)
    assert mean[0] == pytest.approx(120)


def test_weights_come_back_by_name_and_in_their_order() -> None:
    arrays = {f"features-{11 - n}/kernel": np.full((2, n), n, np.float32) for n in range(12)}
    back = weights_from_bytes(weights_to_bytes(arrays))
    assert list(back) == list(arrays)
    for name, before in arrays.items():
        np.testing.assert_array_equal(before, back[name])


def test_the_same_weights_are_the_same_bytes() -> None:
    arrays = {"output/kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}
    assert weights_to_bytes(arrays) == weights_to_bytes(arrays)


@pytest.mark.parametrize("data", [b"", b"no weights", b"PK\x03\x04 torn"])
def test_what_holds_no_weights_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no weights"):
        weights_from_bytes(data)
