"""Imports an archive of images, with a result for every file of it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import IO, Literal

from commons.archive_tree import ArchiveTree
from commons.errors import DiceboxError, InvalidInputError
from commons.image_tree import Place
from commons.messages import ImportedFile, StoredImage
from sensory_service.images import ImageStore
from sensory_service.names import dataset_name

_MOST_FILES = 256  # of one category that are stored together
_MOST_BYTES = 16 * 1024 * 1024  # that wait in memory

Files = list[tuple[str, bytes]]


class ImageImport:
    """The use case of an import; importing again is harmless and finishes what was cut off.

    Args:
        images: Stores what is an image.
        most_image_bytes: A larger file is refused.
    """

    def __init__(self, images: ImageStore, most_image_bytes: int) -> None:
        self._images = images
        self._most_image_bytes = most_image_bytes

    def begin(
        self, dataset: str, file: IO[bytes], size: int, who: str | None
    ) -> Iterator[ImportedFile]:
        """Look through an archive, and return the results of its files as they are stored.

        Raises:
            InvalidInputError: A wrong name of the dataset, no archive, a damaged one, or none
                with one folder a category.
            TooLargeError: It unpacks to far more than pictures do.
        """
        return self._results(dataset_name(dataset), ArchiveTree(file, size), who)

    def _results(self, dataset: str, tree: ArchiveTree, who: str | None) -> Iterator[ImportedFile]:
        waiting: dict[Place, Files] = defaultdict(list)
        size = 0
        for entry in tree.entries(self._most_image_bytes):
            if entry.fault is not None or entry.place is None:
                yield _refused(entry.path, entry.fault or InvalidInputError("no category"))
                continue
            waiting[entry.place].append((entry.path, entry.data))
            size += len(entry.data)
            if len(waiting[entry.place]) >= _MOST_FILES or size >= _MOST_BYTES:
                yield from self._store_all(dataset, waiting, who)
                size = 0
        yield from self._store_all(dataset, waiting, who)

    def _store_all(
        self, dataset: str, waiting: dict[Place, Files], who: str | None
    ) -> Iterator[ImportedFile]:
        for place, files in waiting.items():
            try:
                yield from self._store(dataset, place, files, who)
            except InvalidInputError as error:  # the name of the category
                yield from (_refused(path, error) for path, _ in files)
        waiting.clear()

    def _store(
        self, dataset: str, place: Place, files: Files, who: str | None
    ) -> Iterator[ImportedFile]:
        numbered = [(str(number), data) for number, (_, data) in enumerate(files)]
        reply = self._images.store_many(dataset, numbered, place.category, place.split, who)
        refused = {int(fault.file): fault for fault in reply.refused}
        stored = iter(reply.stored)
        for number, (path, _) in enumerate(files):
            if number in refused:
                fault = refused[number]
                yield ImportedFile(
                    file=path, outcome="refused", kind=fault.kind, detail=fault.detail
                )
            else:
                yield _imported(path, next(stored))


def _refused(path: str, error: DiceboxError) -> ImportedFile:
    return ImportedFile(file=path, outcome="refused", kind=error.kind, detail=str(error))


def _imported(path: str, stored: StoredImage) -> ImportedFile:
    outcome: Literal["stored", "duplicate", "relabeled"] = "stored"
    if stored.duplicate:
        outcome = "relabeled" if stored.relabeled else "duplicate"
    return ImportedFile(file=path, outcome=outcome, image=stored.image)
