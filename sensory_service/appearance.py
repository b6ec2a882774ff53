"""What a picture looks like, in few numbers: by these, near-duplicates are found."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]

SIDE = 32  # of the picture that is described
BANDS = 4
_FREQUENCIES = 8
_SMALL = 16
_BAND_BITS = 16
_MOST_BITS = 3  # fewer than bands, so that alike ones share one at least
_MOST_DIFFERENCE = 8.0  # of 255
# Below that a frequency is noise, and its sign would be drawn by lot.
_LEAST_STRENGTH = 1e-6


class Appearance(NamedTuple):
    """64 bits of low frequencies, and the picture as 16x16 greys, row by row."""

    hash: int
    grey: bytes

    @property
    def bands(self) -> tuple[int, ...]:
        """The four parts of the hash: two that differ in three bits share one of them."""
        return tuple(self.hash >> _BAND_BITS * n & 0xFFFF for n in range(BANDS))


def describe(grey: Grey) -> Appearance:
    """Return the appearance of a picture of 32x32 greys (0…255).

    Source:
        The perceptual hash by the median of a discrete cosine transform (Zauner, 2010).
    """
    values = grey.reshape(SIDE, SIDE).astype(np.float64)
    strengths = (_BASIS @ values @ _BASIS.T).ravel()
    strengths[np.abs(strengths) < _LEAST_STRENGTH] = 0.0
    bits = strengths > np.median(strengths[1:])
    bits[0] = False  # how bright it is on the whole says nothing
    number = int.from_bytes(np.packbits(bits).tobytes(), "big")
    small = values.reshape(_SMALL, 2, _SMALL, 2).mean(axis=(1, 3))
    return Appearance(number, np.rint(small).astype(np.uint8).tobytes())


def alike(one: Appearance, other: Appearance) -> bool:
    """Say whether two pictures are near-duplicates: saved again, resized, or a bit brighter."""
    if (one.hash ^ other.hash).bit_count() > _MOST_BITS:
        return False
    return difference(one.grey, other.grey) <= _MOST_DIFFERENCE


def difference(one: bytes, other: bytes) -> float:
    """Return how far two pictures of 16x16 greys are apart (root mean square, of 255)."""
    return float(np.sqrt(np.mean((shape_of(one) - shape_of(other)) ** 2)))


def shape_of(grey: bytes) -> npt.NDArray[np.float32]:
    """Return greys as a vector around 0: what is left when all of it is brighter or darker."""
    values = np.frombuffer(grey, np.uint8).astype(np.float32)
    around: npt.NDArray[np.float32] = values - values.mean()
    return around


def _basis() -> npt.NDArray[np.float64]:
    places = (2.0 * np.arange(SIDE) + 1.0) * np.pi / (2.0 * SIDE)
    return np.cos(np.arange(_FREQUENCIES)[:, np.newaxis] * places)


_BASIS = _basis()
