"""Batches of training images that are ready for a step, from memory or from an accelerator's own.

An accelerator is faster than numpy changes images and than they get to it. So its memory holds
all training images, as bytes, and only what was drawn for a batch is sent there.
"""

import os
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from commons.genome import Augmentation
from trainer.augmentation import Changes, change, draw
from trainer.examples import Part

SETTING = "DICEBOX_RESIDENT"
# Larger ones stay in memory: the network and its maps need room too, beside other workers.
_MOST_BYTES = 2 * 1024**3
Indices = npt.NDArray[np.int64]
Mirrored = npt.NDArray[np.bool_]


class Batches(Protocol):
    """Gives the examples of single steps."""

    def batch(self, rng: np.random.Generator, indices: Indices, mirrored: Mirrored) -> Any:
        """Return float32 pixels (n, height, width, channels) and one-hot labels (n, categories).

        Args:
            rng: Draws what is changed about them.
            indices: Which examples, rising.
            mirrored: Which of them are flipped if any are, shape (n,).
        """
        ...


def batches_of(part: Part, categories: int, augmentation: Augmentation) -> Batches:
    """Return the batches of a split: resident ones on an accelerator, or as the environment says.

    Raises:
        ValueError: The environment says neither `auto` nor `yes` nor `no`.
    """
    setting = os.environ.get(SETTING, "auto")
    if setting not in ("auto", "yes", "no"):
        raise ValueError(f"expected {SETTING} to be auto, yes or no, got {setting!r}")
    if setting == "yes" or (setting == "auto" and _pays(part)):
        return ResidentBatches(part, categories, augmentation)
    return MemoryBatches(part, categories, augmentation)


class MemoryBatches:
    """`Batches` that numpy makes of a memory map."""

    def __init__(self, part: Part, categories: int, augmentation: Augmentation) -> None:
        self._part = part
        self._one_hot = np.eye(categories, dtype=np.float32)
        self._augmentation = augmentation

    def batch(self, rng: np.random.Generator, indices: Indices, mirrored: Mirrored) -> Any:
        """Return the examples as arrays of numpy."""
        images = self._part.images[indices]
        changes = draw(rng, images.shape[:3], mirrored, self._augmentation)
        return change(rng, images, changes), self._one_hot[self._part.labels[indices]]


class ResidentBatches:
    """`Batches` that an accelerator makes of what lies in its own memory."""

    def __init__(self, part: Part, categories: int, augmentation: Augmentation) -> None:
        self._images, self._labels = _on_device(part)
        self._extent = part.images.shape[1:3]
        self._categories = categories
        self._augmentation = augmentation

    def batch(self, rng: np.random.Generator, indices: Indices, mirrored: Mirrored) -> Any:
        """Return the examples as arrays of the backend, on the device."""
        changes = draw(rng, (len(indices), *self._extent), mirrored, self._augmentation)
        make = _compiled(changes.square.side if changes.square else 0, self._categories)
        return make(self._images, self._labels, indices.astype(np.int32), _sent(rng, changes))


def _pays(part: Part) -> bool:
    return part.images.nbytes <= _MOST_BYTES and bool(keras.distribution.list_devices("gpu"))


# One data set after another: a worker has one at a time.
@lru_cache(maxsize=1)
def _on_device(part: Part) -> tuple[Any, Any]:
    images = np.ascontiguousarray(part.images)
    labels = part.labels.astype(np.int32)
    return keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(labels)


def _sent(rng: np.random.Generator, changes: Changes) -> dict[str, npt.NDArray[Any]]:
    """Return what was drawn as small arrays by name; what is not changed has none."""
    sent: dict[str, npt.NDArray[Any]] = {"flipped": changes.flipped}
    if changes.move is not None:
        of_place = np.int32 if changes.move.angle is None else np.float32
        sent["down"] = changes.move.down.astype(of_place)
        sent["right"] = changes.move.right.astype(of_place)
        if changes.move.angle is not None:
            sent["angle"] = changes.move.angle.astype(np.float32)
    if changes.square is not None:
        sent["top"] = changes.square.top.astype(np.int32)
        sent["left"] = changes.square.left.astype(np.int32)
    if changes.noise > 0:
        sent["noise"] = np.float32(changes.noise)  # type: ignore[assignment]
        sent["seed"] = rng.integers(0, 2**31, 2, dtype=np.int32)
    return sent


@cache
def _compiled(side: int, categories: int) -> Callable[..., tuple[Any, Any]]:
    """Return the function that makes a batch, compiled for each size and kind of change."""

    def make(images: Any, labels: Any, indices: Any, sent: dict[str, Any]) -> tuple[Any, Any]:
        chosen = keras.ops.take(images, indices, axis=0)
        changed = _changed(chosen, sent, side)
        one_hot = keras.ops.one_hot(keras.ops.take(labels, indices, axis=0), categories)
        return changed, keras.ops.cast(one_hot, "float32")

    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415 - not where another backend is used

        compiled: Callable[..., tuple[Any, Any]] = jax.jit(make)
    else:
        import tensorflow  # noqa: PLC0415 - the same

        compiled = tensorflow.function(make)
    return compiled


def _changed(images: Any, sent: dict[str, Any], side: int) -> Any:
    """Do what `trainer.augmentation.change` does, in the operations of the backend."""
    ops = keras.ops
    flipped = ops.where(sent["flipped"][:, None, None, None], images[:, :, ::-1], images)
    if "angle" in sent:
        changed = _turned(ops.cast(flipped, "float32"), sent)
    elif "down" in sent:
        changed = ops.cast(_shifted(flipped, sent), "float32")
    else:
        changed = ops.cast(flipped, "float32")
    if "top" in sent:
        changed = _cut_out(changed, sent, side)
    if "noise" in sent:
        changed = changed + _normal(ops.shape(changed), sent["seed"]) * sent["noise"]
    return changed


def _shifted(images: Any, sent: dict[str, Any]) -> Any:
    ops = keras.ops
    height, width = images.shape[1:3]
    rows = ops.clip(ops.arange(height, dtype="int32") - sent["down"][:, None], 0, height - 1)
    columns = ops.clip(ops.arange(width, dtype="int32") - sent["right"][:, None], 0, width - 1)
    return _picked(images, rows[:, :, None], columns[:, None, :])


def _turned(images: Any, sent: dict[str, Any]) -> Any:
    ops = keras.ops
    height, width = images.shape[1:3]
    angle, down, right = (sent[name][:, None, None] for name in ("angle", "down", "right"))
    y = ops.arange(height, dtype="float32")[None, :, None] - (height - 1) / 2 - down
    x = ops.arange(width, dtype="float32")[None, None, :] - (width - 1) / 2 - right
    cosine, sine = ops.cos(angle), ops.sin(angle)
    source_y = ops.clip(cosine * y - sine * x + (height - 1) / 2, 0, height - 1)
    source_x = ops.clip(sine * y + cosine * x + (width - 1) / 2, 0, width - 1)
    top, left = (ops.cast(ops.floor(each), "int32") for each in (source_y, source_x))
    bottom, far = ops.minimum(top + 1, height - 1), ops.minimum(left + 1, width - 1)
    below = (source_y - ops.cast(top, "float32"))[..., None]
    beyond = (source_x - ops.cast(left, "float32"))[..., None]
    upper = _picked(images, top, left) * (1 - beyond) + _picked(images, top, far) * beyond
    lower = _picked(images, bottom, left) * (1 - beyond) + _picked(images, bottom, far) * beyond
    return upper * (1 - below) + lower * below


def _picked(images: Any, rows: Any, columns: Any) -> Any:
    """Return the pixels at places that broadcast to (n, height, width), of each image its own."""
    ops = keras.ops
    height, width, channels = images.shape[1:]
    places = ops.reshape(rows * width + columns, (-1, height * width, 1))
    picked = ops.take_along_axis(ops.reshape(images, (-1, height * width, channels)), places, 1)
    return ops.reshape(picked, (-1, height, width, channels))


def _cut_out(images: Any, sent: dict[str, Any], side: int) -> Any:
    ops = keras.ops
    top, left = (sent[name][:, None, None, None] for name in ("top", "left"))
    y = ops.arange(images.shape[1], dtype="int32")[None, :, None, None]
    x = ops.arange(images.shape[2], dtype="int32")[None, None, :, None]
    down = ops.logical_and(y >= top, y < top + side)
    inside = ops.logical_and(down, ops.logical_and(x >= left, x < left + side))
    return ops.where(inside, ops.mean(images), images)


def _normal(shape: Any, seed: Any) -> Any:
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415 - not where another backend is used

        key = jax.random.wrap_key_data(seed.astype("uint32"), impl="threefry2x32")
        return jax.random.normal(key, shape)
    import tensorflow  # noqa: PLC0415 - the same

    return tensorflow.random.stateless_normal(shape, seed)
