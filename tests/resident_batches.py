"""How far batches made on a device are from those that numpy makes, on the backend of Keras."""

import numpy as np

from commons.genome import Augmentation
from trainer.adapters.resident import MemoryBatches, ResidentBatches
from trainer.examples import Part

KINDS = {
    "nothing": Augmentation(),
    "flip": Augmentation(flip=True),
    "shift": Augmentation(flip=True, shift=0.3),
    "rotate": Augmentation(flip=True, rotate=20.0, shift=0.1),
    "rotate alone": Augmentation(rotate=15.0),
    "cutout": Augmentation(shift=0.1, cutout=0.4),
}
COUNT, CATEGORIES = 30, 5


def part(shape: tuple[int, int, int] = (9, 12, 3)) -> Part:
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (COUNT, *shape), dtype=np.uint8)
    return Part(images, rng.integers(0, CATEGORIES, COUNT))


def differences() -> dict[str, float]:
    """Return the largest difference of a level of a pixel, or of labels, by the kind of change."""
    examples = part()
    mirrored = np.random.default_rng(3).random(8) < 0.5
    found = {}
    for name, augmentation in KINDS.items():
        apart = []
        for indices in (np.arange(0, 16, 2), np.arange(22, 30)):
            made = [
                batches.batch(np.random.default_rng(4), indices, mirrored)
                for batches in (
                    MemoryBatches(examples, CATEGORIES, augmentation),
                    ResidentBatches(examples, CATEGORIES, augmentation),
                )
            ]
            for ours, theirs in zip(*made, strict=True):
                assert ours.shape == np.asarray(theirs).shape
                assert np.asarray(theirs).dtype == np.float32
                apart.append(float(np.abs(ours - np.asarray(theirs)).max()))
        found[name] = max(apart)
    return found
