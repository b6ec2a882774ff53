"""Freezes what is labeled now into a list that never changes, named by its hash."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median_low

from commons.errors import ConflictError, NotFoundError
from commons.messages import (
    SPLITS,
    Category,
    CategoryCount,
    DatasetSummary,
    FreezeRequest,
    Snapshot,
    SnapshotImage,
    SnapshotImages,
    Split,
)
from commons.ports import Clock
from sensory_service.ports import DatasetCatalog, LabeledImage, SnapshotCatalog
from sensory_service.shard_layout import span_of
from sensory_service.splits import Shares, assign_splits

_FEWEST_CATEGORIES = 2


class SnapshotStore:
    """The use cases of snapshots.

    Args:
        datasets: Categories and counts.
        catalog: Snapshots and splits.
        clock: Time of freezing.
    """

    def __init__(self, datasets: DatasetCatalog, catalog: SnapshotCatalog, clock: Clock) -> None:
        self._datasets = datasets
        self._catalog = catalog
        self._clock = clock

    def freeze(self, dataset: str, request: FreezeRequest) -> tuple[Snapshot, bool]:
        """Return a snapshot of what is labeled now, and whether it is new.

        Images without a split get theirs now, once and for all.

        Raises:
            NotFoundError: No such dataset or category.
            ConflictError: What is labeled cannot be trained on; the message says what is missing.
        """
        categories = _chosen(self._datasets.summary(dataset), request.categories)
        images = self._with_splits(dataset, categories, request)
        lines = _lines(images, categories)
        snapshot = Snapshot(
            id=manifest_hash(dataset, categories, lines),
            dataset=dataset,
            categories=categories,
            counts=_counts(image.split for image in lines),
            median_shape=_median_shape(images),
            created=self._clock.now(),
        )
        created = self._catalog.add(snapshot, lines)
        return self._catalog.get(snapshot.id), created

    def get(self, snapshot: str) -> Snapshot:
        """Return a frozen snapshot."""
        return self._catalog.get(snapshot)

    def images(self, snapshot: str, split: Split | None, cursor: int, limit: int) -> SnapshotImages:
        """Return a page of a manifest, or of one split of it, from row `cursor` on."""
        counts = self._catalog.get(snapshot).counts
        span = range(sum(counts.values())) if split is None else span_of(counts, split)
        page = span[cursor : cursor + limit]
        images = self._catalog.rows(snapshot, page.start, len(page)) if page else []
        following = cursor + len(page)
        return SnapshotImages(images=images, cursor=following if following < len(span) else None)

    def _with_splits(
        self, dataset: str, categories: Sequence[Category], request: FreezeRequest
    ) -> list[LabeledImage]:
        shares = Shares(request.validation_share, request.test_share)
        while True:
            found = self._catalog.labeled(dataset, [category.id for category in categories])
            assigned = assign_splits(found, shares)
            images = [
                image._replace(split=assigned.get(image.image, image.split)) for image in found
            ]
            _check_splits(images, categories)
            if self._catalog.assign_splits(dataset, assigned) == len(assigned):
                return images
            # Somebody else froze at the same time and was first; what they assigned counts.


def manifest_hash(
    dataset: str, categories: Sequence[Category], images: Sequence[SnapshotImage]
) -> str:
    """Return the id of a snapshot: the hash of its manifest.

    The manifest is one line of JSON with the dataset and the category map, then a line
    `<image> <category index> <split>` for each image, by split (train, validation, test) and
    then by hash.
    """
    head = {
        "categories": [[category.id, category.name] for category in categories],
        "dataset": dataset,
        "manifest": 1,
    }
    digest = hashlib.sha256(json.dumps(head, sort_keys=True, separators=(",", ":")).encode())
    for line in images:
        digest.update(f"\n{line.image} {line.category} {line.split}".encode())
    return digest.hexdigest()


def _chosen(summary: DatasetSummary, names: Sequence[str] | None) -> list[Category]:
    """Return the categories of a snapshot, in the order of their making."""
    by_name = {category.name: category for category in summary.categories}
    if unknown := [name for name in names or () if name not in by_name]:
        raise NotFoundError(
            f"{summary.name} has no category {unknown[0]!r}", kind="unknown-category"
        )
    asked = [c for c in summary.categories if names is None or c.name in names]
    _check_enough(summary.name, asked, named=names is not None)
    return [Category(id=c.id, name=c.name) for c in asked if c.images]


def _check_enough(dataset: str, categories: Sequence[CategoryCount], *, named: bool) -> None:
    images = sum(category.images for category in categories)
    filled = sum(category.images > 0 for category in categories)
    if not images:
        raise ConflictError(
            f"expected labeled images in {dataset}, there are none", kind="no-labeled-images"
        )
    if images < len(categories):
        raise ConflictError(
            f"expected at least as many labeled images as categories ({len(categories)}) in "
            f"{dataset}, got {images}",
            kind="too-few-images",
        )
    if filled < _FEWEST_CATEGORIES:
        raise ConflictError(
            f"expected at least {_FEWEST_CATEGORIES} categories with images in {dataset}, "
            f"got {filled}",
            kind="too-few-categories",
        )
    if named and filled < len(categories):
        empty = next(category.name for category in categories if not category.images)
        raise ConflictError(
            f"expected images in every named category, got none in {empty!r}",
            kind="empty-category",
        )


def _check_splits(images: Sequence[LabeledImage], categories: Sequence[Category]) -> None:
    trained = {image.category for image in images if image.split == "train"}
    for category in categories:
        if category.id not in trained:
            raise ConflictError(
                f"expected a training image in every category, got none in {category.name!r}: "
                "all of its images came with another split",
                kind="no-training-images",
            )
    if not any(image.split == "validation" for image in images):
        raise ConflictError(
            "expected images to select by, got none: send some with the split validation or "
            "with no split at all, and at least two of a category",
            kind="no-validation-images",
        )


def _lines(images: Sequence[LabeledImage], categories: Sequence[Category]) -> list[SnapshotImage]:
    index = {category.id: number for number, category in enumerate(categories)}
    lines = [
        SnapshotImage(image=image.image, category=index[image.category], split=image.split)
        for image in images
        if image.split is not None
    ]
    return sorted(lines, key=lambda line: (SPLITS.index(line.split), line.image))


def _counts(splits: Iterable[Split]) -> dict[Split, int]:
    counts = Counter(splits)
    return {split: counts[split] for split in SPLITS}


def _median_shape(images: Sequence[LabeledImage]) -> tuple[int, int, int]:
    return (
        median_low(image.height for image in images),
        median_low(image.width for image in images),
        max(image.channels for image in images),
    )
