"""Uploads the images of a zip, tar or tar.gz, in requests of some files."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from commons.adapters.services import SensoryClient
from commons.archive_tree import ArchiveTree, Entry
from commons.errors import InvalidInputError
from commons.image_tree import Place
from commons.messages import UploadFault, UploadReply
from dicebox.image_folder import upload_files

_MOST_FILES = 128
_MOST_BYTES = 16 * 1024 * 1024
_MOST_IMAGE_BYTES = 63 * 1024 * 1024  # what fits into one request of the service


class ImageArchive:
    """An archive as `dicebox import` reads it; use it as a context manager.

    Raises:
        InvalidInputError: No archive, a damaged one, or none with one folder a category.
        TooLargeError: It unpacks to far more than pictures do.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._tree = ArchiveTree(self._file, path.stat().st_size)
        except BaseException:
            self._file.close()
            raise
        self.files = self._tree.files

    def __enter__(self) -> "ImageArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def upload(self, sensory: SensoryClient, dataset: str) -> Iterator[tuple[int, UploadReply]]:
        """Upload all images; yield how many files each request had, and its answer."""
        waiting: dict[Place, list[tuple[str, bytes]]] = defaultdict(list)
        size = 0
        for entry in self._tree.entries(_MOST_IMAGE_BYTES):
            if entry.place is None:
                yield 1, _refused([entry.path], _reason(entry))
                continue
            waiting[entry.place].append((entry.path, entry.data))
            size += len(entry.data)
            if len(waiting[entry.place]) >= _MOST_FILES or size >= _MOST_BYTES:
                yield from _send(sensory, dataset, waiting)
                size = 0
        yield from _send(sensory, dataset, waiting)


def _send(
    sensory: SensoryClient, dataset: str, waiting: dict[Place, list[tuple[str, bytes]]]
) -> Iterator[tuple[int, UploadReply]]:
    for place, files in waiting.items():
        try:
            reply = upload_files(sensory, dataset, place.category, place.split, files)
        except InvalidInputError as error:  # the name of the category
            reply = _refused([path for path, _ in files], error)
        yield len(files), reply
    waiting.clear()


def _reason(entry: Entry) -> InvalidInputError:
    return InvalidInputError(str(entry.fault), kind=entry.fault.kind if entry.fault else None)


def _refused(paths: list[str], error: InvalidInputError) -> UploadReply:
    faults = [UploadFault(file=path, kind=error.kind, detail=str(error)) for path in paths]
    return UploadReply(stored=[], refused=faults)
