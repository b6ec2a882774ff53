"""Imports an archive of images, with a result for every file of it."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from commons.archive_tree import ArchiveTree
from commons.errors import InvalidInputError
from commons.image_tree import Place
from commons.import_results import refused_file, results_of
from commons.messages import ImportedFile
from sensory_service.images import ImageStore
from sensory_service.names import dataset_name

_MOST_FILES = 256  # of one category that are stored together
_MOST_BYTES = 8 * 1024 * 1024  # that are being written
_AHEAD = 2  # groups of files

Files = list[tuple[str, bytes]]
Finish = Callable[[], list[ImportedFile]]


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
        under_way: deque[tuple[int, Finish]] = deque()
        with self._images.writers() as pool:
            for group in self._groups(tree):
                if isinstance(group, ImportedFile):
                    yield group
                    continue
                # While these are written, the next ones are read; recorded they are in order.
                size = sum(len(data) for _, data in group[1])
                under_way.append((size, self._begun(pool, dataset, *group, who)))
                while len(under_way) > _AHEAD or sum(size for size, _ in under_way) > _MOST_BYTES:
                    yield from under_way.popleft()[1]()
            while under_way:
                yield from under_way.popleft()[1]()

    def _groups(self, tree: ArchiveTree) -> Iterator[tuple[Place, Files] | ImportedFile]:
        """Yield files of one category that go together, and what is refused already."""
        waiting: dict[Place, Files] = defaultdict(list)
        size = 0
        for entry in tree.entries(self._most_image_bytes):
            if entry.fault is not None or entry.place is None:
                yield refused_file(entry.path, entry.fault or InvalidInputError("no category"))
                continue
            waiting[entry.place].append((entry.path, entry.data))
            size += len(entry.data)
            if len(waiting[entry.place]) >= _MOST_FILES or size >= _MOST_BYTES // _AHEAD:
                yield from waiting.items()
                waiting.clear()
                size = 0
        yield from waiting.items()

    def _begun(
        self, pool: ThreadPoolExecutor, dataset: str, place: Place, files: Files, who: str | None
    ) -> Finish:
        """Begin to store files, and return what waits for their results."""
        paths = [path for path, _ in files]
        numbered = [(str(number), data) for number, (_, data) in enumerate(files)]
        try:
            finish = self._images.begin(
                pool, dataset, numbered, place.category, place.split, who, "import"
            )
        except InvalidInputError as error:  # the name of the category
            refused = [refused_file(path, error) for path in paths]
            return lambda: refused
        return lambda: list(results_of(paths, finish()))
