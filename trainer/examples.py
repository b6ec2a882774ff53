"""The examples of a snapshot as arrays, and their pixel statistics."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Part:
    """One split: images uint8 (n, height, width, channels), labels int64 (n,); equal to itself."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """What a network is trained on and judged by; there is no test split here.

    `mean` and `deviation` are of each channel of the training images, in 0..255.
    """

    train: Part
    validation: Part
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (height, width, channels)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def pixel_statistics(
    images: npt.NDArray[np.uint8], most: int = 10_000
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and deviation of each channel, over at most `most` images evenly spread.

    A channel that never changes gets deviation 1, so that dividing by it is harmless.
    """
    step = -(-len(images) // most) or 1
    sample = images[::step].astype(np.float64)
    mean = sample.mean(axis=(0, 1, 2))
    deviation = sample.std(axis=(0, 1, 2))
    deviation = np.where(deviation < 1e-3, 1.0, deviation)  # noqa: PLR2004
    return tuple(map(float, mean)), tuple(map(float, deviation))
