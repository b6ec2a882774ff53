"""Freezes what is labeled now into a list that never changes, named by its hash."""

import gc
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from statistics import median_low

import numpy as np
import numpy.typing as npt

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
    SnapshotList,
    Split,
)
from commons.ports import Clock
from sensory_service.packs import PackMaker
from sensory_service.ports import DatasetCatalog, LabeledImage, ManifestLine, SnapshotCatalog
from sensory_service.shard_layout import span_of
from sensory_service.splits import Shares, assign_splits, hash_order

_FEWEST_CATEGORIES = 2
_AT_ONCE = 10_000  # lines hashed in one call


class SnapshotStore:
    """The use cases of snapshots.

    Args:
        datasets: Categories and counts.
        catalog: Snapshots and splits.
        clock: Time of freezing.
        packs: Makes the images quick to read.
    """

    def __init__(
        self,
        datasets: DatasetCatalog,
        catalog: SnapshotCatalog,
        clock: Clock,
        packs: PackMaker,
    ) -> None:
        self._datasets = datasets
        self._catalog = catalog
        self._clock = clock
        self._packs = packs

    def freeze(self, dataset: str, request: FreezeRequest) -> tuple[Snapshot, bool]:
        """Return a snapshot of what is labeled now, and whether it is new.

        Images without a split get theirs now, once and for all.

        Raises:
            NotFoundError: No such dataset or category.
            ConflictError: What is labeled cannot be trained on; the message says what is missing.
        """
        with _no_collections():
            return self._freeze(dataset, request)

    def _freeze(self, dataset: str, request: FreezeRequest) -> tuple[Snapshot, bool]:
        categories = _chosen(self._datasets.summary(dataset), request.categories)
        lines, median_shape = self._lines(dataset, categories, request)
        snapshot = Snapshot(
            id=manifest_hash(dataset, categories, lines),
            dataset=dataset,
            categories=categories,
            counts=_counts(map(itemgetter(2), lines)),
            median_shape=median_shape,
            created=self._clock.now(),
        )
        created = self._catalog.add(snapshot, lines)
        if created:
            self._packs.pack_new(snapshot.id)
        return self._catalog.get(snapshot.id), created

    def of_dataset(self, dataset: str) -> SnapshotList:
        """Return the snapshots of a dataset, newest first."""
        return SnapshotList(snapshots=self._catalog.entries(dataset))

    def get(self, snapshot: str) -> Snapshot:
        """Return a frozen snapshot by its id, or by a start of it that no other has."""
        return self._catalog.get(snapshot)

    def images(self, snapshot: str, split: Split | None, cursor: int, limit: int) -> SnapshotImages:
        """Return a page of a manifest, or of one split of it, from row `cursor` on."""
        frozen = self._catalog.get(snapshot)
        counts = frozen.counts
        span = range(sum(counts.values())) if split is None else span_of(counts, split)
        page = span[cursor : cursor + limit]
        images = self._catalog.rows(frozen.id, page.start, len(page)) if page else []
        following = cursor + len(page)
        rows = [SnapshotImage.model_validate(image._asdict()) for image in images]
        return SnapshotImages(images=rows, cursor=following if following < len(span) else None)

    def _lines(
        self, dataset: str, categories: Sequence[Category], request: FreezeRequest
    ) -> tuple[list[ManifestLine], tuple[int, int, int]]:
        """Return the lines of the manifest and the median shape of their images."""
        shares = Shares(request.validation_share, request.test_share)
        while True:
            found = self._catalog.labeled(dataset, [category.id for category in categories])
            order = hash_order([image.image for image in found])
            splits = assign_splits(found, order, shares)
            lines = _lines(found, splits, order, categories)
            _check_splits(lines, categories)
            each = zip(found, splits, strict=True)
            new = {image.membership: split for image, split in each if image.split is None}
            if self._catalog.assign_splits(new) == len(new):
                return lines, _median_shape(found)
            # Somebody else froze at the same time and was first; what they assigned counts.


def manifest_hash(
    dataset: str, categories: Sequence[Category], images: Sequence[ManifestLine | SnapshotImage]
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
    for start in range(0, len(images), _AT_ONCE):
        some = images[start : start + _AT_ONCE]
        text = "".join([f"\n{line.image} {line.category} {line.split}" for line in some])
        digest.update(text.encode())
    return digest.hexdigest()


@contextmanager
def _no_collections() -> Iterator[None]:
    """Look for no garbage: among a million rows that are all in use it takes a third of the time.

    It counts for the whole process; of two who freeze the first to end has it looked for again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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


def _check_splits(lines: Sequence[ManifestLine], categories: Sequence[Category]) -> None:
    trained = {line.category for line in lines if line.split == "train"}
    for index, category in enumerate(categories):
        if index not in trained:
            raise ConflictError(
                f"expected a training image in every category, got none in {category.name!r}: "
                "all of its images came with another split",
                kind="no-training-images",
            )
    if not any(line.split == "validation" for line in lines):
        raise ConflictError(
            "expected images to select by, got none: send some with the split validation or "
            "with no split at all, and at least two of a category",
            kind="no-validation-images",
        )


def _lines(
    images: Sequence[LabeledImage],
    splits: Sequence[Split],
    order: npt.NDArray[np.intp],
    categories: Sequence[Category],
) -> list[ManifestLine]:
    """Return the manifest in its order: by split, then by hash."""
    index = {category.id: number for number, category in enumerate(categories)}
    by_split: dict[Split, list[ManifestLine]] = {split: [] for split in SPLITS}
    # Made in the order of the images, where they lie one after the other in memory.
    lines = [
        ManifestLine(image.image, index[image.category], split)
        for image, split in zip(images, splits, strict=True)
    ]
    for position in order.tolist():
        by_split[splits[position]].append(lines[position])
    return [line for lines in by_split.values() for line in lines]


def _counts(splits: Iterable[Split]) -> dict[Split, int]:
    counts = Counter(splits)
    return {split: counts[split] for split in SPLITS}


def _median_shape(images: Sequence[LabeledImage]) -> tuple[int, int, int]:
    return (
        median_low(image.height for image in images),
        median_low(image.width for image in images),
        max(image.channels for image in images),
    )
