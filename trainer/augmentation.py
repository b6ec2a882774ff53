"""Random changes of training images, a batch at a time: drawn here, and made here in numpy.

`trainer.adapters.resident` makes the same changes where the images are on an accelerator.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from commons.genome import Augmentation

Images = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Move:
    """Where images go: whole pixels `down` and `right`, each (n,); any number with an `angle`.

    `angle` has the radians that each is turned about its middle, (n,), or is None.
    """

    down: Floats | Integers
    right: Floats | Integers
    angle: Floats | None = None


@dataclass(frozen=True)
class Square:
    """What is cut out: squares of `side` pixels whose corners may lie outside, each (n,)."""

    top: Integers
    left: Integers
    side: int


@dataclass(frozen=True)
class Changes:
    """What was drawn for a batch of n images.

    Args:
        flipped: Which are mirrored, shape (n,).
        move: Where they go; None: nowhere.
        square: What is cut out; None: nothing.
        noise: Standard deviation of what is added to every pixel, of 0..255.
    """

    flipped: npt.NDArray[np.bool_]
    move: Move | None
    square: Square | None
    noise: float


def draw(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    mirrored: npt.NDArray[np.bool_],
    augmentation: Augmentation,
) -> Changes:
    """Return what changes in a batch.

    Args:
        rng: Draws every change but the flips.
        shape: (n, height, width).
        mirrored: Which images are flipped if any are, shape (n,).
        augmentation: What may change, and how far.
    """
    n, height, width = shape
    move = square = None
    if augmentation.rotate > 0:
        most = np.deg2rad(augmentation.rotate)
        angle = rng.uniform(-most, most, n)
        moved = augmentation.shift > 0
        down = rng.uniform(-1, 1, n) * augmentation.shift * height * moved
        right = rng.uniform(-1, 1, n) * augmentation.shift * width * moved
        move = Move(down, right, angle)
    elif augmentation.shift > 0:
        whole = _shifts(rng, n, height, augmentation.shift)
        move = Move(whole, _shifts(rng, n, width, augmentation.shift))
    if augmentation.cutout > 0:
        side = max(1, round(augmentation.cutout * min(height, width)))
        top = rng.integers(-(side // 2), height - side // 2, n)
        square = Square(top, rng.integers(-(side // 2), width - side // 2, n), side)
    flipped = mirrored & augmentation.flip
    return Changes(flipped, move, square, 255.0 * augmentation.noise)


def change(rng: np.random.Generator, images: npt.NDArray[np.uint8], changes: Changes) -> Images:
    """Return changed copies as float32.

    Args:
        rng: Draws the noise.
        images: uint8, shape (n, height, width, channels).
        changes: What was drawn for them.

    Returns:
        float32 in the range of the input (0..255, but for `noise`), of the same shape.
    """
    move = changes.move
    if move is None:
        changed = _flipped(images, changes.flipped).astype(np.float32)
    elif move.angle is None:
        changed = _shifted(images, changes.flipped, move).astype(np.float32)
    else:
        changed = _turned(_flipped(images, changes.flipped), move, move.angle)
    if changes.square is not None:
        _cut_out(changed, changes.square)
    if changes.noise > 0:
        noise = rng.standard_normal(changed.shape, dtype=np.float32)
        changed += noise * np.float32(changes.noise)
    return changed


def _shifts(rng: np.random.Generator, n: int, extent: int, share: float) -> Integers:
    # A small image still moves by a pixel: 0.1 of 8 pixels would be no move at all.
    most = max(1, round(share * extent))
    return rng.integers(-most, most + 1, n)


def _flipped(
    images: npt.NDArray[np.uint8], flipped: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    if not flipped.any():
        return images
    changed = images.copy()
    changed[flipped] = images[flipped][:, :, ::-1]
    return changed


def _shifted(
    images: npt.NDArray[np.uint8], flipped: npt.NDArray[np.bool_], move: Move
) -> npt.NDArray[np.uint8]:
    """Flip some images, then move each by whole pixels; its border is repeated."""
    n, height, width, channels = images.shape
    rows = np.clip(np.arange(height) - move.down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) - move.right[:, None], 0, width - 1)
    columns = np.where(flipped[:, None], width - 1 - columns, columns)
    # Measured: one index into all pixels takes an eighth of the time of a flip and an index
    # for each axis.
    lines = (np.arange(n)[:, None] * height + rows) * width
    pixels = lines[:, :, None] + columns[:, None, :]
    moved: npt.NDArray[np.uint8] = images.reshape(-1, channels).take(pixels, axis=0)
    return moved


def _turned(images: npt.NDArray[np.uint8], move: Move, angle: Floats) -> Images:
    """Turn each image about its middle and move it, by bilinear interpolation."""
    n, height, width, _ = images.shape
    turned, down, right = (
        np.reshape(values, (n, 1, 1)) for values in (angle, move.down, move.right)
    )
    y = np.arange(height)[None, :, None] - (height - 1) / 2 - down
    x = np.arange(width)[None, None, :] - (width - 1) / 2 - right
    cosine, sine = np.cos(turned), np.sin(turned)
    source_y = np.clip(cosine * y - sine * x + (height - 1) / 2, 0, height - 1)
    source_x = np.clip(sine * y + cosine * x + (width - 1) / 2, 0, width - 1)
    top, left = np.floor(source_y).astype(np.int64), np.floor(source_x).astype(np.int64)
    bottom, far = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    below = (source_y - top).astype(np.float32)[..., None]
    beyond = (source_x - left).astype(np.float32)[..., None]
    which = np.arange(n)[:, None, None]
    upper = images[which, top, left] * (1 - beyond) + images[which, top, far] * beyond
    lower = images[which, bottom, left] * (1 - beyond) + images[which, bottom, far] * beyond
    result: Images = upper * (1 - below) + lower * below
    return result


def _cut_out(images: Images, square: Square) -> None:
    """Set a square of each image to the mean of the batch.

    Source:
        DeVries and Taylor 2017, "Improved Regularization of CNNs with Cutout", section 3.2.
    """
    top, left = square.top[:, None, None, None], square.left[:, None, None, None]
    y = np.arange(images.shape[1])[None, :, None, None]
    x = np.arange(images.shape[2])[None, None, :, None]
    side = square.side
    inside = (y >= top) & (y < top + side) & (x >= left) & (x < left + side)
    np.copyto(images, np.float32(images.mean()), where=inside)
