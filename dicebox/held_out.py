"""Classifies the held-out test images of a snapshot over HTTP, once, at the very end."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from commons.errors import InvalidInputError
from commons.messages import Classification, Snapshot
from dicebox.client import Client


@dataclass(frozen=True)
class HeldOutResult:
    """What the served network answered.

    `confusion[i][j]` counts images of category i that were called j; `samples` are a few
    (true category name, answer); `median_ms` is the round trip of one classification.
    """

    network: str
    categories: list[str]
    confusion: list[list[int]]
    samples: list[tuple[str, Classification]]
    median_ms: float

    @property
    def images(self) -> int:
        """Return how many images were classified."""
        return sum(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """Return the share of right answers."""
        return sum(row[i] for i, row in enumerate(self.confusion)) / self.images


def classify_held_out(
    client: Client, snapshot: Snapshot, network: str, advance: Callable[[], None]
) -> HeldOutResult:
    """Return what a network says about every test image, asked by its id.

    The champion may change meanwhile, and not in every process that answers at once. Wrong
    answers come first among the samples: they are what one wants to see.

    Raises:
        InvalidInputError: The snapshot holds no test images.
    """
    if not snapshot.counts.get("test"):
        raise InvalidInputError(f"snapshot {snapshot.id[:12]} holds no test images to measure with")
    index = {category.id: i for i, category in enumerate(snapshot.categories)}
    names = [category.name for category in snapshot.categories]
    confusion = [[0] * len(names) for _ in names]
    right: list[tuple[str, Classification]] = []
    wrong: list[tuple[str, Classification]] = []
    took: list[float] = []
    for line in list(client.sensory.snapshot_images(snapshot.id, "test")):
        data = client.sensory.image(line.image)
        started = time.perf_counter()
        answer = client.gallery.classify(data, network=network)
        took.append(1000 * (time.perf_counter() - started))
        said = index[answer.answers[0].category.id]
        confusion[line.category][said] += 1
        (right if said == line.category else wrong).append((names[line.category], answer))
        advance()
    samples = (wrong + right)[:6]
    return HeldOutResult(network, names, confusion, samples, statistics.median(took))
