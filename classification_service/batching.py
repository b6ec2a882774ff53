"""Which of the images that wait are asked together: never by a timer, and only where it helps."""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from classification_service.ports import Floats

_LARGEST = 32
_RUNS = 5
# Less than this is noise, and a larger batch makes its first image wait.
_WORTH = 0.95
_LONGEST_S = 0.02
_SPENT_S = 0.1

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a network answers: so many images at once, and the seconds that one takes alone."""

    limit: int
    seconds: float


# Of a network that nobody has measured: one image at a time, as if each took long.
UNMEASURED = Pace(1, math.inf)


def pace_of(predictor: object) -> Pace:
    """Return what was measured of a predictor when it was loaded."""
    found = getattr(predictor, "pace", None)
    return found if isinstance(found, Pace) else UNMEASURED


def measured_pace(
    predict: Callable[[Floats], Floats],
    shape: tuple[int, int, int],
    monotonic: Callable[[], float],
    spend_s: float = _SPENT_S,
) -> Pace:
    """Return how many images a network answers best at once, by trying.

    Twice as many are only taken for as long as one image gets cheaper by it, and for as long as
    a whole batch takes no more than some milliseconds.

    Args:
        predict: The network, warm.
        shape: Height, width and channels of its images.
        monotonic: Seconds.
        spend_s: About how long the measurement may take; what is not tried by then is not used.
    """
    until = monotonic() + spend_s
    limit, size = 1, 1
    alone = best = _fastest(predict, np.zeros((1, *shape), np.float32), monotonic, until)
    while size < _LARGEST and monotonic() < until:
        size *= 2
        took = _fastest(predict, np.zeros((size, *shape), np.float32), monotonic, until)
        if took > _LONGEST_S:
            break
        if took / size < best * _WORTH:
            limit, best = size, took / size
    return Pace(limit, alone)


def batches(
    items: Iterable[Item], network: Callable[[Item], Hashable], limit: Callable[[Item], int]
) -> list[list[Item]]:
    """Return the items in batches of one network each, in the order they came."""
    full: list[list[Item]] = []
    open_ones: dict[Hashable, list[Item]] = {}
    for item in items:
        name = network(item)
        batch = open_ones.get(name)
        if batch is None or len(batch) >= limit(item):
            batch = open_ones[name] = []
            full.append(batch)
        batch.append(item)
    return full


def stacked(pixels: Sequence[np.ndarray]) -> Floats:
    """Return images, each or some (n, height, width, channels), as one batch of float32."""
    if len(pixels) == 1:
        return pixels[0].astype(np.float32, order="C", copy=False)
    return np.concatenate(pixels, dtype=np.float32)


def _fastest(
    predict: Callable[[Floats], Floats],
    images: Floats,
    monotonic: Callable[[], float],
    until: float,
) -> float:
    predict(images)
    best = math.inf
    for _ in range(_RUNS):
        start = monotonic()
        predict(images)
        end = monotonic()
        best = min(best, end - start)
        if end > until:
            break
    return best
