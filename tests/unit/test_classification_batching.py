"""What is asked together, and that nobody waits for company."""

import math

import numpy as np

from classification_service.batching import (
    UNMEASURED,
    Pace,
    batches,
    measured_pace,
    pace_of,
    stacked,
)


class Machine:
    """A network whose time passes as its costs say, on a clock of its own."""

    def __init__(self, first_s: float, each_s: float) -> None:
        self.time = 0.0
        self.first_s, self.each_s = first_s, each_s
        self.sizes: list[int] = []

    def predict(self, images):
        self.sizes.append(len(images))
        self.time += self.first_s + self.each_s * len(images)
        return np.full((len(images), 2), 0.5, np.float32)

    def monotonic(self) -> float:
        return self.time


def pace(first_s: float, each_s: float, spend_s: float = 1.0) -> Pace:
    machine = Machine(first_s, each_s)
    return measured_pace(machine.predict, (2, 2, 1), machine.monotonic, spend_s)


def test_a_network_that_gains_by_it_is_asked_for_many_at_once():
    assert pace(first_s=30e-6, each_s=5e-6).limit == 32
    assert math.isclose(pace(first_s=30e-6, each_s=5e-6).seconds, 35e-6)


def test_a_network_that_gains_nothing_is_asked_for_one():
    assert pace(first_s=0.0, each_s=100e-6).limit == 1


def test_a_batch_is_no_longer_than_some_milliseconds():
    # Each gets cheaper for ever, but eight take 23 ms.
    assert pace(first_s=7e-3, each_s=2e-3).limit == 4


def test_the_measurement_ends_in_time():
    machine = Machine(0.01, 0.01)
    measured_pace(machine.predict, (2, 2, 1), machine.monotonic, spend_s=0.03)
    assert machine.time < 0.1


def test_a_predictor_that_nobody_measured_is_asked_for_one_and_taken_for_slow():
    assert pace_of(object()) is UNMEASURED
    assert UNMEASURED.limit == 1
    assert UNMEASURED.seconds == math.inf


def test_batches_keep_the_order_and_part_networks():
    items = ["a1", "b1", "a2", "a3", "b2", "a4"]
    limits = {"a": 3, "b": 1}
    found = batches(items, lambda item: item[0], lambda item: limits[item[0]])
    assert found == [["a1", "a2", "a3"], ["b1"], ["b2"], ["a4"]]
    assert batches([], str, lambda _: 1) == []


def test_pixels_are_stacked_as_floats():
    one = np.full((1, 2, 2, 1), 7, np.uint8)
    some = np.full((3, 2, 2, 1), 0.5, np.float32)
    images = stacked([one, some])
    assert images.dtype == np.float32
    assert images[:, 0, 0, 0].tolist() == [7.0, 0.5, 0.5, 0.5]
