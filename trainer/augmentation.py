"""Random changes of training images, a batch at a time, in numpy."""

import numpy as np
import numpy.typing as npt

from commons.genome import Augmentation

Images = npt.NDArray[np.float32]


def augment(
    rng: np.random.Generator,
    images: npt.NDArray[np.uint8],
    mirrored: npt.NDArray[np.bool_],
    augmentation: Augmentation,
) -> Images:
    """Return changed copies as float32.

    Args:
        rng: Draws every change but the flips.
        images: uint8, shape (n, height, width, channels).
        mirrored: Which images are flipped if any are, shape (n,).
        augmentation: What may change, and how far.

    Returns:
        float32 in the range of the input (0..255, but for `noise`), of the same shape.
    """
    flipped = mirrored & augmentation.flip
    if augmentation.rotate > 0:
        changed = _rotated(rng, _flipped(images, flipped), augmentation)
    elif augmentation.shift > 0:
        changed = _shifted(rng, images, flipped, augmentation.shift).astype(np.float32)
    else:
        changed = _flipped(images, flipped).astype(np.float32)
    if augmentation.cutout > 0:
        _cut_out(rng, changed, augmentation.cutout)
    if augmentation.noise > 0:
        noise = rng.standard_normal(changed.shape, dtype=np.float32)
        changed += noise * np.float32(255.0 * augmentation.noise)
    return changed


def _shifts(rng: np.random.Generator, n: int, extent: int, share: float) -> npt.NDArray[np.int64]:
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
    rng: np.random.Generator,
    images: npt.NDArray[np.uint8],
    flipped: npt.NDArray[np.bool_],
    share: float,
) -> npt.NDArray[np.uint8]:
    """Flip some images, then move each by whole pixels; its border is repeated."""
    n, height, width, channels = images.shape
    down, right = _shifts(rng, n, height, share), _shifts(rng, n, width, share)
    rows = np.clip(np.arange(height) - down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) - right[:, None], 0, width - 1)
    columns = np.where(flipped[:, None], width - 1 - columns, columns)
    # Measured: one index into all pixels takes an eighth of the time of a flip and an index
    # for each axis.
    lines = (np.arange(n)[:, None] * height + rows) * width
    pixels = lines[:, :, None] + columns[:, None, :]
    moved: npt.NDArray[np.uint8] = images.reshape(-1, channels).take(pixels, axis=0)
    return moved


def _rotated(
    rng: np.random.Generator, images: npt.NDArray[np.uint8], augmentation: Augmentation
) -> Images:
    """Turn each image about its middle and move it, by bilinear interpolation."""
    n, height, width, _ = images.shape
    most = np.deg2rad(augmentation.rotate)
    angle = rng.uniform(-most, most, (n, 1, 1))
    moved = augmentation.shift > 0
    down = rng.uniform(-1, 1, (n, 1, 1)) * augmentation.shift * height * moved
    right = rng.uniform(-1, 1, (n, 1, 1)) * augmentation.shift * width * moved
    y = np.arange(height)[None, :, None] - (height - 1) / 2 - down
    x = np.arange(width)[None, None, :] - (width - 1) / 2 - right
    cosine, sine = np.cos(angle), np.sin(angle)
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


def _cut_out(rng: np.random.Generator, images: Images, share: float) -> None:
    """Set a square of each image to the mean of the batch.

    Source:
        DeVries and Taylor 2017, "Improved Regularization of CNNs with Cutout", section 3.2.
    """
    n, height, width, _ = images.shape
    side = max(1, round(share * min(height, width)))
    top = rng.integers(-(side // 2), height - side // 2, n)[:, None, None, None]
    left = rng.integers(-(side // 2), width - side // 2, n)[:, None, None, None]
    y = np.arange(height)[None, :, None, None]
    x = np.arange(width)[None, None, :, None]
    inside = (y >= top) & (y < top + side) & (x >= left) & (x < left + side)
    np.copyto(images, np.float32(images.mean()), where=inside)
