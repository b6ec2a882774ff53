"""Noise for training pictures: a turn, a change of size, and back to the same shape."""

import numpy as np
from PIL import Image

from commons.adapters.decode import Pixels

_DEGREES = 10.0
_SMALLEST, _LARGEST = 0.7, 1.5


def add_noise(rng: np.random.Generator, pixels: Pixels, chance: float) -> Pixels:
    """Return a picture that was perhaps rotated and perhaps scaled, of the same shape.

    With the chance it is turned by up to 10 degrees, and with the chance its size becomes 0.7
    to 1.5 times what it was; then its centre is cut out or padded with black. The same number
    of draws is taken whatever happens, so that one picture never changes the noise of another.
    """
    turns, degrees, scales, factor = (
        rng.random(),
        rng.uniform(-_DEGREES, _DEGREES),
        rng.random(),
        rng.uniform(_SMALLEST, _LARGEST),
    )
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if turns < chance:
        image = image.rotate(degrees, Image.Resampling.BILINEAR)
    if scales < chance:
        size = [max(1, round(side * factor)) for side in image.size]
        image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    return _centred(np.asarray(image, np.uint8).reshape(image.height, image.width, -1), pixels)


def _centred(pixels: Pixels, like: Pixels) -> Pixels:
    result = np.zeros_like(like)
    height, width = (min(a, b) for a, b in zip(pixels.shape[:2], like.shape[:2], strict=True))
    result[_middle(like.shape[0], height), _middle(like.shape[1], width)] = pixels[
        _middle(pixels.shape[0], height), _middle(pixels.shape[1], width)
    ]
    return result


def _middle(whole: int, part: int) -> slice:
    start = (whole - part) // 2
    return slice(start, start + part)
