"""Imports an archive of images, with a result for every file of it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import IO

from commons.archive_tree import ArchiveTree
from commons.errors import InvalidInputError
from commons.image_tree import Place
from commons.import_results import refused_file, results_of
from commons.messages import ImportedFile
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
                yield refused_file(entry.path, entry.fault or InvalidInputError("no category"))
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
                yield from (refused_file(path, error) for path, _ in files)
        waiting.clear()

    def _store(
        self, dataset: str, place: Place, files: Files, who: str | None
    ) -> Iterator[ImportedFile]:
        numbered = [(str(number), data) for number, (_, data) in enumerate(files)]
        reply = self._images.store_many(dataset, numbered, place.category, place.split, who)
        yield from results_of([path for path, _ in files], reply)
